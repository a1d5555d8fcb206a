//===- PlanOps.cpp - Verifiers of the plan ----------------------*- C++ -*-===//
//
// Local facts only; that a plan is safe to run is proved by the one verifier of
// lib/Runtime, which sees all of it.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/Lowbit.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace lowbit;

LogicalResult PlanOp::verify() {
  // plan_c1
  if (getLimits().size() != 5 ||
      llvm::any_of(getLimits(), [](int64_t limit) { return limit < 1; }))
    return emitOpError() << "requires five positive limits";
  return success();
}

LogicalResult BufferOp::verify() {
  // buffer_c1
  if (getBytes().size() != 4 ||
      llvm::any_of(getBytes(), [](int64_t bytes) { return bytes < 0; }))
    return emitOpError() << "requires four byte counts, none negative";
  // buffer_c2
  static constexpr StringRef kinds[] = {"input", "output", "arena", "weight",
                                        "cache"};
  if (!llvm::is_contained(kinds, getKind()))
    return emitOpError() << "is of kind input, output, arena, weight or cache, "
                            "not '"
                         << getKind() << "'";
  if (getParameter().has_value() != (getKind() == "weight"))
    return emitOpError() << "names a parameter if and only if it is a weight";
  return success();
}

LogicalResult CallOp::verify() {
  // call_c1
  size_t count = getBuffers().size();
  if (getOffsets().size() != count || getAccess().size() != count ||
      getBytes().size() != 4 * count)
    return emitOpError() << "has " << count << " buffers, "
                         << getOffsets().size() << " offsets, "
                         << getBytes().size() << " byte counts and "
                         << getAccess().size() << " accesses";
  // call_c2
  if (getItems().size() != 4)
    return emitOpError() << "requires four item counts";
  return success();
}
