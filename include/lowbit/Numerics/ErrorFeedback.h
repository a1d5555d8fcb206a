//===- ErrorFeedback.h - Rounding that repairs its own error ----*- C++ -*-===//
//
// GPTQ (Frantar et al. 2022) in the form of LDLQ (Chee et al. 2023, theorem 6:
// the same rounding): with H = Σ x xᵀ, damped, in the order in which columns
// are rounded, and H = R Rᵀ, R upper triangular, the error of rows W rounded to
// Q is tr((W − Q) H (W − Q)ᵀ) = |(W − Q) R|². Going through the blocks b of
// columns in that order, with Δ = W − Q of the columns before,
//
//   target_b = W_b + (Σ_i Δ_i R_ib) R_bb⁻¹        (i before b)
//
// is what block b should become so that the error of the columns before it is
// repaired as well as later columns can; what then remains is
// |(target_b − Q_b) R_bb|², the metric of the choice of Q_b. (R⁻¹ is the factor
// U of GPTQ, H⁻¹ = Uᵀ U; it is never formed.)
//
// How columns are rounded is the business of a BlockQuantizer: one column at a
// time for grouped integers, v for vector codebooks, 4 for a trellis.
//
//   FeedbackFactor factor;
//   FeedbackOrder order = activationOrder(h, /*step=*/1);
//   if (auto defect = FeedbackFactor::compute(h, order, 0.01, runInOrder,
//                                             factor)) …
//   ErrorFeedback feedback(factor);
//   feedback.run(rows, quantizer);
//
// The bytes are the same on every CPU and for any number of threads: only
// + − × ÷ and square roots, in one order. Memory: of K columns, H is 2 K² bytes
// and a factor 2 K²; while it is computed, 4 K² more.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_ERRORFEEDBACK_H
#define LOWBIT_NUMERICS_ERRORFEEDBACK_H

#include "lowbit/Numerics/CodePath.h"
#include "lowbit/Numerics/Defect.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace lowbit {

/// Second moments H of K columns: the lower triangle with the diagonal, row by
/// row; element (i, j), j ≤ i, at i (i + 1) / 2 + j. Not owned.
struct MomentsView {
  const float *elements = nullptr;
  int64_t columns = 0;

  const float *row(int64_t i) const { return elements + i * (i + 1) / 2; }
  float diagonal(int64_t i) const { return row(i)[i]; }
};

/// Runs body(0) … body(count − 1), each once, in any order, on any threads, and
/// returns when all are done.
using ParallelLoop = std::function<void(
    int64_t count, const std::function<void(int64_t)> &body)>;

/// A ParallelLoop on the calling thread.
void runInOrder(int64_t count, const std::function<void(int64_t)> &body);

/// In which order columns are rounded, and how many at once.
struct FeedbackOrder {
  /// The column at each position: a permutation of 0 … K − 1.
  std::vector<int32_t> columns;
  /// First position of each block of columns that are rounded at once, and K.
  std::vector<int32_t> blocks;
};

/// From left to right, `step` ≥ 1 at a time; the last block may be shorter.
FeedbackOrder columnOrder(int64_t columns, int64_t step);
/// The same blocks from the last to the first; columns of a block from left to
/// right.
FeedbackOrder reversedOrder(int64_t columns, int64_t step);
/// The same blocks by descending sum of the diagonal of H ("act-order"), equal
/// ones from left to right.
FeedbackOrder activationOrder(const MomentsView &h, int64_t step);

/// R of H + λI, in f32. Columns whose input was always 0 (diagonal 0) are taken
/// as independent of all others: they give and get no feedback.
class FeedbackFactor {
public:
  /// λ = damp · mean of the diagonal, damp ≥ 0. Where H + λI is not positive
  /// definite in f64, λ grows tenfold (from 1e-6 of the mean if damp is 0)
  /// until it is. Reports a diagonal that is negative (BadImportance) and
  /// elements that are not finite.
  static std::optional<Defect> compute(const MomentsView &h,
                                       FeedbackOrder order, double damp,
                                       const ParallelLoop &loop,
                                       FeedbackFactor &result,
                                       CodePath path = fastestCodePath());

  /// R = I.
  static FeedbackFactor identity(FeedbackOrder order);

