//===- Terminal.cpp - Standard output and error, with care ----------------===//
#include "Terminal.h"

#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

using namespace lowbit;

namespace {

std::chrono::steady_clock::time_point processStart;
bool outputWasClosed = false;

/// Largest prompt or text, in bytes.
constexpr uint64_t maxInputBytes = uint64_t(1) << 30;

void onBusError(int) {
  static const char message[] =
      "lowbit-run: the artifact was cut short or could not be read while it "
      "was "
      "mapped (--weights=copy does not depend on the file)\n";
  if (write(2, message, sizeof(message) - 1) < 0)
    _exit(5);
  _exit(5);
}

[[noreturn]] void onMemoryExhausted() {
  static const char message[] = "lowbit-run: out of memory\n";
  if (write(2, message, sizeof(message) - 1) < 0)
    _exit(6);
  _exit(6);
}

} // namespace

void run::prepareProcess() {
  processStart = std::chrono::steady_clock::now();
  for (int number = 0; number <= 2; ++number) {
    if (fcntl(number, F_GETFD) >= 0)
      continue;
    outputWasClosed |= number == 1;
    if (::open("/dev/null", O_RDWR) < 0)
      _exit(5);
  }
  struct sigaction action{};
  action.sa_handler = onBusError;
  sigaction(SIGBUS, &action, nullptr);
  std::set_new_handler(onMemoryExhausted);
}

double run::sinceStart() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                       processStart)
      .count();
}

void run::printError(const std::string &message) {
  fflush(stdout);
  fprintf(stderr, "lowbit-run: %s\n", message.c_str());
}

int run::fail(int code, const std::string &message) {
  printError(message);
  return code;
}

int run::fail(lowbit_error *error) {
  int code = lowbit_error_code(error);
  printError(lowbit_error_message(error));
  lowbit_error_free(error);
  return code;
}

void run::writeText(std::string_view text) {
  static const bool isTerminal = isatty(1);
  std::string shown;
  for (size_t i = 0; isTerminal && i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    // C1 controls are two bytes in UTF-8: C2 80 … C2 9F.
    bool isC1 = byte == 0xC2 && i + 1 < text.size() &&
                static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      char escape[8];
      snprintf(escape, sizeof(escape), "\\x%02x", byte);
      shown += escape;
    } else if (isC1) {
      char escape[8];
      snprintf(escape, sizeof(escape), "\\x%02x",
               static_cast<unsigned char>(text[++i]));
      shown += escape;
    } else {
      shown += text[i];
    }
  }
  std::string_view out = isTerminal ? std::string_view(shown) : text;
  fwrite(out.data(), 1, out.size(), stdout);
  fflush(stdout);
}

int run::finish(int code) {
  errno = 0;
  bool failed = fflush(stdout) != 0 || ferror(stdout);
  if (code != 0 || (!failed && !outputWasClosed))
    return code;
  return fail(5, std::string("standard output: ") +
                     (outputWasClosed ? "is closed"
                      : errno         ? strerror(errno)
                                      : "cannot be written"));
}

run::ProgressLine::ProgressLine(std::string what)
    : what(std::move(what)), begun(sinceStart()), isTerminal(isatty(2)) {}

run::ProgressLine::~ProgressLine() {
  if (shown > 0 && isTerminal)
    fputs("\r\x1b[K", stderr);
}

void run::ProgressLine::update(int64_t done, int64_t all) {
  double now = sinceStart(), elapsed = now - begun;
  // Lines in a log are wanted less often than updates on a terminal.
  if (done == all || elapsed < 2 || now - shown < (isTerminal ? 0.2 : 10))
    return;
  shown = now;
  double left =
      elapsed / static_cast<double>(done) * static_cast<double>(all - done);
  fprintf(stderr, "%s%s: %lld of %lld, %.0f s to go%s",
          isTerminal ? "\r\x1b[K" : "", what.c_str(),
          static_cast<long long>(done), static_cast<long long>(all), left,
          isTerminal ? "" : "\n");
}

/// Whether a path leads to a terminal, a pipe or the like: /dev/stdin, mostly.
static bool isStream(const std::string &path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 &&
         (S_ISCHR(facts.st_mode) || S_ISFIFO(facts.st_mode) ||
          S_ISSOCK(facts.st_mode));
}

int run::readInput(const std::string &path, std::string &text) {
  if (path != "-") {
    auto content = readFile(path, maxInputBytes);
    if (!content)
      return fail(static_cast<int>(content.error().code),
                  content.error().message +
                      (isStream(path) ? "; - reads standard input" : ""));
    text = std::move(*content);
    return 0;
  }
  char buffer[1 << 16];
  while (size_t count = fread(buffer, 1, sizeof(buffer), stdin)) {
    text.append(buffer, count);
    if (text.size() > maxInputBytes)
      return fail(3, "standard input: has more than " +
                         std::to_string(maxInputBytes) + " bytes");
  }
  return ferror(stdin) ? fail(5, "standard input: cannot be read") : 0;
}

std::string run::readableBytes(double bytes) {
  const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit)
    bytes /= 1024;
  char text[32];
  snprintf(text, sizeof(text), unit ? "%.2f %s" : "%.0f %s", bytes,
           units[unit]);
  return text;
}
