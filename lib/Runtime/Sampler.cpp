//===- Sampler.cpp - From logits to the next token ------------------------===//
#include "lowbit/Runtime/Sampler.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

using namespace lowbit;

const std::array<ParameterRange, 4> lowbit::samplerRanges = {{
    {"temp", 0, 10000},
    {"top-k", 0, 2147483647},
    {"top-p", 0, 1},
    {"min-p", 0, 1},
}};

Status lowbit::checkSampler(const SamplerOptions &options) {
  const double values[] = {options.temperature,
                           static_cast<double>(options.topK), options.topP,
                           options.minP};
  for (size_t i = 0; i < samplerRanges.size(); ++i) {
    const ParameterRange &range = samplerRanges[i];
    if (values[i] >= range.lowest && values[i] <= range.highest)
      continue;
    char text[160];
    snprintf(text, sizeof(text), "--%s: %g is not in %.10g…%.10g", range.name,
             values[i], range.lowest, range.highest);
    return Error{ExitCode::Usage, text};
  }
  return {};
}

static Status checkLogits(const float *logits, int64_t vocabulary) {
  for (int64_t i = 0; i < vocabulary; ++i)
    if (!std::isfinite(logits[i]))
      return Error{ExitCode::Internal,
                   "logit of token " + std::to_string(i) +
                       " is not finite: the model's numbers overflow"};
  return {};
}

Result<int32_t> lowbit::greedy(const float *logits, int64_t vocabulary) {
  if (auto error = checkLogits(logits, vocabulary))
    return *error;
  int64_t best = 0;
  for (int64_t i = 1; i < vocabulary; ++i)
    if (logits[i] > logits[best])
      best = i;
  return static_cast<int32_t>(best);
}

double lowbit::strictExp(double x) {
  if (x < -745.0)
    return 0;
  // x = n·ln 2 + r, |r| ≤ ln 2 / 2; ln 2 in two parts of which the first has
  // 21 zero bits at its end, so that n·high is exact.
  const double high = 6.93147180369123816490e-01;
  const double low = 1.90821492927058770002e-10;
  double n = std::rint(x * 1.44269504088896338700);
  double r = (x - n * high) - n * low;
  // Taylor to r^13/13!: the rest is below 2^-57 of the sum.
  double p = 1.0 / 6227020800.0;
  const double inverseFactorials[] = {1.0 / 479001600,
                                      1.0 / 39916800,
                                      1.0 / 3628800,
                                      1.0 / 362880,
                                      1.0 / 40320,
                                      1.0 / 5040,
                                      1.0 / 720,
                                      1.0 / 120,
                                      1.0 / 24,
                                      1.0 / 6,
                                      1.0 / 2,
                                      1.0,
                                      1.0};
  for (double c : inverseFactorials)
    p = p * r + c;
  return std::ldexp(p, static_cast<int>(n));
}

/// Before: larger logit, then lower id.
static bool before(const Candidate &a, const Candidate &b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

std::vector<Candidate> lowbit::candidates(const float *logits,
                                          int64_t vocabulary,
                                          const SamplerOptions &options) {
  std::vector<Candidate> kept(vocabulary);
  for (int64_t i = 0; i < vocabulary; ++i)
    kept[i] = {static_cast<int32_t>(i), logits[i]};
  bool all = options.topK <= 0 || options.topK >= vocabulary;
  if (!all) {
    std::nth_element(kept.begin(), kept.begin() + options.topK - 1, kept.end(),
                     before);
    kept.resize(options.topK);
  }
  float top = std::min_element(kept.begin(), kept.end(), before)->logit;
  // p ∝ exp(logit − top): the largest probability is 1 before normalizing.
  auto weight = [&](const Candidate &c) {
    return strictExp(static_cast<double>(c.logit) - top);
  };
  auto byId = [](const Candidate &a, const Candidate &b) {
    return a.id < b.id;
  };
  if (options.topP < 1) {
    std::sort(kept.begin(), kept.end(), byId);
    double total = 0;
    for (const Candidate &c : kept)
      total += weight(c);
    // Take from a heap until the share is reached: far cheaper than to sort a
    // large vocabulary of which a few tokens are kept.
    auto after = [](const Candidate &a, const Candidate &b) {
      return before(b, a);
    };
    std::make_heap(kept.begin(), kept.end(), after);
    double sum = 0;
    size_t left = kept.size();
    while (left > 0) {
      std::pop_heap(kept.begin(), kept.begin() + left, after);
      sum += weight(kept[--left]);
      if (sum >= options.topP * total)
        break;
    }
    kept.erase(kept.begin(), kept.begin() + left);
  }
  if (options.minP > 0)
    kept.erase(std::remove_if(kept.begin(), kept.end(),
                              [&](const Candidate &c) {
                                return weight(c) < options.minP &&
                                       c.logit != top;
                              }),
               kept.end());
  std::sort(kept.begin(), kept.end(), byId);
  return kept;
}

std::array<uint32_t, 4> lowbit::philox(std::array<uint32_t, 4> c,
                                       std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * c[0];
    uint64_t b = uint64_t(0xCD9E8D57) * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1],
         static_cast<uint32_t>(a)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

double lowbit::uniform(const DrawKey &key) {
  auto low = [](uint64_t v) { return static_cast<uint32_t>(v); };
  auto high = [](uint64_t v) { return static_cast<uint32_t>(v >> 32); };
  auto words = philox({low(key.position), high(key.position), low(key.request),
                       high(key.request)},
                      {low(key.seed), high(key.seed)});
  uint64_t bits = (uint64_t(words[0]) << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

Result<int32_t> lowbit::sample(const float *logits, int64_t vocabulary,
                               const SamplerOptions &options,
                               const DrawKey &key) {
  if (options.temperature == 0)
    return greedy(logits, vocabulary);
  if (auto error = checkLogits(logits, vocabulary))
    return *error;
  std::vector<Candidate> kept = candidates(logits, vocabulary, options);
  float top = kept.front().logit;
  for (const Candidate &c : kept)
    top = std::max(top, c.logit);
  std::vector<double> sums(kept.size());
  double sum = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    double x = (static_cast<double>(kept[i].logit) - top) / options.temperature;
    sums[i] = sum += strictExp(x);
  }
  double target = uniform(key) * sum;
  auto drawn = std::upper_bound(sums.begin(), sums.end(), target);
  // Rounding can put the target on the total itself.
  if (drawn == sums.end())
    --drawn;
  return kept[drawn - sums.begin()].id;
}
