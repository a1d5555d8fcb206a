//===- Progress.cpp - What a person sees of a long job --------------------===//

#include "lowbit/Pipelines/Progress.h"
#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

using namespace lowbit;

namespace {

using Clock = std::chrono::steady_clock;

constexpr double firstSeconds = 2.0;
/// Between two lines; between two states of a bar.
constexpr double lineSeconds = 5.0, barSeconds = 0.1;
constexpr int barWidth = 30;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// `1:02:03`, `4:05`.
std::string clockText(double total) {
  auto whole = static_cast<long>(total + 0.5);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof(text), "%ld:%02ld:%02ld", whole / 3600,
                  whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof(text), "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

} // namespace

Progress::Progress(bool jsonLines)
    : jsonLines(jsonLines), isTerminal(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { end(); }

void Progress::note(const std::string &text) {
  std::lock_guard<std::mutex> lock(mutex);
  if (jsonLines)
    return emitJson("note", text, 0);
  clearBar();
  std::fprintf(stderr, "%s\n", escaped(text, 2000).c_str());
}

void Progress::begin(const std::string &newWhat, int64_t newTotal) {
  end();
  std::lock_guard<std::mutex> lock(mutex);
  what = newWhat;
  total = newTotal;
  done = 0;
  isRunning = true;
  wasShown = false;
  start = lastShown = Clock::now();
  if (jsonLines)
    emitJson("begin", what, 0);
  else if (total == 0 && isTerminal) { // No bar: say at least what goes on.
    std::fprintf(stderr, "\r\033[K%s", what.c_str());
    barShown = true;
  }
}

void Progress::advance(int64_t units) {
  std::lock_guard<std::mutex> lock(mutex);
  done += units;
  Clock::time_point now = Clock::now();
  double elapsed = seconds(now - start);
  double interval = isTerminal && !jsonLines ? barSeconds : lineSeconds;
  bool isDue =
      wasShown ? seconds(now - lastShown) >= interval : elapsed >= firstSeconds;
  if (!isRunning || !isDue)
    return;
  lastShown = now;
  wasShown = true;
  show(elapsed, false);
}

void Progress::end() {
  std::lock_guard<std::mutex> lock(mutex);
  if (!isRunning)
    return;
  isRunning = false;
  double elapsed = seconds(Clock::now() - start);
  if (jsonLines)
    emitJson("end", what, elapsed);
  else if (wasShown || (total == 0 && elapsed >= firstSeconds))
    show(elapsed, true);
  else
    clearBar();
}

void Progress::show(double elapsed, bool isLast) {
  if (jsonLines)
    return emitJson("progress", what, elapsed);
  double part =
      total > 0 ? std::min(1.0, static_cast<double>(done) / total) : 0;
  std::string eta =
      part > 0 ? ", " + clockText(elapsed * (1 - part) / part) + " left" : "";
  if (isLast) {
    clearBar();
    std::fprintf(stderr, "%s: done in %s\n", what.c_str(),
                 clockText(elapsed).c_str());
  } else if (isTerminal) {
    auto filled = static_cast<int>(part * barWidth);
    std::string bar(filled, '#');
    bar.resize(barWidth, '.');
    std::fprintf(stderr, "\r\033[K%s [%s] %3.0f %%%s", what.c_str(),
                 bar.c_str(), part * 100, eta.c_str());
    barShown = true;
  } else {
    std::fprintf(stderr, "%s: %.0f %%%s\n", what.c_str(), part * 100,
                 eta.c_str());
  }
}

void Progress::clearBar() {
  if (barShown)
    std::fputs("\r\033[K", stderr);
  barShown = false;
}

void Progress::emitJson(const std::string &event, const std::string &text,
                        double elapsed) {
  JsonValue json = JsonValue::object();
  json.set("event", event);
  json.set("text", escaped(text, 2000));
  if (event == "progress") {
    json.set("done", done);
    json.set("total", total);
  }
  if (event != "note" && event != "begin")
    json.set("seconds", elapsed);
  std::fprintf(stderr, "%s\n", writeJson(json).c_str());
}
