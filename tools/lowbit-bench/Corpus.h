//===- Corpus.h - Formats and solvers on seeded weights ---------*- C++ -*-===//
//
// What every format loses with every solver on the weight corpus
// (Numerics/WeightCorpus.h) and on matrices of a model, read by each kind of
// inputs: the solver sees moments of a sample, the result is judged by their
// expectation.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_CORPUS_H
#define LOWBIT_TOOLS_BENCH_CORPUS_H

#include "Session.h"

namespace lowbit::bench {

struct CorpusOptions {
  /// Formats as in recipes; all of their solvers but `given` are tried.
  std::vector<std::string> formats;
  /// Of the seeded weights.
  MatrixShape shape{256, 1024};
  /// A model folder, and the names of its matrices to judge as well.
  std::string model;
  std::vector<std::string> tensors;
  uint64_t seed = 1;
  /// JSON in place of a table.
  bool json = false;
};

/// Tries all of them and returns what is to be printed. Errors: formats,
/// shapes and tensors that there are not, weights that a format cannot store.
Result<std::string> judgeCorpus(const CorpusOptions &options);

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_CORPUS_H
