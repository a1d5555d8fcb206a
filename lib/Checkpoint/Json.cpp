//===- Json.cpp - The tree of JSON values ---------------------------------===//
#include "lowbit/Checkpoint/Json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace lowbit;

JsonValue::JsonValue() = default;
JsonValue::~JsonValue() = default;
JsonValue::JsonValue(JsonValue &&) noexcept = default;
JsonValue &JsonValue::operator=(JsonValue &&) noexcept = default;

JsonValue::JsonValue(double value) : storage(value) {
  assert(std::isfinite(value) && "JSON has no infinity and no NaN");
}
JsonValue::JsonValue(std::string value) : storage(std::move(value)) {}
JsonValue::JsonValue(std::string_view value) : storage(std::string(value)) {}
JsonValue::JsonValue(const char *value) : storage(std::string(value)) {}

JsonValue JsonValue::array() {
  JsonValue value;
  value.storage = std::make_unique<JsonArray>();
  return value;
}

JsonValue JsonValue::object() {
  JsonValue value;
  value.storage = std::make_unique<JsonObject>();
  return value;
}

JsonValue::Kind JsonValue::kind() const {
  // In the order of the variant; both integer types are one kind.
  static constexpr Kind kinds[] = {Kind::Null,    Kind::Bool,   Kind::Integer,
                                   Kind::Integer, Kind::Double, Kind::String,
                                   Kind::Array,   Kind::Object};
  return kinds[storage.index()];
}

bool JsonValue::asBool() const { return std::get<bool>(storage); }

double JsonValue::asDouble() const {
  if (auto *positive = std::get_if<uint64_t>(&storage))
    return static_cast<double>(*positive);
  if (auto *negative = std::get_if<int64_t>(&storage))
    return static_cast<double>(*negative);
  return std::get<double>(storage);
}

const std::string &JsonValue::asString() const {
  return std::get<std::string>(storage);
}
const JsonArray &JsonValue::asArray() const {
  return *std::get<std::unique_ptr<JsonArray>>(storage);
}
const JsonObject &JsonValue::asObject() const {
  return *std::get<std::unique_ptr<JsonObject>>(storage);
}

std::optional<uint64_t> JsonValue::asUint64() const {
  if (auto *positive = std::get_if<uint64_t>(&storage))
    return *positive;
  return std::nullopt;
}

std::optional<int64_t> JsonValue::asInt64() const {
  if (auto *negative = std::get_if<int64_t>(&storage))
    return *negative;
  if (auto *positive = std::get_if<uint64_t>(&storage))
    if (*positive <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(*positive);
  return std::nullopt;
}

JsonValue &JsonValue::push(JsonValue value) {
  auto &values = std::get<std::unique_ptr<JsonArray>>(storage)->values;
  values.push_back(std::move(value));
  return values.back();
}

JsonValue &JsonValue::set(std::string_view key, JsonValue value) {
  JsonObject &object = *std::get<std::unique_ptr<JsonObject>>(storage);
  auto place = std::lower_bound(object.index.begin(), object.index.end(), key,
                                [&](uint32_t i, std::string_view wanted) {
                                  return object.members[i].key < wanted;
                                });
  assert((place == object.index.end() || object.members[*place].key != key) &&
         "a key is set once");
  object.index.insert(place, static_cast<uint32_t>(object.members.size()));
  object.members.push_back({std::string(key), std::move(value)});
  return object.members.back().value;
}

const JsonValue *JsonValue::find(std::string_view key) const {
  return isObject() ? asObject().find(key) : nullptr;
}

const JsonValue *JsonObject::find(std::string_view key) const {
  auto place = std::lower_bound(index.begin(), index.end(), key,
                                [&](uint32_t i, std::string_view wanted) {
                                  return members[i].key < wanted;
                                });
  if (place == index.end() || members[*place].key != key)
    return nullptr;
  return &members[*place].value;
}

std::optional<size_t> JsonObject::buildIndex() {
  index.resize(members.size());
  std::iota(index.begin(), index.end(), 0);
  std::sort(index.begin(), index.end(), [&](uint32_t a, uint32_t b) {
    return members[a].key < members[b].key;
  });
  auto twice = std::adjacent_find(
      index.begin(), index.end(),
      [&](uint32_t a, uint32_t b) { return members[a].key == members[b].key; });
  if (twice == index.end())
    return std::nullopt;
  return *twice;
}
