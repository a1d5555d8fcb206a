//===- WriteArtifact.cpp - The artifact from its parts --------------------===//

#include "WriteArtifact.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/IR/CacheFormat.h"
#include "lowbit/Import/Import.h"
#include "lowbit/Runtime/Digest.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstring>

using namespace lowbit;

namespace {

std::string print(mlir::Attribute attribute) {
  std::string text;
  if (attribute)
    llvm::raw_string_ostream(text) << attribute;
  return text;
}

std::string print(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module << "\n";
  return text;
}

/// The KV cache of a graph.
std::optional<CacheFormat> findCache(mlir::ModuleOp module) {
  std::optional<CacheFormat> format;
  module.walk([&](AttentionOp attention) {
    format = CacheFormat::get(attention);
    return mlir::WalkResult::interrupt();
  });
  return format;
}

/// The module with the artifact's own tensors as sources, for the reference
/// engine. Offsets count from the start of a tensor, so that the text does not
/// depend on where in the file it will be.
std::string makeArtifactModule(mlir::ModuleOp module, size_t parameters) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
  replaceByBytes(*copy, ".", "weights.", std::vector<int64_t>(parameters, 0));
  mlir::Builder builder(module.getContext());
  (*copy)->setAttr(stageAttr,
                   builder.getStringAttr(stageName(Stage::Materialized)));
  // The manifest has these in fields of their own.
  for (llvm::StringRef attribute : {recipeAttr, pipelineAttr, inputsAttr})
    (*copy)->removeAttr(attribute);
  return print(*copy);
}

ManifestTensor describeTensor(const StoredParameter &parameter) {
  ParameterOp op = parameter.op;
  mlir::RankedTensorType type = op.getTensorType();
  ManifestTensor tensor;
  tensor.name = parameter.name;
  tensor.format = print(mlir::Attribute(getFormat(type)));
  tensor.layout = print(mlir::Attribute(op.getLayoutAttr()));
  tensor.rows = type.getRank() == 0 ? 1 : type.getDimSize(0);
  tensor.columns = type.getNumElements() / std::max<int64_t>(1, tensor.rows);
  tensor.bytes = parameter.size.bytes;
  tensor.payload = parameter.size.payload;
  tensor.padding = parameter.size.padding;
  if (auto role = op->getAttrOfType<mlir::StringAttr>("lowbit.role"))
    tensor.role = role.str();
  return tensor;
}

/// Counts of parameters and complete bits from the list of tensors.
void addFigures(Manifest &manifest,
                const std::vector<StoredParameter> &parameters) {
  double linearBytes = 0, allBytes = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ManifestTensor &tensor = manifest.tensors[i];
    int64_t weights = parameters[i].originals;
    manifest.parameters += weights;
    allBytes += static_cast<double>(tensor.bytes);
    LedgerEntry entry;
    entry.role = tensor.role;
    if (!isLinearOfLayer(entry))
      continue;
    manifest.linearParameters += weights;
    linearBytes += static_cast<double>(tensor.bytes);
  }
  auto bits = [](double bytes, int64_t weights) {
    return weights == 0 ? 0 : 8 * bytes / static_cast<double>(weights);
  };
  manifest.linearBits = bits(linearBytes, manifest.linearParameters);
  manifest.modelBits = bits(allBytes, manifest.parameters);
}

} // namespace

Result<ManifestModel> lowbit::readModelFacts(mlir::ModuleOp module,
                                             const CompileOptions &options) {
  auto facts = module->getAttrOfType<mlir::DictionaryAttr>(modelAttr);
  if (!facts)
    return badInput(options.input, modelAttr.str(),
                    "is missing: the module does not say what model it is");
  Status problem;
  auto integer = [&](const char *key) -> int64_t {
    auto value = facts.getAs<mlir::IntegerAttr>(key);
    bool isInteger = value && value.getType().isInteger(64);
    if (isInteger && value.getInt() >= 1)
      return value.getInt();
    if (!problem)
      problem = badInput(
          options.input, modelAttr.str() + "." + key,
          isInteger
              ? "is " + std::to_string(value.getInt()) + ", must be at least 1"
              : std::string("is missing, must be an integer (i64)"));
    return 1;
  };
  ManifestModel model;
  model.hidden = integer("hidden");
  model.layers = integer("layers");
  model.heads = integer("heads");
  model.kvHeads = integer("kv_heads");
  model.headDim = integer("head_dim");
  model.vocabulary = integer("vocabulary");
  model.context = integer("context");
  if (!problem && model.heads % model.kvHeads != 0)
    problem = badInput(options.input, modelAttr.str() + ".heads",
                       "is " + std::to_string(model.heads) +
                           ", must be a multiple of kv_heads, " +
                           std::to_string(model.kvHeads));
  if (problem)
    return *problem;
  if (options.context > model.context)
    return Error{ExitCode::Usage,
                 "--context " + std::to_string(options.context) +
                     " is more than the " + std::to_string(model.context) +
                     " positions that the model was made for"};
  if (options.context > 0)
    model.context = options.context;
  if (auto bos = facts.getAs<mlir::IntegerAttr>("bos"))
    model.bos = static_cast<int32_t>(bos.getInt());
  if (auto eos = facts.getAs<mlir::ArrayAttr>("eos"))
    for (auto id : eos.getAsRange<mlir::IntegerAttr>())
      model.eos.push_back(static_cast<int32_t>(id.getInt()));
  if (std::optional<CacheFormat> cache = findCache(module)) {
    model.cache = cache->getShortName();
    model.cacheBits = cache->completeBits(model.headDim);
  }
  return model;
}

