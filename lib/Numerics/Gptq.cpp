//===- Gptq.cpp - Grouped integers by error feedback ------------*- C++ -*-===//

#include "lowbit/Numerics/Gptq.h"

#include "GroupKernels.h"

#include <cassert>

namespace lowbit {

namespace {

/// Rounds single columns to the grids that were chosen for a tile.
class IntegerColumns : public BlockQuantizer {
public:
  IntegerColumns(IntegerTile &tile, const std::vector<Grid> &grids,
                 CodePath path)
      : tile(tile), kernels(groupKernels(path)),
        width(groupColumns(tile.format, tile.columns)),
        columnGrids(static_cast<size_t>(tile.groups)) {
    for (int64_t group = 0; group < tile.groups; ++group)
      takeGroup(group, grids);
  }

  void quantize(const FeedbackBlock &block, float *values) override {
    assert(block.count == 1 && block.lanes == tileRows);
    int64_t column = block.columns[0];
    uint8_t codes[tileRows];
    kernels.roundColumn(block.targets, columnGrids[column / width], codes,
                        values);
    for (int64_t row = 0; row < tile.rows; ++row)
      tile.codes[row * tile.columns + column] = codes[row];
  }

private:
  void takeGroup(int64_t group, const std::vector<Grid> &grids) {
    static_assert(tileRows == groupLanes, "one lane for each row");
    ColumnGrids &out = columnGrids[group];
    out.factor = tile.factor;
    out.base = tile.format.offset == Offset::Half ? tile.format.codes() / 2 : 0;
    for (int64_t row = 0; row < tileRows; ++row) {
      int64_t at = row * tile.groups + group;
      Grid grid = row < tile.rows ? grids[at] : Grid{};
      // A single code has no base of its own.
      auto base = static_cast<float>(out.base - grid.base);
      out.step[row] = row < tile.rows ? grid.step : 1.0f;
      out.shift[row] = grid.shift;
      out.low[row] = grid.low - base;
      out.high[row] = grid.high - base;
      out.zero[row] = tile.zero(row, group);
      out.scale[row] = tile.scales[at];
    }
  }

  IntegerTile &tile;
  const GroupKernels &kernels;
  int64_t width;
  std::vector<ColumnGrids> columnGrids;
};

} // namespace

GptqSolver::GptqSolver(const IntegerFormat &format, SolverKind scales,
                       const float *importance, const FeedbackFactor &factor,
                       CodePath path)
    : scaleSolver(format, factor.columns(), scales, importance, path),
      feedback(factor, path), path(path) {}

std::optional<Defect> GptqSolver::solve(const TileInput &input,
                                        float scaleFactor, IntegerTile &tile) {
  if (std::optional<Defect> defect =
          scaleSolver.chooseScales(input, scaleFactor, tile))
    return defect;
  rows.load(input);
  IntegerColumns columns(tile, scaleSolver.grids(), path);
  feedback.run(rows, columns);
  return std::nullopt;
}

} // namespace lowbit
