//===- TrellisTile.cpp - Rows of weights to trellis codes and back --------===//
#include "lowbit/Numerics/TrellisTile.h"

#include "TrellisSearch.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace lowbit {

TrellisEncoder::TrellisEncoder(const TrellisFormat &format, int64_t columns,
                               CodePath path)
    : format(format), path(path),
      search(std::make_unique<TrellisSearch>(format, columns, path)) {
  size_t numbers = static_cast<size_t>(trellisColumns * format.tileRows());
  targets.resize(numbers);
  before.resize(numbers);
  values.resize(numbers);
}

TrellisEncoder::~TrellisEncoder() = default;

std::optional<Defect> TrellisEncoder::chooseScales(const TileInput &input) {
  if (std::optional<Defect> defect = reportNonFinite(input))
    return defect;
  int64_t tileRows = format.tileRows();
  scaleBits.assign(format.streams.size() * static_cast<size_t>(tileRows), 0);
  for (int64_t r = 0; r < input.rows; ++r) {
    double energy = 0;
    for (int64_t k = 0; k < input.columns; ++k) {
      double w = input.weights[r * input.stride + k];
      energy += w * w;
    }
    double deviation = std::sqrt(energy / static_cast<double>(input.columns));
    for (size_t i = 0; i < format.streams.size(); ++i) {
      const TrellisCode &code = format.code(i);
      float scale = static_cast<float>(deviation * code.unit);
      uint16_t bits = roundToF16(scale);
      if (!isScaleF16(bits)) {
        Defect defect =
            defectAt(Defect::Kind::ScaleOverflow, input.firstRow + r, 0, scale);
        defect.group = 0;
        defect.limit = maxF16;
        return defect;
      }
      scaleBits[i * static_cast<size_t>(tileRows) + static_cast<size_t>(r)] =
          bits;
      deviation *= std::sqrt(static_cast<double>(code.error));
    }
  }
  return std::nullopt;
}

void TrellisEncoder::loadVector(const TileInput &input, int64_t t,
                                std::vector<float> &out) {
  int64_t rows = format.tileRows();
  for (int64_t b = 0; b < trellisColumns; ++b) {
    int64_t k = t * trellisColumns + b;
    float *column = out.data() + b * rows;
    for (int64_t r = 0; r < rows; ++r)
      column[r] = r < input.rows && k < input.columns
                      ? input.weights[r * input.stride + k]
                      : 0.0f;
  }
}

/// The scale of each stream that is best while those of the others stay:
/// Σ (w − others) T / Σ T², streams from the first on.
void TrellisEncoder::fitScales(const TileInput &input) {
  size_t rows = static_cast<size_t>(format.tileRows());
  for (size_t i = 0; i < format.streams.size(); ++i) {
    std::vector<double> products(rows), squares(rows);
    const int8_t *entries = search->entries(i);
    for (int64_t k = 0; k < input.columns; ++k)
      for (int64_t r = 0; r < input.rows; ++r) {
        double t = entries[k * static_cast<int64_t>(rows) + r];
        double own = t * static_cast<double>(f16ToFloat(
                             scaleBits[i * rows + static_cast<size_t>(r)]));
        double w = input.weights[r * input.stride + k];
        double others = static_cast<double>(search->value(r, k)) - own;
        products[static_cast<size_t>(r)] += (w - others) * t;
        squares[static_cast<size_t>(r)] += t * t;
      }
    for (size_t r = 0; r < static_cast<size_t>(input.rows); ++r) {
      uint16_t bits = roundToF16(static_cast<float>(products[r] / squares[r]));
      if (scaleBits[i * rows + r] && bits && isScaleF16(bits))
        scaleBits[i * rows + r] = bits;
    }
    search->setScales(scaleBits);
  }
}

std::optional<Defect> TrellisEncoder::encode(const TileInput &input,
                                             uint8_t *tile) {
  assert(input.rows >= 1 && input.rows <= format.tileRows());
  if (std::optional<Defect> defect = chooseScales(input))
    return defect;
  search->begin(scaleBits);
  int64_t last = search->geometry().vectors - 1;
  loadVector(input, last, targets);
  for (int64_t t = last; t >= 0; --t) {
    if (t > 0)
      loadVector(input, t - 1, before);
    search->encode(t, targets.data(), before.data(), values.data());
    std::swap(targets, before);
  }
  fitScales(input);
  search->write(tile);
  return std::nullopt;
}

