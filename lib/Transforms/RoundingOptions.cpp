//===- RoundingOptions.cpp - The quantizer that decisions are for ---------===//

#include "RoundingOptions.h"
#include "lowbit/Transforms/FormatNames.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace lowbit;

LogicalResult lowbit::parseRounding(MLIRContext *context, StringRef pass,
                                    const RoundingOptions &options,
                                    RoundingChoice &choice) {
  auto refuse = [&](const std::string &what) {
    return emitError(UnknownLoc::get(context)) << pass << ": " << what;
  };
  Result<FormatPtr> format = parseFormatName(options.format);
  if (!format)
    return refuse(format.error().message);
  std::vector<std::string> solvers = (*format)->solvers();
  if (options.solver == "given" || !llvm::is_contained(solvers, options.solver))
    return refuse("solver '" + options.solver + "' does not go with format " +
                  options.format + ": " + (*format)->whyNoSolver());
  if (options.activationBits < 2 || options.activationBits > 16)
    return refuse("activation-bits " + std::to_string(options.activationBits) +
                  " must be from 2 to 16");
  if (options.activationGroup < 0)
    return refuse("activation-group " +
                  std::to_string(options.activationGroup) +
                  " must not be negative");
  choice.format = *format;
  choice.solver = options.solver;
  choice.activationBits = options.activationBits;
  choice.activationGroup = options.activationGroup;
  return success();
}
