//===- Packing.h - Tiles to bytes and back ----------------------*- C++ -*-===//
//
// The byte order of Spec.md, section 2: integer tiles (codes in blocks of 16
// rows, then scales, then zero points, group by group), the trailer that holds
// the factor, and float tiles. Every function writes all bytes it names,
// padding included.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_PACKING_H
#define LOWBIT_NUMERICS_PACKING_H

#include "lowbit/Numerics/FloatLayout.h"
#include "lowbit/Numerics/IntegerFormat.h"
#include "lowbit/Numerics/IntegerTile.h"

#include <cstdint>
#include <optional>

namespace lowbit {

/// Writes the tile's `tileBytes` bytes (of tileGeometry(format, 16, columns))
/// to `bytes`. Codes must be below 2^b.
void packTile(const IntegerTile &tile, uint8_t *bytes);

/// Reads a tile of `rows` existing rows back from its bytes. Refuses scales
/// that are NaN, infinite or signed; `firstRow` is for that report. The factor
/// is taken as given (see readTrailer).
std::optional<Defect> unpackTile(const IntegerFormat &format, int64_t rows,
                                 int64_t columns, int64_t firstRow,
                                 float factor, const uint8_t *bytes,
                                 IntegerTile &tile);

/// Writes the 64 bytes of a trailer: F, then zeros.
void packTrailer(float factor, uint8_t *bytes);

/// Reads F from a trailer; refuses one that is not finite and positive.
std::optional<Defect> readTrailer(const uint8_t *bytes, float &factor);

/// Writes one float tile: elements of `type` (stored form) at
/// elements + (r · stride + k) · size for r < rows ≤ 16, k < columns. Writes
/// floatLayout(type, 16, columns)->tileBytes bytes; missing rows are 0.
void packFloatTile(ElementType type, const void *elements, int64_t stride,
                   int64_t rows, int64_t columns, uint8_t *bytes);

/// The inverse: writes the existing rows to elements + (r · stride + k) · size.
void unpackFloatTile(ElementType type, const uint8_t *bytes, int64_t rows,
                     int64_t columns, void *elements, int64_t stride);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_PACKING_H
