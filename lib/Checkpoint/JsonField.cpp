//===- JsonField.cpp - Typed access to JSON, with errors ------------------===//
#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/Message.h"

#include <cmath>

using namespace lowbit;

JsonField JsonField::get(std::string_view key) const {
  std::string path = where;
  path += path.empty() ? "" : ".";
  path += key;
  return {node ? node->find(key) : nullptr, file, std::move(path)};
}

JsonField JsonField::at(size_t index) const {
  const JsonValue *element = nullptr;
  if (node && node->isArray() && index < node->asArray().size())
    element = &node->asArray()[index];
  return {element, file, where + "[" + std::to_string(index) + "]"};
}

Error JsonField::bad(std::string_view problem) const {
  return badInput(file, where, problem);
}

Error JsonField::notSupported(std::string_view problem) const {
  return unsupported(file, where, problem);
}

Error JsonField::mustBe(std::string_view expected) const {
  std::string problem =
      node ? "is " + describe() + ", must be " : "is missing, must be ";
  problem += expected;
  return bad(problem);
}

std::string JsonField::describe() const {
  if (!node)
    return "missing";
  switch (node->kind()) {
  case JsonValue::Kind::String:
    return quoted(node->asString(), 80);
  case JsonValue::Kind::Array:
    return "an array of " + std::to_string(node->asArray().size());
  case JsonValue::Kind::Object:
    return "an object of " + std::to_string(node->asObject().size());
  default:
    return writeJson(*node);
  }
}

namespace {

/// `an integer from 1 to 8`, with a hint where the value is a whole double.
std::string integerRange(std::string low, std::string high,
                         const JsonValue *value) {
  std::string text = "an integer from " + low + " to " + high;
  if (value && value->kind() == JsonValue::Kind::Double &&
      std::trunc(value->asDouble()) == value->asDouble())
    text += " (written without fraction or exponent)";
  return text;
}

std::string plain(double value) { return writeJson(JsonValue(value)); }

} // namespace

Result<bool> JsonField::boolean() const {
  if (!node || !node->isBool())
    return mustBe("true or false");
  return node->asBool();
}

Result<uint64_t> JsonField::integer(uint64_t min, uint64_t max) const {
  std::optional<uint64_t> value;
  if (node)
    value = node->asUint64();
  if (!value || *value < min || *value > max)
    return mustBe(integerRange(std::to_string(min), std::to_string(max), node));
  return *value;
}

Result<int64_t> JsonField::signedInteger(int64_t min, int64_t max) const {
  std::optional<int64_t> value;
  if (node)
    value = node->asInt64();
  if (!value || *value < min || *value > max)
    return mustBe(integerRange(std::to_string(min), std::to_string(max), node));
  return *value;
}

Result<double> JsonField::number(double min, double max) const {
  if (!node || !node->isNumber() || !(node->asDouble() >= min) ||
      !(node->asDouble() <= max))
    return mustBe("a number from " + plain(min) + " to " + plain(max));
  return node->asDouble();
}

Result<std::string_view> JsonField::string() const {
  if (!node || !node->isString())
    return mustBe("a string");
  return std::string_view(node->asString());
}

Result<const JsonArray *> JsonField::array() const {
  if (!node || !node->isArray())
    return mustBe("an array");
  return &node->asArray();
}

Result<const JsonObject *> JsonField::object() const {
  if (!node || !node->isObject())
    return mustBe("an object");
  return &node->asObject();
}

Result<bool> JsonField::booleanOr(bool absent) const {
  return isAbsent() ? Result<bool>(absent) : boolean();
}

Result<uint64_t> JsonField::integerOr(uint64_t absent, uint64_t min,
                                      uint64_t max) const {
  return isAbsent() ? Result<uint64_t>(absent) : integer(min, max);
}

Result<double> JsonField::numberOr(double absent, double min,
                                   double max) const {
  return isAbsent() ? Result<double>(absent) : number(min, max);
}
