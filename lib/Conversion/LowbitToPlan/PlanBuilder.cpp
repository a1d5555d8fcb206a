//===- PlanBuilder.cpp - Buffers, steps and their places --------*- C++ -*-===//

#include "PlanBuilder.h"
#include <array>

using namespace mlir;
using namespace lowbit;

/// Names of the plan format (Spec.md, 5.3).
static StringRef kindName(BufferKind kind) {
  switch (kind) {
  case BufferKind::Input:
    return "input";
  case BufferKind::Output:
    return "output";
  case BufferKind::Arena:
    return "arena";
  case BufferKind::Weight:
    return "weight";
  case BufferKind::Cache:
    return "cache";
  }
  llvm_unreachable("all kinds are named");
}

static StringRef accessName(Access access) {
  return access == Access::Read ? "r" : access == Access::Write ? "w" : "rw";
}

static SmallVector<int64_t> numbers(const Affine &a) {
  return {a.constant, a.perRow, a.perLogitRow, a.perPage};
}

static Affine perRow(int64_t bytes, StepCount count) {
  Affine size;
  (count == StepCount::Rows ? size.perRow : size.perLogitRow) = bytes;
  return size;
}

PlanBuilder::PlanBuilder(OpBuilder &builder, Location location,
                         PlanLimits limits)
    : builder(builder), location(location), limits(limits) {}

int64_t PlanBuilder::addBuffer(StringRef name, BufferKind kind, Affine bytes,
                               FlatSymbolRefAttr parameter) {
  PlanBuffer buffer;
  buffer.name = name.str();
  buffer.kind = kind;
  buffer.bytes = bytes;
  buffers.push_back(std::move(buffer));
  parameters.push_back(parameter);
  extents.push_back(bytes);
  return buffers.size() - 1;
}

int64_t PlanBuilder::addWeight(FlatSymbolRefAttr parameter, int64_t bytes) {
  auto [known, isNew] = weights.try_emplace(parameter.getValue(), 0);
  if (isNew) {
    Affine size;
    size.constant = bytes;
    known->second =
        addBuffer(parameter.getValue(), BufferKind::Weight, size, parameter);
  }
  return known->second;
}

int64_t PlanBuilder::addRowBytes(StringRef name, int64_t bytesPerRow,
                                 StepCount count) {
  return addBuffer((name + "." + Twine(buffers.size())).str(),
                   BufferKind::Arena, perRow(bytesPerRow, count));
}

RowView PlanBuilder::addRows(StringRef name, int64_t columns, StepCount count,
                             BufferKind kind) {
  RowView view;
  view.buffer = kind == BufferKind::Arena
                    ? addRowBytes(name, 4 * columns, count)
                    : addBuffer(name, kind, perRow(4 * columns, count));
  view.stride = view.columns = columns;
  view.count = count;
  return view;
}

void PlanBuilder::keepRows(int64_t buffer, StringRef name) {
  PlanBuffer &kept = buffers[buffer];
  kept.kind = BufferKind::Output;
  kept.name = name.str();
  kept.bytes = {kept.bytes.evaluate(limits.rows, limits.logits, limits.pages),
                0, 0, 0};
}

void PlanBuilder::addStep(AbstractStep step) {
  steps.push_back(std::move(step));
}

/// First fit in order of first use: a buffer takes the lowest place where no
/// buffer that lives at the same time lies. Sizes are those of the largest
/// batch, so that one set of offsets serves every batch.
void PlanBuilder::placeArena() {
  struct Life {
    int64_t first = -1, last = -1, begin = 0, end = 0;
  };
  std::vector<Life> lives(buffers.size());
  for (size_t i = 0; i < steps.size(); ++i)
    for (const StepArgument &arg : steps[i].args) {
      Life &life = lives[arg.buffer];
      if (life.first < 0)
        life.first = i;
      life.last = i;
    }
  SmallVector<int64_t> order;
  for (size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].kind == BufferKind::Arena)
      order.push_back(i);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::make_pair(lives[a].first, a) <
           std::make_pair(lives[b].first, b);
  });
  SmallVector<int64_t> placed;
  for (int64_t i : order) {
    int64_t size =
        buffers[i].bytes.evaluate(limits.rows, limits.logits, limits.pages) +
        bufferSlack;
    size = (size + 63) / 64 * 64;
    SmallVector<int64_t> alive;
    for (int64_t other : placed)
      if (lives[other].last >= lives[i].first &&
          lives[i].last >= lives[other].first)
        alive.push_back(other);
    llvm::sort(alive, [&](int64_t a, int64_t b) {
      return lives[a].begin < lives[b].begin;
    });
    int64_t at = 0;
    for (int64_t other : alive) {
      if (at + size <= lives[other].begin)
        break;
      at = std::max(at, lives[other].end);
    }
    lives[i].begin = buffers[i].offset = at;
    lives[i].end = at + size;
    placed.push_back(i);
  }
}

