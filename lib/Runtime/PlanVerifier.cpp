//===- PlanVerifier.cpp - What a plan must be before anything runs --------===//
//
// Sizes are affine in the batch; PlanRanges.h compares them for all batches at
// once.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Runtime/Plan.h"

#include "PlanRanges.h"

#include <algorithm>
#include <set>

using namespace lowbit;

namespace {

/// Bounds on the numbers of a plan; far above any real model.
constexpr int64_t maxRows = 1 << 20;
constexpr int64_t maxSequences = 1 << 16;
constexpr int64_t maxPages = 1 << 26;
constexpr int64_t maxItems = int64_t(1) << 40;
constexpr int64_t maxBytes = int64_t(1) << 46;
constexpr int64_t maxScratch = int64_t(1) << 30;

/// The output of a step. Other outputs are accumulators: they outlive a step,
/// so neither reading them first nor leaving them is wrong.
bool isLogits(const PlanBuffer &buffer) {
  return buffer.kind == BufferKind::Output && buffer.name == "logits";
}

class Verifier {
public:
  Verifier(const Plan &plan, const PlanFacts &facts)
      : plan(plan), facts(facts) {}

  Status run() {
    if (auto error = checkLimits())
      return error;
    if (auto error = checkBuffers())
      return error;
    if (auto error = checkRanges())
      return error;
    for (size_t i = 0; i < plan.entries.size(); ++i)
      if (auto error =
              checkEntry(plan.entries[i], "entries[" + std::to_string(i) + "]"))
        return error;
    return {};
  }

private:
  Error fail(const std::string &field, const std::string &what) const {
    return {ExitCode::Mismatch, facts.file + ": plan: " + field + ": " + what};
  }

  Status inRange(const std::string &field, int64_t value, int64_t lo,
                 int64_t hi) const {
    if (value >= lo && value <= hi)
      return {};
    return fail(field, std::to_string(value) + " is not in " +
                           std::to_string(lo) + "…" + std::to_string(hi));
  }

  Status checkLimits() const {
    const PlanLimits &l = plan.limits;
    if (auto e = inRange("limits.rows", l.rows, 1, maxRows))
      return e;
    if (auto e = inRange("limits.logits", l.logits, 1, maxRows))
      return e;
    if (auto e = inRange("limits.sequences", l.sequences, 1, maxSequences))
      return e;
    if (auto e = inRange("limits.pages", l.pages, 1, maxPages))
      return e;
    if (auto e = inRange("limits.pages_per_sequence", l.pagesPerSequence, 1,
                         maxPages))
      return e;
    if (auto e = inRange("scratch", plan.scratch, 0, maxScratch))
      return e;
    if (auto e = inRange("vocabulary", facts.vocabulary, 0, 1 << 24))
      return e;
    if (auto e = inRange("buffers", static_cast<int64_t>(plan.buffers.size()),
                         1, maxPlanBuffers))
      return e;
    int64_t steps = 0;
    for (const PlanEntry &entry : plan.entries)
      steps += static_cast<int64_t>(entry.steps.size());
    return inRange("steps of all entries", steps, 1, maxPlanSteps);
  }

  Box fullBox() const {
    return {{1, 0, 1},
            {plan.limits.rows, plan.limits.logits, plan.limits.pages}};
  }

  /// 0 ≤ bytes ≤ the largest buffer, everywhere; factors ≥ 0.
  Status checkAffine(const std::string &field, const Affine &a, int64_t limit,
                     const Box &box) const {
    auto lo = smallest(a, box), hi = largest(a, box);
    if (a.perRow < 0 || a.perLogitRow < 0 || a.perPage < 0 || !lo || !hi ||
        *lo < 0 || *hi > limit || a.constant < -limit)
      return fail(field, describe(a) + " is not in 0…" + std::to_string(limit) +
                             " for all batches");
    return {};
  }

  /// What the runtime provides for an input, or nothing for unknown names.
  std::optional<Affine> inputBytes(const std::string &name) const {
    if (name == "ids")
      return Affine{0, 4, 0, 0};
    if (name == "rows")
      return Affine{0, 8, 0, 0};
    if (name == "select")
      return Affine{0, 0, 4, 0};
    if (name == "page_table")
      return Affine{4 * plan.limits.sequences * plan.limits.pagesPerSequence, 0,
                    0, 0};
    return std::nullopt;
  }

