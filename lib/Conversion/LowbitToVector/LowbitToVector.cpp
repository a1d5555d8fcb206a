//===- LowbitToVector.cpp - Kernels become functions ------------*- C++ -*-===//
//
// The pass only makes the function around a kernel; what is in it is the
// family's business (KernelFamilies.h).
//
//===----------------------------------------------------------------------===//

#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {
#define GEN_PASS_DEF_CONVERTLOWBITTOVECTOR
#include "lowbit/Conversion/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// One function of the ABI of Spec.md, 5.1, with the body that the family
/// emits.
static LogicalResult emitVariant(KernelOp kernel, const KernelFamily &family,
                                 const TargetInfo &target, OpBuilder &builder) {
  MLIRContext *context = builder.getContext();
  Location location = kernel.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = builder.getI64Type();
  auto type = builder.getFunctionType({pointer, i64, i64, i64, pointer}, {});
  auto function = func::FuncOp::create(
      builder, location, (kernel.getSymName() + "." + target.name).str(), type);
  function->setAttr("lowbit.kernel", kernel.getSymNameAttr());
  function->setAttr("lowbit.variant",
                    builder.getI32IntegerAttr(target.variant));
  Block *body = function.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  KernelBuilder kernelBuilder(builder, location, target);
  KernelArguments arguments{body->getArgument(0), body->getArgument(1),
                            body->getArgument(2), body->getArgument(3),
                            body->getArgument(4)};
  if (failed(family.emit(kernel, kernelBuilder, arguments)))
    return failure();
  builder.setInsertionPointToEnd(body);
  func::ReturnOp::create(builder, location);
  return success();
}

namespace {

struct ConvertLowbitToVector
    : lowbit::impl::ConvertLowbitToVectorBase<ConvertLowbitToVector> {
  using ConvertLowbitToVectorBase::ConvertLowbitToVectorBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    ArrayRef<TargetInfo> variants = getVariants(target);
    if (variants.empty()) {
      module.emitError() << "knows no target '" << target << "'";
      return signalPassFailure();
    }
    if (!variant.empty() &&
        llvm::none_of(variants, [&](const TargetInfo &info) {
          return variant == info.name;
        })) {
      InFlightDiagnostic error = module.emitError()
                                 << "target '" << target << "' has no variant '"
                                 << variant << "'; it has ";
      llvm::interleaveComma(
          variants, error, [&](const TargetInfo &info) { error << info.name; });
      return signalPassFailure();
    }
    OpBuilder builder(&getContext());
    for (KernelOp kernel :
         llvm::make_early_inc_range(module.getOps<KernelOp>())) {
      const KernelFamily *family = findKernelFamily(kernel.getFamily());
      if (!family) {
        kernel.emitOpError()
            << "is of an unknown family '" << kernel.getFamily() << "'";
        return signalPassFailure();
      }
      builder.setInsertionPoint(kernel);
      for (const TargetInfo &info : variants)
        if ((variant.empty() || variant == info.name) &&
            failed(emitVariant(kernel, *family, info, builder)))
          return signalPassFailure();
      kernel.erase();
    }
  }
};

} // namespace
