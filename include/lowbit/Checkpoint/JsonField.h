//===- JsonField.h - Typed access to JSON, with errors ----------*- C++ -*-===//
//
// A value together with its file and path, so that whoever asks for an integer
// and finds a string gets the whole error line for free:
//
//   config.json: rope_scaling.factor: is "8", must be a number from 1 to 1e+06
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_JSONFIELD_H
#define LOWBIT_CHECKPOINT_JSONFIELD_H

#include "lowbit/Checkpoint/Json.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace lowbit {

/// A place in a JSON document: a value or its absence. Holds pointers into the
/// tree, which must stay.
class JsonField {
public:
  /// The root of a document.
  JsonField(const JsonValue &root, std::string_view fileName)
      : node(&root), file(fileName) {}

  const std::string &fileName() const { return file; }
  /// `rope_scaling.factor`, `merges[3]`; empty for the root.
  const std::string &path() const { return where; }
  /// The value, or null where there is none.
  const JsonValue *value() const { return node; }
  /// Whether there is none, or it is `null` (which transformers takes as none).
  bool isAbsent() const { return !node || node->isNull(); }

  /// The member with that key; absent where there is none or this is no object
  /// (call `object()` first to have the latter reported).
  JsonField get(std::string_view key) const;
  /// The element with that number; absent beyond the end.
  JsonField at(size_t index) const;

  /// The value as asked for, or exit 3 that names file, path, the value found
  /// and what is allowed. An absent value is an error ("is missing").
  Result<bool> boolean() const;
  Result<uint64_t>
  integer(uint64_t min = 0,
          uint64_t max = std::numeric_limits<uint64_t>::max()) const;
  Result<int64_t> signedInteger(int64_t min, int64_t max) const;
  /// Integers count as numbers. Limits are inclusive.
  Result<double> number(double min, double max) const;
  Result<std::string_view> string() const;
  Result<const JsonArray *> array() const;
  Result<const JsonObject *> object() const;

  /// The same with a default where the value is absent.
  Result<bool> booleanOr(bool absent) const;
  Result<uint64_t> integerOr(uint64_t absent, uint64_t min, uint64_t max) const;
  Result<double> numberOr(double absent, double min, double max) const;

  /// Exit 3 at this place: `problem` after the path (printable text).
  Error bad(std::string_view problem) const;
  /// Exit 4 at this place.
  Error notSupported(std::string_view problem) const;
  /// Exit 3: `is VALUE, must be EXPECTED` (or `is missing, must be …`).
  Error mustBe(std::string_view expected) const;

  /// The value in short, for messages: numbers and strings in full up to a
  /// bound, containers as `an array of 3` or `an object`.
  std::string describe() const;

private:
  JsonField(const JsonValue *node, std::string file, std::string where)
      : node(node), file(std::move(file)), where(std::move(where)) {}

  const JsonValue *node;
  std::string file;
  std::string where;
};

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_JSONFIELD_H