  Status checkBuffer(const PlanBuffer &buffer, const std::string &field) {
    if (auto e =
            checkAffine(field + ".bytes", buffer.bytes, maxBytes, fullBox()))
      return e;
    switch (buffer.kind) {
    case BufferKind::Input: {
      auto provided = inputBytes(buffer.name);
      if (!provided)
        return fail(field + ".name", "unknown input '" + buffer.name +
                                         "' (ids, rows, select, page_table)");
      if (!(buffer.bytes == *provided))
        return fail(field + ".bytes", describe(buffer.bytes) + " should be " +
                                          describe(*provided));
      return {};
    }
    case BufferKind::Output: {
      Affine expected{0, 0, 4 * facts.vocabulary, 0};
      bool isLogits = buffer.name == "logits";
      if (!isLogits && buffer.bytes == Affine{buffer.bytes.constant, 0, 0, 0})
        return {};
      if (!isLogits || !(buffer.bytes == expected))
        return fail(field + ".bytes",
                    describe(buffer.bytes) + " should be " +
                        (isLogits ? describe(expected) : "constant"));
      return {};
    }
    case BufferKind::Weight: {
      auto weight = facts.weights.find(buffer.tensor);
      if (weight == facts.weights.end())
        return fail(field + ".tensor", "no such tensor: " + buffer.tensor);
      // Tensors of the container are padded to 64 bytes, buffers need not be.
      if (!(buffer.bytes == Affine{buffer.bytes.constant, 0, 0, 0}) ||
          buffer.bytes.constant > weight->second)
        return fail(field + ".bytes",
                    describe(buffer.bytes) + " but " + buffer.tensor + " has " +
                        std::to_string(weight->second) + " bytes");
      return {};
    }
    case BufferKind::Cache:
      if (buffer.bytes.constant != 0 || buffer.bytes.perRow != 0 ||
          buffer.bytes.perLogitRow != 0 || buffer.bytes.perPage % 64 != 0)
        return fail(field + ".bytes", describe(buffer.bytes) +
                                          " should be [0,0,0,multiple of 64]");
      return {};
    case BufferKind::Arena:
      if (buffer.offset % 64 != 0)
        return fail(field + ".offset",
                    std::to_string(buffer.offset) + " is not a multiple of 64");
      return inRange(field + ".offset", buffer.offset, 0, maxBytes);
    }
    return fail(field + ".kind", "unknown");
  }

  Status checkBuffers() {
    std::set<std::string> names;
    int outputs = 0, caches = 0;
    for (size_t i = 0; i < plan.buffers.size(); ++i) {
      const PlanBuffer &buffer = plan.buffers[i];
      std::string field = "buffers[" + std::to_string(i) + "]";
      if (!names.insert(buffer.name).second)
        return fail(field + ".name", "'" + buffer.name + "' occurs twice");
      if (auto error = checkBuffer(buffer, field))
        return error;
      outputs += isLogits(buffer);
      caches += buffer.kind == BufferKind::Cache;
    }
    int expected = facts.vocabulary == 0 ? 0 : 1;
    if (outputs != expected)
      return fail("buffers", std::to_string(outputs) +
                                 " outputs named logits, must be " +
                                 std::to_string(expected));
    if (caches > 1)
      return fail("buffers", std::to_string(caches) + " caches, at most one");
    return {};
  }

  /// Row ranges of each width: disjoint, without gaps, 1 … limits.rows.
  Status checkRanges() const {
    std::map<int64_t, std::vector<std::pair<int64_t, int64_t>>> widths;
    for (const PlanEntry &entry : plan.entries)
      widths[entry.width].push_back({entry.minRows, entry.maxRows});
    for (auto &[width, ranges] : widths) {
      std::string field = "entries of width " + std::to_string(width);
      if (auto e = inRange(field, width, 0, 64))
        return e;
      std::sort(ranges.begin(), ranges.end());
      int64_t next = 1;
      for (auto [first, last] : ranges) {
        if (first != next || last < first)
          return fail(field, "rows " + std::to_string(first) + "…" +
                                 std::to_string(last) + " should start at " +
                                 std::to_string(next));
        if (last > plan.limits.rows)
          return fail(field, "rows up to " + std::to_string(last) +
                                 " exceed limits.rows " +
                                 std::to_string(plan.limits.rows));
        next = last + 1;
      }
      if (next != plan.limits.rows + 1)
        return fail(field, "no entry for " + std::to_string(next) +
                               " rows (limits.rows is " +
                               std::to_string(plan.limits.rows) + ")");
    }
    return {};
  }

