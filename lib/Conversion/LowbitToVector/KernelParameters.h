//===- KernelParameters.h - Reading lowbit.kernel's dictionary --*- C++ -*-===//
//
// Typed, checked access to the parameters of a kernel. What is missing, of the
// wrong type or out of range gives one diagnostic at the kernel and makes
// `failed()` true; the value returned then is the smallest legal one, so a
// family reads all it needs and asks once:
//
//   KernelParameters parameters(kernel);
//   int64_t columns = parameters.integer("columns", 1);
//   ColumnView x = parameters.view("x");
//   if (parameters.failed())
//     return failure();
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_KERNELPARAMETERS_H
#define LOWBIT_LIB_CONVERSION_KERNELPARAMETERS_H

#include "lowbit/IR/Lowbit.h"

namespace lowbit {

/// Largest value of a parameter that counts or places elements: byte addresses
/// of any row that fits a machine stay below 2^63.
constexpr int64_t maxKernelExtent = int64_t(1) << 40;

/// Where the columns of a row argument lie (Spec.md, 5.4), in elements.
struct ColumnView {
  /// First column.
  int64_t offset = 0;
  /// Elements between rows.
  int64_t stride = 0;
};

/// The parameters of one kernel.
class KernelParameters {
public:
  explicit KernelParameters(KernelOp kernel) : kernel(kernel) {}

  /// An integer of [minimum, maximum].
  int64_t integer(llvm::StringRef name, int64_t minimum = 0,
                  int64_t maximum = maxKernelExtent);
  /// A finite f32.
  float real(llvm::StringRef name);
  /// A string.
  llvm::StringRef string(llvm::StringRef name);
  /// A type.
  mlir::Type type(llvm::StringRef name);
  /// A boolean.
  bool boolean(llvm::StringRef name);
  /// A dense array of finite f32.
  llvm::ArrayRef<float> reals(llvm::StringRef name);
  /// An array; empty where it is absent.
  llvm::ArrayRef<mlir::Attribute> list(llvm::StringRef name);
  /// Types of f32 vectors and matrices; none where it is absent.
  llvm::SmallVector<mlir::RankedTensorType> matrixTypes(llvm::StringRef name);
  /// `NAME_offset` and `NAME_stride`; `columns` of them must fit in a row.
  ColumnView view(llvm::StringRef name, int64_t columns);

  /// Reports `what` about parameter `name`.
  void report(llvm::StringRef name, const llvm::Twine &what);
  mlir::MLIRContext *getContext() { return kernel.getContext(); }
  /// Whether anything was reported.
  bool failed() const { return reported; }

private:
  mlir::Attribute find(llvm::StringRef name);

  KernelOp kernel;
  bool reported = false;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_KERNELPARAMETERS_H
