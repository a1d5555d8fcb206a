//===- LinearStep.cpp - One linear of a model, run alone ------------------===//
//
// A step's arguments are those of Spec.md, section 5.4: what the weight stands
// behind says whether its input is f32 rows (1 argument) or quantized ones (3,
// with scales of groups of columns 4).
//
//===----------------------------------------------------------------------===//
#include "lowbit/Runtime/LinearStep.h"

#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cstring>

using namespace lowbit;

/// Arguments before the weight.
static constexpr size_t floatInputs = 1;
static constexpr size_t integerInputs = 3;
static constexpr size_t groupedInputs = 4;

static Error about(const std::string &name, ExitCode code,
                   const std::string &what) {
  return {code, "parameter " + quoted(name) + ": " + what};
}

bool LinearStep::isWeight(const PlanArgument &arg) const {
  const PlanBuffer &buffer = model->plan().buffers[arg.buffer];
  return buffer.kind == BufferKind::Weight &&
         buffer.tensor == "weights." + tensor->name;
}

int64_t LinearStep::bytesOf(const PlanArgument &arg, int64_t rows) const {
  return arg.bytes.evaluate(rows, rows, model->plan().limits.pages);
}

/// Whether the arguments in front of a weight are those of a linear: rows that
/// a step made, and not, say, token ids.
static bool isLinear(const Plan &plan, const PlanStep &step, size_t weight) {
  if (weight != floatInputs && weight != integerInputs &&
      weight != groupedInputs)
    return false;
  for (size_t i = 0; i < weight; ++i)
    if (plan.buffers[step.args[i].buffer].kind != BufferKind::Arena)
      return false;
  return step.args.back().access == Access::Write;
}

Result<LinearStep::Place> LinearStep::placeFor(int64_t rows) const {
  const Plan &plan = model->plan();
  const PlanEntry *entry = findEntry(plan, rows, width);
  if (!entry)
    return about(tensor->name, ExitCode::Usage,
                 "the plan has no width " + std::to_string(width));
  for (size_t s = 0; s < entry->steps.size(); ++s) {
    const PlanStep &step = entry->steps[s];
    for (size_t i = 0; i < step.args.size(); ++i) {
      if (!isWeight(step.args[i]) || !isLinear(plan, step, i))
        continue;
      Place place{entry, &step, nullptr, i};
      for (size_t before = s; i != floatInputs && before-- > 0;) {
        const PlanStep &writer = entry->steps[before];
        if (!writer.plain.empty() && writer.args.size() > i &&
            writer.args[writer.args.size() - i].buffer == step.args[0].buffer) {
          place.quantizer = &writer;
          break;
        }
      }
      if (auto error = check(place, rows))
        return *error;
      return place;
    }
  }
  return about(tensor->name, ExitCode::Usage,
               "no linear of the plan multiplies by it");
}

/// What the caller's rows are taken for must be what the plan says.
Status LinearStep::check(const Place &place, int64_t rows) const {
  const PlanStep &linear = *place.linear;
  auto wrong = [&](const std::string &what, int64_t bytes, int64_t expected) {
    return about(tensor->name, ExitCode::Unsupported,
                 "cannot be run alone: " + what + " of its linear has " +
                     std::to_string(bytes) + " bytes, not " +
                     std::to_string(expected));
  };
  if (place.weight != floatInputs && !place.quantizer)
    return about(tensor->name, ExitCode::Unsupported,
                 "cannot be run alone: the plan has no quantizer of plain "
                 "rows for it");
  int64_t input = bytesOf(linear.args[0], rows);
  if (place.weight == floatInputs && input != rows * columns() * 4)
    return wrong("the input", input, rows * columns() * 4);
  if (place.quantizer) {
    int64_t plane = rows * ((columns() + 63) / 64 * 64 + 64);
    if (input != plane && input != 2 * plane)
      return wrong("the input", input, 2 * plane);
  }
  int64_t output = bytesOf(linear.args.back(), rows);
  if (output != rows * outputs() * 4)
    return wrong("the output", output, rows * outputs() * 4);
  return {};
}

Result<LinearStep> LinearStep::find(const Model &model, const std::string &name,
                                    int64_t width) {
  const ManifestTensor *tensor = model.manifest().find(name);
  if (!tensor)
    return noParameter(name);
  LinearStep step(model, *tensor, width);
  if (auto place = step.placeFor(1); !place)
    return place.error();
  return step;
}