Result<Manifest> lowbit::makeManifest(mlir::ModuleOp module,
                                      const InputFiles &inputs,
                                      const Materializer &materializer,
                                      const std::vector<TargetOutput> &targets,
                                      const CompileOptions &options) {
  Result<ManifestModel> model = readModelFacts(module, options);
  if (!model)
    return model.error();
  Manifest manifest;
  manifest.tool = "lowbit " LOWBIT_VERSION;
  manifest.model = std::move(*model);
  if (auto recipe = module->getAttrOfType<mlir::StringAttr>(recipeAttr))
    manifest.recipe = recipe.str();
  if (auto pipeline = module->getAttrOfType<mlir::StringAttr>(pipelineAttr))
    manifest.pipeline = pipeline.str();
  manifest.inputs = inputs.list();
  for (const StoredParameter &parameter : materializer.parameters())
    manifest.tensors.push_back(describeTensor(parameter));
  addFigures(manifest, materializer.parameters());
  for (const TargetOutput &target : targets)
    manifest.targets.push_back(target.target);
  manifest.module =
      makeArtifactModule(module, materializer.parameters().size());
  return manifest;
}

Result<ArtifactLayout>
lowbit::layOutArtifact(const Manifest &manifest,
                       std::vector<TargetOutput> targets, std::string tokenizer,
                       const Materializer &materializer) {
  ArtifactLayout layout;
  Container &container = layout.container;
  container.add("manifest", writeManifest(manifest), ' ');
  for (TargetOutput &target : targets)
    container.add("plan." + target.target, std::move(target.plan), ' ');
  for (TargetOutput &target : targets)
    container.add("code." + target.target, std::move(target.code), '\0');
  container.add("tokenizer", std::move(tokenizer), ' ');
  layout.firstWeight = container.size();
  for (const StoredParameter &parameter : materializer.parameters())
    container.addRoom(getWeightTensorName(parameter.name),
                      parameter.size.bytes);
  // Sizes of tensors are final before `finish`: offsets are not needed here.
  uint64_t chunks = 0;
  for (size_t i = 0; i < container.size(); ++i)
    chunks += chunkCount(container.roomBytes(i));
  layout.chunks = container.addRoom("digest.chunks", chunks * chunkDigestBytes);
  layout.root = container.addRoom("digest.root", sizeof(Sha256Digest),
                                  /*exact=*/true);
  if (Status status = container.finish({{"kind", "lowbit"}, {"version", "1"}}))
    return *status;
  return layout;
}

Sha256Digest lowbit::writeDigests(const ArtifactLayout &layout, uint8_t *file,
                                  Progress &progress) {
  const Container &container = layout.container;
  progress.begin("digests", static_cast<int64_t>(container.fileBytes()));
  ChunkDigests digests;
  for (size_t i = 0; i < layout.chunks; ++i) {
    uint64_t size = container.bytes(i);
    for (uint64_t at = 0; at < size; at += digestChunkBytes) {
      uint64_t count = std::min(digestChunkBytes, size - at);
      digests.update({file + container.offset(i) + at, count});
      progress.advance(static_cast<int64_t>(count));
    }
    digests.endTensor();
  }
  std::string chunks = digests.tensor();
  Sha256Digest root = rootDigest(bytesOf(container.header()), bytesOf(chunks));
  std::memcpy(file + container.offset(layout.chunks), chunks.data(),
              chunks.size());
  std::memcpy(file + container.offset(layout.root), root.data(), root.size());
  progress.end();
  return root;
}
