//===- FormatTrial.h - One matrix through one solver ------------*- C++ -*-===//
//
// What a format and a solver make of a matrix in memory: its complete bits and
// its errors, of the weights and, on moments that the solver has not seen, of
// the outputs.
//
//   TrialInput input = {w.data(), rows, columns, {seen.data(), columns},
//                       {judged.data(), columns}};
//   TrialResult result;
//   if (auto defect = tryFormat(*format, "gptq", input, result)) …
//
// The same tiles as the materializer packs, one after the other; for weights
// that fit in memory several times.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_FORMATTRIAL_H
#define LOWBIT_NUMERICS_FORMATTRIAL_H

#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/WeightFormat.h"

namespace lowbit {

/// A matrix, [rows][columns], and the second moments of what it reads, of
/// `columns` columns each.
struct TrialInput {
  const float *weights = nullptr;
  int64_t rows = 0, columns = 0;
  /// What the solver is told, and what its result is judged by.
  MomentsView seen, judged;
};

struct TrialResult {
  /// Complete bits per weight (Spec 1.2).
  double bits = 0;
  /// Σ (w − ŵ)² / Σ w².
  double weightError = 0;
  /// tr(Δ H Δᵀ) / tr(W H Wᵀ), Δ = W − Ŵ, H the judging moments.
  double outputError = 0;
};

/// Encodes and decodes all tiles with `solver`, one of the format's (not
/// `given`) at its default options. Reports what the solver reports.
std::optional<Defect> tryFormat(const WeightFormat &format,
                                const std::string &solver,
                                const TrialInput &input, TrialResult &result);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_FORMATTRIAL_H
