//===- Incoherence.cpp - Formats that need rotated weights ----------------===//

#include "lowbit/Transforms/Incoherence.h"

#include <cstdio>
#include <map>

using namespace lowbit;

/// Whether the chain only brings weights together and rounds them.
static bool isUntransformed(ParameterOp parameter) {
  return llvm::all_of(parameter.getInit().front(), [](mlir::Operation &op) {
    return llvm::isa<WeightOp, ConcatOp, WidenOp, QuantizeOp, YieldOp>(op);
  });
}

std::vector<std::string>
lowbit::warnOfCoherentWeights(const std::vector<StoredParameter> &stored,
                              const std::vector<LedgerEntry> &ledger) {
  struct Sum {
    FormatPtr format;
    int64_t tensors = 0;
    double error = 0, weights = 0;
  };
  std::map<std::string, Sum> sums;
  for (size_t i = 0; i < stored.size(); ++i) {
    ParameterOp op = stored[i].op;
    FormatInterface format = getFormat(op.getTensorType());
    if (!format || op.getInit().empty() || !ledger[i].weightError ||
        format.getWeightFormat()->gaussianError() == 0 || !isUntransformed(op))
      continue;
    Sum &sum = sums[ledger[i].format];
    double weights = static_cast<double>(ledger[i].rows) *
                     static_cast<double>(ledger[i].columns);
    sum.format = format.getWeightFormat();
    ++sum.tensors;
    sum.weights += weights;
    sum.error += *ledger[i].weightError * weights;
  }
  std::vector<std::string> lines;
  for (const auto &[name, sum] : sums) {
    char text[160];
    std::snprintf(text, sizeof(text),
                  "%.4f of their squares, rotated ones lose %.4f",
                  sum.error / sum.weights, sum.format->gaussianError());
    lines.push_back("warning: " + std::to_string(sum.tensors) +
                    " tensors that no rotation touched are stored as " + name +
                    " and lose " + text + ": rotate them in the recipe");
  }
  return lines;
}
