//===- TrellisFormat.cpp - Trellis codes: sizes and places ------*- C++ -*-===//
#include "lowbit/Numerics/TrellisFormat.h"

#include <algorithm>
#include <cassert>

namespace lowbit {

/// Rows of a strand for each number of a step.
static constexpr int64_t strandRows = 64;
/// Bytes of a scale (f16).
static constexpr int64_t scaleBytes = 2;

int64_t TrellisFormat::tileRows() const {
  return strandRows * *std::max_element(streams.begin(), streams.end());
}

const TrellisCode &TrellisFormat::code(size_t i) const {
  const TrellisCode *code = findTrellisCode(streams[i], window);
  assert(code && "the format is valid");
  return *code;
}

const char *whyInvalid(const TrellisFormat &format) {
  if (format.streams.empty() || format.streams.size() > maxTrellisStreams)
    return "streams must be 1 to 4";
  for (int v : format.streams)
    if (v != 1 && v != 2 && v != 4)
      return "a stream must have 2, 1 or 0.5 bits";
  if (!std::is_sorted(format.streams.begin(), format.streams.end()))
    return "streams must be ordered by bits, most first";
  if (format.window != 10 && format.window != 12)
    return "window must be 10 or 12";
  return nullptr;
}

/// a · b, or no value; a, b ≥ 0.
static std::optional<int64_t> multiply(std::optional<int64_t> a, int64_t b) {
  int64_t result;
  if (!a || __builtin_mul_overflow(*a, b, &result))
    return std::nullopt;
  return result;
}

std::optional<TrellisGeometry> trellisGeometry(const TrellisFormat &format,
                                               int64_t rows, int64_t columns) {
  if (whyInvalid(format) || rows < 1 || columns < 1)
    return std::nullopt;
  TrellisGeometry g;
  g.tileRows = format.tileRows();
  g.vectors = ceilDivide(columns, trellisColumns);
  // A bound for all products below: streams · strands · vectors · 64.
  if (!multiply(g.vectors, 64 * 64))
    return std::nullopt;
  g.strandBytes = g.vectors * 64;
  for (int v : format.streams) {
    TrellisGeometry::Stream stream;
    stream.weightsPerStep = v;
    stream.strands = g.tileRows / (strandRows * v);
    stream.codes = g.tileBytes;
    stream.scales = stream.codes + stream.strands * g.strandBytes;
    g.tileBytes = stream.scales + g.tileRows * scaleBytes;
    g.streams.push_back(stream);
  }
  g.tiles = ceilDivide(rows, g.tileRows);
  std::optional<int64_t> bytes = multiply(g.tiles, g.tileBytes);
  if (!bytes)
    return std::nullopt;
  g.bytes = *bytes;
  return g;
}

std::optional<StoredSize> storedSize(const TrellisFormat &format, int64_t rows,
                                     int64_t columns) {
  std::optional<TrellisGeometry> g = trellisGeometry(format, rows, columns);
  if (!g || !multiply(g->bytes, 16))
    return std::nullopt;
  // In half bits, of which the lowest rate has one for a weight.
  int64_t halfBits = 0;
  for (int v : format.streams)
    halfBits += rows * (columns * (4 / v) + 32);
  StoredSize size;
  size.bytes = g->bytes;
  size.payload = (halfBits + 15) / 16;
  size.padding = size.bytes - size.payload;
  return size;
}

TrellisStep trellisStep(int step) {
  constexpr int groups[4] = {3, 0, 1, 2};
  return {step >> 4, groups[step & 3], step >> 2 & 3};
}

int trellisIndex(const TrellisCode &code, const uint8_t *strand,
                 int64_t vectors, int64_t vector, int step) {
  // 14 bits from bit `first` on lie in three bytes.
  int64_t first = vector * 512 + 2 * (step - 1);
  int64_t begin = first >= 0 ? first / 8 : -1;
  auto byte = [&](int64_t i) -> unsigned {
    return i < 0 || i >= vectors * 64 ? 0 : strand[i];
  };
  unsigned bits = byte(begin) | byte(begin + 1) << 8 | byte(begin + 2) << 16;
  return windowIndex(code.mask, bits >> (first - begin * 8), step);
}

} // namespace lowbit
