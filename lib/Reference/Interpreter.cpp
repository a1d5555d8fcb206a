//===- Interpreter.cpp - What a module means --------------------*- C++ -*-===//

#include "lowbit/Reference/Interpreter.h"
#include "Evaluator.h"

#include "lowbit/Checkpoint/Message.h"

using namespace mlir;
using namespace lowbit;
using namespace lowbit::reference;

Interpreter::Interpreter(ModuleOp module, ParameterBytes &bytes,
                         const InterpreterOptions &options)
    : state(std::make_unique<InterpreterState>(module, bytes, options)) {}

Interpreter::~Interpreter() = default;

Result<std::vector<HostTensor>>
Interpreter::call(func::FuncOp function,
                  const std::vector<HostTensor> &arguments) {
  if (state->options.mode == ReferenceMode::Strict)
    return Evaluator<float>(*state, function).run(arguments);
  return Evaluator<double>(*state, function).run(arguments);
}

Result<HostTensor> Interpreter::forward(const Batch &batch) {
  auto function = state->module.lookupSymbol<func::FuncOp>("forward");
  if (!function || function.getNumResults() != 1)
    return badInput("module", "@forward",
                    "is missing, or does not return one tensor");
  size_t rows = batch.ids.size();
  if (batch.sequences.size() != rows || batch.positions.size() != rows)
    return badInput("batch", "",
                    "has " + std::to_string(rows) + " ids, " +
                        std::to_string(batch.sequences.size()) +
                        " sequences and " +
                        std::to_string(batch.positions.size()) +
                        " positions, must have as many of each");
  std::vector<int32_t> places;
  for (size_t row = 0; row < rows; ++row)
    places.insert(places.end(), {batch.sequences[row], batch.positions[row]});
  int64_t count = rows, selected = batch.select.size();
  Result<std::vector<HostTensor>> results =
      call(function, {hostTensor({count}, batch.ids),
                      hostTensor({count, 2}, std::move(places)),
                      hostTensor({selected}, batch.select)});
  if (!results)
    return results.error();
  return std::move(results->front());
}

Result<WeightPtr> Interpreter::parameter(llvm::StringRef name) {
  return state->parameters.get(name);
}

void Interpreter::clearCache() {
  state->cache.clear();
  state->exactCache.clear();
}

std::vector<std::string> Interpreter::takeFailures() {
  return std::exchange(state->failures, {});
}

int64_t Interpreter::takeCompared() {
  return std::exchange(state->compared, 0);
}
