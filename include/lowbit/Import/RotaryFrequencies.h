//===- RotaryFrequencies.h - Frequencies of rotary embedding ----*- C++ -*-===//
//
// The formulas are those of transformers (modeling_rope_utils.py): `default`,
// `_compute_linear_scaling_rope_parameters`, `_compute_llama3_parameters`.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IMPORT_ROTARYFREQUENCIES_H
#define LOWBIT_IMPORT_ROTARYFREQUENCIES_H

#include "lowbit/Checkpoint/ModelConfig.h"

#include <cstdint>
#include <vector>

namespace lowbit {

/// inv_freq_i for i = 0 … head_dim/2 − 1 (radians per position), computed in
/// double with the scaling folded in, each rounded once to f32. `headDim` is
/// even.
std::vector<float> rotaryFrequencies(const RopeConfig &rope, int64_t headDim);

} // namespace lowbit

#endif // LOWBIT_IMPORT_ROTARYFREQUENCIES_H
