//===- Plan.h - The list of kernel calls that is a model --------*- C++ -*-===//
//
// A plan says everything that running a model takes besides the kernels' code
// and the weights' bytes: which buffers there are, how large they are as
// functions of the batch, and which kernels run over them in which order
// (Spec.md, section 5.3). The compiler writes it with writePlan, the runner
// reads it with parsePlan and believes nothing of it before verifyPlan.
//
//   Plan plan;
//   plan.buffers = {{"ids", BufferKind::Input, {0, 4, 0, 0}}, …};
//   std::string text = writePlan(plan);
//
// A plan has no branches: entries are chosen by the number of rows of a step.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_PLAN_H
#define LOWBIT_RUNTIME_PLAN_H

#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// constant + perRow·rows + perLogitRow·logit rows + perPage·pages.
/// The three factors are ≥ 0; the constant may be negative as long as the value
/// is ≥ 0 everywhere in the declared ranges (a layer's slice of the cache is
/// `layer bytes − page bytes + page bytes · pages`).
struct Affine {
  int64_t constant = 0;
  int64_t perRow = 0;
  int64_t perLogitRow = 0;
  int64_t perPage = 0;

  bool operator==(const Affine &other) const {
    return constant == other.constant && perRow == other.perRow &&
           perLogitRow == other.perLogitRow && perPage == other.perPage;
  }
  /// The value; only for plans that verifyPlan accepted (it cannot overflow
  /// there).
  int64_t evaluate(int64_t rows, int64_t logitRows, int64_t pages) const {
    return constant + perRow * rows + perLogitRow * logitRows + perPage * pages;
  }
};

/// Who owns a buffer's bytes. Inputs and output are known by their names: `ids`
/// i32 [row], `rows` i32 [row][2], `select` i32 [logit row], `page_table` i32
/// [sequence][page]; `logits` f32 [logit row][vocabulary]. Outputs with other
/// names are accumulators (observations of a calibration): constant size, zero
/// at first, kept from step to step.
enum class BufferKind { Input, Output, Arena, Weight, Cache };

/// One buffer. Every buffer starts at a multiple of 64 bytes and may be read up
/// to 64 bytes past its end.
struct PlanBuffer {
  std::string name;
  BufferKind kind = BufferKind::Arena;
  /// Size in bytes. Weights: constant. Cache: pages × page bytes.
  Affine bytes;
  /// Weight only: the name of the container's tensor, `weights.<name>`.
  std::string tensor;
  /// Arena only: start in the arena, a multiple of 64. Two arena buffers may
  /// share bytes when no step has both alive.
  int64_t offset = 0;
};

/// What a step does to an argument.
enum class Access { Read, Write, ReadWrite };

/// A range of a buffer that a kernel gets a pointer to.
struct PlanArgument {
  int32_t buffer = 0;
  /// Start in the buffer, in bytes.
  int64_t offset = 0;
  /// Extent from there, in bytes.
  Affine bytes;
  Access access = Access::Read;
};

/// What `rows` of a kernel call counts: the rows of the batch, or the rows
/// whose logits are wanted.
enum class StepCount { Rows, Logits };

/// One call of one kernel, shared out among threads by work items.
struct PlanStep {
  std::string kernel;
  StepCount count = StepCount::Rows;
  Affine items;
  std::vector<PlanArgument> args;
  /// Steps that quantize rows only: the kernel that writes the same outputs
  /// from f32 rows `[row][columns]` as its only input, without what this
  /// step's kernel computes first. Runs one linear alone.
  std::string plain = {};
};

/// The steps for a batch of minRows … maxRows rows at a bit width (0 where the
/// model has only one).
struct PlanEntry {
  int64_t minRows = 1;
  int64_t maxRows = 1;
  int64_t width = 0;
  std::vector<PlanStep> steps;
};

/// The largest values that the plan was made for. `pages` are physical.
struct PlanLimits {
  int64_t rows = 0;
  int64_t logits = 0;
  int64_t sequences = 0;
  int64_t pages = 0;
  int64_t pagesPerSequence = 0;
};

/// A whole plan.
struct Plan {
  std::string target = "x86_64";
  PlanLimits limits;
  /// Bytes of private memory of each thread.
  int64_t scratch = 0;
  std::vector<PlanBuffer> buffers;
  std::vector<PlanEntry> entries;
};

/// The version that writePlan writes and the only one that parsePlan takes.
constexpr int64_t planVersion = 1;

/// Slack after every buffer that kernels may read, in bytes.
constexpr int64_t bufferSlack = 64;

/// Bounds on what one plan may hold, whatever the file says.
constexpr int64_t maxPlanSteps = 1000000;
constexpr int64_t maxPlanBuffers = 1000000;
constexpr int64_t maxStepArguments = 32;

/// Positions of one cache page.
constexpr int64_t pagePositions = 64;

/// The plan as canonical JSON: keys in the order of Spec.md, no spaces,
/// `tensor` only on weights and `offset` only on arena buffers. Equal plans
/// give equal bytes.
std::string writePlan(const Plan &plan);

/// Reads a plan. Unknown, missing and duplicate keys, wrong types and more than
/// the bounds above are errors (exit 7) that name `file`, field, value and
/// limit. Spaces between tokens and after the end are accepted. A plan that was
/// read is not yet safe to run: see verifyPlan.
Result<Plan> parsePlan(std::string_view text, const std::string &file);

/// What a plan is checked against.
struct PlanFacts {
  /// Of the artifact, for messages.
  std::string file;
  /// Columns of `logits`, from the manifest; 0 for a plan that gives none: a
  /// part of a model that is being calibrated. No artifact has such a plan.
  int64_t vocabulary = 0;
  /// Bytes of each weight tensor of the container, by full name.
  std::map<std::string, int64_t> weights;
};

/// Proves, with checked arithmetic and for every value of the declared ranges,
/// what Spec.md section 5.3 lists: arguments lie in their buffers; buffers that
/// are alive together do not overlap; nothing is read before it is written, and
/// `logits` is written whole; weights and inputs are never written; within a
/// step a range that is written is shared with readers of exactly the same
/// range (in place) or not at all; entries cover 1 … limits.rows once per
/// width; all counts are bounded. The compiler calls it on what it is about to
/// write, the runner on what it has read (exit 7).
Status verifyPlan(const Plan &plan, const PlanFacts &facts);

/// Size of the arena in bytes, without slack; only for verified plans.
int64_t arenaBytes(const Plan &plan);

/// The entry for a batch of `rows` rows at `width`, or null.
const PlanEntry *findEntry(const Plan &plan, int64_t rows, int64_t width);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_PLAN_H
