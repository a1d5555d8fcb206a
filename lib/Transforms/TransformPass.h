//===- TransformPass.h - What passes of transforms share --------*- C++ -*-===//
#ifndef LOWBIT_LIB_TRANSFORMS_TRANSFORMPASS_H
#define LOWBIT_LIB_TRANSFORMS_TRANSFORMPASS_H

#include "FoldTransforms.h"
#include "mlir/IR/BuiltinOps.h"

namespace lowbit {

/// Functions that have a graph: those with a body, of one block.
llvm::SmallVector<mlir::func::FuncOp> getGraphs(mlir::ModuleOp module);

/// `untie` or `keep`; an error that names the pass for anything else.
mlir::LogicalResult parseTiedHead(mlir::MLIRContext *context,
                                  llvm::StringRef pass, llvm::StringRef text,
                                  TiedHead &choice);

/// Sets `chosen` to the words of `given`, each one of `known`; all of them
/// where none is given. An error names pass, option and word.
mlir::LogicalResult parseWords(mlir::MLIRContext *context, llvm::StringRef pass,
                               llvm::StringRef option,
                               llvm::ArrayRef<std::string> given,
                               llvm::ArrayRef<llvm::StringLiteral> known,
                               llvm::SmallVectorImpl<llvm::StringRef> &chosen);

/// An error where `seed` is neither −1 (no signs) nor one that leaves room for
/// a number for each place of a model.
mlir::LogicalResult checkSeed(mlir::MLIRContext *context, llvm::StringRef pass,
                              int64_t seed, bool mayBeNone);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_TRANSFORMPASS_H
