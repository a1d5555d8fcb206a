//===- Decimal.cpp - Whole numbers that a person typed --------------------===//
#include "lowbit/Checkpoint/Decimal.h"
#include "lowbit/Checkpoint/Message.h"

#include <charconv>

using namespace lowbit;

Result<int64_t> lowbit::parseDecimal(std::string_view text, int64_t lowest,
                                     int64_t highest) {
  int64_t value = 0;
  const char *last = text.data() + text.size();
  auto [end, problem] = std::from_chars(text.data(), last, value);
  if (problem == std::errc() && end == last && value >= lowest &&
      value <= highest)
    return value;
  return Error{ExitCode::Usage,
               "is " + quoted(text) + ", must be a decimal number from " +
                   std::to_string(lowest) + " to " + std::to_string(highest)};
}
