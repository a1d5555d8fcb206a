//===- WriteWeights.h - Weights into their places in a file -----*- C++ -*-===//
#ifndef LOWBIT_LIB_PIPELINES_WRITEWEIGHTS_H
#define LOWBIT_LIB_PIPELINES_WRITEWEIGHTS_H

#include "lowbit/Checkpoint/OutputFile.h"
#include "lowbit/Pipelines/Container.h"
#include "lowbit/Pipelines/Journal.h"
#include "lowbit/Pipelines/Progress.h"
#include "lowbit/Transforms/Materialize.h"

namespace lowbit {

class SequentialCalibration;

/// A file that is about to be filled.
struct WeightTarget {
  OutputFile &file;
  const Container &container;
  /// Number of the first weight among the container's tensors; the others
  /// follow, in the order of the materializer's parameters.
  size_t firstWeight;
  Fingerprint fingerprint;
  bool resume;
};

/// Reserves the file, writes header and known tensors, and makes the weights,
/// or those that an interrupted run has not made: all at once, or block by
/// block with `sequential`. Returns the ledger. A run that is stopped leaves
/// file and journal for a later one (exit 75); any other error leaves no
/// journal.
Result<std::vector<LedgerEntry>>
writeWeights(Materializer &materializer, WeightTarget &target,
             Progress &progress, SequentialCalibration *sequential);

} // namespace lowbit

#endif // LOWBIT_LIB_PIPELINES_WRITEWEIGHTS_H
