//===- PageTable.h - Who owns which page of the cache -----------*- C++ -*-===//
//
// Sequences, their lengths, and the physical pages that hold their keys and
// values. A page is given when a sequence first reaches one of its positions
// and taken back when the sequence is cut or ends.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_PAGETABLE_H
#define LOWBIT_RUNTIME_PAGETABLE_H

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit {

/// Allocates pages of 64 positions to sequences and keeps the table that
/// kernels read: i32 [sequence][pages per sequence] → physical page.
class PageTable {
public:
  /// `table` has room for sequences × pagesPerSequence entries.
  PageTable(int32_t *table, int64_t sequences, int64_t pagesPerSequence,
            int64_t pages);

  /// Starts a sequence of length 0; nothing where all are in use.
  std::optional<int32_t> add();
  /// Whether that sequence was started and not ended.
  bool isAlive(int64_t sequence) const;
  /// Ends a sequence that is alive.
  void remove(int32_t sequence);

  /// Positions of a sequence that is alive.
  int64_t length(int32_t sequence) const { return lengths[sequence]; }

  /// Makes `sequence` `length` positions long, giving or taking pages. False,
  /// and nothing changes, where it needs more pages than are free or than a
  /// sequence has.
  bool resize(int32_t sequence, int64_t length);

  int64_t freePages() const { return static_cast<int64_t>(free.size()); }
  /// Pages that a sequence of `length` positions occupies.
  static int64_t pagesFor(int64_t length);

private:
  int32_t *table;
  const int64_t pagesPerSequence;
  /// Lengths by sequence; −1 where it is not alive.
  std::vector<int64_t> lengths;
  /// Free pages; the next one is the last.
  std::vector<int32_t> free;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_PAGETABLE_H