namespace {

/// Four columns of a tile at a time.
class TrellisQuantizer final : public BlockQuantizer {
public:
  TrellisQuantizer(TrellisSearch &search) : search(search) {
    targets.resize(
        static_cast<size_t>(trellisColumns * search.geometry().tileRows));
    before = values = targets;
  }

  bool looksAhead() const override { return true; }

  void quantize(const FeedbackBlock &block, float *out) override {
    int64_t t = block.columns[0] / trellisColumns;
    assert(block.columns[0] % trellisColumns == 0 && "blocks are vectors");
    take(block, block.targets, block.count, targets);
    if (t > 0)
      take(block, block.nextTargets, trellisColumns, before);
    search.encode(t, targets.data(), before.data(), values.data());
    int64_t rows = search.geometry().tileRows;
    for (int64_t b = 0; b < block.count; ++b)
      std::copy_n(values.data() + b * rows, block.rows, out + b * block.lanes);
  }

private:
  /// [count][lanes] to [4][rows of the tile], the rest 0.
  void take(const FeedbackBlock &block, const float *from, int64_t count,
            std::vector<float> &to) {
    int64_t rows = search.geometry().tileRows;
    std::fill(to.begin(), to.end(), 0.0f);
    for (int64_t b = 0; b < count; ++b)
      std::copy_n(from + b * block.lanes, block.rows, to.data() + b * rows);
  }

  TrellisSearch &search;
  std::vector<float> targets, before, values;
};

} // namespace

std::optional<Defect> TrellisEncoder::encode(const TileInput &input,
                                             const FeedbackFactor &factor,
                                             uint8_t *tile) {
  assert(input.rows >= 1 && input.rows <= format.tileRows());
  assert(factor.columns() == input.columns);
  if (std::optional<Defect> defect = chooseScales(input))
    return defect;
  search->begin(scaleBits);
  LaneRows rows;
  rows.load(input);
  TrellisQuantizer quantizer(*search);
  ErrorFeedback(factor, path).run(rows, quantizer);
  search->write(tile);
  return std::nullopt;
}

ErrorSums TrellisEncoder::measure(const TileInput &input,
                                  const float *importance) const {
  ErrorSums sums;
  for (int64_t r = 0; r < input.rows; ++r)
    for (int64_t k = 0; k < input.columns; ++k)
      sums.addWeight(input.weights[r * input.stride + k], search->value(r, k),
                     importance ? importance[k] : 1.0f);
  return sums;
}

std::optional<Defect> unpackTrellis(const TrellisFormat &format, size_t stream,
                                    const uint8_t *tile, int64_t rows,
                                    int64_t columns, int64_t firstRow,
                                    StepTile &out) {
  TrellisGeometry places = *trellisGeometry(format, format.tileRows(), columns);
  const TrellisGeometry::Stream &place = places.streams[stream];
  const TrellisCode &code = format.code(stream);
  out = {};
  out.groupColumns = columns;
  out.groups = 1;
  out.isRow = true;
  out.steps.resize(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    const uint8_t *at = tile + place.scales + 2 * r;
    uint16_t bits = static_cast<uint16_t>(at[0] | at[1] << 8);
    if (!isScaleF16(bits))
      return defectAt(Defect::Kind::BadScale, firstRow + r, 0,
                      f16ToFloat(bits));
    out.scales.push_back(f16ToFloat(bits));
  }
  for (int64_t strand = 0; strand < place.strands; ++strand) {
    const uint8_t *bytes = tile + place.codes + strand * places.strandBytes;
    int64_t top = 64 * strand * code.weightsPerStep;
    for (int64_t t = 0; t < places.vectors && top < rows; ++t)
      for (int s = 0; s < blockSteps; ++s) {
        TrellisStep step = trellisStep(s);
        int64_t k = t * trellisColumns + step.column;
        int64_t first = top + 16 * step.group + step.row;
        if (k >= columns || first >= rows)
          continue;
        int c = trellisIndex(code, bytes, places.vectors, t, s);
        for (int u = 0; u < code.weightsPerStep && first + 64 * u < rows; ++u)
          out.steps[static_cast<size_t>((first + 64 * u) * columns + k)] =
              code.values[u * trellisEntries + c];
      }
  }
  return std::nullopt;
}

} // namespace lowbit
