//===- Codegen.cpp - How long code generation takes -----------------------===//

#include "Codegen.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Import/Import.h"
#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/LinkObject.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"

#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

//===----------------------------------------------------------------------===//
// A checkpoint of holes
//===----------------------------------------------------------------------===//

/// The shapes of design section 7.
struct ModelShape {
  const char *name;
  int64_t hidden, ffn, layers, heads, kvHeads, vocabulary;
  bool isTied;
};
constexpr ModelShape shapes[] = {
    {"1B", 2048, 8192, 16, 32, 8, 128256, true},
    {"8B", 4096, 14336, 32, 32, 8, 128256, false},
};

std::string makeConfig(const ModelShape &shape) {
  return llvm::formatv(
             "{{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": "
             "\"llama\", \"hidden_size\": {0}, \"intermediate_size\": {1}, "
             "\"num_hidden_layers\": {2}, \"num_attention_heads\": {3}, "
             "\"num_key_value_heads\": {4}, \"head_dim\": {5}, "
             "\"vocab_size\": {6}, \"max_position_embeddings\": 8192, "
             "\"rms_norm_eps\": 1e-05, \"rope_theta\": 500000.0, "
             "\"hidden_act\": \"silu\", \"tie_word_embeddings\": {7}, "
             "\"bos_token_id\": 0, \"eos_token_id\": 1, \"torch_dtype\": "
             "\"bfloat16\"}",
             shape.hidden, shape.ffn, shape.layers, shape.heads, shape.kvHeads,
             shape.hidden / shape.heads, shape.vocabulary,
             shape.isTied ? "true" : "false")
      .str();
}

/// The header of a safetensors file with all tensors; `bytes` is their size.
std::string makeHeader(const ModelShape &shape, int64_t &bytes) {
  std::string text = "{";
  bytes = 0;
  auto add = [&](const std::string &name, int64_t rows, int64_t columns) {
    int64_t size = 2 * rows * std::max<int64_t>(columns, 1);
    text += llvm::formatv("{0}\"{1}\":{{\"dtype\":\"BF16\",\"shape\":[{2}{3}],"
                          "\"data_offsets\":[{4},{5}]}",
                          text.size() > 1 ? "," : "", name, rows,
                          columns ? "," + std::to_string(columns) : "", bytes,
                          bytes + size);
    bytes += size;
  };
  int64_t kv = shape.hidden / shape.heads * shape.kvHeads;
  add("model.embed_tokens.weight", shape.vocabulary, shape.hidden);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    std::string at = "model.layers." + std::to_string(layer) + ".";
    add(at + "input_layernorm.weight", shape.hidden, 0);
    add(at + "self_attn.q_proj.weight", shape.hidden, shape.hidden);
    add(at + "self_attn.k_proj.weight", kv, shape.hidden);
    add(at + "self_attn.v_proj.weight", kv, shape.hidden);
    add(at + "self_attn.o_proj.weight", shape.hidden, shape.hidden);
    add(at + "post_attention_layernorm.weight", shape.hidden, 0);
    add(at + "mlp.gate_proj.weight", shape.ffn, shape.hidden);
    add(at + "mlp.up_proj.weight", shape.ffn, shape.hidden);
    add(at + "mlp.down_proj.weight", shape.hidden, shape.ffn);
  }
  add("model.norm.weight", shape.hidden, 0);
  if (!shape.isTied)
    add("lm_head.weight", shape.vocabulary, shape.hidden);
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

/// A folder that is removed again.
class HollowModel {
public:
  ~HollowModel() {
    if (!folder.empty())
      llvm::sys::fs::remove_directories(folder);
  }
  Status create(const ModelShape &shape) {
    if (auto error =
            llvm::sys::fs::createUniqueDirectory("lowbit-bench", folder))
      return Error{ExitCode::IO, "temporary folder: " + error.message()};
    int64_t bytes = 0;
    std::string header = makeHeader(shape, bytes);
    uint64_t length = header.size();
    std::string start(reinterpret_cast<const char *>(&length), 8);
    if (Status status = write("model.safetensors", start + header,
                              static_cast<int64_t>(8 + header.size()) + bytes))
      return status;
    return write("config.json", makeConfig(shape), 0);
  }
  std::string path() const { return folder.str().str(); }

private:
  /// Writes `text` and lengthens the file to `size` by a hole.
  Status write(const std::string &name, const std::string &text, int64_t size) {
    std::string file = path() + "/" + name;
    FILE *stream = fopen(file.c_str(), "we");
    bool ok =
        stream && fwrite(text.data(), 1, text.size(), stream) == text.size();
    if (stream)
      ok = fclose(stream) == 0 && ok;
    if (ok && size)
      ok = truncate(file.c_str(), size) == 0;
    if (ok)
      return std::nullopt;
    return Error{ExitCode::IO, file + ": cannot be written"};
  }

  llvm::SmallString<128> folder;
};

//===----------------------------------------------------------------------===//
// The stages
//===----------------------------------------------------------------------===//