  int64_t columns() const {
    return static_cast<int64_t>(roundingOrder.columns.size());
  }
  const FeedbackOrder &order() const { return roundingOrder; }
  /// λ.
  double damping() const { return lambda; }
  /// R from position 0 down to the diagonal of `position`: position + 1 floats.
  const float *column(int64_t position) const {
    return elements.data() + position * (position + 1) / 2;
  }

private:
  FeedbackOrder roundingOrder;
  double lambda = 0;
  std::vector<float> elements;
};

/// Rows of weights in lanes: weight (row r, column k) at [k · lanes + r]. Lanes
/// are a multiple of 16; those without a row hold 0.
struct LaneRows {
  int64_t rows = 0;
  int64_t lanes = 0;
  int64_t columns = 0;
  std::vector<float> values;

  /// Takes up rows of any number.
  void load(const TileInput &input);
  const float *column(int64_t k) const { return values.data() + k * lanes; }
  float *column(int64_t k) { return values.data() + k * lanes; }
};

/// Columns to be rounded at once.
struct FeedbackBlock {
  const FeedbackFactor &factor;
  /// First position and number of columns; columns[i] is the column at position
  /// `position` + i.
  int64_t position = 0;
  int64_t count = 0;
  const int32_t *columns = nullptr;
  /// What column i should become in lane r: [i · lanes + r].
  int64_t rows = 0;
  int64_t lanes = 0;
  const float *targets = nullptr;
  /// For a quantizer that looks ahead: what the columns of the next block would
  /// have to become if this one were without error, in the same way; null for
  /// the last block.
  const float *nextTargets = nullptr;

  /// Element (i, j), i ≤ j < count, of R_bb: the error of a choice is
  /// |(target − q) R_bb|².
  float metric(int64_t i, int64_t j) const {
    return factor.column(position + j)[position + i];
  }
};

/// Rounds columns.
class BlockQuantizer {
public:
  virtual ~BlockQuantizer();
  /// Chooses what the columns of `block` become, keeps it in its own way, and
  /// writes the values that will be decoded to values[i · lanes + r], for rows
  /// that exist.
  virtual void quantize(const FeedbackBlock &block, float *values) = 0;
  /// Whether it wants FeedbackBlock::nextTargets.
  virtual bool looksAhead() const { return false; }
};

/// The loop. Holds scratch memory (K columns of the rows' lanes), so each
/// thread has its own; the factor is shared.
class ErrorFeedback {
public:
  /// `factor` must outlive it; `path` must be one that the CPU has.
  explicit ErrorFeedback(const FeedbackFactor &factor,
                         CodePath path = fastestCodePath())
      : factor(factor), path(path) {}

  /// Rounds all columns of `weights`, any number of rows at once. Finite
  /// weights only.
  void run(const LaneRows &weights, BlockQuantizer &quantizer);

private:
  /// Positions of a block.
  struct Positions {
    int64_t begin, end;
  };
  void runBlock(const LaneRows &weights, int64_t chunk, size_t block,
                BlockQuantizer &quantizer);
  /// What the positions should become, as far as the errors before `known`
  /// say; `total` holds Σ Δ R of the positions before `chunk`.
  void repair(const LaneRows &weights, const double *total, int64_t chunk,
              int64_t known, Positions block, std::vector<float> &out);
  Positions positions(size_t block) const {
    const std::vector<int32_t> &blocks = factor.order().blocks;
    return {blocks[block], blocks[block + 1]};
  }

  const FeedbackFactor &factor;
  CodePath path;
  int64_t lanes = 0;
  /// Δ by position; where chunks of positions begin (sums are in f32 within a
  /// chunk, in f64 over chunks).
  std::vector<float> errors;
  std::vector<int64_t> chunks;
  /// Σ Δ R of the positions of a chunk, and of one block.
  std::vector<double> totals, nextTotals, sums;
  std::vector<float> targets, nextTargets, values;
};

/// Σ over rows of w H wᵀ: the output error of rows `w` = W − Q, or the output
/// energy of W. f32 sums of 128 products, f64 over those and all else.
double quadraticForm(const MomentsView &h, const LaneRows &w,
                     CodePath path = fastestCodePath());

} // namespace lowbit

#endif // LOWBIT_NUMERICS_ERRORFEEDBACK_H