  Status checkArgument(const PlanArgument &arg, const std::string &field,
                       const Box &box) const {
    if (arg.buffer < 0 ||
        static_cast<size_t>(arg.buffer) >= plan.buffers.size())
      return fail(field + ".buffer", std::to_string(arg.buffer) + " of " +
                                         std::to_string(plan.buffers.size()) +
                                         " buffers");
    const PlanBuffer &buffer = plan.buffers[arg.buffer];
    if (auto e = inRange(field + ".offset", arg.offset, 0, maxBytes))
      return e;
    if (auto e = checkAffine(field + ".bytes", arg.bytes, maxBytes, box))
      return e;
    if (!alwaysAtMost(endOf(arg.offset, arg.bytes), buffer.bytes, box))
      return fail(field, "offset " + std::to_string(arg.offset) + " + bytes " +
                             describe(arg.bytes) + " exceeds buffer '" +
                             buffer.name + "' of " + describe(buffer.bytes) +
                             " bytes");
    bool writes = arg.access != Access::Read;
    if (writes && buffer.kind == BufferKind::Weight)
      return fail(field, "writes weight '" + buffer.name + "'");
    if (writes && buffer.kind == BufferKind::Input)
      return fail(field, "writes input '" + buffer.name + "'");
    return {};
  }

  /// Within a step a range that is written is shared only in place: with
  /// readers of exactly the same range. Ranges of the cache are exempt: they
  /// interleave (a layer's slice of every page), which extents cannot express.
  Status checkAliases(const PlanStep &step, const std::string &field,
                      const Box &box) const {
    for (size_t i = 0; i < step.args.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        const PlanArgument &a = step.args[i], &b = step.args[j];
        if (a.access == Access::Read && b.access == Access::Read)
          continue;
        BufferKind kind = plan.buffers[a.buffer].kind;
        if (a.buffer != b.buffer || kind == BufferKind::Cache)
          continue;
        if (alwaysAtMost(endOf(a.offset, a.bytes), {b.offset, 0, 0, 0}, box) ||
            alwaysAtMost(endOf(b.offset, b.bytes), {a.offset, 0, 0, 0}, box))
          continue;
        bool oneWriter = a.access == Access::Read || b.access == Access::Read;
        if (oneWriter && a.offset == b.offset && a.bytes == b.bytes)
          continue;
        return fail(field, "arguments " + std::to_string(j) + " and " +
                               std::to_string(i) + " share bytes of '" +
                               plan.buffers[a.buffer].name +
                               "' other than in place");
      }
    return {};
  }

  Status checkEntry(const PlanEntry &entry, const std::string &field) const {
    Box box = fullBox();
    box.lo[0] = entry.minRows;
    box.hi[0] = entry.maxRows;
    std::vector<Written> written(plan.buffers.size());
    std::map<int32_t, std::pair<size_t, size_t>> alive;
    for (size_t s = 0; s < entry.steps.size(); ++s) {
      const PlanStep &step = entry.steps[s];
      std::string where = field + ".steps[" + std::to_string(s) + "]";
      if (auto e =
              inRange(where + ".args", static_cast<int64_t>(step.args.size()),
                      0, maxStepArguments))
        return e;
      if (auto e = checkAffine(where + ".items", step.items, maxItems, box))
        return e;
      if (auto e = checkStep(step, where, box, written))
        return e;
      for (const PlanArgument &arg : step.args)
        if (plan.buffers[arg.buffer].kind == BufferKind::Arena &&
            !(plan.buffers[arg.buffer].bytes == Affine()))
          alive.insert({arg.buffer, {s, s}}).first->second.second = s;
    }
    for (size_t i = 0; i < plan.buffers.size(); ++i)
      if (isLogits(plan.buffers[i]) &&
          !written[i].covers({0, plan.buffers[i].bytes}, box))
        return fail(field,
                    "does not write all of '" + plan.buffers[i].name + "'");
    return checkLiveness(alive, field, box);
  }

