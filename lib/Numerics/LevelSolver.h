//===- LevelSolver.h - Levels of each group, alternating --------*- C++ -*-===//
//
// The solver `em` of Spec 1.6. Levels and assignment are made better in turn
// (Lloyd 1982, with weights): each weight takes the nearest level, each level
// becomes the mean of its weights, weighted by h. No half step raises
// Σ h (w − level)². Four levels of a group are what grouped binary formats
// have: two clusters, each with a scale and a mean (BWA, arXiv 2504.05352, 4).
//
// With error feedback levels are fitted to the weights as they are, then codes
// are chosen column by column. The bytes are the same on every CPU.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_LEVELSOLVER_H
#define LOWBIT_LIB_NUMERICS_LEVELSOLVER_H

#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/IntegerTile.h"

#include <optional>
#include <vector>

namespace lowbit {

/// Fits `count` levels (2 or 4), ascending, to `size` ≥ 1 weights with
/// importances h ≥ 0: from those that are best for a Gaussian of the same mean
/// and deviation, for at most 30 turns. Returns Σ h (w − level)².
double fitLevels(const float *weights, const float *h, int64_t size, int count,
                 double *levels);

/// Solves the tiles of one tensor; each thread has its own. The element is
/// Free.
class LevelSolver {
public:
  /// `importance` may be null for all 1.
  LevelSolver(const IntegerFormat &format, int64_t columns,
              const float *importance);

  /// Fits levels, then chooses codes: with error feedback where there is any,
  /// whose blocks must be single columns.
  std::optional<Defect> solve(const TileInput &input, float factor,
                              ErrorFeedback *feedback, IntegerTile &tile);

private:
  friend class LevelColumns;
  /// What the levels of 16 rows decode to, and the middles between neighbours.
  struct Lanes {
    float values[freeLevels][tileRows];
    float middles[freeLevels - 1][tileRows];
  };

  std::optional<Defect> chooseLevels(const TileInput &input, float factor,
                                     IntegerTile &tile);
  std::optional<Defect> storeLevels(const double *levels, int64_t row,
                                    int64_t group, int64_t firstRow,
                                    IntegerTile &tile);
  /// Codes of 16 weights, one a row: the nearest level, the lower one on ties.
  static void roundColumn(const Lanes &lanes, const float *weights,
                          uint8_t *codes);

  IntegerFormat format;
  int64_t columns;
  std::vector<float> importances;
  std::optional<Defect> badImportance;
  /// By group.
  std::vector<Lanes> groupLanes;
  LaneRows rows;
};

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_LEVELSOLVER_H
