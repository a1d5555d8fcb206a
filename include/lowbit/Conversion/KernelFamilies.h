//===- KernelFamilies.h - From lowbit.kernel to a function ------*- C++ -*-===//
//
// A family knows how to emit one kernel for one variant of a target. Adding a
// family is one file in lib/Conversion/LowbitToVector and one line in the table
// of KernelFamilies.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_KERNELFAMILIES_H
#define LOWBIT_CONVERSION_KERNELFAMILIES_H

#include "lowbit/Conversion/KernelBuilder.h"
#include "lowbit/IR/Lowbit.h"

namespace lowbit {

/// The arguments of a kernel function (Spec.md, 5.1), as SSA values.
struct KernelArguments {
  Value args;    ///< !llvm.ptr to the argument pointers
  Value rows;    ///< i64
  Value begin;   ///< i64, first item of this thread
  Value end;     ///< i64, one past its last item
  Value scratch; ///< !llvm.ptr, private to the thread
};

/// What a family offers.
struct KernelFamily {
  /// As in `lowbit.kernel @k family "name"`.
  llvm::StringRef name;
  /// Emits the body; fails with a diagnostic on parameters it cannot serve.
  mlir::LogicalResult (*emit)(KernelOp kernel, KernelBuilder &builder,
                              const KernelArguments &arguments);
  /// Scratch bytes that a thread needs for this kernel (the largest of all
  /// variants).
  int64_t (*scratchBytes)(KernelOp kernel);
};

/// The family of that name, or null.
const KernelFamily *findKernelFamily(llvm::StringRef name);

// Families, one file each.
extern const KernelFamily addFamily, attentionFamily, diagonalMomentsFamily,
    embeddingFamily, gateFamily, linearFamily, quantizeGroupsFamily,
    quantizeRowsFamily, rmsNormFamily, rotaryFamily, rotaryCacheFamily,
    rotaryTableFamily, secondMomentsFamily, selectRowsFamily,
    transformRowsFamily;

} // namespace lowbit

#endif // LOWBIT_CONVERSION_KERNELFAMILIES_H
