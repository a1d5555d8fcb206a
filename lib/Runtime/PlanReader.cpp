//===- PlanReader.cpp - A plan from JSON ----------------------------------===//
#include "lowbit/Runtime/Plan.h"

#include "JsonReader.h"

using namespace lowbit;

namespace {

/// Numbers that can occur in a plan; the verifier has the narrower bounds.
constexpr int64_t maxNumber = int64_t(1) << 62;
constexpr JsonLimits planLimits{uint64_t(1) << 28, 16, uint64_t(1) << 24};

class PlanReader {
public:
  Result<Plan> read(std::string_view text, const std::string &file) {
    auto json = in.parse(text, file, planLimits);
    if (!json)
      return json.error();
    JsonField root(*json, file);
    in.members(
        root, {"version", "target", "limits", "scratch", "buffers", "entries"});
    int64_t version = in.integer(root.get("version"), 0, maxNumber);
    if (!in.failed() && version != planVersion)
      in.fail(root.get("version").bad("is " + std::to_string(version) +
                                      ", this runner reads version " +
                                      std::to_string(planVersion)));
    Plan plan;
    plan.target = in.string(root.get("target"));
    readLimits(root.get("limits"), plan.limits);
    plan.scratch = in.integer(root.get("scratch"), 0, maxNumber);
    JsonField buffers = root.get("buffers");
    for (size_t i = 0, n = in.elements(buffers, maxPlanBuffers); i < n; ++i)
      plan.buffers.push_back(readBuffer(buffers.at(i)));
    JsonField entries = root.get("entries");
    for (size_t i = 0, n = in.elements(entries, maxPlanSteps); i < n; ++i)
      plan.entries.push_back(readEntry(entries.at(i)));
    if (in.failed())
      return in.error();
    return plan;
  }

private:
  void readLimits(const JsonField &field, PlanLimits &limits) {
    in.members(field,
               {"rows", "logits", "sequences", "pages", "pages_per_sequence"});
    limits.rows = in.integer(field.get("rows"), 1, maxNumber);
    limits.logits = in.integer(field.get("logits"), 1, maxNumber);
    limits.sequences = in.integer(field.get("sequences"), 1, maxNumber);
    limits.pages = in.integer(field.get("pages"), 1, maxNumber);
    limits.pagesPerSequence =
        in.integer(field.get("pages_per_sequence"), 1, maxNumber);
  }

  Affine readAffine(const JsonField &field) {
    Affine affine;
    if (in.elements(field, 4) != 4) {
      in.fail(field.bad("must have 4 elements"));
      return affine;
    }
    affine.constant = in.integer(field.at(0), -maxNumber, maxNumber);
    affine.perRow = in.integer(field.at(1), 0, maxNumber);
    affine.perLogitRow = in.integer(field.at(2), 0, maxNumber);
    affine.perPage = in.integer(field.at(3), 0, maxNumber);
    return affine;
  }

  PlanBuffer readBuffer(const JsonField &field) {
    PlanBuffer buffer;
    buffer.name = in.string(field.get("name"));
    std::string kind = in.string(field.get("kind"));
    buffer.bytes = readAffine(field.get("bytes"));
    if (kind == "input") {
      buffer.kind = BufferKind::Input;
    } else if (kind == "output") {
      buffer.kind = BufferKind::Output;
    } else if (kind == "cache") {
      buffer.kind = BufferKind::Cache;
    } else if (kind == "weight") {
      buffer.kind = BufferKind::Weight;
      buffer.tensor = in.string(field.get("tensor"));
    } else if (kind == "arena") {
      buffer.kind = BufferKind::Arena;
      buffer.offset = in.integer(field.get("offset"), 0, maxNumber);
    } else {
      in.fail(
          field.get("kind").mustBe("input, output, arena, weight or cache"));
    }
    std::string_view last = kind == "weight"  ? "tensor"
                            : kind == "arena" ? "offset"
                                              : "bytes";
    in.members(field, {"name", "kind", "bytes", last});
    return buffer;
  }

  PlanArgument readArgument(const JsonField &field) {
    PlanArgument arg;
    in.members(field, {"buffer", "offset", "bytes", "access"});
    arg.buffer = static_cast<int32_t>(
        in.integer(field.get("buffer"), 0, maxPlanBuffers));
    arg.offset = in.integer(field.get("offset"), 0, maxNumber);
    arg.bytes = readAffine(field.get("bytes"));
    std::string access = in.string(field.get("access"));
    if (access == "r")
      arg.access = Access::Read;
    else if (access == "w")
      arg.access = Access::Write;
    else if (access == "rw")
      arg.access = Access::ReadWrite;
    else
      in.fail(field.get("access").mustBe("r, w or rw"));
    return arg;
  }

  PlanStep readStep(const JsonField &field) {
    PlanStep step;
    in.members(field, {"kernel", "plain", "count", "items", "args"});
    step.kernel = in.string(field.get("kernel"));
    if (field.get("plain").value()) {
      step.plain = in.string(field.get("plain"));
      if (!in.failed() && step.plain.empty())
        in.fail(field.get("plain").mustBe("a kernel"));
    }
    std::string count = in.string(field.get("count"));
    if (count != "rows" && count != "logits")
      in.fail(field.get("count").mustBe("rows or logits"));
    step.count = count == "rows" ? StepCount::Rows : StepCount::Logits;
    step.items = readAffine(field.get("items"));
    JsonField args = field.get("args");
    for (size_t i = 0, n = in.elements(args, maxStepArguments); i < n; ++i)
      step.args.push_back(readArgument(args.at(i)));
    return step;
  }

  PlanEntry readEntry(const JsonField &field) {
    PlanEntry entry;
    in.members(field, {"rows", "width", "steps"});
    JsonField rows = field.get("rows");
    if (in.elements(rows, 2) != 2)
      in.fail(rows.bad("must have 2 elements"));
    entry.minRows = in.integer(rows.at(0), 1, maxNumber);
    entry.maxRows = in.integer(rows.at(1), 1, maxNumber);
    entry.width = in.integer(field.get("width"), 0, maxNumber);
    JsonField steps = field.get("steps");
    for (size_t i = 0, n = in.elements(steps, maxPlanSteps); i < n; ++i)
      entry.steps.push_back(readStep(steps.at(i)));
    return entry;
  }

  JsonReader in;
};

} // namespace

Result<Plan> lowbit::parsePlan(std::string_view text, const std::string &file) {
  return PlanReader().read(text, file);
}
