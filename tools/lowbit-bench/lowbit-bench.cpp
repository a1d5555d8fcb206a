//===- lowbit-bench.cpp - Kernels and stages against their limits ---------===//
//
//   lowbit-bench --benchmark_filter='linear/int4-g64/4096x4096/rows:1/'
//   lowbit-bench --codegen 8B
//   lowbit-bench --corpus --formats=int2-g64-half,trellis2
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "Corpus.h"
#include "Report.h"
#include "Session.h"
#include "WeightPages.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Pipelines/Stage.h"
#include "llvm/Support/CommandLine.h"

#include <cstdio>
#include <thread>

using namespace lowbit;
using namespace lowbit::bench;
namespace cl = llvm::cl;

namespace {

struct Flags {
  cl::OptionCategory category{"lowbit-bench options"};
  cl::list<std::string> formats{
      "formats", cl::CommaSeparated, cl::cat(category), cl::value_desc("names"),
      cl::desc("Weights of linears: formats as in recipes, f32, f16, bf16")};
  cl::list<std::string> shapes{
      "shapes", cl::CommaSeparated, cl::cat(category), cl::value_desc("NxK"),
      cl::desc("Outputs x inputs of linears (default: 4096x4096, 14336x4096, "
               "4096x14336)")};
  cl::list<int64_t> rows{"rows", cl::CommaSeparated, cl::cat(category),
                         cl::value_desc("n"),
                         cl::desc("Rows (tokens) (default: 1,4,16,512)")};
  cl::list<std::string> activations{"activations", cl::CommaSeparated,
                                    cl::cat(category), cl::value_desc("types"),
                                    cl::desc("i8, i16 (default: both)")};
  cl::list<int64_t> threads{
      "threads", cl::CommaSeparated, cl::cat(category), cl::value_desc("n"),
      cl::desc("Thread counts (default: one for each CPU)")};
  cl::opt<std::string> variant{
      "variant", cl::cat(category), cl::value_desc("name"),
      cl::desc("Kernels for portable, avx2 or avx512 (default: the largest "
               "that this CPU has)")};
  cl::opt<int64_t> pages{"pages", cl::init(640), cl::cat(category),
                         cl::value_desc("MB"),
                         cl::desc("Cold weights, in MB (default: 640)")};
  cl::opt<std::string> clock{
      "clock", cl::init("wall"), cl::cat(category), cl::value_desc("kind"),
      cl::desc("wall, or cpu: CPU time, without barriers, for a look at a "
               "machine that is not quiet")};
  cl::opt<std::string> dump{"dump", cl::cat(category), cl::value_desc("dir"),
                            cl::desc("Leave the code of kernels there")};
  cl::opt<std::string> codegen{
      "codegen", cl::cat(category), cl::value_desc("shape"),
      cl::desc("Measure code generation of a model of shape 1B or 8B instead")};
  cl::opt<std::string> recipe{"recipe", cl::init("int4-g64"), cl::cat(category),
                              cl::value_desc("name|file"),
                              cl::desc("With --codegen: the recipe")};
  cl::opt<std::string> target{"target", cl::init("x86_64"), cl::cat(category),
                              cl::value_desc("name"),
                              cl::desc("With --codegen: the target")};
  cl::opt<unsigned> jobs{"jobs", cl::init(0), cl::cat(category),
                         cl::value_desc("n"),
                         cl::desc("With --codegen: threads (default: one for "
                                  "each CPU)")};
  cl::opt<bool> corpus{
      "corpus", cl::cat(category),
      cl::desc("Judge --formats with their solvers on the seeded weight corpus "
               "(--shapes: one, default 256x1024) instead")};
  cl::opt<std::string> model{"model", cl::cat(category), cl::value_desc("dir"),
                             cl::desc("With --corpus: a model folder")};
  cl::list<std::string> tensors{
      "tensors", cl::CommaSeparated, cl::cat(category), cl::value_desc("names"),
      cl::desc("With --corpus: matrices of --model to judge as well")};
  cl::opt<uint64_t> seed{"seed", cl::init(1), cl::cat(category),
                         cl::value_desc("n"),
                         cl::desc("With --corpus: the seed")};
};

int fail(const Error &error) {
  std::fprintf(stderr, "lowbit-bench: error: %s\n", error.message.c_str());
  return static_cast<int>(error.code);
}

Error usage(const std::string &text) { return {ExitCode::Usage, text}; }

/// What is measured unless flags say otherwise: every width and group once.
std::vector<std::string> defaultFormats() {
  std::vector<std::string> names;
  for (const char *bits : {"int8", "int4", "int3", "int2"})
    for (const char *group : {"row", "g32", "g64", "g128"})
      names.push_back(std::string(bits) + "-" + group);
  for (const char *name :
       {"int4-g64-e4m3", "int4-g64-half", "int4-g64-stored", "int2-g64-half",
        "int2-g64-e4m3-half", "bf16", "f32"})
    names.push_back(name);
  return names;
}

Result<MatrixShape> parseShape(const std::string &text) {
  MatrixShape shape{0, 0};
  auto [outputs, inputs] = llvm::StringRef(text).split('x');
  constexpr int64_t most = int64_t(1) << 20;
  if (outputs.getAsInteger(10, shape.outputs) ||
      inputs.getAsInteger(10, shape.inputs) || shape.outputs < 1 ||
      shape.inputs < 1 || shape.outputs > most || shape.inputs > most)
    return usage("--shapes: " + quoted(text) +
                 " is not NxK with numbers from 1 to 2^20");
  return shape;
}

Status readMachine(const Flags &flags, Options &options) {
  options.variant = bestVariant();
  if (!flags.variant.empty()) {
    Result<Variant> variant = parseVariant(flags.variant);
    if (!variant)
      return variant.error();
    std::string missing = missingFeatures(*variant);
    if (!missing.empty())
      return Error{ExitCode::Unsupported, "--variant " + flags.variant +
                                              ": this CPU lacks " + missing};
    options.variant = *variant;
  }
  if (flags.clock != "wall" && flags.clock != "cpu")
    return usage("--clock: " + quoted(flags.clock) +
                 " is not known, must be wall or cpu");
  options.clock = flags.clock == "wall" ? Clock::Wall : Clock::Cpu;
  if (flags.pages < 1 || flags.pages > (int64_t(1) << 20))
    return usage("--pages: is " + std::to_string(flags.pages) +
                 ", must be from 1 to 2^20");
  options.pageBytes = flags.pages * 1'000'000;
  for (int64_t threads : flags.threads) {
    if (threads < 1 || threads > availableCpus())
      return usage("--threads: is " + std::to_string(threads) +
                   ", must be from 1 to " + std::to_string(availableCpus()));
    options.threads.push_back(static_cast<int>(threads));
  }
  if (options.threads.empty())
    options.threads = {availableCpus()};
  options.dump = flags.dump;
  return std::nullopt;
}

Result<Options> readOptions(const Flags &flags) {
  Options options;
  if (Status status = readMachine(flags, options))
    return *status;
  options.formats = {flags.formats.begin(), flags.formats.end()};
  if (options.formats.empty())
    options.formats = defaultFormats();
  for (const std::string &name : options.formats)
    if (Result<WeightType> type = WeightType::parse(name); !type)
      return type.error();
  std::vector<std::string> shapes(flags.shapes.begin(), flags.shapes.end());
  if (shapes.empty())
    shapes = {"4096x4096", "14336x4096", "4096x14336"};
  for (const std::string &text : shapes) {
    Result<MatrixShape> shape = parseShape(text);
    if (!shape)
      return shape.error();
    options.shapes.push_back(*shape);
  }
  options.rows = {flags.rows.begin(), flags.rows.end()};
  if (options.rows.empty())
    options.rows = {1, 4, 16, 512};
  for (int64_t rows : options.rows)
    if (rows < 1 || rows > 65536)
      return usage("--rows: is " + std::to_string(rows) +
                   ", must be from 1 to 65536");
  options.activations = {flags.activations.begin(), flags.activations.end()};
  if (options.activations.empty())
    options.activations = {"i8", "i16"};
  for (const std::string &name : options.activations)
    if (name != "i8" && name != "i16")
      return usage("--activations: " + quoted(name) +
                   " is not known, must be i8 or i16");
  return options;
}

int runCodegen(const Flags &flags, bool json) {
  CodegenOptions options;
  options.shape = flags.codegen;
  options.recipe = flags.recipe;
  options.target = flags.target;
  options.jobs = flags.jobs ? flags.jobs
                            : std::max(1u, std::thread::hardware_concurrency());
  options.repetitions = 3;
  options.json = json;
  options.dump = flags.dump;
  Result<std::string> text = measureCodegen(options);
  if (!text)
    return fail(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

int runCorpus(const Flags &flags, bool json) {
  CorpusOptions options;
  options.formats = {flags.formats.begin(), flags.formats.end()};
  if (options.formats.empty())
    options.formats = {"int4-g64-half",   "int3-g64-half", "int2-g64-half",
                       "int2-g32-stored", "trellis2",      "trellis1"};
  if (flags.shapes.size() > 1)
    return fail(usage("--shapes: --corpus takes one shape"));
  if (!flags.shapes.empty()) {
    Result<MatrixShape> shape = parseShape(flags.shapes.front());
    if (!shape)
      return fail(shape.error());
    options.shape = *shape;
  }
  options.model = flags.model;
  options.tensors = {flags.tensors.begin(), flags.tensors.end()};
  if (options.model.empty() != options.tensors.empty())
    return fail(usage("--model and --tensors go together"));
  options.seed = flags.seed;
  options.json = json;
  Result<std::string> text = judgeCorpus(options);
  if (!text)
    return fail(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

void addContext(const Options &options) {
  benchmark::AddCustomContext("lowbit_version", LOWBIT_VERSION);
  benchmark::AddCustomContext("variant", variantName(options.variant));
  benchmark::AddCustomContext("integer_peak", integerPeak(4).name);
  benchmark::AddCustomContext("integer_peak_8_bits", integerPeak(8).name);
  benchmark::AddCustomContext("integer_chain", integerChain().name);
  benchmark::AddCustomContext("float_peak", floatPeak().name);
  benchmark::AddCustomContext("cold_bytes", std::to_string(options.pageBytes));
  benchmark::AddCustomContext("clock",
                              options.clock == Clock::Wall ? "wall" : "cpu");
}

int runBenchmarks(Session &session, bool isTable) {
  addContext(session.getOptions());
  registerLimits(session);
  registerLinears(session);
  registerRows(session);
  registerAttention(session);
  registerMoments(session);
  registerSolvers(session);
  if (isTable) {
    const Options &options = session.getOptions();
    std::printf(
        "variant %s; integer peak: %s (8 bits: %s, chain: %s); float peak: %s; "
        "clock: %s\n\n",
        variantName(options.variant), integerPeak(4).name.c_str(),
        integerPeak(8).name.c_str(), integerChain().name.c_str(),
        floatPeak().name.c_str(),
        options.clock == Clock::Wall ? "wall" : "cpu");
    auto reporter = createTableReporter();
    benchmark::RunSpecifiedBenchmarks(reporter.get());
  } else {
    benchmark::RunSpecifiedBenchmarks();
  }
  session.finish();
  for (const std::string &line : session.failures())
    std::fprintf(stderr, "lowbit-bench: INVALID: %s\n", line.c_str());
  return session.failures().empty() ? 0 : static_cast<int>(ExitCode::Internal);
}

} // namespace

int main(int argc, char **argv) {
  registerCompilerPasses();
  // Flags of Google Benchmark come out of the command line first. Ours are the
  // defaults that it lacks: repetitions, and our table.
  bool isTable = true, isRepeated = false, isJson = false;
  std::vector<char *> arguments(argv, argv + argc);
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef argument = argv[i];
    if (argument.consume_front("--benchmark_format=")) {
      isTable = argument == "console";
      isJson = argument == "json";
    }
    isRepeated |= argument.starts_with("--benchmark_repetitions=");
  }
  std::string repetitions = "--benchmark_repetitions=9";
  if (!isRepeated)
    arguments.push_back(repetitions.data());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());

  // LLVM's own options, `--threads` among them, are none of ours.
  cl::ResetCommandLineParser();
  Flags flags;
  cl::HideUnrelatedOptions(flags.category);
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  if (!cl::ParseCommandLineOptions(
          count, arguments.data(),
          "Measures kernels and stages against the limits of the machine.\n"
          "Flags of Google Benchmark (--benchmark_filter=…, "
          "--benchmark_format=json,\n--benchmark_repetitions=n, "
          "--benchmark_list_tests) work too.\n",
          &problems))
    return fail(usage(llvm::StringRef(problem).trim().str()));
  if (!flags.codegen.empty())
    return runCodegen(flags, isJson);
  if (flags.corpus)
    return runCorpus(flags, isJson);
  Result<Options> options = readOptions(flags);
  if (!options)
    return fail(options.error());
  Result<std::unique_ptr<Session>> session = Session::create(*options);
  if (!session)
    return fail(session.error());
  return runBenchmarks(**session, isTable);
}
