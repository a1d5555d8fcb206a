//===- Import.cpp - From a model folder to the first module -----*- C++ -*-===//

#include "lowbit/Import/Import.h"
#include "Architectures.h"

#include "lowbit/Checkpoint/Checked.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Import/RotaryFrequencies.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace lowbit;

namespace {

/// A linear's operands in `@forward`.
struct LinearOperands {
  Value weight;
  Value bias;
};

/// Builds one module.
class ModelBuilder {
public:
  ModelBuilder(MLIRContext &context, const ModelFolder &folder,
               const ModelConfig &config, const ModelTensors &tensors,
               const ImportOptions &options)
      : builder(&context), folder(folder), config(config), tensors(tensors),
        options(options),
        frequencies(rotaryFrequencies(config.rope, config.headDim)) {}

  OwningOpRef<ModuleOp> build(const Architecture &architecture);

private:
  Type elementType(DType type);
  RankedTensorType parameterType(TensorRole role, const TensorRef &tensor);
  Value parameter(TensorRole role, std::optional<size_t> layer);
  LinearOperands linearOperands(LinearPart part, size_t layer);

  RankedTensorType rowsType(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns},
                                 builder.getF32Type());
  }
  Value rmsNorm(Value x, Value gain);
  Value linear(Value x, LinearOperands operands);
  Value rotary(Value x);
  Value attention(Value x, const Sublayer &sublayer, size_t layer);
  Value feedForward(Value x, const Sublayer &sublayer, size_t layer);

  OpBuilder builder;
  const ModelFolder &folder;
  const ModelConfig &config;
  const ModelTensors &tensors;
  const ImportOptions &options;
  std::vector<float> frequencies;
  /// Where the next parameter goes: before `@forward`.
  OpBuilder::InsertPoint parameters;
  Location location = builder.getUnknownLoc();
  /// `@forward`'s argument: (sequence, position) of each row.
  Value rows;
};

} // namespace

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

Type ModelBuilder::elementType(DType type) {
  switch (type) {
  case DType::F16:
    return builder.getF16Type();
  case DType::BF16:
    return builder.getBF16Type();
  default:
    return builder.getF32Type();
  }
}

/// The tensor's own type; a table's rows beyond the vocabulary are left out.
RankedTensorType ModelBuilder::parameterType(TensorRole role,
                                             const TensorRef &tensor) {
  SmallVector<int64_t> shape(tensor.entry->shape.begin(),
                             tensor.entry->shape.end());
  if (role == TensorRole::Embedding || role == TensorRole::Head)
    shape[0] = static_cast<int64_t>(config.vocabulary);
  return RankedTensorType::get(shape, elementType(tensor.entry->dtype));
}

/// Declares the parameter that plays a part and uses it; null where none does.
Value ModelBuilder::parameter(TensorRole role, std::optional<size_t> layer) {
  const TensorRef *tensor =
      layer ? tensors.get(role, *layer) : tensors.get(role);
  if (!tensor)
    return nullptr;
  std::string name = layer ? "layers." + std::to_string(*layer) + "." : "";
  name += roleName(role);
  RankedTensorType type = parameterType(role, *tensor);
  std::optional<int64_t> bytes =
      ParameterOp::getStoredBytes(type, /*layout=*/nullptr);
  auto source = SourceAttr::get(
      builder.getContext(), folder.shardName(tensor->shard), tensor->name(),
      static_cast<int64_t>(folder.fileOffset(*tensor)), bytes.value_or(-1));

  location = NameLoc::get(builder.getStringAttr(name));
  OpBuilder::InsertPoint graph = builder.saveInsertionPoint();
  builder.restoreInsertionPoint(parameters);
  ParameterOp::create(builder, location, name, type, source,
                      /*layout=*/nullptr);
  parameters = builder.saveInsertionPoint();
  builder.restoreInsertionPoint(graph);
  return WeightOp::create(builder, location, type, name);
}

