//===- Actions.h - What lowbit-run can do -----------------------*- C++ -*-===//
#ifndef LOWBIT_TOOLS_LOWBIT_RUN_ACTIONS_H
#define LOWBIT_TOOLS_LOWBIT_RUN_ACTIONS_H

#include "CommandLine.h"
#include "lowbit/Runtime/lowbit_runtime.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lowbit::run {

struct CloseModel {
  void operator()(lowbit_model *model) const { lowbit_model_close(model); }
};
struct FreeContext {
  void operator()(lowbit_context *context) const {
    lowbit_context_free(context);
  }
};
using ModelHandle = std::unique_ptr<lowbit_model, CloseModel>;
using ContextHandle = std::unique_ptr<lowbit_context, FreeContext>;

/// Opens an artifact as the flags say. 0, or the exit code of a problem that
/// was printed; so do all functions below.
int openModel(const CommandLine &line, const std::string &path,
              ModelHandle &model);

/// Makes a context of `positions` (0: all) and a sequence in it.
int makeContext(const CommandLine &line, const ModelHandle &model,
                int64_t positions, ContextHandle &context, int32_t *sequence);

/// The facts of a model.
lowbit_model_facts factsOf(const ModelHandle &model);

/// The ids of --ids, each of the vocabulary, or of the prompt with special
/// tokens added.
int readPromptIds(const CommandLine &line, const ModelHandle &model,
                  std::vector<int32_t> &ids);

/// Whether the prompt is not empty and fits the context.
int checkPromptLength(const CommandLine &line, const ContextHandle &context,
                      const std::vector<int32_t> &ids);

/// The ids of the text of --perplexity, without BOS.
int readScoredText(const CommandLine &line, const ModelHandle &model,
                   std::vector<int32_t> &ids);
/// As fail, naming that text where the problem is with it.
int failScoring(const CommandLine &line, lowbit_error *error);

/// One for each action; they return the exit code.
int generateText(const CommandLine &line);
int measurePerplexity(const CommandLine &line);
int runBenchmark(const CommandLine &line);
int inspectArtifact(const CommandLine &line);
int verifyArtifact(const CommandLine &line);
int listVariants();
int listDevices();
int printTokens(const CommandLine &line);
int writeLogits(const CommandLine &line);
/// Hands over to lowbit-reference beside this tool; returns only on failure.
int runReference(const CommandLine &line);

} // namespace lowbit::run

#endif // LOWBIT_TOOLS_LOWBIT_RUN_ACTIONS_H
