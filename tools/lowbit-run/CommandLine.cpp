//===- CommandLine.cpp - What lowbit-run was asked to do ------------------===//
#include "CommandLine.h"

#include "Terminal.h"
#include "lowbit/Checkpoint/Decimal.h"
#include "lowbit/Runtime/lowbit_runtime.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <numeric>

using namespace lowbit::run;

static const char *const footer = R"(Examples:
  lowbit-run model.lowbit -p "Once upon a time" -n 100 --temp 0
  lowbit-run model.lowbit --perplexity book.txt
  lowbit-run model.lowbit --bench -o json

Every flag --some-flag can also be given as LOWBIT_ARG_SOME_FLAG in the
environment; there, a flag that a run has no use for is passed over. Results
go to standard output, everything else to standard error.
Exit codes: 0 ok, 2 usage, 3 bad input, 4 not supported, 5 input/output,
6 memory, 7 damaged or untrusted artifact, 70 internal.)";

/// `--top-p` to LOWBIT_ARG_TOP_P.
static std::string environmentName(const std::string &name) {
  std::string result = "LOWBIT_ARG_";
  for (char c : name)
    result += c == '-' ? '_' : static_cast<char>(toupper(c));
  return result;
}

namespace {

/// What a run does; sums of them are what a flag is for.
enum Action : unsigned {
  Text = 1,
  Perplexity = 2,
  Bench = 4,
  Logits = 8,
  Tokenize = 16,
  Inspect = 32,
  Verify = 64,
  ListVariants = 128,
  Computing = Text | Perplexity | Bench | Logits,
  OfModel = Computing | Tokenize | Inspect | Verify,
  ListDevices = 256,
  Always = OfModel | ListVariants | ListDevices,
  /// In a sum: not for the reference engine.
  KernelsOnly = 512
};

/// The flag that asks for an action; without any, text is made.
constexpr std::pair<Action, const char *> actionFlags[] = {
    {Perplexity, "--perplexity"},
    {Bench, "--bench"},
    {Logits, "--logits"},
    {Tokenize, "--tokenize"},
    {Inspect, "--inspect"},
    {Verify, "--verify"},
    {ListVariants, "--list-variants"},
    {ListDevices, "--list-devices"}};

/// The flags of all actions in a sum, as `--perplexity or --bench`.
std::string namesOf(unsigned actions) {
  std::string names;
  for (auto [action, name] : actionFlags)
    if (actions & action)
      names += (names.empty() ? "" : " or ") + std::string(name);
  return names;
}

/// Declares options in groups, each with its mirror in the environment.
class Declarations {
public:
  explicit Declarations(CLI::App &app) : app(app) {}

  template <typename T>
  CLI::Option *option(const char *names, T &value, const char *text) {
    return finish(app.add_option(names, value, text));
  }
  /// The one argument that is no flag.
  void model(std::string &path) {
    actionsOf[app.add_option("model", path, "The artifact (model.lowbit)")] =
        OfModel;
  }
  /// A whole number from `lowest` to `highest`.
  CLI::Option *integer(const char *names, int64_t &value, int64_t lowest,
                       int64_t highest, const char *text) {
    std::string name = std::string(names);
    name = name.substr(name.find("--"));
    auto read = [=, &value](const std::string &typed) {
      auto number = lowbit::parseDecimal(typed, lowest, highest);
      if (!number)
        throw CLI::ValidationError(name, number.error().message);
      value = *number;
    };
    return finish(app.add_option_function<std::string>(names, read, text)
                      ->type_name("INT"));
  }
  CLI::Option *flag(const char *names, bool &value, const char *text) {
    return finish(app.add_flag(names, value, text));
  }
  const char *group = "";
  /// What the options declared next are for.
  unsigned actions = Always;

