//===- ApiNumerics.cpp - C API: quantize, pack, unpack --------------------===//
#include "Api.h"

#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Solver.h"

using namespace lowbit;

static Error usage(const std::string &what) { return {ExitCode::Usage, what}; }

static Error toError(const Defect &defect) {
  return {ExitCode::BadInput, describe(defect)};
}

/// Format and geometry of a matrix, or what is wrong with the request.
static Status readFormat(const lowbit_integer_format *given, int64_t rows,
                         int64_t columns, IntegerFormat &format,
                         TileGeometry &geometry) {
  format.bits = given->bits;
  format.group = given->group;
  if (given->scale != LOWBIT_SCALE_F16 && given->scale != LOWBIT_SCALE_E4M3)
    return usage("scale: " + std::to_string(given->scale) + " is not in 0…1");
  if (given->offset < LOWBIT_OFFSET_INTEGER ||
      given->offset > LOWBIT_OFFSET_STORED)
    return usage("offset: " + std::to_string(given->offset) + " is not in 0…2");
  format.scale =
      given->scale == LOWBIT_SCALE_F16 ? ScaleType::F16 : ScaleType::E4M3;
  format.offset = given->offset == LOWBIT_OFFSET_INTEGER ? Offset::Integer
                  : given->offset == LOWBIT_OFFSET_HALF  ? Offset::Half
                                                         : Offset::Stored;
  if (const char *why = whyInvalid(format))
    return usage(std::string("format: ") + why);
  auto computed = tileGeometry(format, rows, columns);
  if (!computed)
    return usage("shape: " + std::to_string(rows) + " × " +
                 std::to_string(columns) + " is not possible");
  geometry = *computed;
  return {};
}

lowbit_error *lowbit_stored_bytes(const lowbit_integer_format *given,
                                  int64_t rows, int64_t columns,
                                  int64_t *bytes) {
  IntegerFormat format;
  TileGeometry geometry;
  if (auto error = readFormat(given, rows, columns, format, geometry))
    return toApi(std::move(*error));
  *bytes = geometry.bytes;
  return nullptr;
}

lowbit_error *lowbit_quantize(const lowbit_integer_format *given,
                              int32_t solver, const float *weights,
                              int64_t rows, int64_t columns,
                              const float *importance, uint8_t *packed) {
  IntegerFormat format;
  TileGeometry geometry;
  if (auto error = readFormat(given, rows, columns, format, geometry))
    return toApi(std::move(*error));
  if (solver != LOWBIT_SOLVER_NEAREST && solver != LOWBIT_SOLVER_SEARCH)
    return toApi(usage("solver: " + std::to_string(solver) + " is not in 0…1"));
  TileSolver tiles(format, columns,
                   solver == LOWBIT_SOLVER_NEAREST ? SolverKind::Nearest
                                                   : SolverKind::Search,
                   importance);
  auto input = [&](int64_t t) {
    return TileInput{weights + t * 16 * columns, columns,
                     std::min<int64_t>(16, rows - t * 16), columns, t * 16};
  };
  float factor = 1.0f;
  if (format.hasFactor()) {
    float largest = 0;
    for (int64_t t = 0; t < geometry.tiles; ++t) {
      float scale = 0;
      if (auto defect = tiles.maximalScale(input(t), scale))
        return toApi(toError(*defect));
      largest = std::max(largest, scale);
    }
    factor = tensorFactor(largest);
  }
  IntegerTile tile;
  for (int64_t t = 0; t < geometry.tiles; ++t) {
    if (auto defect = tiles.solve(input(t), factor, tile))
      return toApi(toError(*defect));
    packTile(tile, packed + t * geometry.tileBytes);
  }
  if (format.hasFactor())
    packTrailer(factor, packed + geometry.tiles * geometry.tileBytes);
  return nullptr;
}

lowbit_error *lowbit_pack(const lowbit_integer_format *given,
                          const uint8_t *codes, const uint16_t *scales,
                          const uint8_t *zeros, float factor, int64_t rows,
                          int64_t columns, uint8_t *packed) {
  IntegerFormat format;
  TileGeometry geometry;
  if (auto error = readFormat(given, rows, columns, format, geometry))
    return toApi(std::move(*error));
  if (format.offset == Offset::Stored && !zeros)
    return toApi(usage("zeros: missing for offset stored"));
  IntegerTile tile;
  for (int64_t t = 0; t < geometry.tiles; ++t) {
    int64_t row = t * 16;
    GivenTile part{codes + row * columns,
                   scales + row * geometry.groups,
                   zeros ? zeros + row * geometry.groups : nullptr,
                   factor,
                   std::min<int64_t>(16, rows - row),
                   columns,
                   row};
    if (auto defect = takeGiven(format, part, tile))
      return toApi(toError(*defect));
    packTile(tile, packed + t * geometry.tileBytes);
  }
  if (format.hasFactor())
    packTrailer(factor, packed + geometry.tiles * geometry.tileBytes);
  return nullptr;
}

lowbit_error *lowbit_unpack(const lowbit_integer_format *given,
                            const uint8_t *packed, int64_t rows,
                            int64_t columns, float *weights) {
  IntegerFormat format;
  TileGeometry geometry;
  if (auto error = readFormat(given, rows, columns, format, geometry))
    return toApi(std::move(*error));
  float factor = 1.0f;
  if (format.hasFactor())
    if (auto defect =
            readTrailer(packed + geometry.tiles * geometry.tileBytes, factor))
      return toApi(toError(*defect));
  IntegerTile tile;
  for (int64_t t = 0; t < geometry.tiles; ++t) {
    int64_t row = t * 16;
    if (auto defect =
            unpackTile(format, std::min<int64_t>(16, rows - row), columns, row,
                       factor, packed + t * geometry.tileBytes, tile))
      return toApi(toError(*defect));
    dequantize(tile, weights + row * columns, columns);
  }
  return nullptr;
}
