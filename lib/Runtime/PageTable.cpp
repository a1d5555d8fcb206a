//===- PageTable.cpp - Who owns which page of the cache -------------------===//
#include "lowbit/Runtime/PageTable.h"

#include "lowbit/Runtime/Plan.h"

using namespace lowbit;

PageTable::PageTable(int32_t *table, int64_t sequences,
                     int64_t pagesPerSequence, int64_t pages)
    : table(table), pagesPerSequence(pagesPerSequence), lengths(sequences, -1) {
  for (int64_t page = pages; page-- > 0;)
    free.push_back(static_cast<int32_t>(page));
}

int64_t PageTable::pagesFor(int64_t length) {
  return (length + pagePositions - 1) / pagePositions;
}

std::optional<int32_t> PageTable::add() {
  for (size_t i = 0; i < lengths.size(); ++i)
    if (lengths[i] < 0) {
      lengths[i] = 0;
      return static_cast<int32_t>(i);
    }
  return std::nullopt;
}

bool PageTable::isAlive(int64_t sequence) const {
  return sequence >= 0 && sequence < static_cast<int64_t>(lengths.size()) &&
         lengths[sequence] >= 0;
}

void PageTable::remove(int32_t sequence) {
  resize(sequence, 0);
  lengths[sequence] = -1;
}

bool PageTable::resize(int32_t sequence, int64_t length) {
  int64_t have = pagesFor(lengths[sequence]), need = pagesFor(length);
  if (need > pagesPerSequence || need - have > freePages())
    return false;
  int32_t *mine = table + sequence * pagesPerSequence;
  for (; have < need; ++have) {
    mine[have] = free.back();
    free.pop_back();
  }
  while (have > need) {
    free.push_back(mine[--have]);
    mine[have] = 0;
  }
  lengths[sequence] = length;
  return true;
}
