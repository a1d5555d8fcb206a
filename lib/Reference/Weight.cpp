//===- Weight.cpp - A decoded parameter -------------------------*- C++ -*-===//

#include "lowbit/Reference/Weight.h"

using namespace lowbit;

float Weight::strictValue(int64_t row, int64_t column) const {
  if (!computed.empty())
    return static_cast<float>(computed[row * columns + column]);
  if (!integers)
    return values[row * columns + column];
  float step = integers->steps[row * columns + column];
  float value =
      (step * integers->unit) *
      integers->scales[row * integers->groups + column / integers->group];
  return integers->hasFactor ? value * integers->factor : value;
}

double Weight::exactValue(int64_t row, int64_t column) const {
  if (!computed.empty())
    return computed[row * columns + column];
  if (!integers)
    return values[row * columns + column];
  double step = integers->steps[row * columns + column];
  double scale =
      integers->scales[row * integers->groups + column / integers->group];
  return (step * integers->unit) * scale * integers->factor;
}
