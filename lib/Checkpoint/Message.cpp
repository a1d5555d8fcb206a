//===- Message.cpp - How an error line is made ----------------------------===//
#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

using namespace lowbit;

namespace {

/// One character of UTF-8: its number and length; length 0 where the bytes at
/// `text` are not UTF-8.
struct Character {
  uint32_t code;
  unsigned length;
};

Character decode(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t first = byte(0);
  if (first < 0x80)
    return {first, 1};
  unsigned length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  static constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (first < 0xC2 || first > 0xF4 || text.size() < length)
    return {0, 0};
  uint32_t code = first & (0xFF >> (length + 1));
  for (unsigned i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80)
      return {0, 0};
    code = code << 6 | (byte(i) & 0x3F);
  }
  bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < smallest[length] || code > 0x10FFFF || surrogate)
    return {0, 0};
  return {code, length};
}

/// Characters that drive or deceive a terminal although they are UTF-8.
bool isTreacherous(uint32_t code) {
  return (code >= 0x80 && code < 0xA0) || code == 0x61C ||
         (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF;
}

void appendEscaped(std::string &out, std::string_view piece, Character c) {
  char digits[16];
  if (c.length == 0 || c.code < 0x20 || c.code == 0x7F) {
    snprintf(digits, sizeof digits, "\\x%02x",
             static_cast<unsigned>(static_cast<uint8_t>(piece[0])));
    out += digits;
  } else if (isTreacherous(c.code)) {
    snprintf(digits, sizeof digits, "\\u{%x}", static_cast<unsigned>(c.code));
    out += digits;
  } else {
    out += piece.substr(0, c.length);
  }
}

Error lineOf(ExitCode code, std::string_view file, std::string_view field,
             std::string_view problem) {
  std::string line = escaped(file, 1024);
  if (!field.empty())
    line += ": " + escaped(field);
  line += ": ";
  line += problem;
  return {code, std::move(line)};
}

/// strerror without its shared buffer.
std::string errorText(int errorNumber) {
  char buffer[128];
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
  return strerror_r(errorNumber, buffer, sizeof buffer);
#else
  return strerror_r(errorNumber, buffer, sizeof buffer) == 0 ? buffer
                                                             : "unknown error";
#endif
}

Error systemError(ExitCode code, std::string_view file, std::string_view action,
                  int errorNumber) {
  return lineOf(code, file, {},
                std::string(action) + ": " + errorText(errorNumber) +
                    " (errno " + std::to_string(errorNumber) + ")");
}

} // namespace

std::string lowbit::escaped(std::string_view text, size_t limit) {
  std::string out;
  std::string_view rest = text;
  size_t taken = 0;
  while (!rest.empty() && taken < limit) {
    Character c = decode(rest);
    size_t length = c.length == 0 ? 1 : c.length;
    appendEscaped(out, rest, c);
    rest.remove_prefix(length);
    taken += length;
  }
  if (!rest.empty())
    out += "... (" + std::to_string(text.size()) + " bytes)";
  return out;
}

std::string lowbit::quoted(std::string_view text, size_t limit) {
  return "\"" + escaped(text, limit) + "\"";
}

Error lowbit::badInput(std::string_view file, std::string_view field,
                       std::string_view problem) {
  return lineOf(ExitCode::BadInput, file, field, problem);
}

Error lowbit::unsupported(std::string_view file, std::string_view field,
                          std::string_view problem) {
  return lineOf(ExitCode::Unsupported, file, field, problem);
}

Error lowbit::fileError(std::string_view file, std::string_view action,
                        int errorNumber) {
  switch (errorNumber) {
  case ENOENT:
  case ENOTDIR:
  case EACCES:
  case EPERM:
  case ELOOP:
  case EXDEV:
  case ENAMETOOLONG:
    return systemError(ExitCode::BadInput, file, action, errorNumber);
  case ENOMEM:
    return systemError(ExitCode::Memory, file, action, errorNumber);
  default:
    return systemError(ExitCode::IO, file, action, errorNumber);
  }
}

Error lowbit::outputError(std::string_view file, std::string_view action,
                          int errorNumber) {
  ExitCode code = errorNumber == ENOMEM ? ExitCode::Memory : ExitCode::IO;
  return systemError(code, file, action, errorNumber);
}
