//===- TrellisSearch.cpp - A tile of a trellis code in the making ---------===//
#include "TrellisSearch.h"

#include "lowbit/Numerics/Float.h"

#include <cassert>
#include <cstring>

namespace lowbit {

/// Costs of a squared error of 1 where weights have unit variance.
static constexpr float costsPerError = 256;

TrellisSearch::TrellisSearch(const TrellisFormat &format, int64_t columns,
                             CodePath path)
    : format(format),
      places(*trellisGeometry(format, format.tileRows(), columns)), path(path) {
  size_t tileColumns = static_cast<size_t>(places.vectors * trellisColumns);
  size_t rows = static_cast<size_t>(places.tileRows);
  for (size_t i = 0; i < format.streams.size(); ++i) {
    const TrellisCode &code = format.code(i);
    tables.emplace_back(code.values,
                        code.values + code.weightsPerStep * trellisEntries);
    const TrellisGeometry::Stream &stream = places.streams[i];
    states.emplace_back(stream.strands);
    codes.emplace_back(stream.strands * places.strandBytes);
    numbers.emplace_back(tileColumns * rows);
    std::vector<NumberPlace> &order = numberPlaces.emplace_back();
    for (int s = 0; s < blockSteps; ++s)
      for (int u = 0; u < code.weightsPerStep; ++u) {
        TrellisStep step = trellisStep(s);
        int row = 64 * u + 16 * step.group + step.row;
        order.push_back(
            {row, step.column * static_cast<int>(places.tileRows) + row});
      }
  }
  rest.resize(trellisColumns * rows);
  restBefore.resize(rest.size());
}

void TrellisSearch::setScales(const std::vector<uint16_t> &scaleBits) {
  stored = scaleBits;
  scales.resize(stored.size());
  inverses.resize(stored.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    scales[i] = f16ToFloat(stored[i]);
    inverses[i] = scales[i] > 0 ? 1.0f / scales[i] : 0.0f;
  }
}

void TrellisSearch::begin(const std::vector<uint16_t> &scaleBits) {
  assert(static_cast<int64_t>(scaleBits.size()) ==
         static_cast<int64_t>(format.streams.size()) * places.tileRows);
  setScales(scaleBits);
  for (std::vector<int> &strands : states)
    std::fill(strands.begin(), strands.end(), 0);
}

void TrellisSearch::encodeStrand(size_t stream, int64_t strand, int64_t t,
                                 bool isFirst) {
  const TrellisCode &code = format.code(stream);
  int v = code.weightsPerStep;
  int64_t rows = places.tileRows;
  int64_t top = strand * 64 * v;
  const float *scale =
      scales.data() + static_cast<int64_t>(stream) * rows + top;
  const float *inverse =
      inverses.data() + static_cast<int64_t>(stream) * rows + top;
  int ahead = isFirst ? 0 : lookAheadSteps;
  // Numbers of the look-ahead, which are the last ones of the vector before.
  int numbersAhead = ahead * v, numbersHere = blockSteps * v;
  const NumberPlace *here = numberPlaces[stream].data();
  const NumberPlace *before = here + numbersHere - numbersAhead;
  steps.resize(static_cast<size_t>(numbersAhead + numbersHere));
  float *targets = steps.data();
  for (int i = 0; i < numbersAhead; ++i)
    targets[i] = restBefore[before[i].index + top] * inverse[before[i].row];
  targets += numbersAhead;
  for (int i = 0; i < numbersHere; ++i)
    targets[i] = rest[here[i].index + top] * inverse[here[i].row];
  ViterbiCode search;
  search.weightsPerStep = v;
  search.window = code.window;
  search.mask = code.mask;
  search.table = tables[stream].data();
  search.gain = costsPerError * code.unit * code.unit;
  int &state = states[stream][strand];
  ViterbiBlock block;
  block.targets = steps.data();
  block.ahead = ahead;
  block.end = state;
  searchTrellis(search, block, scratch, found, path);

  auto number = [&](int i) {
    return code.values[i % v * trellisEntries + found.indices[i / v]];
  };
  for (int i = 0; i < numbersAhead; ++i)
    restBefore[before[i].index + top] -=
        static_cast<float>(number(i)) * scale[before[i].row];
  int8_t *out = numbers[stream].data() + t * trellisColumns * rows + top;
  for (int i = 0; i < numbersHere; ++i) {
    int8_t value = number(numbersAhead + i);
    rest[here[i].index + top] -= static_cast<float>(value) * scale[here[i].row];
    out[here[i].index] = value;
  }
  // Two bits for each step but the first, whose bits lie in the vector before.
  uint8_t *bytes = codes[stream].data() + strand * places.strandBytes + t * 64;
  std::memset(bytes, 0, 64);
  for (int s = 1; s <= blockSteps; ++s) {
    int bits = (s < blockSteps ? found.states[ahead + s] : state) & 3;
    bytes[(s - 1) / 4] |= static_cast<uint8_t>(bits << (s - 1) % 4 * 2);
  }
  state = found.states[ahead];
}

void TrellisSearch::encode(int64_t t, const float *targets, const float *before,
                           float *values) {
  std::copy(targets, targets + rest.size(), rest.begin());
  if (t > 0)
    std::copy(before, before + rest.size(), restBefore.begin());
  for (size_t i = 0; i < format.streams.size(); ++i)
    for (int64_t strand = 0; strand < places.streams[i].strands; ++strand)
      encodeStrand(i, strand, t, t == 0);
  for (int64_t b = 0; b < trellisColumns; ++b)
    for (int64_t row = 0; row < places.tileRows; ++row)
      values[b * places.tileRows + row] = value(row, t * trellisColumns + b);
}

float TrellisSearch::value(int64_t row, int64_t column) const {
  float sum = 0;
  for (size_t i = 0; i < format.streams.size(); ++i)
    sum = sum + static_cast<float>(numbers[i][column * places.tileRows + row]) *
                    scales[static_cast<int64_t>(i) * places.tileRows + row];
  return sum;
}

void TrellisSearch::write(uint8_t *tile) const {
  for (size_t i = 0; i < format.streams.size(); ++i) {
    const TrellisGeometry::Stream &stream = places.streams[i];
    std::memcpy(tile + stream.codes, codes[i].data(), codes[i].size());
    uint8_t *out = tile + stream.scales;
    for (int64_t row = 0; row < places.tileRows; ++row) {
      uint16_t bits = stored[static_cast<int64_t>(i) * places.tileRows + row];
      out[2 * row] = static_cast<uint8_t>(bits);
      out[2 * row + 1] = static_cast<uint8_t>(bits >> 8);
    }
  }
}

} // namespace lowbit
