//===- PlanRanges.h - Sizes compared for all batches at once ----*- C++ -*-===//
//
// Sizes are affine in (rows, logit rows, pages) over a box of integers, so an
// inequality between two of them holds everywhere exactly when the difference
// is ≥ 0 at the corner that its signs choose. All arithmetic is checked.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_PLANRANGES_H
#define LOWBIT_RUNTIME_PLANRANGES_H

#include "lowbit/Runtime/Plan.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// lo … hi of rows, logit rows and pages.
struct Box {
  int64_t lo[3];
  int64_t hi[3];
};

/// The smallest and the largest value of an affine quantity over the box, or
/// nothing where it leaves 64 bits.
std::optional<int64_t> smallest(const Affine &a, const Box &box);
std::optional<int64_t> largest(const Affine &a, const Box &box);

/// a ≤ b everywhere in the box; false also where that cannot be computed.
bool alwaysAtMost(const Affine &a, const Affine &b, const Box &box);

/// offset + bytes, both of which are bounded already.
Affine endOf(int64_t offset, const Affine &bytes);

/// `[1,2,3,4]`
std::string describe(const Affine &a);

/// Bytes [begin, end) of a buffer.
struct Piece {
  int64_t begin;
  Affine end;
};

/// The bytes of one buffer that have been written.
class Written {
public:
  /// Separate pieces that a buffer may consist of at once.
  static constexpr size_t maxPieces = 256;

  /// Adds a piece, merging what touches; false where there are too many.
  bool add(Piece piece, const Box &box);
  /// Whether all bytes of `piece` have been written in every batch.
  bool covers(const Piece &piece, const Box &box) const;

private:
  std::vector<Piece> pieces;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_PLANRANGES_H