  /// What is wrong with the flags typed for a run that does `action`: one that
  /// it has no use for. Those from the environment are for many runs.
  std::string checkUse(Action action, const std::string &engine) const {
    for (const CLI::Option *option : app.parse_order()) {
      unsigned useful = actionsOf.at(option);
      std::string name = option->get_name();
      if ((useful & KernelsOnly) && engine != "kernels")
        return name + " has no effect with --engine=" + engine;
      if (useful & action)
        continue;
      return name + (action == Text ? " needs " + namesOf(useful)
                                    : " has no effect with " + namesOf(action));
    }
    return "";
  }

private:
  CLI::Option *finish(CLI::Option *option) {
    actionsOf[option] = actions;
    option->group(group);
    option->envname(environmentName(option->get_lnames().front()));
    return option;
  }
  CLI::App &app;
  std::map<const CLI::Option *, unsigned> actionsOf;
};

void declareText(Declarations &declare, CommandLine &line) {
  declare.group = "Text";
  declare.actions = Text | Logits | Tokenize;
  declare.option("-p,--prompt", line.prompt, "Text to go on from");
  declare.option("-f,--file", line.promptFile,
                 "Read the prompt from a file (- is standard input)");
  declare.actions = Text;
  declare.integer("-n,--n-predict", line.tokens, -1, INT64_MAX,
                  "Tokens to make; -1 (default): until the text or the context "
                  "ends");
  declare.flag("--ignore-eos", line.ignoreEnd,
               "Go on after an end-of-text token");
  declare.actions = Text | Logits | Tokenize;
  declare.flag("--special", line.parseSpecial,
               "Names of special tokens in the prompt mean these tokens");
  declare.actions = Text;
  declare.flag("--no-display-prompt", line.noDisplayPrompt,
               "Print only the text that is made");
  declare.group = "Sampling";
  declare.option("--temp", line.temperature,
                 "Temperature, 0 to 10000 (default 0.8); 0 takes the most "
                 "likely token");
  declare.integer("--top-k", line.topK, 0, INT32_MAX,
                  "Keep this many most likely tokens (default 40); 0: all");
  declare.option("--top-p", line.topP,
                 "Keep the most likely tokens of this probability (default "
                 "0.95); 1: all");
  declare.option(
      "--min-p", line.minP,
      "Keep tokens of at least this share of the largest probability "
      "(default 0.05); 0: all");
  declare.integer("-s,--seed", line.seed, -1, INT64_MAX,
                  "Seed; -1 (default): another one each time");
}

void declareFigures(Declarations &declare, CommandLine &line) {
  declare.group = "Figures";
  declare.actions = Perplexity;
  declare.option("--perplexity", line.perplexityFile,
                 "Measure perplexity on a text");
  declare.option("--compare", line.compareWith,
                 "With --perplexity: also KL(OTHER || model) and the paired "
                 "difference to this artifact");
  declare
      .option("--protocol", line.protocol,
              "lowbit (default: BOS first in every window, all other tokens "
              "scored) or llama.cpp (the second half of each window)")
      ->check(CLI::IsMember({"lowbit", "llama.cpp"}));
  declare.integer("--windows", line.windows, 0, INT64_MAX,
                  "At most so many windows of the text; 0 (default): all");
  declare.actions = Bench;
  declare.flag("--bench", line.bench,
               "Measure tokens per second of a prompt and of making text");
  declare.integer("--pp", line.benchPrompt, 0, INT64_MAX,
                  "Tokens of the prompt in --bench (default 512); 0: skip");
  declare.integer("--tg", line.benchTokens, 0, INT64_MAX,
                  "Tokens to make in --bench (default 128); 0: skip");
  declare.integer("-r,--repetitions", line.repetitions, 1, 10000,
                  "Repetitions in --bench (default 5)");
  declare.actions = Perplexity | Bench | Inspect | KernelsOnly;
  declare
      .option("-o,--output", line.format,
              "md or json for --bench; text or json for --perplexity and "
              "--inspect")
      ->check(CLI::IsMember({"md", "text", "json"}));
}

void declareRest(Declarations &declare, CommandLine &line) {
  declare.group = "Numbers in and out";
  declare.actions = Tokenize;
  declare.flag("--tokenize", line.tokenize,
               "Print the ids of the prompt, nothing else");
  declare.actions = Text | Logits;
  declare.option("--ids", line.idsFile,
                 "Take ids from a file instead of a prompt");
  declare.actions = Logits;
  declare.option("--logits", line.logitsFile,
                 "Write the logits of all tokens of the prompt, f32 [tokens, "
                 "vocabulary], as .npy");
  declare.group = "How it runs";
  declare.actions = Computing | Verify;
  declare.integer("-t,--threads", line.threads, 0, 10000,
                  "Threads; 0 (default): one for each CPU");
  declare.actions = Computing;
  declare.integer(
      "-c,--ctx-size", line.context, 0, INT64_MAX,
      "Positions of the context; 0 (default): all of the model; with "
      "--perplexity, tokens of a window (0: 512)");
  declare.actions = Computing | KernelsOnly;
  declare
      .option("--weights", line.weights,
              "copy into huge pages, map, or automatic (default)")
      ->check(CLI::IsMember({"automatic", "copy", "map"}));
  declare.option("--variant", line.variant,
                 "Largest kernel variant to use: portable, avx2, avx512 "
                 "(default: the CPU's best)");
  declare.option("--device", line.device,
                 "cpu (default), or emulated: the GPU's plan with its threads "
                 "made to run on the CPU, and races in shared memory found "
                 "(cuda:N is refused so far, with the reason)");
  declare.integer("--schedule", line.schedule, 0, INT64_MAX,
                  "With --device emulated: 0 (default) runs threads in order, "
                  "another number is the seed of random schedules");
  declare.actions = Computing;
  declare
      .option("--engine", line.engine,
              "kernels (default), or reference or reference-f64: the "
              "interpreter lowbit-reference of the compiler tools")
      ->check(CLI::IsMember({"kernels", "reference", "reference-f64"}));
  declare.actions = Computing | KernelsOnly;
  declare.integer("--width", line.width, -1, INT32_MAX,
                  "Bit width of nested models; -1 (default): the largest");
  declare.actions = OfModel;
  declare.flag("--trust", line.trust,
               "Run the code of an artifact that you did not compile");
  declare.group = "The artifact";
  declare.actions = Inspect;
  declare.flag("--inspect", line.inspect,
               "Print what is in it, without executing anything");
  declare.actions = Verify;
  declare.flag("--verify", line.verify, "Check every byte of it");
  declare.actions = ListVariants;
  declare.flag("--list-variants", line.listVariants,
               "Print the kernel variants and which this CPU can run");
  declare.actions = ListDevices;
  declare.flag("--list-devices", line.listDevices,
               "Print what --device can be here, or why there is no GPU");
}

size_t editDistance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// The flag that an unknown argument probably means, or nothing.
std::string nearestFlag(const CLI::App &app, std::string argument) {
  argument = argument.substr(0, argument.find('='));
  std::string best;
  size_t least = std::max<size_t>(2, argument.size() / 3) + 1;
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames()) {
      size_t distance = editDistance(argument, "--" + name);
      if (distance < least) {
        least = distance;
        best = "--" + name;
      }
    }
  return best;
}

