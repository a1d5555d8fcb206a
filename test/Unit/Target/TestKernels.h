//===- TestKernels.h - Kernel functions as text -----------------*- C++ -*-===//
#ifndef LOWBIT_TEST_UNIT_TARGET_TESTKERNELS_H
#define LOWBIT_TEST_UNIT_TARGET_TESTKERNELS_H

#include "lowbit/Target/EmitObject.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"
#include <string>

namespace lowbit::test {

/// Doubles 16 floats of argument 0 for each item. `suffix` makes names differ.
inline std::string doubleKernel(llvm::StringRef suffix, uint32_t variant) {
  return llvm::formatv(R"mlir(
    func.func @double{0}.v{1}(%args: !llvm.ptr, %rows: i64, %begin: i64,
                              %end: i64, %scratch: !llvm.ptr)
        attributes {{lowbit.kernel = "double{0}", lowbit.variant = {1} : i32} {
      %one = arith.constant 1 : i64
      %bytes = arith.constant 64 : i64
      %data = llvm.load %args : !llvm.ptr -> !llvm.ptr
      scf.for %i = %begin to %end step %one : i64 {
        %at = arith.muli %i, %bytes : i64
        %place = llvm.getelementptr %data[%at] : (!llvm.ptr, i64) -> !llvm.ptr, i8
        %x = llvm.load %place {{alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
        %y = arith.addf %x, %x : vector<16xf32>
        llvm.store %y, %place {{alignment = 4 : i64} : vector<16xf32>, !llvm.ptr
      }
      return
    }
  )mlir",
                       suffix, variant)
      .str();
}

/// A context with the dialects of kernels, without threads.
struct KernelContext {
  KernelContext() : context(mlir::MLIRContext::Threading::DISABLED) {
    mlir::DialectRegistry registry;
    registerKernelDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }
  mlir::OwningOpRef<mlir::ModuleOp> parse(llvm::StringRef text) {
    return mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  }
  mlir::MLIRContext context;
};

} // namespace lowbit::test

#endif // LOWBIT_TEST_UNIT_TARGET_TESTKERNELS_H
