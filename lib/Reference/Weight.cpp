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
  if (integers->hasFactor)
    value = value * integers->factor;
  for (const IntegerSteps &more : refinements)
    value =
        value + float(more.steps[row * columns + column]) * more.scales[row];
  return value;
}

double Weight::exactValue(int64_t row, int64_t column) const {
  if (!computed.empty())
    return computed[row * columns + column];
  if (!integers)
    return values[row * columns + column];
  double step = integers->steps[row * columns + column];
  double scale =
      integers->scales[row * integers->groups + column / integers->group];
  double value = (step * integers->unit) * scale * integers->factor;
  for (const IntegerSteps &more : refinements)
    value += double(more.steps[row * columns + column]) * more.scales[row];
  return value;
}