int reportUsage(const CLI::App &app, const CLI::ParseError &error, int argc,
                char **argv) {
  std::string message = error.what();
  if (dynamic_cast<const CLI::ExtrasError *>(&error)) {
    // Name the first argument that is no flag of this tool.
    for (int i = 1; i < argc; ++i) {
      std::string argument = argv[i];
      if (argument.size() < 2 || argument[0] != '-' ||
          message.find(argument) == std::string::npos)
        continue;
      message = "unknown flag " + argument;
      std::string nearest = nearestFlag(app, argument);
      if (!nearest.empty())
        message += "; did you mean " + nearest + "?";
      break;
    }
  }
  printError(message);
  return 2;
}

/// The sum of the actions that were asked for.
unsigned askedActions(const CommandLine &line) {
  unsigned asked = 0;
  auto add = [&](Action action, bool given) { asked |= given ? action : 0; };
  add(Perplexity, !line.perplexityFile.empty());
  add(Bench, line.bench);
  add(Logits, !line.logitsFile.empty());
  add(Tokenize, line.tokenize);
  add(Inspect, line.inspect);
  add(Verify, line.verify);
  add(ListVariants, line.listVariants);
  add(ListDevices, line.listDevices);
  return asked == 0 ? Text : asked;
}

/// What cannot be said by one option alone.
std::string checkTogether(const CommandLine &line, unsigned action) {
  int prompts =
      !line.prompt.empty() + !line.promptFile.empty() + !line.idsFile.empty();
  if (prompts > 1)
    return "only one of --prompt, --file and --ids at once";
  if (line.parseSpecial && !line.idsFile.empty())
    return "--special has no effect with --ids";
  if (action == Logits && prompts == 0)
    return "--logits needs --ids, --prompt or --file";
  if (action == Bench && line.benchPrompt == 0 && line.benchTokens == 0)
    return "--pp and --tg are both 0: there is nothing to measure";
  if (action == Bench && line.format == "text")
    return "--output: --bench prints md or json, not text";
  if ((action & (Perplexity | Inspect)) && line.format == "md")
    return "--output: " + namesOf(action) + " prints text or json, not md";
  if (action == Logits && line.context > 0 && line.engine != "kernels")
    return "--ctx-size has no effect with --logits and --engine=" + line.engine;
  if (line.schedule != 0 && line.device != "emulated")
    return "--schedule needs --device emulated";
  return "";
}

/// The first thing that is wrong with what was asked for, or nothing.
std::string checkRequest(const CommandLine &line,
                         const Declarations &declared) {
  unsigned asked = askedActions(line);
  if (line.model.empty() && !(asked & (ListVariants | ListDevices)))
    return "which artifact? (lowbit-run model.lowbit …; see --help)";
  if (asked & (asked - 1))
    return "only one of " + namesOf(asked) + " at once";
  std::string problem =
      declared.checkUse(static_cast<Action>(asked), line.engine);
  return problem.empty() ? checkTogether(line, asked) : problem;
}

} // namespace

int lowbit::run::parseCommandLine(int argc, char **argv, CommandLine &line) {
  CLI::App app("lowbit-run: run a compiled model", "lowbit-run");
  app.footer(footer);
  app.set_version_flag("--version", std::string("lowbit ") + lowbit_version());
  Declarations declare(app);
  declare.model(line.model);
  declareText(declare, line);
  declareFigures(declare, line);
  declareRest(declare, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion &call) {
    printf("%s\n", call.what());
    return 0;
  } catch (const CLI::CallForHelp &) {
    printf("%s", app.help().c_str());
    return 0;
  } catch (const CLI::ParseError &error) {
    return reportUsage(app, error, argc, argv);
  }
  std::string problem = checkRequest(line, declare);
  if (problem.empty())
    return -1;
  printError(problem);
  return 2;
}
