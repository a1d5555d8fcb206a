//===- PlanRanges.cpp - Sizes compared for all batches at once ------------===//
#include "PlanRanges.h"

#include <algorithm>

using namespace lowbit;

std::optional<int64_t> lowbit::smallest(const Affine &a, const Box &box) {
  const int64_t factors[3] = {a.perRow, a.perLogitRow, a.perPage};
  int64_t sum = a.constant;
  for (int i = 0; i < 3; ++i) {
    int64_t term;
    int64_t corner = factors[i] >= 0 ? box.lo[i] : box.hi[i];
    if (__builtin_mul_overflow(factors[i], corner, &term) ||
        __builtin_add_overflow(sum, term, &sum))
      return std::nullopt;
  }
  return sum;
}

static std::optional<Affine> negated(const Affine &a) {
  Affine n;
  if (__builtin_sub_overflow(int64_t(0), a.constant, &n.constant) ||
      __builtin_sub_overflow(int64_t(0), a.perRow, &n.perRow) ||
      __builtin_sub_overflow(int64_t(0), a.perLogitRow, &n.perLogitRow) ||
      __builtin_sub_overflow(int64_t(0), a.perPage, &n.perPage))
    return std::nullopt;
  return n;
}

std::optional<int64_t> lowbit::largest(const Affine &a, const Box &box) {
  auto minus = negated(a);
  auto least = minus ? smallest(*minus, box) : std::nullopt;
  if (!least || *least == INT64_MIN)
    return std::nullopt;
  return -*least;
}

bool lowbit::alwaysAtMost(const Affine &a, const Affine &b, const Box &box) {
  Affine d;
  if (__builtin_sub_overflow(b.constant, a.constant, &d.constant) ||
      __builtin_sub_overflow(b.perRow, a.perRow, &d.perRow) ||
      __builtin_sub_overflow(b.perLogitRow, a.perLogitRow, &d.perLogitRow) ||
      __builtin_sub_overflow(b.perPage, a.perPage, &d.perPage))
    return false;
  auto least = smallest(d, box);
  return least && *least >= 0;
}

Affine lowbit::endOf(int64_t offset, const Affine &bytes) {
  Affine e = bytes;
  e.constant += offset;
  return e;
}

std::string lowbit::describe(const Affine &a) {
  return "[" + std::to_string(a.constant) + "," + std::to_string(a.perRow) +
         "," + std::to_string(a.perLogitRow) + "," + std::to_string(a.perPage) +
         "]";
}

bool Written::add(Piece piece, const Box &box) {
  for (size_t i = 0; i < pieces.size();) {
    Piece &old = pieces[i];
    const Affine oldBegin{old.begin, 0, 0, 0}, begin{piece.begin, 0, 0, 0};
    bool touches = old.begin <= piece.begin
                       ? alwaysAtMost(begin, old.end, box)
                       : alwaysAtMost(oldBegin, piece.end, box);
    bool ordered = touches && (alwaysAtMost(piece.end, old.end, box) ||
                               alwaysAtMost(old.end, piece.end, box));
    if (!ordered) {
      ++i;
      continue;
    }
    piece.begin = std::min(piece.begin, old.begin);
    if (alwaysAtMost(piece.end, old.end, box))
      piece.end = old.end;
    pieces.erase(pieces.begin() + i);
    i = 0;
  }
  pieces.push_back(piece);
  return pieces.size() <= maxPieces;
}

bool Written::covers(const Piece &piece, const Box &box) const {
  // An extent that is always empty needs nothing.
  if (alwaysAtMost(piece.end, Affine{piece.begin, 0, 0, 0}, box))
    return true;
  for (const Piece &old : pieces)
    if (old.begin <= piece.begin && alwaysAtMost(piece.end, old.end, box))
      return true;
  return false;
}
