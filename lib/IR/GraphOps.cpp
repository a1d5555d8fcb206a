//===- GraphOps.cpp - Verifiers of the graph --------------------*- C++ -*-===//

#include "lowbit/IR/CacheFormat.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"
#include <cmath>

using namespace mlir;
using namespace lowbit;

/// Columns of a batch of rows; -1 where the tensor is not two-dimensional.
static int64_t columns(Value rows) {
  auto type = dyn_cast<RankedTensorType>(rows.getType());
  return type && type.getRank() == 2 ? type.getDimSize(1) : -1;
}

static int64_t elements(Value vector) {
  return cast<RankedTensorType>(vector.getType()).getDimSize(0);
}

static LogicalResult requireRows(Operation *op, ValueRange batches) {
  for (Value batch : batches)
    if (columns(batch) < 1)
      return op->emitOpError()
             << "requires rows of a known number of columns, got "
             << batch.getType();
  return success();
}

static bool isPositive(const APFloat &value) {
  return value.isFiniteNonZero() && !value.isNegative();
}

LogicalResult EmbeddingOp::verify() {
  // embedding_c1
  if (failed(requireRows(*this, {getResult()})))
    return failure();
  auto table = cast<RankedTensorType>(getTable().getType());
  if (table.getRank() != 2 || table.getDimSize(1) != columns(getResult()))
    return emitOpError() << "requires a table of " << columns(getResult())
                         << " columns, got " << table;
  return success();
}

LogicalResult RmsNormOp::verify() {
  // rms_norm_c1
  if (failed(requireRows(*this, {getInput()})))
    return failure();
  if (elements(getGain()) != columns(getInput()))
    return emitOpError() << "requires a gain of " << columns(getInput())
                         << " elements, got " << elements(getGain());
  // rms_norm_c2
  if (!isPositive(getEps()))
    return emitOpError() << "requires a positive eps, got " << getEpsAttr();
  return success();
}

LogicalResult LinearOp::verify() {
  if (failed(requireRows(*this, {getInput(), getResult()})))
    return failure();
  auto weight = cast<RankedTensorType>(getWeight().getType());
  // linear_c1
  if (weight.getRank() != 2 || weight.getDimSize(1) != columns(getInput()) ||
      weight.getDimSize(0) != columns(getResult()))
    return emitOpError() << "requires a weight of " << columns(getResult())
                         << "x" << columns(getInput()) << ", got " << weight;
  // linear_c2
  if (getBias() && elements(getBias()) != columns(getResult()))
    return emitOpError() << "requires a bias of " << columns(getResult())
                         << " elements, got " << elements(getBias());
  // linear_c3
  bool integer = getActivation().getPlanes() > 0;
  FormatInterface format = getFormat(weight);
  if (integer != (format && format.getSumColumns() > 0))
    return emitOpError() << "with activation " << getActivation()
                         << " requires a weight "
                         << (integer ? "with a format that is multiplied with "
                                       "integers"
                                     : "without a format or with one of floats")
                         << ", got " << weight;
  return success();
}

LogicalResult SliceOp::verify() {
  if (failed(requireRows(*this, {getInput(), getResult()})))
    return failure();
  // slice_c1
  int64_t offset = getOffset(), width = columns(getResult());
  if (offset < 0 || offset > columns(getInput()) - width)
    return emitOpError() << "takes columns " << offset << " to "
                         << offset + width << " of " << columns(getInput());
  return success();
}

LogicalResult RotaryOp::verify() {
  if (failed(requireRows(*this, {getInput()})))
    return failure();
  // rotary_c1
  if (getFrequencies().empty())
    return emitOpError() << "requires at least one frequency";
  for (float frequency : getFrequencies())
    if (!std::isfinite(frequency))
      return emitOpError() << "requires finite frequencies, got " << frequency;
  // rotary_c2
  int64_t headDim = 2 * static_cast<int64_t>(getFrequencies().size());
  if (columns(getInput()) % headDim != 0)
    return emitOpError() << "requires columns divisible by head_dim " << headDim
                         << ", got " << columns(getInput());
  return success();
}

int64_t AttentionOp::getHeadDim() {
  return columns(getQuery()) / static_cast<int64_t>(getHeads());
}

LogicalResult AttentionOp::verify() {
  if (failed(requireRows(*this, {getQuery(), getKey()})))
    return failure();
  int64_t heads = getHeads(), kvHeads = getKvHeads();
  // attention_c2
  if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0)
    return emitOpError() << "requires kv_heads to divide heads, got " << kvHeads
                         << " and " << heads;
  // attention_c1
  if (columns(getQuery()) % heads != 0 ||
      columns(getKey()) != kvHeads * getHeadDim())
    return emitOpError() << "requires query and key columns of " << heads
                         << " and " << kvHeads << " equal heads, got "
                         << columns(getQuery()) << " and " << columns(getKey());
  // attention_c3
  Type cache = getCache();
  bool isGrouped = CacheFormat::isGrouped(cache);
  if (!isGrouped && !cache.isF16() && !cache.isF32() && !cache.isInteger(8))
    return emitOpError() << "requires a cache of f16, f32, i8, i4 or i2, got "
                         << cache;
  // attention_c4
  if (static_cast<int64_t>(getLayer()) < 0)
    return emitOpError() << "requires a layer of at least 0";
  if (!isPositive(getScale()))
    return emitOpError() << "requires a positive scale, got " << getScaleAttr();
  // attention_c5
  if (isGrouped != getCacheGroup().has_value())
    return emitOpError() << "with a cache of " << cache << " requires "
                         << (isGrouped ? "a group of 32, 64 or head"
                                       : "no group");
  if (!CacheFormat::get(cache, getCacheGroup()))
    return emitOpError() << "requires a group of 32, 64 or head, got "
                         << *getCacheGroup();
  return success();
}

LogicalResult SelectRowsOp::verify() {
  // select_rows_c1
  if (failed(requireRows(*this, {getInput(), getResult()})))
    return failure();
  if (columns(getInput()) != columns(getResult()))
    return emitOpError() << "requires equal columns, got "
                         << columns(getInput()) << " and "
                         << columns(getResult());
  return success();
}

LogicalResult ObserveOp::verify() {
  if (failed(requireRows(*this, {getInput()})))
    return failure();
  // observe_c1
  llvm::StringSet<> seen;
  for (StringRef name : getNames().getAsValueRange<StringAttr>())
    if (name.empty() || !seen.insert(name).second)
      return emitOpError() << "requires distinct names, got \"" << name
                           << (name.empty() ? "\"" : "\" twice");
  if (seen.empty())
    return emitOpError() << "requires a name";
  // observe_c2
  if (getMoments() != "none" && getMoments() != "diagonal" &&
      getMoments() != "full")
    return emitOpError() << "requires moments none, diagonal or full, got "
                         << getMomentsAttr();
  return success();
}
