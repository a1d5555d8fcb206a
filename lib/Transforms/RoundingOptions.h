//===- RoundingOptions.h - The quantizer that decisions are for -*- C++ -*-===//
#ifndef LOWBIT_LIB_TRANSFORMS_ROUNDINGOPTIONS_H
#define LOWBIT_LIB_TRANSFORMS_ROUNDINGOPTIONS_H

#include "lowbit/Analysis/QuantizationError.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringRef.h"

namespace lowbit {

/// Options that passes share which compare rounding errors.
struct RoundingOptions {
  std::string format, solver;
  int64_t activationBits, activationGroup;
};

/// Reads them; an error that names pass, option and value.
mlir::LogicalResult parseRounding(mlir::MLIRContext *context,
                                  llvm::StringRef pass,
                                  const RoundingOptions &options,
                                  RoundingChoice &choice);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_ROUNDINGOPTIONS_H
