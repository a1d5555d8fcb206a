//===- Incoherence.h - Formats that need rotated weights --------*- C++ -*-===//
#ifndef LOWBIT_TRANSFORMS_INCOHERENCE_H
#define LOWBIT_TRANSFORMS_INCOHERENCE_H

#include "lowbit/IR/Lowbit.h"
#include "lowbit/Transforms/Ledger.h"
#include "lowbit/Transforms/Materialize.h"

#include <string>
#include <vector>

namespace lowbit {

/// A line for each format that is made for rotated weights (WeightFormat::
/// gaussianError) and was given some that no transform touched: how many, and
/// what they lost. `ledger` has an entry for each of `stored`.
std::vector<std::string>
warnOfCoherentWeights(const std::vector<StoredParameter> &stored,
                      const std::vector<LedgerEntry> &ledger);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_INCOHERENCE_H
