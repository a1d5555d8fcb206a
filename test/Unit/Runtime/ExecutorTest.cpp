//===- ExecutorTest.cpp - Random plans do what they say -------------------===//
//
// Plans are drawn at random, proved by the verifier and run on threads in an
// arena; the same steps run plainly, every buffer in memory of its own, must
// give the same bytes. The one kernel touches exactly what its arguments
// declare, so a plan that is accepted but not safe runs into a guard page or a
// sanitizer.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Runtime/Executor.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace lowbit;

namespace {

constexpr int64_t vocabulary = 16, stripes = 8, specBytes = 2048;
constexpr int maxSteps = 128;

/// The batch that kernels are running; they get only the count of their step.
struct Batch {
  int64_t rows, logits, pages;
} batch;

/// What a kernel is told about its arguments, in its first argument.
struct Spec {
  int64_t count;
  struct {
    Affine bytes;
    int64_t access;
  } args[maxStepArguments];
};
static_assert(sizeof(Spec) <= specBytes);

/// Item i writes stripe i of every written argument: a hash of all bytes read,
/// or, in place, of the byte that was there.
void touch(uint8_t *const *args, int64_t, int64_t begin, int64_t end,
           uint8_t *scratch) {
  Spec spec;
  memcpy(&spec, args[0], sizeof(spec));
  auto size = [&](int64_t i) {
    return spec.args[i].bytes.evaluate(batch.rows, batch.logits, batch.pages);
  };
  uint32_t hash = 17;
  for (int64_t i = 1; i <= spec.count; ++i)
    if (spec.args[i].access == int64_t(Access::Read))
      for (int64_t j = 0; j < size(i); ++j)
        hash = hash * 31 + args[i][j];
  scratch[0] = static_cast<uint8_t>(hash);
  for (int64_t i = 1; i <= spec.count; ++i) {
    if (spec.args[i].access == int64_t(Access::Read))
      continue;
    bool inPlace = spec.args[i].access == int64_t(Access::ReadWrite);
    Share share{size(i) * begin / stripes, size(i) * end / stripes};
    for (int64_t j = share.begin; j < share.end; ++j)
      args[i][j] = static_cast<uint8_t>(
          (hash + uint32_t(j) * 7 + (inPlace ? args[i][j] * 3u : 0)) >> 3);
  }
}

/// Draws plans.
class Generator {
public:
  explicit Generator(uint32_t seed) : random(seed) {}

  Plan draw() {
    plan = Plan();
    plan.limits = {number(1, 12), number(1, 6), 2, number(1, 4), 2};
    plan.scratch = 64;
    plan.buffers = {
        {"ids", BufferKind::Input, {0, 4, 0, 0}, "", 0},
        {"select", BufferKind::Input, {0, 0, 4, 0}, "", 0},
        {"w", BufferKind::Weight, {number(1, 300), 0, 0, 0}, "weights.w", 0},
        {"spec",
         BufferKind::Weight,
         {specBytes * maxSteps, 0, 0, 0},
         "weights.spec",
         0},
        {"logits", BufferKind::Output, {0, 0, 4 * vocabulary, 0}, "", 0},
        {"moments", BufferKind::Output, {64, 0, 0, 0}, "", 0},
        {"cache", BufferKind::Cache, {0, 0, 0, 128}, "", 0},
    };
    int64_t first = 1;
    steps = 0;
    while (first <= plan.limits.rows) {
      int64_t last = number(first, plan.limits.rows);
      plan.entries.push_back(drawEntry(first, last));
      first = last + 1;
    }
    placeArena();
    return plan;
  }

  int64_t number(int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(random() % uint64_t(hi - lo + 1));
  }

private:
  PlanArgument whole(int32_t buffer, Access access) {
    return {buffer, 0, plan.buffers[buffer].bytes, access};
  }

  PlanArgument specArgument() {
    return {3, specBytes * steps++, {specBytes, 0, 0, 0}, Access::Read};
  }

  int32_t newArenaBuffer() {
    Affine bytes{number(0, 80), number(0, 9), number(0, 9), number(0, 5)};
    plan.buffers.push_back({"t" + std::to_string(plan.buffers.size()),
                            BufferKind::Arena, bytes, "", 0});
    return static_cast<int32_t>(plan.buffers.size()) - 1;
  }

