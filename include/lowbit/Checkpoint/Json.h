//===- Json.h - Strict, bounded JSON as a tree of values --------*- C++ -*-===//
//
// The one JSON reader and writer: configurations, shard indexes, tokenizers,
// plans, manifests, ledgers. RFC 8259 and nothing beside it: duplicate keys,
// invalid UTF-8, lone surrogates, a byte order mark, NUL bytes, trailing bytes
// and numbers that are not finite are refused; depth, bytes and the number of
// values are bounded; integers of 64 bits are exact.
//
//   auto json = parseJson(text, "config.json", {1 << 20});
//   if (!json)
//     return json.error();
//   JsonField root(*json, "config.json");
//   auto hidden = root.get("hidden_size").integer(1, 1 << 20);
//   if (!hidden)
//     return hidden.error(); // config.json: hidden_size: is 0, must be …
//
// JsonField.h has the typed access with errors; this header is the tree.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_JSON_H
#define LOWBIT_CHECKPOINT_JSON_H

#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace lowbit {

class JsonArray;
class JsonObject;

/// A JSON value; move-only. Integers keep 64 bits exactly: those ≥ 0 as
/// uint64_t, those below as int64_t; every other number is a double.
class JsonValue {
public:
  enum class Kind : uint8_t {
    Null,
    Bool,
    Integer,
    Double,
    String,
    Array,
    Object
  };

  /// Null.
  JsonValue();
  ~JsonValue();
  JsonValue(JsonValue &&) noexcept;
  JsonValue &operator=(JsonValue &&) noexcept;

  /// A boolean (exactly bool: pointers do not turn into one), an integer of
  /// any type, a finite double, a string (UTF-8).
  template <typename T, std::enable_if_t<std::is_same_v<T, bool>, int> = 0>
  JsonValue(T value) : storage(value) {}
  template <typename T,
            std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>,
                             int> = 0>
  JsonValue(T value) : storage(static_cast<uint64_t>(value)) {
    if constexpr (std::is_signed_v<T>)
      if (value < 0)
        storage = static_cast<int64_t>(value);
  }
  JsonValue(double value);
  JsonValue(std::string value);
  JsonValue(std::string_view value);
  JsonValue(const char *value);

  /// An empty array; an empty object.
  static JsonValue array();
  static JsonValue object();

  Kind kind() const;
  bool isNull() const { return kind() == Kind::Null; }
  bool isBool() const { return kind() == Kind::Bool; }
  bool isInteger() const { return kind() == Kind::Integer; }
  /// Whether it is an integer or a double.
  bool isNumber() const { return isInteger() || kind() == Kind::Double; }
  bool isString() const { return kind() == Kind::String; }
  bool isArray() const { return kind() == Kind::Array; }
  bool isObject() const { return kind() == Kind::Object; }

  /// The value, which must be of that kind (asserted); `JsonField` is the
  /// access that reports instead.
  bool asBool() const;
  /// The number as a double: integers rounded to nearest.
  double asDouble() const;
  const std::string &asString() const;
  const JsonArray &asArray() const;
  const JsonObject &asObject() const;

  /// The integer, or nothing where it is none or does not fit.
  std::optional<uint64_t> asUint64() const;
  std::optional<int64_t> asInt64() const;

  /// Appends to an array; appends a member to an object, whose key must not be
  /// there yet (asserted). Both return the stored value, which stays where it
  /// is until the next append to the same container.
  JsonValue &push(JsonValue value);
  JsonValue &set(std::string_view key, JsonValue value);

  /// A member of an object by key; null pointer where there is none or this is
  /// no object.
  const JsonValue *find(std::string_view key) const;

private:
  friend class JsonBuilder;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string,
               std::unique_ptr<JsonArray>, std::unique_ptr<JsonObject>>
      storage;
};

/// The elements of an array.
class JsonArray {
public:
  size_t size() const { return values.size(); }
  const JsonValue &operator[](size_t i) const { return values[i]; }
  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }

private:
  friend class JsonValue;
  friend class JsonBuilder;
  std::vector<JsonValue> values;
};

/// A member of an object.
struct JsonMember {
  std::string key;
  JsonValue value;
};

/// The members of an object in the order of the text. Lookup is a binary search
/// in a sorted index: no hash that hostile keys could make collide.
class JsonObject {
public:
  size_t size() const { return members.size(); }
  const JsonMember &operator[](size_t i) const { return members[i]; }
  auto begin() const { return members.begin(); }
  auto end() const { return members.end(); }

  /// The member's value, or null.
  const JsonValue *find(std::string_view key) const;

private:
  friend class JsonValue;
  friend class JsonBuilder;
  /// Sorts the index; the position of a key that is there twice, or nothing.
  std::optional<size_t> buildIndex();

  std::vector<JsonMember> members;
  /// Positions in `members`, sorted by key.
  std::vector<uint32_t> index;
};

/// What a text may cost.
struct JsonLimits {
  /// Bytes of text.
  uint64_t bytes;
  /// Open arrays and objects at once.
  unsigned depth = 64;
  /// Values in all, containers included: bounds the tree's memory (about 50
  /// bytes each).
  uint64_t values = uint64_t(1) << 22;
};

/// Limits by kind of file (reliability.md, C3).
inline constexpr JsonLimits configLimits{uint64_t(1) << 20};
inline constexpr JsonLimits indexLimits{uint64_t(1) << 26};
inline constexpr JsonLimits tokenizerLimits{uint64_t(1) << 28};

/// Parses the whole of `text`. Errors are exit 3 and name `fileName` and the
/// line and column, or for a duplicate key the field.
Result<JsonValue> parseJson(std::string_view text, std::string_view fileName,
                            const JsonLimits &limits);

/// The canonical text: no spaces, members in their order, integers in full,
/// doubles in the shortest form that reads back the same (`1e-05`; a double
/// that is whole gets `.0`), strings with only the escapes that RFC 8259 wants.
/// Strings must be UTF-8 and doubles finite (asserted).
std::string writeJson(const JsonValue &value);

/// Appends the JSON string literal of `text` (UTF-8) to `out`, quotes included.
void appendJsonString(std::string &out, std::string_view text);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_JSON_H
