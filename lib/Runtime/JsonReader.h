//===- JsonReader.h - Reading JSON that the compiler wrote ------*- C++ -*-===//
//
// The artifact's own JSON is complete and canonical, so its reader can be
// short: values are taken one after another, the first problem is kept, and
// the caller asks once at the end. Problems are exit 7: such a file is damaged
// or was made by something else.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_JSONREADER_H
#define LOWBIT_RUNTIME_JSONREADER_H

#include "lowbit/Checkpoint/JsonField.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace lowbit {

/// Takes typed values; after the first failure all further ones are empty.
class JsonReader {
public:
  /// Parses `text`; the tree must outlive the fields.
  Result<JsonValue> parse(std::string_view text, const std::string &file,
                          const JsonLimits &limits) {
    auto json = parseJson(text, file, limits);
    if (!json)
      return Error{ExitCode::Mismatch, json.error().message};
    return json;
  }

  bool failed() const { return problem.has_value(); }
  const Error &error() const { return *problem; }
  /// Keeps the first problem.
  void fail(Error error) {
    if (!problem)
      problem = Error{ExitCode::Mismatch, std::move(error.message)};
  }

  /// Demands an object without other members than these. Whether they are
  /// there is found when they are asked for.
  void members(const JsonField &field,
               std::initializer_list<std::string_view> known) {
    auto object = field.object();
    if (!object)
      return fail(object.error());
    for (const JsonMember &member : **object)
      if (std::find(known.begin(), known.end(), member.key) == known.end())
        return fail(field.get(member.key).bad("is unknown"));
  }

  int64_t integer(const JsonField &field, int64_t min, int64_t max) {
    if (problem)
      return min;
    auto value = field.signedInteger(min, max);
    if (value)
      return *value;
    fail(value.error());
    return min;
  }

  double number(const JsonField &field, double min, double max) {
    if (problem)
      return min;
    auto value = field.number(min, max);
    if (value)
      return *value;
    fail(value.error());
    return min;
  }

  std::string string(const JsonField &field) {
    if (problem)
      return {};
    auto value = field.string();
    if (value)
      return std::string(*value);
    fail(value.error());
    return {};
  }

  /// Elements of an array, at most `limit`; 0 after a failure.
  size_t elements(const JsonField &field, size_t limit) {
    if (problem)
      return 0;
    auto value = field.array();
    if (!value) {
      fail(value.error());
      return 0;
    }
    if ((*value)->size() <= limit)
      return (*value)->size();
    fail(field.bad("has " + std::to_string((*value)->size()) +
                   " elements, must have at most " + std::to_string(limit)));
    return 0;
  }

private:
  Status problem;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_JSONREADER_H