LinearOperands ModelBuilder::linearOperands(LinearPart part, size_t layer) {
  return {parameter(part.weight, layer), parameter(part.bias, layer)};
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

Value ModelBuilder::rmsNorm(Value x, Value gain) {
  return RmsNormOp::create(
      builder, location, x.getType(), x, gain,
      builder.getF32FloatAttr(static_cast<float>(config.rmsEps)));
}

Value ModelBuilder::linear(Value x, LinearOperands operands) {
  auto type = cast<RankedTensorType>(operands.weight.getType());
  auto activation =
      ActivationAttr::get(builder.getContext(), builder.getF32Type());
  return LinearOp::create(builder, location, rowsType(type.getDimSize(0)), x,
                          operands.weight, operands.bias, activation);
}

Value ModelBuilder::rotary(Value x) {
  return RotaryOp::create(builder, location, x.getType(), x, rows,
                          builder.getDenseF32ArrayAttr(frequencies));
}

Value ModelBuilder::attention(Value x, const Sublayer &sublayer, size_t layer) {
  Value query = linear(x, linearOperands(sublayer.linears[0], layer));
  Value key = linear(x, linearOperands(sublayer.linears[1], layer));
  Value value = linear(x, linearOperands(sublayer.linears[2], layer));
  query = rotary(query);
  key = rotary(key);
  double scale = 1 / std::sqrt(static_cast<double>(config.headDim));
  Type cache = options.cache == CacheType::F16
                   ? Type(builder.getF16Type())
                   : Type(builder.getIntegerType(8));
  Value attended = AttentionOp::create(
      builder, location, query.getType(), query, key, value, rows,
      builder.getI64IntegerAttr(layer), builder.getI64IntegerAttr(config.heads),
      builder.getI64IntegerAttr(config.kvHeads),
      builder.getF32FloatAttr(static_cast<float>(scale)), TypeAttr::get(cache),
      /*cache_group=*/IntegerAttr());
  return linear(attended, linearOperands(sublayer.linears[3], layer));
}

Value ModelBuilder::feedForward(Value x, const Sublayer &sublayer,
                                size_t layer) {
  Value gate = linear(x, linearOperands(sublayer.linears[0], layer));
  Value up = linear(x, linearOperands(sublayer.linears[1], layer));
  Value gated = GateOp::create(builder, location, gate.getType(), gate, up);
  return linear(gated, linearOperands(sublayer.linears[2], layer));
}

OwningOpRef<ModuleOp> ModelBuilder::build(const Architecture &architecture) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  module->getOperation()->setAttr(
      modelAttr, makeModelFacts(*module->getContext(), config));
  builder.setInsertionPointToEnd(module->getBody());
  Type i32 = builder.getI32Type();
  auto indices = RankedTensorType::get({ShapedType::kDynamic}, i32);
  auto places = RankedTensorType::get({ShapedType::kDynamic, 2}, i32);
  RankedTensorType logits = rowsType(config.vocabulary);
  auto function = func::FuncOp::create(
      builder, location, "forward",
      builder.getFunctionType({indices, places, indices}, {logits}));
  parameters = {module->getBody(), function->getIterator()};
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  rows = body->getArgument(1);

  Value table = parameter(TensorRole::Embedding, std::nullopt);
  Value x = EmbeddingOp::create(builder, location, rowsType(config.hidden),
                                body->getArgument(0), table);
  for (size_t layer = 0; layer < config.layers; ++layer)
    for (const Sublayer &sublayer : architecture.block) {
      Value normed = rmsNorm(x, parameter(sublayer.norm, layer));
      Value change = sublayer.kind == Sublayer::Attention
                         ? attention(normed, sublayer, layer)
                         : feedForward(normed, sublayer, layer);
      x = AddOp::create(builder, location, x.getType(), x, change);
    }
  // Selected before the norm: norm and head see only the rows that are wanted.
  x = SelectRowsOp::create(builder, location, x.getType(), x,
                           body->getArgument(2));
  x = rmsNorm(x, parameter(TensorRole::FinalNorm, std::nullopt));
  Value head = tensors.get(TensorRole::Head)
                   ? parameter(TensorRole::Head, std::nullopt)
                   : table;
  x = linear(x, {head, Value()});
  func::ReturnOp::create(builder, location, x);
  return module;
}

DictionaryAttr lowbit::makeModelFacts(MLIRContext &context,
                                      const ModelConfig &config) {
  Builder builder(&context);
  SmallVector<NamedAttribute> facts;
  auto add = [&](StringRef name, uint64_t value) {
    facts.push_back(builder.getNamedAttr(
        name, builder.getI64IntegerAttr(static_cast<int64_t>(value))));
  };
  add("hidden", config.hidden);
  add("layers", config.layers);
  add("heads", config.heads);
  add("kv_heads", config.kvHeads);
  add("head_dim", config.headDim);
  add("vocabulary", config.vocabulary);
  add("context", config.maxPositions);
  if (config.bos)
    add("bos", *config.bos);
  SmallVector<int64_t> eos(config.eos.begin(), config.eos.end());
  facts.push_back(builder.getNamedAttr("eos", builder.getI64ArrayAttr(eos)));
  return builder.getDictionaryAttr(facts);
}

//===----------------------------------------------------------------------===//
// The way in
//===----------------------------------------------------------------------===//

/// Exit 3 for what the graph's attributes could not say.
static Status checkFacts(const ModelConfig &config) {
  for (float frequency : rotaryFrequencies(config.rope, config.headDim))
    if (!std::isfinite(frequency))
      return badInput("config.json", "rope_scaling",
                      "gives a frequency that is not finite");
  constexpr uint64_t limit = std::numeric_limits<int32_t>::max();
  std::optional<uint64_t> queries = checkedMul(config.heads, config.headDim);
  if (!queries || *queries > limit || config.vocabulary > limit ||
      config.hidden > limit || config.ffn > limit)
    return badInput("config.json", "",
                    "has sizes above " + std::to_string(limit));
  return std::nullopt;
}

Result<OwningOpRef<ModuleOp>>
lowbit::importModel(MLIRContext &context, const ModelFolder &folder,
                    const ModelConfig &config, const ModelTensors &tensors,
                    const ImportOptions &options,
                    std::vector<std::string> &notes) {
  const Architecture *architecture = findArchitecture(config.architecture);
  if (!architecture)
    return unsupported("config.json", "architectures",
                       "is " + quoted(config.architecture) +
                           ", for which there is no graph");
  if (Status failed = checkFacts(config))
    return *failed;
  context.loadDialect<LowbitDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module =
      ModelBuilder(context, folder, config, tensors, options)
          .build(*architecture);

  // What the parts above let pass must make a valid module.
  std::string diagnostics;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    diagnostics += diagnostic.str() + "; ";
    return success();
  });
  if (failed(verify(*module)))
    return Error{ExitCode::Internal,
                 "imported module is not valid: " + diagnostics};
  for (const auto *list : {&folder.notes(), &config.notes, &tensors.notes})
    notes.insert(notes.end(), list->begin(), list->end());
  return module;
}
