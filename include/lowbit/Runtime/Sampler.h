//===- Sampler.h - From logits to the next token ----------------*- C++ -*-===//
//
// Greedy, or the chain of llama.cpp in its order: top-k, top-p, min-p, then
// temperature. Draws are reproducible anywhere: the random number is a function
// of (seed, request, position) only, and sums run in double in order of ids.
//
//   SamplerOptions options;
//   options.temperature = 0.8f;
//   Result<int32_t> id = sample(logits, vocabulary, options, {seed, 0, 17});
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_SAMPLER_H
#define LOWBIT_RUNTIME_SAMPLER_H

#include "lowbit/Checkpoint/Error.h"

#include <array>
#include <cstdint>
#include <vector>

namespace lowbit {

/// Ranges are checked by checkSampler; defaults are those of llama.cpp except
/// for the temperature, which is greedy here.
struct SamplerOptions {
  /// 0 … 10000; 0 is greedy.
  double temperature = 0.0;
  /// 0 … 2^31 − 1 most likely tokens stay; 0 keeps all.
  int64_t topK = 40;
  /// 0 … 1: the smallest set of most likely tokens with at least this
  /// probability stays (one at least); 1 keeps all.
  double topP = 0.95;
  /// 0 … 1: tokens with at least this share of the largest probability stay; 0
  /// keeps all.
  double minP = 0.05;
};

/// What a random number is a function of.
struct DrawKey {
  uint64_t seed = 0;
  uint64_t request = 0;
  uint64_t position = 0;
};

/// One of the sampler's parameters: its name on the command line and its range,
/// inclusive. NaN is in no range.
struct ParameterRange {
  const char *name;
  double lowest;
  double highest;
};

/// The table that checkSampler, the tool and the tests share.
extern const std::array<ParameterRange, 4> samplerRanges;

/// Exit 2, naming parameter, value and range.
Status checkSampler(const SamplerOptions &options);

/// The id of the largest logit, the lowest of equals. NaN or infinite logits
/// are an error (exit 70): the numbers behind them are wrong.
Result<int32_t> greedy(const float *logits, int64_t vocabulary);

/// A token that was kept, with its logit.
struct Candidate {
  int32_t id;
  float logit;
};

/// The tokens that top-k, top-p and min-p keep, in order of ids. Never empty.
std::vector<Candidate> candidates(const float *logits, int64_t vocabulary,
                                  const SamplerOptions &options);

/// Draws one token. Errors as greedy.
Result<int32_t> sample(const float *logits, int64_t vocabulary,
                       const SamplerOptions &options, const DrawKey &key);

/// Philox 4x32 with 10 rounds: counter and key to four words.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key);

/// A number of [0, 1) with 53 random bits.
double uniform(const DrawKey &key);

/// exp in double from + − × only, so that it is the same on every machine;
/// within 2 ulp for x in [−745, 709], 0 below −745.
double strictExp(double x);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_SAMPLER_H
