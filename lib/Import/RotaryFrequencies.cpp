//===- RotaryFrequencies.cpp - Frequencies of rotary embedding --*- C++ -*-===//

#include "lowbit/Import/RotaryFrequencies.h"

#include <cmath>

using namespace lowbit;

static constexpr double pi = 3.14159265358979323846;

/// Long waves are slowed by `factor`, short ones kept, those between blended.
static double scaleLlama3(const RopeConfig &rope, double frequency) {
  double positions = static_cast<double>(rope.originalMaxPositions);
  double longest = positions / rope.lowFrequencyFactor;
  double shortest = positions / rope.highFrequencyFactor;
  double wave = 2 * pi / frequency;
  if (wave > longest)
    return frequency / rope.factor;
  if (wave < shortest)
    return frequency;
  double smooth = (positions / wave - rope.lowFrequencyFactor) /
                  (rope.highFrequencyFactor - rope.lowFrequencyFactor);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

static double scale(const RopeConfig &rope, double frequency) {
  switch (rope.kind) {
  case RopeKind::Default:
    return frequency;
  case RopeKind::Linear:
    return frequency / rope.factor;
  case RopeKind::Llama3:
    break;
  }
  return scaleLlama3(rope, frequency);
}

std::vector<float> lowbit::rotaryFrequencies(const RopeConfig &rope,
                                             int64_t headDim) {
  std::vector<float> frequencies;
  for (int64_t i = 0; i < headDim; i += 2) {
    double frequency = 1 / std::pow(rope.theta, double(i) / double(headDim));
    frequencies.push_back(static_cast<float>(scale(rope, frequency)));
  }
  return frequencies;
}
