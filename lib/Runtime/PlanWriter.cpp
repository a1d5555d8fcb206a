//===- PlanWriter.cpp - A plan as canonical JSON --------------------------===//
#include "lowbit/Runtime/Plan.h"

#include "lowbit/Checkpoint/Json.h"

#include <algorithm>
#include <utility>

using namespace lowbit;

namespace {

/// Appends JSON in canonical form: no spaces, keys as given.
class Writer {
public:
  std::string text;

  void number(int64_t value) { text += std::to_string(value); }

  void string(std::string_view value) { appendJsonString(text, value); }

  void affine(const Affine &value) {
    text += '[';
    number(value.constant);
    text += ',';
    number(value.perRow);
    text += ',';
    number(value.perLogitRow);
    text += ',';
    number(value.perPage);
    text += ']';
  }
};

const char *kindName(BufferKind kind) {
  switch (kind) {
  case BufferKind::Input:
    return "input";
  case BufferKind::Output:
    return "output";
  case BufferKind::Arena:
    return "arena";
  case BufferKind::Weight:
    return "weight";
  case BufferKind::Cache:
    return "cache";
  }
  return "";
}

const char *accessName(Access access) {
  switch (access) {
  case Access::Read:
    return "r";
  case Access::Write:
    return "w";
  case Access::ReadWrite:
    return "rw";
  }
  return "";
}

void writeBuffer(Writer &out, const PlanBuffer &buffer) {
  out.text += "{\"name\":";
  out.string(buffer.name);
  out.text += ",\"kind\":";
  out.string(kindName(buffer.kind));
  out.text += ",\"bytes\":";
  out.affine(buffer.bytes);
  if (buffer.kind == BufferKind::Weight) {
    out.text += ",\"tensor\":";
    out.string(buffer.tensor);
  }
  if (buffer.kind == BufferKind::Arena) {
    out.text += ",\"offset\":";
    out.number(buffer.offset);
  }
  out.text += '}';
}

void writeStep(Writer &out, const PlanStep &step) {
  out.text += "{\"kernel\":";
  out.string(step.kernel);
  if (!step.plain.empty()) {
    out.text += ",\"plain\":";
    out.string(step.plain);
  }
  out.text += ",\"count\":";
  out.string(step.count == StepCount::Rows ? "rows" : "logits");
  out.text += ",\"items\":";
  out.affine(step.items);
  out.text += ",\"args\":[";
  for (size_t i = 0; i < step.args.size(); ++i) {
    const PlanArgument &arg = step.args[i];
    out.text += i ? ",{\"buffer\":" : "{\"buffer\":";
    out.number(arg.buffer);
    out.text += ",\"offset\":";
    out.number(arg.offset);
    out.text += ",\"bytes\":";
    out.affine(arg.bytes);
    out.text += ",\"access\":";
    out.string(accessName(arg.access));
    out.text += '}';
  }
  out.text += "]}";
}

void writeEntry(Writer &out, const PlanEntry &entry) {
  out.text += "{\"rows\":[";
  out.number(entry.minRows);
  out.text += ',';
  out.number(entry.maxRows);
  out.text += "],\"width\":";
  out.number(entry.width);
  out.text += ",\"steps\":[";
  for (size_t i = 0; i < entry.steps.size(); ++i) {
    if (i)
      out.text += ',';
    writeStep(out, entry.steps[i]);
  }
  out.text += "]}";
}

} // namespace

std::string lowbit::writePlan(const Plan &plan) {
  Writer out;
  out.text += "{\"version\":";
  out.number(planVersion);
  out.text += ",\"target\":";
  out.string(plan.target);
  out.text += ",\"limits\":{\"rows\":";
  out.number(plan.limits.rows);
  out.text += ",\"logits\":";
  out.number(plan.limits.logits);
  out.text += ",\"sequences\":";
  out.number(plan.limits.sequences);
  out.text += ",\"pages\":";
  out.number(plan.limits.pages);
  out.text += ",\"pages_per_sequence\":";
  out.number(plan.limits.pagesPerSequence);
  out.text += "},\"scratch\":";
  out.number(plan.scratch);
  out.text += ",\"buffers\":[";
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    if (i)
      out.text += ',';
    writeBuffer(out, plan.buffers[i]);
  }
  out.text += "],\"entries\":[";
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    if (i)
      out.text += ',';
    writeEntry(out, plan.entries[i]);
  }
  out.text += "]}";
  return std::move(out.text);
}

int64_t lowbit::arenaBytes(const Plan &plan) {
  int64_t end = 0;
  for (const PlanBuffer &buffer : plan.buffers)
    if (buffer.kind == BufferKind::Arena)
      end = std::max(end,
                     buffer.offset + buffer.bytes.evaluate(plan.limits.rows,
                                                           plan.limits.logits,
                                                           plan.limits.pages));
  return end;
}

const PlanEntry *lowbit::findEntry(const Plan &plan, int64_t rows,
                                   int64_t width) {
  for (const PlanEntry &entry : plan.entries)
    if (entry.width == width && entry.minRows <= rows && rows <= entry.maxRows)
      return &entry;
  return nullptr;
}
