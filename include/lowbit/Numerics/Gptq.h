//===- Gptq.h - Grouped integers by error feedback --------------*- C++ -*-===//
//
// Scales and zero points are chosen on the weights as they are ("static
// groups"), by Nearest or Search; codes then column by column with error
// feedback (ErrorFeedback.h). The codes of a group are those that its scale's
// solver may use. With a diagonal H the result is that solver's, to the bit.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_GPTQ_H
#define LOWBIT_NUMERICS_GPTQ_H

#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/Solver.h"

namespace lowbit {

/// Solves the tiles of one tensor. Holds scratch memory: each thread has its
/// own.
class GptqSolver {
public:
  /// `scales` says how scales are chosen; `importance` (for Search; the
  /// diagonal of H) may be null. The factor's blocks must be single columns, as
  /// many as the tensor has; it must outlive the solver.
  GptqSolver(const IntegerFormat &format, SolverKind scales,
             const float *importance, const FeedbackFactor &factor,
             CodePath path = fastestCodePath());

  /// As TileSolver::solve.
  std::optional<Defect> solve(const TileInput &input, float scaleFactor,
                              IntegerTile &tile);

private:
  TileSolver scaleSolver;
  ErrorFeedback feedback;
  CodePath path;
  LaneRows rows;
};

} // namespace lowbit

#endif // LOWBIT_NUMERICS_GPTQ_H
