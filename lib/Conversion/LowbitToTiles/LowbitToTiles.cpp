//===- LowbitToTiles.cpp - Kernels become block programs --------*- C++ -*-===//
//
// The pass only makes the function around a kernel; what is in it is the
// family's business (TileFamilies.h).
//
//===----------------------------------------------------------------------===//

#include "TileFamilies.h"
#include "lowbit/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {
#define GEN_PASS_DEF_CONVERTLOWBITTOTILES
#include "lowbit/Conversion/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// The function of one kernel, with the body that the family emits.
static LogicalResult emitKernel(KernelOp kernel, const TileFamily &family,
                                const TargetInfo &target, OpBuilder &builder) {
  auto shared = LLVM::LLVMPointerType::get(builder.getContext(), sharedSpace);
  auto type = builder.getFunctionType({builder.getI64Type(), shared}, {});
  std::string name = (kernel.getSymName() + "." + target.name).str();
  auto function = func::FuncOp::create(builder, kernel.getLoc(), name, type);
  function->setAttr("lowbit.kernel", kernel.getSymNameAttr());
  function->setAttr("lowbit.variant",
                    builder.getI32IntegerAttr(target.variant));
  Block *body = function.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  TileBuilder tiles(builder, function, target);
  if (failed(family.emit(kernel, tiles)))
    return failure();
  builder.setInsertionPointToEnd(body);
  func::ReturnOp::create(builder, kernel.getLoc());
  if (tiles.sharedBytes() <= int64_t(target.gpu->sharedBytes))
    return success();
  return kernel.emitOpError()
         << "needs " << tiles.sharedBytes()
         << " bytes of shared memory, a block has " << target.gpu->sharedBytes;
}

namespace {

struct ConvertLowbitToTiles
    : lowbit::impl::ConvertLowbitToTilesBase<ConvertLowbitToTiles> {
  using ConvertLowbitToTilesBase::ConvertLowbitToTilesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    ArrayRef<TargetInfo> variants = getVariants(target);
    if (variants.empty() || !variants.front().isGpu()) {
      module.emitError() << "knows no GPU target '" << target << "'";
      return signalPassFailure();
    }
    OpBuilder builder(&getContext());
    for (KernelOp kernel :
         llvm::make_early_inc_range(module.getOps<KernelOp>())) {
      const TileFamily *family = findTileFamily(kernel.getFamily());
      if (!family) {
        kernel.emitOpError() << "is of family '" << kernel.getFamily()
                             << "', which GPU targets do not serve";
        return signalPassFailure();
      }
      builder.setInsertionPoint(kernel);
      if (failed(emitKernel(kernel, *family, variants.front(), builder)))
        return signalPassFailure();
      kernel.erase();
    }
  }
};

} // namespace