  /// Integers, scales and sums: what a quantizer writes.
  static bool endsInThreeOutputs(const PlanStep &step) {
    return step.args.size() > 3 &&
           std::all_of(step.args.end() - 3, step.args.end(),
                       [](const PlanArgument &arg) {
                         return arg.access == Access::Write && arg.offset == 0;
                       });
  }

  Status checkStep(const PlanStep &step, const std::string &where,
                   const Box &box, std::vector<Written> &written) const {
    auto isTracked = [&](const PlanArgument &arg) {
      const PlanBuffer &buffer = plan.buffers[arg.buffer];
      return buffer.kind == BufferKind::Arena || isLogits(buffer);
    };
    for (size_t i = 0; i < step.args.size(); ++i) {
      const PlanArgument &arg = step.args[i];
      std::string field = where + ".args[" + std::to_string(i) + "]";
      if (auto e = checkArgument(arg, field, box))
        return e;
      if (isTracked(arg) && arg.access != Access::Write &&
          !written[arg.buffer].covers(
              {arg.offset, endOf(arg.offset, arg.bytes)}, box))
        return fail(field, "reads '" + plan.buffers[arg.buffer].name +
                               "' before it is written");
    }
    if (auto e = checkAliases(step, where, box))
      return e;
    if (!step.plain.empty() && !endsInThreeOutputs(step))
      return fail(where + ".plain", "is '" + step.plain +
                                        "', but the step's last three "
                                        "arguments are not written");
    for (const PlanArgument &arg : step.args)
      if (isTracked(arg) && arg.access != Access::Read &&
          !written[arg.buffer].add({arg.offset, endOf(arg.offset, arg.bytes)},
                                   box))
        return fail(where, "'" + plan.buffers[arg.buffer].name +
                               "' is written in more than " +
                               std::to_string(Written::maxPieces) + " pieces");
    return {};
  }

  /// No two arena buffers whose lives (first to last step) meet share bytes:
  /// sweep over the steps, with the live buffers in order of their offsets.
  Status
  checkLiveness(const std::map<int32_t, std::pair<size_t, size_t>> &alive,
                const std::string &field, const Box &box) const {
    std::map<size_t, std::vector<int32_t>> births, deaths;
    for (auto &[buffer, life] : alive) {
      births[life.first].push_back(buffer);
      deaths[life.second].push_back(buffer);
    }
    std::map<int64_t, int32_t> live; // Offset to buffer; extents are disjoint.
    auto disjoint = [&](int32_t low, int32_t high) {
      const PlanBuffer &a = plan.buffers[low], &b = plan.buffers[high];
      return alwaysAtMost(endOf(a.offset, a.bytes), {b.offset, 0, 0, 0}, box);
    };
    auto died = deaths.begin();
    for (auto &[step, born] : births) {
      for (; died != deaths.end() && died->first < step; ++died)
        for (int32_t buffer : died->second)
          live.erase(plan.buffers[buffer].offset);
      for (int32_t buffer : born) {
        auto [place, inserted] =
            live.insert({plan.buffers[buffer].offset, buffer});
        int32_t other = buffer;
        if (!inserted)
          other = place->second;
        else if (place != live.begin() &&
                 !disjoint(std::prev(place)->second, buffer))
          other = std::prev(place)->second;
        else if (std::next(place) != live.end() &&
                 !disjoint(buffer, std::next(place)->second))
          other = std::next(place)->second;
        if (other != buffer)
          return fail(field, "arena buffers '" + plan.buffers[other].name +
                                 "' and '" + plan.buffers[buffer].name +
                                 "' overlap while both are alive");
      }
    }
    return {};
  }

  const Plan &plan;
  const PlanFacts &facts;
};

} // namespace

Status lowbit::verifyPlan(const Plan &plan, const PlanFacts &facts) {
  return Verifier(plan, facts).run();
}