  PlanEntry drawEntry(int64_t first, int64_t last) {
    PlanEntry entry{first, last, 0, {}};
    std::vector<int32_t> readable{0, 1, 2, 6}, mine;
    for (int64_t s = number(1, 6); s >= 0; --s) {
      PlanStep step{
          "touch", StepCount::Rows, {stripes, 0, 0, 0}, {specArgument()}};
      for (int64_t r = number(0, 3); r > 0; --r)
        step.args.push_back(whole(
            readable[number(0, static_cast<int64_t>(readable.size()) - 1)],
            Access::Read));
      if (!mine.empty() && number(0, 2) == 0) {
        int32_t buffer = mine[number(0, static_cast<int64_t>(mine.size()) - 1)];
        auto &args = step.args;
        args.erase(std::remove_if(args.begin() + 1, args.end(),
                                  [&](const PlanArgument &arg) {
                                    return arg.buffer == buffer;
                                  }),
                   args.end());
        args.push_back(whole(buffer, Access::ReadWrite));
      }
      int32_t made = newArenaBuffer();
      step.args.push_back(whole(made, Access::Write));
      readable.push_back(made);
      mine.push_back(made);
      if (number(0, 3) == 0)
        step.args.push_back(whole(5, Access::ReadWrite));
      entry.steps.push_back(step);
    }
    PlanStep final{"touch",
                   StepCount::Rows,
                   {stripes, 0, 0, 0},
                   {specArgument(), whole(mine.back(), Access::Read),
                    whole(4, Access::Write)}};
    entry.steps.push_back(final);
    return entry;
  }

  /// First fit by lives; buffers belong to one entry each.
  void placeArena() {
    struct Life {
      int32_t buffer;
      size_t first, last;
      int64_t size;
    };
    for (const PlanEntry &entry : plan.entries) {
      std::vector<Life> placed;
      std::map<int32_t, Life> lives;
      for (size_t s = 0; s < entry.steps.size(); ++s)
        for (const PlanArgument &arg : entry.steps[s].args)
          if (plan.buffers[arg.buffer].kind == BufferKind::Arena)
            lives.insert({arg.buffer, {arg.buffer, s, s, 0}})
                .first->second.last = s;
      for (auto &[buffer, life] : lives) {
        const PlanLimits &l = plan.limits;
        life.size = plan.buffers[buffer].bytes.evaluate(entry.maxRows, l.logits,
                                                        l.pages);
        int64_t offset = 0;
        for (bool moved = true; moved;) {
          moved = false;
          for (const Life &other : placed) {
            int64_t start = plan.buffers[other.buffer].offset;
            bool meets = other.first <= life.last && life.first <= other.last;
            if (meets && offset < start + other.size &&
                start < offset + life.size) {
              offset = (start + other.size + 63) / 64 * 64;
              moved = true;
            }
          }
        }
        plan.buffers[buffer].offset = offset;
        placed.push_back(life);
      }
    }
  }

  std::mt19937 random;
  Plan plan;
  int64_t steps = 0;
};

/// The tensors that a plan's weights name.
struct Weights {
  explicit Weights(const Plan &plan)
      : w(300 + 64), spec(specBytes * maxSteps + 64) {
    for (size_t i = 0; i < w.size(); ++i)
      w[i] = static_cast<uint8_t>(i * 37);
    for (const PlanEntry &entry : plan.entries)
      for (const PlanStep &step : entry.steps) {
        Spec content{};
        content.count = static_cast<int64_t>(step.args.size()) - 1;
        for (size_t i = 1; i < step.args.size(); ++i) {
          content.args[i].bytes = step.args[i].bytes;
          content.args[i].access = static_cast<int64_t>(step.args[i].access);
        }
        memcpy(spec.data() + step.args[0].offset, &content, sizeof(content));
      }
  }
  const uint8_t *find(const std::string &name) const {
    return name == "weights.w" ? w.data() : spec.data();
  }
  std::vector<uint8_t> w, spec;
};

PlanFacts facts() {
  return {"m",
          vocabulary,
          {{"weights.w", 300}, {"weights.spec", specBytes * maxSteps}}};
}

void fillInputs(int32_t *ids, int32_t *select) {
  for (int i = 0; i < batch.rows; ++i)
    ids[i] = i * 1000003;
  for (int i = 0; i < batch.logits; ++i)
    select[i] = i * 7919;
}

/// Runs an entry with every buffer on its own; what is in no buffer yet is
/// poison, so that a read before a write shows.
std::vector<uint8_t> runPlainly(const Plan &plan, const Weights &weights,
                                std::vector<uint8_t> &moments) {
  std::vector<std::vector<uint8_t>> buffers;
  for (const PlanBuffer &buffer : plan.buffers) {
    int64_t size = buffer.bytes.evaluate(batch.rows, batch.logits, batch.pages);
    bool isZero = buffer.kind == BufferKind::Cache;
    buffers.emplace_back(size, isZero ? 0 : 0xEE);
    if (buffer.kind == BufferKind::Weight)
      memcpy(buffers.back().data(), weights.find(buffer.tensor), size);
    if (buffer.name == "moments")
      buffers.back() = moments;
  }
  fillInputs(reinterpret_cast<int32_t *>(buffers[0].data()),
             reinterpret_cast<int32_t *>(buffers[1].data()));
  uint8_t scratch[64];
  for (const PlanStep &step : findEntry(plan, batch.rows, 0)->steps) {
    std::vector<uint8_t *> args;
    for (const PlanArgument &arg : step.args)
      args.push_back(buffers[arg.buffer].data() + arg.offset);
    touch(args.data(), batch.rows, 0, stripes, scratch);
  }
  moments = buffers[5];
  return buffers[4];
}

KernelTable table() { return {{"touch", {touch, nullptr, nullptr}}}; }

} // namespace

