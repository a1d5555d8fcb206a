//===- StoredValues.h - Whether packed bytes are of a format ----*- C++ -*-===//
#ifndef LOWBIT_RUNTIME_STOREDVALUES_H
#define LOWBIT_RUNTIME_STOREDVALUES_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Manifest.h"

namespace lowbit {

/// Checks bytes that shall replace those of `tensor`: their number, and, for
/// grouped integers, that scales and factor are ones that a solver can choose
/// and padding is zero, in one word: that packing what they decode to gives
/// them again. Floats may be any. Exit 2 for another size, 3 for a bad value,
/// 4 for a format whose values cannot be checked here.
Status checkStoredValues(const ManifestTensor &tensor, Bytes bytes);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_STOREDVALUES_H