KernelOp PlanBuilder::getKernel(const AbstractStep &step, int64_t bucket) {
  NamedAttrList parameters = step.parameters;
  std::string stem = step.stem;
  if (step.bucketed) {
    parameters.set("bucket", builder.getI64IntegerAttr(bucket));
    stem += "_m" + std::to_string(bucket);
  }
  return getKernel(step.family, stem, parameters);
}

/// The kernel that reads plain rows; null where the step has none.
KernelOp PlanBuilder::getPlainKernel(const AbstractStep &step) {
  if (step.plainStem.empty())
    return {};
  return getKernel(step.family, step.plainStem, step.plainParameters);
}

/// The one kernel of these parameters.
KernelOp PlanBuilder::getKernel(StringRef family, StringRef stem,
                                NamedAttrList parameters) {
  auto key =
      builder.getArrayAttr({builder.getStringAttr(family),
                            parameters.getDictionary(builder.getContext())});
  KernelOp &kernel = kernels[key];
  if (kernel)
    return kernel;
  int64_t number = stems[stem]++;
  std::string name = stem.str();
  if (number > 0)
    name += "_" + std::to_string(number + 1);
  kernel = KernelOp::create(builder, location, builder.getStringAttr(name),
                            builder.getStringAttr(family),
                            parameters.getDictionary(builder.getContext()));
  kernelList.push_back(kernel);
  return kernel;
}

void PlanBuilder::writeEntry(int64_t firstRow, int64_t lastRow,
                             int64_t bucket) {
  auto entry = EntryOp::create(builder, location, firstRow, lastRow,
                               /*width=*/0);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&entry.getBody().emplaceBlock());
  for (const AbstractStep &step : steps) {
    SmallVector<int64_t> indices, offsets, bytes;
    SmallVector<StringRef> access;
    for (const StepArgument &arg : step.args) {
      indices.push_back(arg.buffer);
      offsets.push_back(arg.offset);
      llvm::append_range(bytes,
                         numbers(arg.bytes.value_or(extents[arg.buffer])));
      access.push_back(accessName(arg.access));
    }
    KernelOp kernel = getKernel(step, bucket);
    KernelOp plain = getPlainKernel(step);
    CallOp::create(
        builder, location, kernel.getSymName(),
        plain ? FlatSymbolRefAttr::get(plain) : FlatSymbolRefAttr(),
        step.count == StepCount::Rows ? "rows" : "logits",
        numbers(step.bucketed && bucket == 32 ? step.pairItems : step.items),
        indices, offsets, bytes, builder.getStrArrayAttr(access));
  }
}

PlanOp PlanBuilder::finish(StringRef target,
                           function_ref<int64_t(KernelOp)> scratchBytes) {
  placeArena();
  // Decode, small batches, prompts: the first row count and the bucket of each.
  SmallVector<std::array<int64_t, 3>> ranges = {{1, 1, 1}};
  if (limits.rows >= 2)
    ranges.push_back({2, std::min<int64_t>(limits.rows, 31), 16});
  if (limits.rows >= 32)
    ranges.push_back({32, limits.rows, 32});
  // Kernels stand before the plan, in the order of their first call.
  for (auto [first, last, bucket] : ranges)
    for (const AbstractStep &step : steps) {
      getKernel(step, bucket);
      getPlainKernel(step);
    }
  int64_t scratch = 0;
  for (KernelOp kernel : kernelList)
    scratch = std::max(scratch, scratchBytes(kernel));

  auto plan = PlanOp::create(builder, location, builder.getStringAttr(target),
                             builder.getDenseI64ArrayAttr(
                                 {limits.rows, limits.logits, limits.sequences,
                                  limits.pages, limits.pagesPerSequence}),
                             builder.getI64IntegerAttr(scratch));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&plan.getBody().emplaceBlock());
  for (size_t i = 0; i < buffers.size(); ++i)
    BufferOp::create(builder, location, builder.getStringAttr(buffers[i].name),
                     builder.getStringAttr(kindName(buffers[i].kind)),
                     builder.getDenseI64ArrayAttr(numbers(buffers[i].bytes)),
                     builder.getI64IntegerAttr(buffers[i].offset),
                     parameters[i]);
  for (auto [first, last, bucket] : ranges)
    writeEntry(first, last, bucket);
  return plan;
}
