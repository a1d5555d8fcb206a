//===- train_trellis.cpp - The tables of the trellis codes ------*- C++ -*-===//
//
// Trains the tables of Spec.md, 1.3, on Gaussian numbers and prints
// lib/Numerics/TrellisTables.cpp:
//
//   ninja train-trellis && bin/train-trellis > lib/Numerics/TrellisTables.cpp
//
// A table entry is the mean of the numbers that the best path gives to it; the
// best path depends on the table, so the two alternate (Lloyd's algorithm) from
// random starts. The best of many short trainings is trained on. Everything is
// seeded; the tables in the repository are frozen all the same, as files depend
// on them.
//
//===----------------------------------------------------------------------===//
#include "Viterbi.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

using namespace lowbit;

namespace {

struct Settings {
  int weightsPerStep, window;
  unsigned mask;
};
constexpr Settings settings[] = {{1, 12, 0xE}, {2, 12, 0xF}, {4, 12, 0xF},
                                 {1, 10, 0x3}, {2, 10, 0x3}, {4, 10, 0x3}};

/// Gaussian numbers by Box and Muller's method.
class Gaussian {
public:
  explicit Gaussian(unsigned seed) : random(seed) {}
  float next() {
    double u = (random() + 1.0) / 4294967296.0;
    double v = random() / 4294967296.0;
    return static_cast<float>(std::sqrt(-2 * std::log(u)) *
                              std::cos(2 * M_PI * v));
  }

private:
  std::mt19937 random;
};

class Trainer {
public:
  Trainer(const Settings &s, unsigned seed) : s(s), source(seed) {
    table.resize(static_cast<size_t>(s.weightsPerStep) * trellisEntries);
    for (float &value : table)
      value = source.next();
  }

  /// Searches a stream of `blocks` blocks and returns its mean squared error;
  /// moves the table to the means where `move` is set.
  double pass(int blocks, bool move) {
    ViterbiCode code;
    code.weightsPerStep = s.weightsPerStep;
    code.window = s.window;
    code.mask = s.mask;
    code.table = table.data();
    int perBlock = blockSteps * s.weightsPerStep;
    std::vector<float> here(static_cast<size_t>(perBlock)), before = here;
    std::vector<double> sums(table.size()), counts(table.size());
    ViterbiPath found;
    ViterbiBlock block;
    double error = 0;
    for (float &x : here)
      x = source.next();
    for (int i = blocks - 1; i >= 0; --i) {
      for (float &x : before)
        x = source.next();
      block.ahead = i == 0 ? 0 : lookAheadSteps;
      std::vector<float> targets(before.end() - block.ahead * s.weightsPerStep,
                                 before.end());
      targets.insert(targets.end(), here.begin(), here.end());
      block.targets = targets.data();
      searchTrellis(code, block, scratch, found, fastestCodePath());
      block.end = found.states[block.ahead];
      for (int step = 0; step < blockSteps; ++step)
        for (int u = 0; u < s.weightsPerStep; ++u) {
          size_t entry = static_cast<size_t>(u * trellisEntries +
                                             found.indices[block.ahead + step]);
          double x = here[static_cast<size_t>(step * s.weightsPerStep + u)];
          sums[entry] += x;
          counts[entry] += 1;
          error += (x - table[entry]) * (x - table[entry]);
        }
      std::swap(here, before);
    }
    for (size_t i = 0; move && i < table.size(); ++i)
      table[i] =
          counts[i] ? static_cast<float>(sums[i] / counts[i]) : source.next();
    return error / (static_cast<double>(blocks) * perBlock);
  }

  /// `passes` times.
  void train(int passes, int blocks) {
    for (int i = 0; i < passes; ++i)
      last = pass(blocks, true);
  }

  /// Rounds the table to int8 with one unit; keeps the rounded values.
  double round() {
    float largest = 0;
    for (float value : table)
      largest = std::max(largest, std::fabs(value));
    unit = largest / 127;
    for (float &value : table)
      value = std::rint(value / unit) * unit;
    return pass(8000, false);
  }

  Settings s;
  Gaussian source;
  std::vector<float> table;
  ViterbiScratch scratch;
  double last = 0;
  float unit = 0;
};

Trainer best(const Settings &s, int starts) {
  std::vector<Trainer> trainers;
  for (int i = 0; i < starts; ++i)
    trainers.emplace_back(s,
                          1000u * static_cast<unsigned>(s.window) +
                              100u * static_cast<unsigned>(s.weightsPerStep) +
                              static_cast<unsigned>(i));
  // The better half goes on, twice as long with twice the numbers.
  for (int blocks = 40, passes = 20; trainers.size() > 1; blocks *= 2) {
    for (Trainer &trainer : trainers)
      trainer.train(passes, blocks);
    std::sort(
        trainers.begin(), trainers.end(),
        [](const Trainer &a, const Trainer &b) { return a.last < b.last; });
    fprintf(stderr, "V %d L %d: %zu tables, best %.5f\n", s.weightsPerStep,
            s.window, trainers.size(), trainers[0].last);
    trainers.erase(trainers.begin() +
                       static_cast<long>((trainers.size() + 1) / 2),
                   trainers.end());
  }
  trainers[0].train(60, 1000);
  trainers[0].train(12, 8000);
  return trainers[0];
}

void print(const Trainer &t, double error) {
  printf("/// %g bits, window %d: squared error %.4f on unit Gaussians.\n",
         2.0 / t.s.weightsPerStep, t.s.window, error);
  printf("static constexpr int8_t values%dx%d[%d * 64] = {\n",
         t.s.weightsPerStep, t.s.window, t.s.weightsPerStep);
  for (size_t i = 0; i < t.table.size(); ++i)
    printf("%s%d,%s", i % 16 ? " " : "    ",
           static_cast<int>(std::lrint(t.table[i] / t.unit)),
           i % 16 == 15 ? "\n" : "");
  printf("};\n\n");
}

} // namespace

int main(int argc, char **argv) {
  int starts = argc > 1 ? std::atoi(argv[1]) : 32;
  printf(
      "//===- TrellisTables.cpp - Frozen tables of the trellis codes -*- C++ "
      "-*-===//\n//\n// Made by scripts/train_trellis.cpp, which says how. "
      "Files depend on every\n// number here: never change one.\n//\n"
      "//===------------------------------------------------------------"
      "----------===//\n#include \"lowbit/Numerics/TrellisTables.h\"\n\n"
      "namespace lowbit {\n\n// clang-format off\n");
  std::vector<std::pair<float, double>> results;
  for (const Settings &s : settings) {
    Trainer trainer = best(s, starts);
    double error = trainer.round();
    print(trainer, error);
    results.emplace_back(trainer.unit, error);
  }
  printf("// clang-format on\n\nstatic constexpr TrellisCode codes[] = {\n");
  for (size_t i = 0; i < results.size(); ++i)
    printf("    {%d, %d, 0x%X, %.7ff, %.4ff, values%dx%d},\n",
           settings[i].weightsPerStep, settings[i].window, settings[i].mask,
           static_cast<double>(results[i].first), results[i].second,
           settings[i].weightsPerStep, settings[i].window);
  printf(
      "};\n\nconst TrellisCode *findTrellisCode(int weightsPerStep, int "
      "window) {\n  for (const TrellisCode &code : codes)\n    if "
      "(code.weightsPerStep == weightsPerStep && code.window == window)\n    "
      "  return &code;\n  return nullptr;\n}\n\n} // namespace lowbit\n");
  return 0;
}