/// Stages in order with their seconds.
struct Timeline {
  std::vector<std::pair<const char *, double>> stages;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();

  void end(const char *stage) {
    auto now = std::chrono::steady_clock::now();
    stages.push_back(
        {stage, std::chrono::duration<double>(now - last).count()});
    last = now;
  }
  double total() const {
    double sum = 0;
    for (auto [stage, seconds] : stages)
      sum += seconds;
    return sum;
  }
};

struct Measurement {
  Timeline timeline;
  size_t kernels = 0, functions = 0, codeBytes = 0;
};

Result<mlir::OwningOpRef<mlir::ModuleOp>>
importHollow(mlir::MLIRContext &context, const std::string &path) {
  Result<ModelFolder> folder = ModelFolder::open(path);
  if (!folder)
    return folder.error();
  Result<ModelConfig> config =
      readModelConfig(folder->config(), folder->pathOf("config.json"));
  if (!config)
    return config.error();
  Result<ModelTensors> tensors = checkTensors(*config, *folder);
  if (!tensors)
    return tensors.error();
  std::vector<std::string> notes;
  return importModel(context, *folder, *config, *tensors, {}, notes);
}

Result<Measurement> compileOnce(const std::string &path,
                                const CodegenOptions &options) {
  Measurement result;
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect, mlir::func::FuncDialect>();
  registerKernelDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.jobs));
  if (options.jobs > 1)
    context.setThreadPool(pool);

  auto module = importHollow(context, path);
  if (!module)
    return module.error();
  result.timeline.end("import");
  Result<Recipe> recipe = readRecipe(options.recipe);
  if (!recipe)
    return recipe.error();
  if (Status status =
          runPipeline(**module, makePipeline(*recipe, Stage::Imported,
                                             Stage::LaidOut, true)))
    return *status;
  result.timeline.end("passes");
  std::string target = "{target=" + options.target;
  if (Status status =
          runPipeline(**module, "builtin.module(convert-lowbit-to-plan" +
                                    target + " context=8192})"))
    return *status;
  auto kernels = (*module)->getOps<KernelOp>();
  result.kernels = std::distance(kernels.begin(), kernels.end());
  result.timeline.end("plan");
  if (Status status = runPipeline(
          **module, "builtin.module(convert-lowbit-to-vector" + target + "})"))
    return *status;
  auto functions = (*module)->getOps<mlir::func::FuncOp>();
  result.functions = std::distance(functions.begin(), functions.end());
  result.timeline.end("vector");
  EmitOptions emit;
  emit.target = options.target;
  emit.jobs = options.jobs;
  emit.dumpDirectory = options.dump;
  Result<std::vector<std::string>> objects = emitObjects(**module, emit);
  if (!objects)
    return objects.error();
  result.timeline.end("objects");
  Result<std::string> code = linkObjects(*objects);
  if (!code)
    return code.error();
  result.timeline.end("link");
  result.codeBytes = code->size();
  return result;
}

std::string describe(const std::vector<Measurement> &runs,
                     const CodegenOptions &options) {
  std::string text;
  if (options.json)
    text += "[";
  else
    text += llvm::formatv("{0} {1} {2}, {3} jobs: {4} kernels, {5} functions, "
                          "{6} bytes of code\n",
                          options.shape, options.recipe, options.target,
                          options.jobs, runs[0].kernels, runs[0].functions,
                          runs[0].codeBytes);
  for (size_t i = 0; i < runs.size(); ++i) {
    const Measurement &run = runs[i];
    if (options.json)
      text += llvm::formatv("{0}{{\"shape\":\"{1}\",\"recipe\":\"{2}\","
                            "\"jobs\":{3},\"kernels\":{4},\"functions\":{5},"
                            "\"code_bytes\":{6},\"seconds\":{7:F3}",
                            i ? ",\n " : "", options.shape, options.recipe,
                            options.jobs, run.kernels, run.functions,
                            run.codeBytes, run.timeline.total());
    else
      text += llvm::formatv("{0:F2} s:", run.timeline.total());
    for (auto [stage, seconds] : run.timeline.stages)
      text += llvm::formatv(options.json ? ",\"{0}\":{1:F3}" : " {0} {1:F2}",
                            stage, seconds);
    text += options.json ? "}" : "\n";
  }
  return text + (options.json ? "]\n" : "");
}

} // namespace

Result<std::string> bench::measureCodegen(const CodegenOptions &options) {
  const ModelShape *shape = nullptr;
  for (const ModelShape &candidate : shapes)
    if (options.shape == candidate.name)
      shape = &candidate;
  if (!shape)
    return Error{ExitCode::Usage, "--codegen: " + quoted(options.shape) +
                                      " is not known, must be 1B or 8B"};
  HollowModel model;
  if (Status status = model.create(*shape))
    return *status;
  std::vector<Measurement> runs;
  for (int i = 0; i < options.repetitions; ++i) {
    Result<Measurement> run = compileOnce(model.path(), options);
    if (!run)
      return run.error();
    runs.push_back(std::move(*run));
  }
  return describe(runs, options);
}
