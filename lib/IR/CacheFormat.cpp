//===- CacheFormat.cpp - How keys and values are kept -----------*- C++ -*-===//

#include "lowbit/IR/CacheFormat.h"

using namespace mlir;
using namespace lowbit;

/// Positions of a page (Spec.md, 5.2).
static constexpr int64_t pageSlots = 64;

bool CacheFormat::isGrouped(Type type) {
  return type && (type.isInteger(4) || type.isInteger(2));
}

std::optional<CacheFormat> CacheFormat::get(Type type,
                                            std::optional<int64_t> group) {
  bool hasGroups = isGrouped(type);
  if (!hasGroups &&
      !(type && (type.isF32() || type.isF16() || type.isInteger(8))))
    return std::nullopt;
  if (hasGroups != group.has_value())
    return std::nullopt;
  if (hasGroups && *group != 0 && *group != 32 && *group != 64)
    return std::nullopt;
  return CacheFormat{type, group.value_or(0)};
}

CacheFormat CacheFormat::get(AttentionOp op) {
  return {op.getCache(), int64_t(op.getCacheGroup().value_or(0))};
}

int64_t CacheFormat::groups(int64_t headDim) const {
  int64_t size = groupElements(headDim);
  return isInteger() ? (headDim + size - 1) / size : 0;
}

int64_t CacheFormat::headBytes(int64_t headDim) const {
  return units(headDim) * unitBytes() * pageSlots;
}

int64_t CacheFormat::layerBytes(int64_t kvHeads, int64_t headDim) const {
  int64_t perGroup = (scaleBytes() + (isGrouped() ? 1 : 0)) * pageSlots;
  return 2 * kvHeads * (headBytes(headDim) + groups(headDim) * perGroup);
}

double CacheFormat::completeBits(int64_t headDim) const {
  return 8.0 * double(layerBytes(1, headDim)) / double(2 * headDim * pageSlots);
}

std::string CacheFormat::getShortName() const {
  std::string name = (isInteger() ? "i" : "f") + std::to_string(bits());
  if (isGrouped())
    name += group == 0 ? "-head" : "-g" + std::to_string(group);
  return name;
}
