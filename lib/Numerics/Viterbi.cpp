//===- Viterbi.cpp - The best path through a trellis ------------*- C++ -*-===//
//
// A state is n = d0 + 4·d1 + 16·d2 + 64·d3 (+ 256·d4 where the window is 12),
// d0 the two bits that are new. The states behind it are n/4 with the digit t
// above, the 12 bits n and t together give the index
//
//   c = (d0, d1, d2) xor (M and (d4, t))      (window 10: M and (t, 0))
//
// so a vector of 16 states (d0, d1) reads four neighbouring costs for each t,
// each for four lanes, and one of 64 vectors of branch costs. As M < 16, those
// are the squared errors with their lanes xored, never mixed between vectors.
//
//===----------------------------------------------------------------------===//
#include "Viterbi.h"

#include <algorithm>
#include <cstring>

#define LOWBIT_INLINE [[gnu::always_inline]] static inline
#define LOWBIT_UNROLL _Pragma("clang loop unroll(full)")

namespace lowbit {

namespace {

using Costs = uint16_t __attribute__((vector_size(32)));
using FourCosts = uint16_t __attribute__((vector_size(8)));
using Floats = float __attribute__((vector_size(64)));
using Ints = int32_t __attribute__((vector_size(64)));

constexpr int lanes = 16;
/// Vectors of the 64 errors of a step.
constexpr int parts = trellisEntries / lanes;
/// A cost that nothing exceeds.
constexpr uint16_t largestCost = 0xFFFC;
/// Costs of the first steps of a block stay below this: as five steps reach
/// every state from the one at the end, a path from any other costs more.
constexpr int mixingSteps = 5;
constexpr uint16_t largestMixingCost = largestCost / (mixingSteps + 1) & ~3;
/// Steps after which the lowest cost is subtracted from all.
constexpr int normalizeSteps = 8;

template <int window> constexpr int stateCount = 1 << (window - 2);
/// Values of d4.
template <int window> constexpr int topDigits = window == 12 ? 4 : 1;
/// u16 of a step's decisions, 2 bits for each state.
template <int window> constexpr int decisionWords = stateCount<window> / 8;

template <typename Vector>
LOWBIT_INLINE void load(const void *source, Vector &vector) {
  std::memcpy(&vector, source, sizeof(Vector));
}

LOWBIT_INLINE void takeSmaller(Costs &a, const Costs &b) {
  a = __builtin_elementwise_min(a, b);
}

/// costs[0 … 3], each in four lanes.
LOWBIT_INLINE void loadQuads(const uint16_t *costs, Costs &quads) {
  FourCosts four;
  load(costs, four);
  quads = __builtin_shufflevector(four, four, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                  2, 3, 3, 3, 3);
}

LOWBIT_INLINE uint16_t lowestLane(const Costs &costs) {
  uint16_t lowest = costs[0];
  for (int i = 1; i < lanes; ++i)
    lowest = std::min<uint16_t>(lowest, costs[i]);
  return lowest;
}

/// Branch costs of all 64 indices: squared errors less the smallest of them,
/// in whole steps of 4, at most `limit`.
LOWBIT_INLINE void stepCosts(const ViterbiCode &code, const float *targets,
                             uint16_t limit, Costs *costs) {
  Floats errors[parts] = {};
  for (int u = 0; u < code.weightsPerStep; ++u)
    for (int i = 0; i < parts; ++i) {
      Floats value;
      load(code.table + u * trellisEntries + i * lanes, value);
      Floats error = targets[u] - value;
      errors[i] = errors[i] + error * error;
    }
  Floats least = errors[0];
  for (int i = 1; i < parts; ++i)
    least = least < errors[i] ? least : errors[i];
  float lowest = least[0];
  for (int i = 1; i < lanes; ++i)
    lowest = least[i] < lowest ? least[i] : lowest;
  Floats largest = Floats{} + static_cast<float>(limit / 4);
  for (int i = 0; i < parts; ++i) {
    Floats cost = (errors[i] - lowest) * code.gain + 0.5f;
    cost = cost < largest ? cost : largest; // also where it is NaN
    Ints whole = __builtin_convertvector(cost, Ints) << 2;
    costs[i] = __builtin_convertvector(whole, Costs);
  }
}

/// The costs of an index whose two highest or lowest bits are cut off.
LOWBIT_INLINE void dropBits(int step, Costs *costs) {
  if (step == trellisTailStep)
    for (int i = 1; i < parts; ++i)
      costs[i] = costs[0];
  if (step == trellisHeadStep)
    for (int i = 0; i < parts; ++i)
      costs[i] = __builtin_shufflevector(costs[i], costs[i], 0, 0, 0, 0, 4, 4,
                                         4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
}

/// xored[x][i] lane l = costs[i] lane l xor x, for all x within the mask.
LOWBIT_INLINE void xorLanes(unsigned mask, const Costs *costs,
                            Costs (*xored)[parts]) {
  for (int i = 0; i < parts; ++i)
    xored[0][i] = costs[i];
#define LOWBIT_XOR(bit, ...)                                                   \
  if (mask & bit)                                                              \
    for (unsigned x = 0; x < bit; ++x)                                         \
      for (int i = 0; i < parts; ++i)                                          \
        xored[x | bit][i] =                                                    \
            __builtin_shufflevector(xored[x][i], xored[x][i], __VA_ARGS__);
  LOWBIT_XOR(1, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
  LOWBIT_XOR(2, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
  LOWBIT_XOR(4, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
  LOWBIT_XOR(8, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#undef LOWBIT_XOR
}

/// One step for all states: the cheapest of four branches each, and which.
template <int window>
LOWBIT_INLINE void step(unsigned mask, const Costs (*xored)[parts],
                        const uint16_t *behind, uint16_t *costs,
                        uint16_t *decisions) {
  constexpr int quarter = stateCount<window> / 4;
  for (int d4 = 0; d4 < topDigits<window>; ++d4)
    for (int pair = 0; pair < 2; ++pair) {
      Costs decision = {};
      LOWBIT_UNROLL for (int low = 0; low < 2; ++low) {
        int d2 = 2 * pair + low;
        Costs branch[4];
        for (unsigned t = 0; t < 4; ++t) {
          unsigned above = window == 12 ? d4 | t << 2 : t;
          branch[t] = xored[above & mask][d2] + static_cast<uint16_t>(t);
        }
        LOWBIT_UNROLL for (int d3 = 0; d3 < 4; ++d3) {
          int vector = d2 + 4 * d3 + 16 * d4;
          Costs best[4];
          for (int t = 0; t < 4; ++t) {
            loadQuads(behind + t * quarter + 4 * vector, best[t]);
            best[t] = __builtin_elementwise_add_sat(best[t], branch[t]);
          }
          takeSmaller(best[0], best[1]);
          takeSmaller(best[2], best[3]);
          takeSmaller(best[0], best[2]);
          decision |= (best[0] & 3) << (8 * low + 2 * d3);
          best[0] &= static_cast<uint16_t>(~3);
          std::memcpy(costs + vector * lanes, &best[0], sizeof(Costs));
        }
      }
      std::memcpy(decisions + (d4 * 2 + pair) * lanes, &decision,
                  sizeof(decision));
    }
}

/// Subtracts the lowest cost from all.
template <int window> LOWBIT_INLINE void normalize(uint16_t *costs) {
  Costs lowest, cost;
  load(costs, lowest);
  for (int i = lanes; i < stateCount<window>; i += lanes) {
    load(costs + i, cost);
    takeSmaller(lowest, cost);
  }
  uint16_t least = lowestLane(lowest);
  for (int i = 0; i < stateCount<window>; i += lanes) {
    load(costs + i, cost);
    cost -= least;
    std::memcpy(costs + i, &cost, sizeof(cost));
  }
}

/// The states of all steps by the decisions, from the first on.
template <int window>
void follow(const ViterbiCode &code, int ahead, int state,
            const uint16_t *decisions, ViterbiPath &found) {
  for (int s = 0; s < ahead + blockSteps; ++s) {
    const uint16_t *words = decisions + s * decisionWords<window>;
    int d2 = state >> 4 & 3, d3 = state >> 6 & 3, d4 = state >> 8;
    uint16_t word = words[(d4 * 2 + (d2 >> 1)) * lanes + (state & 15)];
    int t = word >> (8 * (d2 & 1) + 2 * d3) & 3;
    int bits = state | t << (window - 2);
    found.states[s] = static_cast<uint16_t>(state);
    found.indices[s] = static_cast<uint8_t>(windowIndex(
        code.mask, static_cast<unsigned>(bits), s + blockSteps - ahead));
    state = bits >> 2;
  }
}

template <int window>
LOWBIT_INLINE void search(const ViterbiCode &code, const ViterbiBlock &block,
                          ViterbiScratch &scratch, ViterbiPath &found) {
  alignas(64) uint16_t costs[2][stateCount<window>];
  std::fill(costs[0], costs[0] + stateCount<window>, largestCost);
  costs[0][block.end] = 0;
  int steps = block.ahead + blockSteps;
  scratch.decisions.resize(static_cast<size_t>(lookAheadSteps + blockSteps) *
                           decisionWords<12>);
  uint16_t *decisions = scratch.decisions.data();
  int now = 0;
  for (int s = steps - 1; s >= 0; --s) {
    int done = steps - s; // steps with this one
    Costs errors[parts], xored[16][parts];
    stepCosts(code, block.targets + s * code.weightsPerStep,
              done <= mixingSteps ? largestMixingCost : largestCost, errors);
    dropBits((s + blockSteps - block.ahead) % 32, errors);
    xorLanes(code.mask, errors, xored);
    step<window>(code.mask, xored, costs[now], costs[1 - now],
                 decisions + s * decisionWords<window>);
    now = 1 - now;
    if (done % normalizeSteps == 0)
      normalize<window>(costs[now]);
  }
  // Without look-ahead a stream begins here: nothing is before it but zeros.
  int stride = block.ahead == 0 ? 4 : 1;
  int first = 0;
  for (int n = stride; n < stateCount<window>; n += stride)
    if (costs[now][n] < costs[now][first])
      first = n;
  follow<window>(code, block.ahead, first, decisions, found);
}

} // namespace

/// One function for each window, compiled for `path` with the attribute
/// `target`.
#define LOWBIT_DEFINE_PATH(path, target)                                       \
  target static void search##path(                                             \
      const ViterbiCode &code, const ViterbiBlock &block,                      \
      ViterbiScratch &scratch, ViterbiPath &found) {                           \
    if (code.window == 12)                                                     \
      search<12>(code, block, scratch, found);                                 \
    else                                                                       \
      search<10>(code, block, scratch, found);                                 \
  }

LOWBIT_DEFINE_PATH(Portable, )
#if defined(__x86_64__)
LOWBIT_DEFINE_PATH(AVX2, __attribute__((target("avx2"))))
#endif

void searchTrellis(const ViterbiCode &code, const ViterbiBlock &block,
                   ViterbiScratch &scratch, ViterbiPath &found, CodePath path) {
#if defined(__x86_64__)
  if (path == CodePath::AVX2)
    return searchAVX2(code, block, scratch, found);
#endif
  searchPortable(code, block, scratch, found);
}

} // namespace lowbit