namespace {

/// One or two kernels over buffers of their own.
class KernelCalls : public StepList {
public:
  struct Call {
    KernelFunction kernel;
    int64_t items;
    std::vector<uint8_t *> args;
  };

  KernelCalls(int64_t rows, std::vector<Memory> &scratch)
      : rows(rows), scratch(scratch) {}

  size_t size() const override { return calls.size(); }
  int64_t items(size_t step) const override { return calls[step].items; }
  void run(size_t step, Share share, int thread) override {
    calls[step].kernel(calls[step].args.data(), rows, share.begin, share.end,
                       scratch[thread].data());
  }

  std::vector<Call> calls;

private:
  const int64_t rows;
  std::vector<Memory> &scratch;
};

/// Memory that lives as long as a batch.
class BatchMemory {
public:
  /// Null after the first failure, which `problem` then holds.
  uint8_t *add(int64_t bytes, const char *what) {
    auto memory = Memory::allocate(bytes, what);
    if (!memory) {
      if (!problem)
        problem = memory.error();
      return nullptr;
    }
    blocks.push_back(std::move(*memory));
    return blocks.back().data();
  }

  Status problem;

private:
  std::vector<Memory> blocks;
};

} // namespace

Status LinearStep::runBatch(ThreadPool &pool, std::vector<Memory> &scratch,
                            const Place &place, const float *x, int64_t rows,
                            float *y) const {
  const PlanStep &linear = *place.linear;
  const std::string &file = model->artifact().path();
  int64_t pages = model->plan().limits.pages;
  BatchMemory memory;
  KernelCalls list(rows, scratch);
  uint8_t *input = memory.add(rows * columns() * 4, "rows of a linear");
  std::vector<uint8_t *> args;
  for (size_t i = 0; place.quantizer && i < place.weight; ++i)
    args.push_back(memory.add(bytesOf(linear.args[i], rows), "quantized rows"));
  if (place.quantizer) {
    auto kernel = chooseKernel(model->kernels(), place.quantizer->plain,
                               model->variant(), file);
    if (!kernel)
      return kernel.error();
    std::vector<uint8_t *> all{input};
    all.insert(all.end(), args.begin(), args.end());
    list.calls.push_back(
        {*kernel, place.quantizer->items.evaluate(rows, rows, pages), all});
  } else {
    args.push_back(input);
  }
  for (size_t i = args.size(); i < linear.args.size(); ++i) {
    const PlanArgument &arg = linear.args[i];
    const PlanBuffer &buffer = model->plan().buffers[arg.buffer];
    if (buffer.kind == BufferKind::Weight) {
      // The verifier has proved that no step writes to it.
      const uint8_t *weight = model->weight(buffer.tensor);
      args.push_back(const_cast<uint8_t *>(weight) + arg.offset);
      continue;
    }
    args.push_back(memory.add(bytesOf(arg, rows), "rows of a linear"));
    // A residual of −0 changes nothing, not even the sign of a zero.
    if (arg.access == Access::Read && !memory.problem)
      std::fill_n(reinterpret_cast<float *>(args.back()),
                  bytesOf(arg, rows) / 4, -0.0f);
  }
  if (memory.problem)
    return memory.problem;
  auto kernel =
      chooseKernel(model->kernels(), linear.kernel, model->variant(), file);
  if (!kernel)
    return kernel.error();
  list.calls.push_back(
      {*kernel, linear.items.evaluate(rows, rows, pages), args});
  memcpy(input, x, rows * columns() * 4);
  pool.runSteps(list);
  memcpy(y, args.back(), rows * outputs() * 4);
  return {};
}

Status LinearStep::run(ThreadPool &pool, const float *x, int64_t rows,
                       float *y) const {
  // Before anything reads a mapped weight: a file cut short kills the process.
  if (model->weightsAreMapped())
    if (auto error = model->artifact().checkUnchanged())
      return error;
  std::vector<Memory> scratch;
  for (int i = 0; i < pool.size(); ++i) {
    auto own = Memory::allocate(model->plan().scratch, "scratch memory");
    if (!own)
      return own.error();
    scratch.push_back(std::move(*own));
  }
  int64_t most = model->plan().limits.rows;
  for (int64_t at = 0; at < rows; at += most) {
    int64_t count = std::min(most, rows - at);
    auto place = placeFor(count);
    if (!place)
      return place.error();
    if (auto error = runBatch(pool, scratch, *place, x + at * columns(), count,
                              y + at * outputs()))
      return error;
  }
  return {};
}
