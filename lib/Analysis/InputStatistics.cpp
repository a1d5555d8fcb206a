//===- InputStatistics.cpp - What is known of a linear's input ------------===//

#include "lowbit/Analysis/InputStatistics.h"

using namespace lowbit;

InputStatistics::~InputStatistics() = default;

DriftView InputStatistics::drift(const std::vector<std::string> &) const {
  return {};
}
