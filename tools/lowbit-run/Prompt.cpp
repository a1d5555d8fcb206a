//===- Prompt.cpp - The text and ids that a run is given ------------------===//
//
// Whatever is wrong with them names the file, or the flag that had the text:
// exit 3 for what stands in a file, exit 2 for what stands in the command line.
//
//===----------------------------------------------------------------------===//
#include "Actions.h"
#include "Terminal.h"

#include "lowbit/Checkpoint/Decimal.h"
#include "lowbit/Checkpoint/Message.h"

#include <cstdio>

using namespace lowbit;
using namespace lowbit::run;

namespace {

/// Where text or ids come from, as messages name it, and the exit code of a
/// problem with them.
struct Source {
  std::string name;
  int code;
};

Source fileSource(const std::string &path) {
  return {path == "-" ? "standard input" : escaped(path, 4096), 3};
}

/// The source of the prompt.
Source promptSource(const CommandLine &line) {
  if (!line.idsFile.empty())
    return fileSource(line.idsFile);
  if (!line.promptFile.empty())
    return fileSource(line.promptFile);
  return {"--prompt", 2};
}

/// Reports an error of a call that was given text or ids of `source`.
int failAbout(const Source &source, lowbit_error *error) {
  int code = lowbit_error_code(error);
  if (code != 3)
    return fail(error);
  printError(source.name + ": " + lowbit_error_message(error));
  lowbit_error_free(error);
  return source.code;
}

/// The text of --prompt or --file.
int readPrompt(const CommandLine &line, std::string &text) {
  if (line.promptFile.empty()) {
    text = line.prompt;
    return 0;
  }
  return readInput(line.promptFile, text);
}

/// A file of ids below `vocabulary`: decimal numbers separated by white space,
/// commas or brackets.
int readIds(const std::string &path, int64_t vocabulary,
            std::vector<int32_t> &ids) {
  std::string text;
  if (int code = readInput(path, text))
    return code;
  constexpr std::string_view separators = " \t\r\n,[]";
  std::string_view rest = text;
  for (;;) {
    size_t start = rest.find_first_not_of(separators);
    if (start == std::string_view::npos)
      return 0;
    rest.remove_prefix(start);
    std::string_view word = rest.substr(0, rest.find_first_of(separators));
    rest.remove_prefix(word.size());
    auto id = parseDecimal(word, 0, vocabulary - 1);
    if (!id)
      return fail(3, fileSource(path).name + ": token " +
                         std::to_string(ids.size()) + ": " +
                         id.error().message);
    ids.push_back(static_cast<int32_t>(*id));
  }
}

/// Tokenizes text of `source`.
int encode(const ModelHandle &model, const std::string &text,
           const Source &source, bool addSpecial, bool parseSpecial,
           std::vector<int32_t> &ids) {
  int32_t *list = nullptr;
  size_t count = 0;
  if (auto *error = lowbit_tokenize(model.get(), text.data(), text.size(),
                                    addSpecial, parseSpecial, &list, &count))
    return failAbout(source, error);
  ids.assign(list, list + count);
  lowbit_free(list);
  return 0;
}

} // namespace

int lowbit::run::readPromptIds(const CommandLine &line,
                               const ModelHandle &model,
                               std::vector<int32_t> &ids) {
  lowbit_model_facts facts = factsOf(model);
  if (!line.idsFile.empty())
    return readIds(line.idsFile, facts.vocabulary, ids);
  std::string text;
  if (int code = readPrompt(line, text))
    return code;
  if (int code = encode(model, text, promptSource(line), /*addSpecial=*/true,
                        line.parseSpecial, ids))
    return code;
  // Without a prompt the model begins by itself, where it can.
  if (ids.empty() && facts.bos >= 0)
    ids.push_back(facts.bos);
  return 0;
}

int lowbit::run::checkPromptLength(const CommandLine &line,
                                   const ContextHandle &context,
                                   const std::vector<int32_t> &ids) {
  int64_t positions = lowbit_context_positions(context.get());
  if (!ids.empty() && ids.size() <= static_cast<uint64_t>(positions))
    return 0;
  Source source = promptSource(line);
  return fail(source.code, source.name + ": has " + std::to_string(ids.size()) +
                               " tokens, must have 1 to " +
                               std::to_string(positions) + " (the context)");
}

int lowbit::run::readScoredText(const CommandLine &line,
                                const ModelHandle &model,
                                std::vector<int32_t> &ids) {
  std::string text;
  if (int code = readInput(line.perplexityFile, text))
    return code;
  return encode(model, text, fileSource(line.perplexityFile),
                /*addSpecial=*/false, /*parseSpecial=*/false, ids);
}

int lowbit::run::failScoring(const CommandLine &line, lowbit_error *error) {
  return failAbout(fileSource(line.perplexityFile), error);
}

int lowbit::run::printTokens(const CommandLine &line) {
  std::string text;
  if (int code = readPrompt(line, text))
    return code;
  lowbit_tokenizer *tokenizer = nullptr;
  if (auto *error = lowbit_tokenizer_open(line.model.c_str(), &tokenizer))
    return fail(error);
  int32_t *ids = nullptr;
  size_t count = 0;
  auto *error = lowbit_tokenizer_encode(tokenizer, text.data(), text.size(),
                                        /*add_special=*/1, line.parseSpecial,
                                        &ids, &count);
  lowbit_tokenizer_close(tokenizer);
  if (error)
    return failAbout(promptSource(line), error);
  for (size_t i = 0; i < count; ++i)
    printf("%d\n", ids[i]);
  lowbit_free(ids);
  return 0;
}
