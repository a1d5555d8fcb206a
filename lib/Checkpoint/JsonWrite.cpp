//===- JsonWrite.cpp - The canonical text of a JSON tree ------------------===//
#include "lowbit/Checkpoint/Json.h"

#include <charconv>
#include <cmath>

using namespace lowbit;

void lowbit::appendJsonString(std::string &out, std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\b':
      out += "\\b";
      break;
    case '\f':
      out += "\\f";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20) {
        out += "\\u00";
        out += digits[c >> 4];
        out += digits[c & 15];
      } else {
        out += c;
      }
    }
  }
  out += '"';
}

namespace {

void appendDouble(std::string &out, double value) {
  assert(std::isfinite(value) && "JSON has no infinity and no NaN");
  char buffer[32];
  char *end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  out += text;
  // Keeps a double a double when it is read again.
  if (text.find_first_of(".e") == std::string_view::npos)
    out += ".0";
}

// Trees are at most as deep as their builder made them (parsed ones: 64).
void append(std::string &out, const JsonValue &value) {
  switch (value.kind()) {
  case JsonValue::Kind::Null:
    out += "null";
    return;
  case JsonValue::Kind::Bool:
    out += value.asBool() ? "true" : "false";
    return;
  case JsonValue::Kind::Integer:
    out += value.asUint64() ? std::to_string(*value.asUint64())
                            : std::to_string(*value.asInt64());
    return;
  case JsonValue::Kind::Double:
    appendDouble(out, value.asDouble());
    return;
  case JsonValue::Kind::String:
    appendJsonString(out, value.asString());
    return;
  case JsonValue::Kind::Array: {
    char separator = '[';
    for (const JsonValue &element : value.asArray()) {
      out += separator;
      append(out, element);
      separator = ',';
    }
    out += separator == '[' ? "[]" : "]";
    return;
  }
  case JsonValue::Kind::Object: {
    char separator = '{';
    for (const JsonMember &member : value.asObject()) {
      out += separator;
      appendJsonString(out, member.key);
      out += ':';
      append(out, member.value);
      separator = ',';
    }
    out += separator == '{' ? "{}" : "}";
    return;
  }
  }
}

} // namespace

std::string lowbit::writeJson(const JsonValue &value) {
  std::string out;
  append(out, value);
  return out;
}
