//===- TileDefects.h - What solvers report ----------------------*- C++ -*-===//
#ifndef LOWBIT_LIB_NUMERICS_TILEDEFECTS_H
#define LOWBIT_LIB_NUMERICS_TILEDEFECTS_H

#include "lowbit/Numerics/Defect.h"
#include "lowbit/Numerics/IntegerFormat.h"

namespace lowbit {

/// The scale of a group of `width` columns that does not fit; with a factor, it
/// is the factor that has no limit but f32's.
Defect reportOverflow(const IntegerFormat &format, int64_t row, int64_t group,
                      int64_t width, float scale);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_TILEDEFECTS_H
