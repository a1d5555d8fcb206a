//===- ElementSolver.h - Codes of tables, small floats ----------*- C++ -*-===//
//
// The solvers `nearest` and `search` for elements that are no plain integers:
// small floats, Int8 (Spec 1.4) and listed levels (1.5). Nearest takes the
// scale that the section gives; Search tries the factors of searchPlan on it
// (E8M0: its neighbours up to two powers of two below and one above) and keeps
// the least Σ h (w − ŵ)², the first on ties. With error feedback
// (ErrorFeedback.h) scales are chosen on the weights as they are, then codes
// column by column; with a diagonal H that gives the same codes.
//
// The bytes are the same on every CPU.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_ELEMENTSOLVER_H
#define LOWBIT_LIB_NUMERICS_ELEMENTSOLVER_H

#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/Solver.h"

#include <array>
#include <vector>

namespace lowbit {

/// How a quotient w / (s · F) becomes a value of the element: to nearest, ties
/// to the even code (levels: to the lower one), saturating.
struct ElementGrid {
  explicit ElementGrid(const IntegerFormat &format);

  /// Largest magnitude.
  float largest = 0;
  /// Levels only: the levels, and the middle between each and the one before.
  int count = 0;
  float levels[16] = {};
  float middles[16] = {};
  /// Else: distance of neighbours, of floats below twice the smallest normal
  /// number `least`.
  float quantum = 1;
  float least = 0;
  bool isFloat = false;
};

/// Solves the tiles of one tensor; each thread has its own.
class ElementSolver {
public:
  /// As TileSolver; the element is not Integer.
  ElementSolver(const IntegerFormat &format, int64_t columns, SolverKind kind,
                const float *importance, CodePath path);

  /// Chooses scales, then codes: with error feedback where there is any, whose
  /// blocks must be single columns.
  std::optional<Defect> solve(const TileInput &input, float factor,
                              ErrorFeedback *feedback, IntegerTile &tile);
  /// Codes of 16 weights, one a row. A step is s · F, or 0: then the code is
  /// that of zero.
  void roundColumn(const float *weights, const float *steps,
                   uint8_t *codes) const;

private:
  std::optional<Defect> chooseScales(const TileInput &input, float factor,
                                     IntegerTile &tile);
  uint16_t storedScale(float scale, float factor) const;
  uint16_t search(const float *weights, const float *h, int64_t count,
                  float magnitude, float factor, uint16_t nearest) const;

  IntegerFormat format;
  int64_t columns;
  SolverKind kind;
  CodePath path;
  ElementGrid grid;
  SearchPlan plan;
  uint8_t zeroCode = 0;
  std::vector<float> importances;
  std::optional<Defect> badImportance;
  /// The rows of a tile in lanes, and s · F of its groups: [group][row].
  LaneRows rows;
  std::vector<float> steps;
};

/// F of a tensor whose largest |w| is `largest`: that over (the element's
/// largest magnitude · 448), in f32; 1 where that is 0.
float elementFactor(const IntegerFormat &format, float largest);

/// tableValue by code; 0 where a code is no number.
std::array<float, 256> codeValues(const IntegerFormat &format);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_ELEMENTSOLVER_H
