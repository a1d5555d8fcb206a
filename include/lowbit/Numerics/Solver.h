//===- Solver.h - Choose scales, zero points and codes ----------*- C++ -*-===//
//
// A solver turns 16 rows of f32 weights into an IntegerTile. Rows are
// independent here; a later solver (error feedback, alternating refinement)
// takes the same input and fills the same tile.
//
//   TileSolver solver({4, 64, ScaleType::F16, Offset::Integer}, columns,
//                     SolverKind::Search, importance);
//   if (std::optional<Defect> defect = solver.solve(input, 1.0f, tile)) …
//
// E4M3 scales need one factor F of the whole tensor first: take the maximum of
// `maximalScale` over all tiles, then `tensorFactor`, then solve each tile.
//
// The bytes are the same on every CPU: each step is one rounded f32 operation,
// sums have one order, nothing depends on the vector width.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_SOLVER_H
#define LOWBIT_NUMERICS_SOLVER_H

#include "lowbit/Numerics/CodePath.h"
#include "lowbit/Numerics/Defect.h"
#include "lowbit/Numerics/IntegerFormat.h"
#include "lowbit/Numerics/IntegerTile.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit {

struct Grid;
struct GroupChoice;

/// How scales are chosen. `given` is not here: see takeGiven.
enum class SolverKind : uint8_t {
  /// Spec 1.1: the scale that covers the group.
  Nearest,
  /// The best of a list of scales (and zero points) by weighted error; never
  /// worse than Nearest. See SearchPlan. Of codes of one bit the scale (and
  /// zero point) of the two levels that fit best: solver `em` of Spec 1.1.
  Search,
};

/// Candidates of `Search`. A candidate's scale is factor · (scale of Nearest
/// before rounding), rounded to the stored type (at most its largest value);
/// the factor clips the group. First comes Nearest itself (1) with 15 coarse
/// factors, each a fixed ratio below the one before, from 1.1; then, around the
/// best of them, best · fine. For `stored` the 16 are tried with Nearest's zero
/// point z, then with z − 1 and z + 1 where they have b bits: as the range is
/// [−z·s, (2^b − 1 − z)·s], scale and zero point move both ends. All candidates
/// but Nearest use all 2^b codes, −2^(b−1) of `integer` included. The least
/// Σ h_k (w_k − F·s·(c_k − z))² wins, the first on ties: hence never worse than
/// Nearest.
struct SearchPlan {
  static constexpr int candidates = 16;
  std::array<float, candidates> coarse;
  std::array<float, candidates> fine;
};

/// The plan of a format: the fewer the bits and the longer the group, the
/// smaller the best factor and the wider the coarse factors. Ratios found on
/// Gaussian and t4 weights, where 300 factors from 1.2 to 0.05 are at
/// most half a percent better (2 to 4 bits).
SearchPlan searchPlan(const IntegerFormat &format);

/// F of a tensor whose largest unrounded scale is `maximalScale`: that / 448 in
/// f32; 1 for a tensor of zeros and where the quotient is 0.
float tensorFactor(float maximalScale);

/// Solves the tiles of one tensor. Holds scratch memory, so each thread has its
/// own: two rows of f32 and a group of codes.
class TileSolver {
public:
  /// The format must be valid and columns ≥ 1. `importance` (h, one per column,
  /// or null for all 1) is copied. `path` must be one that the CPU has.
  TileSolver(const IntegerFormat &format, int64_t columns, SolverKind kind,
             const float *importance, CodePath path = fastestCodePath());
  ~TileSolver();

  /// Largest unrounded scale of Nearest over all groups of a tile, or the first
  /// weight that is not finite.
  std::optional<Defect> maximalScale(const TileInput &input, float &scale);

  /// Fills `tile` from `input`, or reports what cannot be stored (then the
  /// tile's contents are unspecified). `factor` is F; 1 where the format has
  /// none.
  std::optional<Defect> solve(const TileInput &input, float factor,
                              IntegerTile &tile);

  /// Chooses scales and zero points as `solve` does and fills them in; leaves
  /// the codes of the tile 0. How each group then rounds is in `grids`.
  std::optional<Defect> chooseScales(const TileInput &input, float factor,
                                     IntegerTile &tile);
  /// [16][groups] of the last tile: a group whose scale is 0 has step 1 and one
  /// code. Internal to this room.
  const std::vector<Grid> &grids() const { return tileGrids; }

private:
  void loadRow(const TileInput &input, int64_t row);
  std::optional<Defect> chooseGroups(const TileInput &input, float factor,
                                     bool takeCodes, IntegerTile &tile);
  std::optional<Defect> chooseGroup(const TileInput &input, int64_t row,
                                    int64_t group, IntegerTile &tile);
  void storeCodes(int64_t row, int64_t group, IntegerTile &tile);
  /// Scale and zero point of codes of one bit; `nearest` where there are none.
  GroupChoice fitLevelsOfGroup(const float *groupWeights, const float *h,
                               int64_t count, float factor,
                               const GroupChoice &nearest) const;

  IntegerFormat format;
  int64_t columns;
  SolverKind kind;
  CodePath path;
  SearchPlan plan;
  /// Columns of a full group, groups of a row, floats of a group in `weights`.
  int64_t groupWidth;
  int64_t groups;
  int64_t paddedWidth;
  /// Why nothing can be solved with these importances.
  std::optional<Defect> badImportance;
  /// One row and h, each group padded with zeros to a multiple of 16.
  std::vector<float> weights;
  std::vector<float> importances;
  std::vector<uint8_t> paddedCodes;
  std::vector<Grid> tileGrids;
};

} // namespace lowbit

#endif // LOWBIT_NUMERICS_SOLVER_H
