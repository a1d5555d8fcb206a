//===- PlanBuilder.h - Buffers, steps and their places ----------*- C++ -*-===//
//
// Collects the buffers and steps of a plan, names each distinct kernel once,
// places the buffers of the arena by their lifetimes, and writes the
// `lowbit.plan`. It knows nothing of the graph.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOPLAN_PLANBUILDER_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOPLAN_PLANBUILDER_H

#include "lowbit/IR/Lowbit.h"
#include "lowbit/Runtime/Plan.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include <vector>

namespace lowbit {

/// Columns of f32 rows in a buffer: what a kernel's `<name>_offset` and
/// `<name>_stride` say.
struct RowView {
  int64_t buffer = -1;
  int64_t offset = 0;  ///< first column
  int64_t stride = 0;  ///< elements between rows
  int64_t columns = 0; ///< columns of the view
  StepCount count = StepCount::Rows;
};

/// An argument of a step, as yet without a plan around it.
struct StepArgument {
  int64_t buffer;
  Access access;
  int64_t offset = 0;
  /// Extent; where not given, the whole buffer (kept rows: those of the batch).
  std::optional<Affine> bytes = std::nullopt;
};

/// A step whose kernel may differ by token bucket.
struct AbstractStep {
  std::string family;
  /// Stem of the kernel's name, e.g. `linear_768x256_int4-g64`.
  std::string stem;
  mlir::NamedAttrList parameters;
  /// The kernel takes a `bucket`; items are given for one tile and for pairs.
  bool bucketed = false;
  StepCount count = StepCount::Rows;
  Affine items;
  Affine pairItems; ///< bucketed only: items in bucket 32
  llvm::SmallVector<StepArgument> args;
  /// Quantizers only: stem and parameters of the kernel of the same family
  /// that reads plain rows (PlanStep::plain).
  std::string plainStem;
  mlir::NamedAttrList plainParameters;
};

/// Builds one plan.
class PlanBuilder {
public:
  PlanBuilder(mlir::OpBuilder &builder, mlir::Location location,
              PlanLimits limits);

  /// A buffer; `parameter` for weights only. Returns its number.
  int64_t addBuffer(llvm::StringRef name, BufferKind kind, Affine bytes,
                    mlir::FlatSymbolRefAttr parameter = {});
  /// The buffer of a weight, made once for each parameter.
  int64_t addWeight(mlir::FlatSymbolRefAttr parameter, int64_t bytes);
  /// f32 rows in the arena (or in the output, where `kind` says so).
  RowView addRows(llvm::StringRef name, int64_t columns, StepCount count,
                  BufferKind kind = BufferKind::Arena);
  /// `bytesPerRow` bytes for each row that `count` counts, in the arena.
  int64_t addRowBytes(llvm::StringRef name, int64_t bytesPerRow,
                      StepCount count);
  /// Makes rows in the arena an output `name` that outlives the run, with room
  /// for the largest batch.
  void keepRows(int64_t buffer, llvm::StringRef name);
  void addStep(AbstractStep step);
  const PlanBuffer &getBuffer(int64_t i) const { return buffers[i]; }

  /// Writes kernels and plan; `scratchBytes` gives the scratch of a kernel.
  PlanOp finish(llvm::StringRef target,
                llvm::function_ref<int64_t(KernelOp)> scratchBytes);

private:
  void placeArena();
  KernelOp getKernel(const AbstractStep &step, int64_t bucket);
  KernelOp getPlainKernel(const AbstractStep &step);
  KernelOp getKernel(llvm::StringRef family, llvm::StringRef stem,
                     mlir::NamedAttrList parameters);
  void writeEntry(int64_t firstRow, int64_t lastRow, int64_t bucket);

  mlir::OpBuilder &builder;
  mlir::Location location;
  PlanLimits limits;
  std::vector<PlanBuffer> buffers;
  std::vector<mlir::FlatSymbolRefAttr> parameters;
  /// What a step uses of each buffer unless it says otherwise.
  std::vector<Affine> extents;
  std::vector<AbstractStep> steps;
  llvm::StringMap<int64_t> weights;
  llvm::StringMap<int64_t> stems;
  llvm::DenseMap<mlir::Attribute, KernelOp> kernels;
  llvm::SmallVector<KernelOp> kernelList;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOPLAN_PLANBUILDER_H
