//===- WeightPages.h - Cold pages full of weights ---------------*- C++ -*-===//
//
// Copies of one random weight matrix, tiles rotated, behind one another in the
// session's pages: more than any cache holds, packed by Numerics, in memory
// that the runtime allocated.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_WEIGHTPAGES_H
#define LOWBIT_TOOLS_BENCH_WEIGHTPAGES_H

#include "Session.h"
#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/IntegerFormat.h"

namespace lowbit::bench {

/// The type of a weight matrix: a format, or floats.
struct WeightType {
  /// As on the command line: `int4-g64`, `bf16`.
  std::string name;
  /// Null for floats.
  FormatPtr format;
  ElementType element = ElementType::F32;

  /// Exit 2 for a name that is neither.
  static Result<WeightType> parse(const std::string &name);
  /// As in `type = …` of a kernel.
  std::string tensorType(MatrixShape shape) const;
  /// Bits of what is multiplied, which the instructions depend on.
  int codeBits() const {
    return format && format->integers() ? format->integers()->bits : 8;
  }
};

/// Where the matrices lie.
class WeightPages {
public:
  WeightPages() = default;
  /// Fills the pages of the session unless they hold this already.
  static Result<WeightPages> fill(Session &session, const WeightType &type,
                                  MatrixShape shape);

  int64_t count() const { return matrices; }
  /// Bytes of one matrix as stored.
  int64_t matrixBytes() const { return bytes; }
  const TilePlaces &places() const { return tiles; }
  uint8_t *matrix(int64_t i) const { return first + i * bytes; }
  /// The part of the pages that holds matrices.
  int64_t usedBytes() const { return matrices * bytes; }

private:
  uint8_t *first = nullptr;
  int64_t matrices = 0, bytes = 0;
  TilePlaces tiles;
};

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_WEIGHTPAGES_H