TEST(Executor, RunsRandomPlansAsTheyAreWritten) {
  Generator generator(1);
  KernelTable kernels = table();
  int plans = 0, runs = 0;
  for (; plans < 1000; ++plans) {
    Plan plan = generator.draw();
    Status status = verifyPlan(plan, facts());
    ASSERT_FALSE(status.has_value()) << status->message;
    Weights weights(plan);
    int threads = static_cast<int>(generator.number(1, 3));
    auto pool = ThreadPool::create(threads);
    batch.pages = generator.number(1, plan.limits.pages);
    auto executor = Executor::create(
        {plan, kernels, Variant::AVX512,
         [&](const std::string &name) { return weights.find(name); },
         batch.pages, "m"},
        threads);
    ASSERT_TRUE(bool(executor)) << executor.error().message;
    std::vector<uint8_t> moments(64, 0);
    for (int i = 0; i < 4; ++i, ++runs) {
      batch.rows = generator.number(1, plan.limits.rows);
      batch.logits = generator.number(0, plan.limits.logits);
      fillInputs((*executor)->input("ids"), (*executor)->input("select"));
      (*executor)->run(**pool, batch.rows, batch.logits, 0);
      auto expected = runPlainly(plan, weights, moments);
      auto *logits = reinterpret_cast<const uint8_t *>((*executor)->logits());
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), logits))
          << "plan " << plans << " rows " << batch.rows << "\n"
          << writePlan(plan);
      int64_t bytes = 0;
      uint8_t *kept = (*executor)->accumulator("moments", bytes);
      ASSERT_EQ(bytes, 64);
      ASSERT_EQ(memcmp(kept, moments.data(), 64), 0);
      // The slack after the output is untouched.
      const uint8_t *slack = logits + plan.limits.logits * 4 * vocabulary;
      for (int j = 0; j < 64; ++j)
        ASSERT_EQ(slack[j], 0);
    }
  }
  printf("[ plans ] %d drawn, %d runs compared\n", plans, runs);
}

// Whatever the verifier lets pass must be safe to run, whether it makes sense
// or not.
TEST(Executor, RunsChangedPlansThatTheVerifierAccepts) {
  Generator generator(2);
  KernelTable kernels = table();
  auto pool = ThreadPool::create(2);
  int accepted = 0, refused = 0;
  while (accepted < 500) {
    Plan plan = generator.draw();
    for (int64_t k = generator.number(1, 3); k > 0; --k) {
      auto pick = [&](auto &list) -> auto & {
        return list[generator.number(0, static_cast<int64_t>(list.size()) - 1)];
      };
      PlanStep &step = pick(pick(plan.entries).steps);
      PlanBuffer &buffer = pick(plan.buffers);
      int64_t delta = generator.number(-2, 2) * 4;
      auto &arg = step.args[generator.number(
          1, static_cast<int64_t>(step.args.size()) - 1)];
      switch (generator.number(0, 6)) {
      case 0:
        arg.offset += delta;
        break;
      case 1:
        arg.bytes.perRow += delta / 4;
        break;
      case 2:
        arg.bytes.constant += delta;
        break;
      case 3:
        arg.access = static_cast<Access>(generator.number(0, 2));
        break;
      case 4:
        arg.buffer = static_cast<int32_t>(
            generator.number(0, static_cast<int64_t>(plan.buffers.size()) - 1));
        break;
      case 5:
        buffer.offset += delta * 16;
        break;
      case 6:
        buffer.bytes.perRow += delta / 4;
        break;
      }
    }
    // A weight's bytes and the spec's must stay what the test provides.
    if (verifyPlan(plan, facts())) {
      ++refused;
      continue;
    }
    ++accepted;
    Weights weights(plan);
    batch.pages = plan.limits.pages;
    auto executor = Executor::create(
        {plan, kernels, Variant::AVX512,
         [&](const std::string &name) { return weights.find(name); },
         batch.pages, "m"},
        2);
    ASSERT_TRUE(bool(executor));
    for (batch.rows = 1; batch.rows <= plan.limits.rows; ++batch.rows)
      for (batch.logits = 0; batch.logits <= plan.limits.logits; ++batch.logits)
        (*executor)->run(**pool, batch.rows, batch.logits, 0);
  }
  printf("[ plans ] %d changed and accepted, %d refused\n", accepted, refused);
}
