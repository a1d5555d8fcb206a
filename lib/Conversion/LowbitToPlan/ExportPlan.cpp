//===- ExportPlan.cpp - The plan as the runtime knows it --------*- C++ -*-===//

#include "lowbit/Conversion/Passes.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace lowbit;

static Affine toAffine(ArrayRef<int64_t> numbers) {
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

static PlanBuffer exportBuffer(BufferOp op) {
  PlanBuffer buffer;
  buffer.name = op.getName().str();
  buffer.kind = llvm::StringSwitch<BufferKind>(op.getKind())
                    .Case("input", BufferKind::Input)
                    .Case("output", BufferKind::Output)
                    .Case("weight", BufferKind::Weight)
                    .Case("cache", BufferKind::Cache)
                    .Default(BufferKind::Arena);
  buffer.bytes = toAffine(op.getBytes());
  if (op.getParameter())
    buffer.tensor = getWeightTensorName(*op.getParameter());
  buffer.offset = op.getOffset();
  return buffer;
}

static PlanStep exportStep(CallOp call) {
  PlanStep step;
  step.kernel = call.getKernel().str();
  step.plain = call.getPlain().value_or("").str();
  step.count = call.getCount() == "rows" ? StepCount::Rows : StepCount::Logits;
  step.items = toAffine(call.getItems());
  for (auto [i, buffer] : llvm::enumerate(call.getBuffers())) {
    PlanArgument arg;
    arg.buffer = static_cast<int32_t>(buffer);
    arg.offset = call.getOffsets()[i];
    arg.bytes = toAffine(call.getBytes().slice(4 * i, 4));
    StringRef access = cast<StringAttr>(call.getAccess()[i]).getValue();
    arg.access = access == "r"   ? Access::Read
                 : access == "w" ? Access::Write
                                 : Access::ReadWrite;
    step.args.push_back(arg);
  }
  return step;
}

std::string lowbit::getWeightTensorName(StringRef parameter) {
  return "weights." + parameter.str();
}

Plan lowbit::exportPlan(PlanOp op) {
  Plan plan;
  plan.target = op.getSymName().str();
  ArrayRef<int64_t> limits = op.getLimits();
  plan.limits = {limits[0], limits[1], limits[2], limits[3], limits[4]};
  plan.scratch = op.getScratch();
  for (Operation &nested : op.getBody().front()) {
    if (auto buffer = dyn_cast<BufferOp>(nested)) {
      plan.buffers.push_back(exportBuffer(buffer));
      continue;
    }
    auto entryOp = cast<EntryOp>(nested);
    PlanEntry entry;
    entry.minRows = entryOp.getFirstRow();
    entry.maxRows = entryOp.getLastRow();
    entry.width = entryOp.getWidth();
    for (CallOp call : entryOp.getBody().getOps<CallOp>())
      entry.steps.push_back(exportStep(call));
    plan.entries.push_back(std::move(entry));
  }
  return plan;
}
