//===- LowbitToPlan.cpp - The graph becomes steps ---------------*- C++ -*-===//
//
// Walks @forward once, in order. A value is a view of columns in a buffer.
// Norms, gates, slices and rotary embeddings make no step of their own where
// their user takes them in: they are *deferred* until a user asks, and then
// emitted in the form that the user needs.
//
//===----------------------------------------------------------------------===//

#include "PlanBuilder.h"
#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/IR/CacheFormat.h"
#include "lowbit/IR/Transform.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace lowbit {
#define GEN_PASS_DEF_CONVERTLOWBITTOPLAN
#include "lowbit/Conversion/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

/// Quantized rows in their buffers (Spec.md, 5.2).
struct QuantizedRows {
  int64_t q, scales, sums;
  int64_t groupScales = -1; ///< of activations with groups
};

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t columnsOf(Value rows) {
  return cast<RankedTensorType>(rows.getType()).getDimSize(1);
}

/// Whether a graph is a part of a model that is being calibrated.
bool observes(func::FuncOp forward) {
  return !forward.getOps<ObserveOp>().empty();
}

/// Lowers one graph.
class GraphToPlan {
public:
  GraphToPlan(ModuleOp module, func::FuncOp forward, OpBuilder &builder,
              PlanLimits limits)
      : module(module), forward(forward), builder(builder), limits(limits),
        plan(builder, forward.getLoc(), limits), isPart(observes(forward)) {}

  LogicalResult run(StringRef target);

private:
  // One function for each op that makes steps.
  LogicalResult lower(Operation *op);
  LogicalResult lowerEmbedding(EmbeddingOp op);
  LogicalResult lowerLinear(LinearOp op);
  LogicalResult lowerAttention(AttentionOp op);
  LogicalResult lowerAdd(AddOp op);
  LogicalResult lowerSelectRows(SelectRowsOp op);
  LogicalResult lowerObserve(ObserveOp op);
  LogicalResult lowerReturn(func::ReturnOp op);
  LogicalResult lowerReturnOfPart(func::ReturnOp op);

  // Values.
  FailureOr<RowView> getView(Value value);
  FailureOr<RowView> getSliceView(SliceOp op);
  FailureOr<RowView> emitRmsNorm(RmsNormOp op);
  FailureOr<RowView> emitGate(GateOp op);
  FailureOr<RowView> emitRotary(RotaryOp op);
  FailureOr<RowView> emitTransform(TransformOp op);
  LogicalResult setTransforms(ArrayRef<TransformOp> chain, StringRef prefix,
                              AbstractStep &step);
  FailureOr<QuantizedRows> getQuantized(Value value, ActivationAttr activation,
                                        int64_t sumColumns);
  LogicalResult addPrologue(Value value, AbstractStep &step, StepCount &count,
                            int64_t &columns);
  LogicalResult addSource(Value value, AbstractStep &step, StepCount &count);
  FailureOr<int64_t> getWeight(Value value);
  FailureOr<RowView> getResidual(LinearOp op, AddOp &addition, bool &inPlace);
  int64_t lastUse(Value value);
  bool isTurnedInPlace(RotaryOp op, AttentionOp reader);
  bool isReadBefore(Value value, AttentionOp reader);
  FailureOr<RotaryOp> takeHeads(AttentionOp op, Value value, StringRef prefix,
                                AbstractStep &step);
  std::pair<int64_t, int64_t> getAngles(ArrayRef<float> frequencies);
  LogicalResult collectCache();

  void setView(AbstractStep &step, StringRef name, const RowView &view) {
    step.parameters.set((name + "_offset").str(),
                        builder.getI64IntegerAttr(view.offset));
    step.parameters.set((name + "_stride").str(),
                        builder.getI64IntegerAttr(view.stride));
  }
  void set(AbstractStep &step, StringRef name, int64_t value) {
    step.parameters.set(name, builder.getI64IntegerAttr(value));
  }
  AbstractStep makeStep(StringRef family, const Twine &stem, StepCount count) {
    AbstractStep step;
    step.family = family.str();
    step.stem = (family + stem).str();
    step.count = count;
    (count == StepCount::Rows ? step.items.perRow : step.items.perLogitRow) = 1;
    return step;
  }

  ModuleOp module;
  func::FuncOp forward;
  OpBuilder &builder;
  PlanLimits limits;
  PlanBuilder plan;
  DenseMap<Operation *, int64_t> position;
  DenseMap<Value, RowView> views;
  DenseMap<std::tuple<Value, Attribute, int64_t>, QuantizedRows> quantized;
  DenseMap<Attribute, std::pair<int64_t, int64_t>> angles;
  DenseMap<int64_t, int64_t> layerOffsets; ///< layer → byte in a page
  DenseMap<int64_t, int64_t> layerBytes;
  std::optional<CacheFormat> cacheFormat;
  int64_t pageBytes = 0;
  int64_t ids = -1, rows = -1, select = -1, pageTable = -1, cache = -1;
  /// A part of an observed model: no logits, and `hidden` where it is not the
  /// first one.
  const bool isPart;
  int64_t hidden = -1;
};

} // namespace

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Whether steps for `op` are made where its rows are wanted (getView), not
/// where it stands: what it reads is then read there.
static bool isDeferred(Operation *op) {
  return isa<SliceOp, RmsNormOp, GateOp, RotaryOp, TransformOp>(op);
}

FailureOr<RowView> GraphToPlan::getView(Value value) {
  auto known = views.find(value);
  if (known != views.end())
    return known->second;
  FailureOr<RowView> view =
      TypeSwitch<Operation *, FailureOr<RowView>>(value.getDefiningOp())
          .Case([&](SliceOp op) { return getSliceView(op); })
          .Case([&](RmsNormOp op) { return emitRmsNorm(op); })
          .Case([&](GateOp op) { return emitGate(op); })
          .Case([&](RotaryOp op) { return emitRotary(op); })
          .Case([&](TransformOp op) { return emitTransform(op); })
          .Default([&](Operation *op) -> FailureOr<RowView> {
            assert(!isDeferred(op) && "a deferred op has a view");
            return op->emitOpError()
                   << "is not served by the CPU target in this place";
          });
  if (succeeded(view))
    views[value] = *view;
  return view;
}

FailureOr<RowView> GraphToPlan::getSliceView(SliceOp op) {
  FailureOr<RowView> view = getView(op.getInput());
  if (failed(view))
    return failure();
  view->offset += static_cast<int64_t>(op.getOffset());
  view->columns = columnsOf(op.getResult());
  return view;
}

FailureOr<RowView> GraphToPlan::emitRmsNorm(RmsNormOp op) {
  FailureOr<RowView> x = getView(op.getInput());
  FailureOr<int64_t> gain = getWeight(op.getGain());
  if (failed(x) || failed(gain))
    return failure();
  AbstractStep step = makeStep("rms_norm", "_" + Twine(x->columns), x->count);
  set(step, "columns", x->columns);
  step.parameters.set("eps", op.getEpsAttr());
  setView(step, "x", *x);
  RowView y = plan.addRows("norm", x->columns, x->count);
  step.args = {{x->buffer, Access::Read},
               {*gain, Access::Read},
               {y.buffer, Access::Write}};
  plan.addStep(std::move(step));
  return y;
}

FailureOr<RowView> GraphToPlan::emitGate(GateOp op) {
  FailureOr<RowView> gate = getView(op.getGate());
  FailureOr<RowView> up = getView(op.getUp());
  if (failed(gate) || failed(up))
    return failure();
  AbstractStep step = makeStep("gate", "_" + Twine(gate->columns), gate->count);
  set(step, "columns", gate->columns);
  setView(step, "gate", *gate);
  setView(step, "up", *up);
  RowView y = plan.addRows("gate", gate->columns, gate->count);
  step.args = {{gate->buffer, Access::Read},
               {up->buffer, Access::Read},
               {y.buffer, Access::Write}};
  plan.addStep(std::move(step));
  return y;
}

/// Turned rows for whoever looks at them; attention turns its own.
FailureOr<RowView> GraphToPlan::emitRotary(RotaryOp op) {
  FailureOr<RowView> x = getView(op.getInput());
  if (failed(x))
    return failure();
  auto [cos, sin] = getAngles(op.getFrequencies());
  AbstractStep step = makeStep("rotary", "_" + Twine(x->columns), x->count);
  set(step, "columns", x->columns);
  set(step, "head_dim", 2 * static_cast<int64_t>(op.getFrequencies().size()));
  setView(step, "x", *x);
  RowView y = plan.addRows("turned", x->columns, x->count);
  step.args = {{x->buffer, Access::Read},
               {cos, Access::Read},
               {sin, Access::Read},
               {y.buffer, Access::Write}};
  plan.addStep(std::move(step));
  return y;
}

/// Rows behind transforms, for whoever does not take them in.
FailureOr<RowView> GraphToPlan::emitTransform(TransformOp op) {
  AbstractStep step = makeStep("transform_rows", "", StepCount::Rows);
  StepCount count = StepCount::Rows;
  int64_t columns = 0;
  if (failed(addPrologue(op.getResult(), step, count, columns)))
    return failure();
  int64_t outputs = columnsOf(op.getResult());
  AbstractStep named = makeStep(
      "transform_rows", "_" + Twine(columns) + "_" + Twine(outputs), count);
  named.parameters = step.parameters;
  named.args = step.args;
  set(named, "columns", columns);
  RowView y = plan.addRows("transformed", outputs, count);
  named.args.push_back({y.buffer, Access::Write});
  plan.addStep(std::move(named));
  return y;
}

/// The transforms that lead to `value`, in the order of their use. `value`
/// becomes what the first of them reads: rows that `isKnown` or that no
/// transform makes.
static SmallVector<TransformOp>
collectTransforms(Value &value, function_ref<bool(Value)> isKnown) {
  SmallVector<TransformOp> chain;
  while (!isKnown(value)) {
    auto transform = value.getDefiningOp<TransformOp>();
    if (!transform)
      break;
    chain.push_back(transform);
    value = transform.getInput();
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

/// Sets the parameters `prefix` + `transforms` and `transform_types`, where
/// there are any, and adds the matrices to the arguments.
LogicalResult GraphToPlan::setTransforms(ArrayRef<TransformOp> chain,
                                         StringRef prefix, AbstractStep &step) {
  SmallVector<Attribute> kinds, types;
  for (TransformOp transform : chain) {
    kinds.push_back(transform.getTransform());
    for (Value matrix : transform.getMatrices()) {
      FailureOr<int64_t> buffer = getWeight(matrix);
      if (failed(buffer))
        return failure();
      types.push_back(TypeAttr::get(matrix.getType()));
      step.args.push_back({*buffer, Access::Read});
    }
  }
  if (kinds.empty())
    return success();
  step.parameters.set((prefix + "transforms").str(),
                      builder.getArrayAttr(kinds));
  step.parameters.set((prefix + "transform_types").str(),
                      builder.getArrayAttr(types));
  return success();
}

/// The input of an activation quantizer: a norm or a gate that nothing has
/// materialized is taken in as the prologue, everything else is read; then
/// transforms. `columns` are those of the prologue.
LogicalResult GraphToPlan::addPrologue(Value value, AbstractStep &step,
                                       StepCount &count, int64_t &columns) {
  SmallVector<TransformOp> chain = collectTransforms(
      value, [&](Value rows) { return views.contains(rows); });
  columns = columnsOf(value);
  return failure(failed(addSource(value, step, count)) ||
                 failed(setTransforms(chain, "", step)));
}

LogicalResult GraphToPlan::addSource(Value value, AbstractStep &step,
                                     StepCount &count) {
  Operation *producer = views.contains(value) ? nullptr : value.getDefiningOp();
  if (auto norm = dyn_cast_or_null<RmsNormOp>(producer)) {
    FailureOr<RowView> x = getView(norm.getInput());
    FailureOr<int64_t> gain = getWeight(norm.getGain());
    if (failed(x) || failed(gain))
      return failure();
    step.parameters.set("prologue", builder.getStringAttr("rms_norm"));
    step.parameters.set("eps", norm.getEpsAttr());
    setView(step, "x", *x);
    step.args = {{x->buffer, Access::Read}, {*gain, Access::Read}};
    count = x->count;
    return success();
  }
  if (auto gateOp = dyn_cast_or_null<GateOp>(producer)) {
    FailureOr<RowView> gate = getView(gateOp.getGate());
    FailureOr<RowView> up = getView(gateOp.getUp());
    if (failed(gate) || failed(up))
      return failure();
    step.parameters.set("prologue", builder.getStringAttr("gate"));
    setView(step, "gate", *gate);
    setView(step, "up", *up);
    step.args = {{gate->buffer, Access::Read}, {up->buffer, Access::Read}};
    count = gate->count;
    return success();
  }
  FailureOr<RowView> x = getView(value);
  if (failed(x))
    return failure();
  step.parameters.set("prologue", builder.getStringAttr("none"));
  setView(step, "x", *x);
  step.args = {{x->buffer, Access::Read}};
  count = x->count;
  return success();
}

/// Rows as integers for weights whose exact sums cover `sumColumns` columns.
FailureOr<QuantizedRows> GraphToPlan::getQuantized(Value value,
                                                   ActivationAttr activation,
                                                   int64_t sumColumns) {
  int64_t group = activation.getGroup(), planes = activation.getPlanes();
  int64_t sumGroup = group ? std::min(group, sumColumns) : sumColumns;
  auto key = std::make_tuple(value, Attribute(activation), sumGroup);
  auto known = quantized.find(key);
  if (known != quantized.end())
    return known->second;
  int64_t columns = columnsOf(value);
  StringRef family = group ? "quantize_groups" : "quantize_rows";
  AbstractStep step = makeStep(family, "", StepCount::Rows);
  StepCount count = StepCount::Rows;
  int64_t sourceColumns = 0;
  if (failed(addPrologue(value, step, count, sourceColumns)))
    return failure();
  StringRef prologue =
      cast<StringAttr>(step.parameters.get("prologue")).getValue();
  auto makeNamed = [&](StringRef prologue, int64_t from) {
    std::string stem =
        (Twine("_") + prologue + "_" + Twine(columns) + "_" +
         (group ? activation.getShortName() : "p" + std::to_string(planes)) +
         "_g" + Twine(sumGroup))
            .str();
    std::replace(stem.begin(), stem.end(), '-', '_');
    AbstractStep named = makeStep(family, stem, count);
    named.parameters.set("prologue", builder.getStringAttr(prologue));
    set(named, "columns", from);
    set(named, "sum_group", sumGroup);
    if (!group) {
      set(named, "planes", planes);
      return named;
    }
    set(named, "bits", activation.getType().getIntOrFloatBitWidth());
    set(named, "group", group);
    named.parameters.set("scale", TypeAttr::get(activation.getScale()));
    bool isStored = activation.getOffset() == ZeroOffset::Stored;
    named.parameters.set("zero_points", builder.getBoolAttr(isStored));
    return named;
  };
  AbstractStep named = makeNamed(prologue, sourceColumns);
  AbstractStep plain = makeNamed("none", columns);
  for (NamedAttribute parameter : step.parameters)
    named.parameters.set(parameter.getName(), parameter.getValue());
  named.args = step.args;
  setView(plain, "x", RowView{-1, 0, columns, columns, count});
  named.plainStem = plain.stem;
  named.plainParameters = plain.parameters;
  int64_t paddedColumns = ceilDiv(columns, 64) * 64 + 64;
  QuantizedRows result;
  result.q = plan.addRowBytes("q", planes * paddedColumns, count);
  result.scales = plan.addRowBytes("scales", 4, count);
  result.sums =
      plan.addRowBytes("sums", 4 * planes * ceilDiv(columns, sumGroup), count);
  for (int64_t buffer : {result.q, result.scales, result.sums})
    named.args.push_back({buffer, Access::Write});
  if (group) {
    result.groupScales =
        plan.addRowBytes("group_scales", 4 * ceilDiv(columns, group), count);
    named.args.push_back({result.groupScales, Access::Write});
  }
  plan.addStep(std::move(named));
  quantized[key] = result;
  return result;
}

FailureOr<int64_t> GraphToPlan::getWeight(Value value) {
  auto weight = value.getDefiningOp<WeightOp>();
  if (!weight)
    return emitError(value.getLoc())
           << "weight is not a parameter; run lowbit-outline-parameters first";
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 1 && !type.getElementType().isF32())
    return weight.emitOpError()
           << "requires an f32 vector; run lowbit-outline-parameters first";
  // Matrices of transforms lie row by row.
  bool isMatrix = llvm::any_of(weight->getUsers(), [](Operation *user) {
    return isa<TransformOp>(user);
  });
  if (isMatrix && !type.getElementType().isF32())
    return weight.emitOpError()
           << "requires f32 numbers; run lowbit-assign-layouts first";
  LayoutAttr layout =
      type.getRank() == 2 && !isMatrix ? getDefaultLayout(type) : LayoutAttr();
  std::optional<int64_t> bytes = ParameterOp::getStoredBytes(type, layout);
  if (!bytes)
    return weight.emitOpError() << "is larger than 2^63 bytes";
  return plan.addWeight(weight.getParameterAttr(), *bytes);
}

/// Position of the last op that reads `value`'s buffer: deferred users read it
/// where their own users stand.
int64_t GraphToPlan::lastUse(Value value) {
  int64_t last = 0;
  for (Operation *user : value.getUsers()) {
    last = std::max(last, position[user]);
    if (isDeferred(user))
      last = std::max(last, lastUse(user->getResult(0)));
  }
  return last;
}

std::pair<int64_t, int64_t>
GraphToPlan::getAngles(ArrayRef<float> frequencies) {
  Attribute key = builder.getDenseF32ArrayAttr(frequencies);
  auto known = angles.find(key);
  if (known != angles.end())
    return known->second;
  int64_t half = frequencies.size();
  AbstractStep step =
      makeStep("rotary_table", "_" + Twine(half), StepCount::Rows);
  step.parameters.set("frequencies", key);
  int64_t cos = plan.addRowBytes("cos", 4 * half, StepCount::Rows);
  int64_t sin = plan.addRowBytes("sin", 4 * half, StepCount::Rows);
  step.args = {
      {rows, Access::Read}, {cos, Access::Write}, {sin, Access::Write}};
  plan.addStep(std::move(step));
  angles[key] = {cos, sin};
  return {cos, sin};
}

/// Lays out a cache page: the layers one after the other.
LogicalResult GraphToPlan::collectCache() {
  SmallVector<AttentionOp> layers(forward.getOps<AttentionOp>());
  auto place = [&](AttentionOp op) {
    return std::make_pair(static_cast<int64_t>(op.getLayer()), position[op]);
  };
  llvm::sort(layers,
             [&](AttentionOp a, AttentionOp b) { return place(a) < place(b); });
  for (AttentionOp op : layers) {
    int64_t layer = op.getLayer();
    if (layerOffsets.contains(layer))
      return op.emitOpError() << "is the second one of layer " << layer;
    CacheFormat format = CacheFormat::get(op);
    if (cacheFormat && !(*cacheFormat == format))
      return op.emitOpError() << "has a cache of " << format.getShortName()
                              << ", others of " << cacheFormat->getShortName();
    cacheFormat = format;
    int64_t bytes = format.layerBytes(op.getKvHeads(), op.getHeadDim());
    layerOffsets[layer] = pageBytes;
    layerBytes[layer] = bytes;
    pageBytes += bytes;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

LogicalResult GraphToPlan::lowerEmbedding(EmbeddingOp op) {
  FailureOr<int64_t> table = getWeight(op.getTable());
  if (failed(table))
    return failure();
  int64_t columns = columnsOf(op.getResult());
  AbstractStep step =
      makeStep("embedding", "_" + Twine(columns), StepCount::Rows);
  step.parameters.set("type", TypeAttr::get(op.getTable().getType()));
  RowView y = plan.addRows("x", columns, StepCount::Rows);
  step.args = {
      {ids, Access::Read}, {*table, Access::Read}, {y.buffer, Access::Write}};
  plan.addStep(std::move(step));
  views[op.getResult()] = y;
  return success();
}

/// The addition that the linear can take in, and the rows that it adds; none
/// where the result is used in another way. In place where nothing reads those
/// rows later.
FailureOr<RowView> GraphToPlan::getResidual(LinearOp op, AddOp &addition,
                                            bool &inPlace) {
  addition = {};
  if (!op.getResult().hasOneUse())
    return RowView();
  auto add = dyn_cast<AddOp>(*op.getResult().user_begin());
  if (!add)
    return RowView();
  Value other = add.getLhs() == op.getResult() ? add.getRhs() : add.getLhs();
  Operation *producer = other.getDefiningOp();
  if (other == op.getResult() ||
      (producer && position[producer] > position[op]))
    return RowView();
  FailureOr<RowView> residual = getView(other);
  if (failed(residual))
    return failure();
  if (residual->offset != 0 || residual->stride != residual->columns)
    return RowView();
  addition = add;
  inPlace = lastUse(other) <= position[add];
  return residual;
}

LogicalResult GraphToPlan::lowerLinear(LinearOp op) {
  auto type = cast<RankedTensorType>(op.getWeight().getType());
  FailureOr<int64_t> weight = getWeight(op.getWeight());
  if (failed(weight))
    return failure();
  int64_t planes = op.getActivation().getPlanes();
  std::string format = "f32";
  AbstractStep step;
  StepCount count = StepCount::Rows;
  SmallVector<StepArgument> inputs;
  if (planes > 0) {
    FormatInterface encoding = getFormat(type);
    FailureOr<QuantizedRows> x = getQuantized(op.getInput(), op.getActivation(),
                                              encoding.getSumColumns());
    if (failed(x))
      return failure();
    inputs = {{x->q, Access::Read},
              {x->scales, Access::Read},
              {x->sums, Access::Read}};
    if (op.getActivation().isGrouped()) {
      inputs.push_back({x->groupScales, Access::Read});
      set(step, "activation_group", op.getActivation().getGroup());
    }
    count =
        plan.getBuffer(x->q).bytes.perRow ? StepCount::Rows : StepCount::Logits;
    format = encoding.getShortName() + "_a" +
             op.getActivation().getShortName().substr(1);
    // Names of kernels are symbols: `int4-g64`, `trellis1+0.5`.
    std::replace(format.begin(), format.end(), '-', '_');
    std::replace(format.begin(), format.end(), '+', '_');
  } else {
    FailureOr<RowView> x = getView(op.getInput());
    if (failed(x))
      return failure();
    setView(step, "x", *x);
    inputs = {{x->buffer, Access::Read}};
    count = x->count;
  }

  AddOp addition;
  bool inPlace = false;
  FailureOr<RowView> residual = getResidual(op, addition, inPlace);
  if (failed(residual))
    return failure();
  bool isOutput = !isPart && llvm::any_of(op->getUsers(), [](Operation *user) {
    return isa<func::ReturnOp>(user);
  });
  int64_t outputs = type.getDimSize(0);
  RowView y = addition && inPlace ? *residual
              : isOutput
                  ? plan.addRows("logits", outputs, count, BufferKind::Output)
                  : plan.addRows("y", outputs, count);

  step.family = "linear";
  step.stem = "linear_" + std::to_string(outputs) + "x" +
              std::to_string(type.getDimSize(1)) + "_" + format +
              (op.getBias() ? "_bias" : "") + (addition ? "_residual" : "");
  step.bucketed = true;
  step.count = count;
  // Tiles, or pairs of small ones.
  FormatInterface stored = getFormat(type);
  int64_t rowsOfItem = stored ? stored.getTileRows() : tileRows;
  step.items.constant = ceilDiv(outputs, rowsOfItem);
  step.pairItems.constant =
      ceilDiv(outputs, std::max(rowsOfItem, 2 * tileRows));
  step.parameters.set("type", TypeAttr::get(type));
  step.parameters.set("activation",
                      TypeAttr::get(op.getActivation().getType()));
  step.parameters.set("bias", builder.getBoolAttr(bool(op.getBias())));
  step.parameters.set("residual", builder.getBoolAttr(bool(addition)));
  set(step, "y_stride", y.stride);
  step.args = inputs;
  step.args.push_back({*weight, Access::Read});
  if (op.getBias()) {
    FailureOr<int64_t> bias = getWeight(op.getBias());
    if (failed(bias))
      return failure();
    step.args.push_back({*bias, Access::Read});
  }
  if (addition)
    step.args.push_back({residual->buffer, Access::Read});
  step.args.push_back({y.buffer, Access::Write});
  plan.addStep(std::move(step));
  views[op.getResult()] = y;
  if (addition)
    views[addition.getResult()] = y;
  return success();
}

/// Whether attention may turn the input of `op` in place: nobody reads it, or
/// what it becomes, later.
bool GraphToPlan::isTurnedInPlace(RotaryOp op, AttentionOp reader) {
  return op.getInput().hasOneUse() && isReadBefore(op.getResult(), reader);
}

/// Whether `value`, and what transforms make of it, is used by `reader` and by
/// observations in front of it only.
bool GraphToPlan::isReadBefore(Value value, AttentionOp reader) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    if (isa<TransformOp>(user))
      return isReadBefore(user->getResult(0), reader);
    return user == reader ||
           (isa<ObserveOp>(user) && position[user] < position[reader]);
  });
}

/// The rotary embedding behind a query or key, and the transforms of its heads.
FailureOr<RotaryOp> GraphToPlan::takeHeads(AttentionOp op, Value value,
                                           StringRef prefix,
                                           AbstractStep &step) {
  SmallVector<TransformOp> chain =
      collectTransforms(value, [](Value) { return false; });
  int64_t headDim = op.getHeadDim();
  for (TransformOp transform : chain) {
    int64_t block = getBlock(getTransform(transform));
    if (block == 0 || headDim % block != 0)
      return transform.emitOpError()
             << "of a query or key requires blocks that divide head_dim "
             << headDim << ", got " << block;
  }
  if (failed(setTransforms(chain, prefix, step)))
    return failure();
  auto rotary = value.getDefiningOp<RotaryOp>();
  if (!rotary ||
      2 * static_cast<int64_t>(rotary.getFrequencies().size()) != headDim)
    return op.emitOpError() << "requires query and key from rotary embeddings "
                               "over whole heads";
  return rotary;
}

LogicalResult GraphToPlan::lowerAttention(AttentionOp op) {
  AbstractStep heads;
  FailureOr<RotaryOp> rotaryQ = takeHeads(op, op.getQuery(), "q_", heads);
  FailureOr<RotaryOp> rotaryK = takeHeads(op, op.getKey(), "k_", heads);
  if (failed(rotaryQ) || failed(rotaryK))
    return failure();
  if (rotaryQ->getFrequencies() != rotaryK->getFrequencies() ||
      !isTurnedInPlace(*rotaryQ, op))
    return op.emitOpError()
           << "requires query and key from rotary embeddings of the same "
              "frequencies, used nowhere else";
  FailureOr<RowView> q = getView(rotaryQ->getInput());
  FailureOr<RowView> k = getView(rotaryK->getInput());
  FailureOr<RowView> v = getView(op.getValue());
  if (failed(q) || failed(k) || failed(v))
    return failure();
  auto [cos, sin] = getAngles(rotaryQ->getFrequencies());

  int64_t kvHeads = op.getKvHeads();
  int64_t layer = op.getLayer();
  StepArgument layerCache{cache, Access::ReadWrite, layerOffsets[layer]};
  layerCache.bytes = Affine{layerBytes[layer] - pageBytes, 0, 0, pageBytes};
  auto setCommon = [&](AbstractStep &step) {
    set(step, "heads", op.getHeads());
    set(step, "kv_heads", kvHeads);
    set(step, "head_dim", op.getHeadDim());
    set(step, "page_bytes", pageBytes);
    set(step, "pages_per_sequence", limits.pagesPerSequence);
    step.parameters.set("cache", op.getCacheAttr());
    if (op.getCacheGroupAttr())
      step.parameters.set("cache_group", op.getCacheGroupAttr());
  };

  AbstractStep write =
      makeStep("rotary_cache", "_" + Twine(q->columns), StepCount::Rows);
  setCommon(write);
  setView(write, "q", *q);
  setView(write, "k", *k);
  setView(write, "v", *v);
  write.args = {{q->buffer, Access::ReadWrite},
                {k->buffer, Access::Read},
                {v->buffer, Access::Read},
                {rows, Access::Read},
                {cos, Access::Read},
                {sin, Access::Read},
                {pageTable, Access::Read},
                layerCache};
  for (NamedAttribute parameter : heads.parameters)
    write.parameters.set(parameter.getName(), parameter.getValue());
  llvm::append_range(write.args, heads.args);
  plan.addStep(std::move(write));

  AbstractStep attend =
      makeStep("attention", "_" + Twine(q->columns), StepCount::Rows);
  attend.items.perRow = kvHeads;
  setCommon(attend);
  setView(attend, "q", *q);
  attend.parameters.set("scale", op.getScaleAttr());
  RowView y = plan.addRows("attention", q->columns, StepCount::Rows);
  layerCache.access = Access::Read;
  attend.args = {{q->buffer, Access::Read},
                 {rows, Access::Read},
                 {pageTable, Access::Read},
                 layerCache,
                 {y.buffer, Access::Write}};
  plan.addStep(std::move(attend));
  views[op.getResult()] = y;
  return success();
}

LogicalResult GraphToPlan::lowerAdd(AddOp op) {
  if (views.contains(op.getResult())) // taken in by a linear
    return success();
  FailureOr<RowView> a = getView(op.getLhs());
  FailureOr<RowView> b = getView(op.getRhs());
  if (failed(a) || failed(b))
    return failure();
  AbstractStep step = makeStep("add", "_" + Twine(a->columns), a->count);
  set(step, "columns", a->columns);
  setView(step, "a", *a);
  setView(step, "b", *b);
  RowView y = plan.addRows("sum", a->columns, a->count);
  step.args = {{a->buffer, Access::Read},
               {b->buffer, Access::Read},
               {y.buffer, Access::Write}};
  plan.addStep(std::move(step));
  views[op.getResult()] = y;
  return success();
}

LogicalResult GraphToPlan::lowerSelectRows(SelectRowsOp op) {
  FailureOr<RowView> x = getView(op.getInput());
  if (failed(x))
    return failure();
  AbstractStep step =
      makeStep("select_rows", "_" + Twine(x->columns), StepCount::Logits);
  set(step, "columns", x->columns);
  setView(step, "x", *x);
  RowView y = plan.addRows("selected", x->columns, StepCount::Logits);
  step.args = {{x->buffer, Access::Read},
               {select, Access::Read},
               {y.buffer, Access::Write}};
  plan.addStep(std::move(step));
  views[op.getResult()] = y;
  return success();
}

/// Moments into an accumulator, and the rows that the batch selects into a
/// buffer that outlives the run.
LogicalResult GraphToPlan::lowerObserve(ObserveOp op) {
  FailureOr<RowView> x = getView(op.getInput());
  if (failed(x))
    return failure();
  // An accumulator of every batch's rows: selected ones are a sample.
  if (x->count != StepCount::Rows)
    return op.emitOpError() << "of selected rows is not served";
  constexpr int64_t maxColumns = 1 << 20; // 4 TiB of moments
  if (x->columns > maxColumns)
    return op.emitOpError() << "of more than 2^20 columns is not served";
  std::string name = cast<StringAttr>(op.getNames()[0]).str();
  if (op.getMoments() != "none") {
    bool isFull = op.getMoments() == "full";
    AbstractStep step = makeStep(isFull ? "second_moments" : "diagonal_moments",
                                 "_" + Twine(x->columns), StepCount::Rows);
    set(step, "columns", x->columns);
    setView(step, "x", *x);
    step.items = {ceilDiv(x->columns, tileRows), 0, 0, 0};
    int64_t elements = x->columns * (isFull ? x->columns : 1);
    int64_t moments = plan.addBuffer("h." + name, BufferKind::Output,
                                     {4 * elements, 0, 0, 0});
    step.args = {{x->buffer, Access::Read}, {moments, Access::ReadWrite}};
    plan.addStep(std::move(step));
  }
  AbstractStep sample =
      makeStep("select_rows", "_" + Twine(x->columns), StepCount::Logits);
  set(sample, "columns", x->columns);
  setView(sample, "x", *x);
  StepArgument kept{plan.addBuffer("sample." + name, BufferKind::Output,
                                   {4 * x->columns * limits.logits, 0, 0, 0}),
                    Access::Write};
  kept.bytes = Affine{0, 0, 4 * x->columns, 0};
  sample.args = {{x->buffer, Access::Read}, {select, Access::Read}, kept};
  plan.addStep(std::move(sample));
  return success();
}

/// The rows of a part stay where the next part's `hidden` is filled from; the
/// last part has none.
LogicalResult GraphToPlan::lowerReturnOfPart(func::ReturnOp op) {
  if (op.getNumOperands() == 0)
    return success();
  auto view =
      op.getNumOperands() == 1 ? views.find(op.getOperand(0)) : views.end();
  if (view == views.end() || view->second.count != StepCount::Rows ||
      view->second.offset != 0 || view->second.stride != view->second.columns)
    return op.emitOpError() << "of a part requires one value, whole rows that "
                               "an operation computes";
  if (plan.getBuffer(view->second.buffer).kind == BufferKind::Arena)
    plan.keepRows(view->second.buffer, hidden < 0 ? "hidden" : "hidden.out");
  return success();
}

LogicalResult GraphToPlan::lowerReturn(func::ReturnOp op) {
  if (isPart)
    return lowerReturnOfPart(op);
  auto view =
      op.getNumOperands() == 1 ? views.find(op.getOperand(0)) : views.end();
  if (view == views.end() ||
      plan.getBuffer(view->second.buffer).kind != BufferKind::Output)
    return op.emitOpError() << "requires the logits of a linear";
  if (view->second.count != StepCount::Logits)
    return op.emitOpError()
           << "requires logits of selected rows (lowbit.select_rows)";
  return success();
}

LogicalResult GraphToPlan::lower(Operation *op) {
  if (isDeferred(op) || isa<WeightOp>(op))
    return success();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](EmbeddingOp op) { return lowerEmbedding(op); })
      .Case([&](LinearOp op) { return lowerLinear(op); })
      .Case([&](AttentionOp op) { return lowerAttention(op); })
      .Case([&](AddOp op) { return lowerAdd(op); })
      .Case([&](SelectRowsOp op) { return lowerSelectRows(op); })
      .Case([&](ObserveOp op) { return lowerObserve(op); })
      .Case([&](func::ReturnOp op) { return lowerReturn(op); })
      .Default([](Operation *op) {
        return op->emitOpError() << "is not served by the CPU target";
      });
}

LogicalResult GraphToPlan::run(StringRef target) {
  Block &body = forward.getBody().front();
  if (body.getNumArguments() != 3 && !(isPart && body.getNumArguments() == 4))
    return forward.emitOpError()
           << "requires the arguments ids, rows and select";
  for (auto [i, op] : llvm::enumerate(body))
    position[&op] = i;
  ids = plan.addBuffer("ids", BufferKind::Input, {0, 4, 0, 0});
  rows = plan.addBuffer("rows", BufferKind::Input, {0, 8, 0, 0});
  select = plan.addBuffer("select", BufferKind::Input, {0, 0, 4, 0});
  pageTable =
      plan.addBuffer("page_table", BufferKind::Input,
                     {4 * limits.sequences * limits.pagesPerSequence, 0, 0, 0});
  if (failed(collectCache()))
    return failure();
  if (cacheFormat)
    cache = plan.addBuffer("cache", BufferKind::Cache, {0, 0, 0, pageBytes});
  if (body.getNumArguments() == 4) {
    BlockArgument taken = body.getArgument(3);
    RowView view = plan.addRows("hidden", columnsOf(taken), StepCount::Rows);
    hidden = view.buffer;
    plan.keepRows(hidden, "hidden");
    views[taken] = view;
  }
  for (Operation &op : body)
    if (failed(lower(&op)))
      return failure();
  builder.setInsertionPointToEnd(module.getBody());
  plan.finish(target, [](KernelOp kernel) {
    const KernelFamily *family = findKernelFamily(kernel.getFamily());
    return family->scratchBytes(kernel);
  });
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct ConvertLowbitToPlan
    : lowbit::impl::ConvertLowbitToPlanBase<ConvertLowbitToPlan> {
  using ConvertLowbitToPlanBase::ConvertLowbitToPlanBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!forward || forward.isExternal()) {
      module.emitError() << "has no function @forward";
      return signalPassFailure();
    }
    PlanLimits limits;
    if (failed(getLimits(forward, limits)))
      return signalPassFailure();
    OpBuilder builder(&getContext());
    if (failed(GraphToPlan(module, forward, builder, limits).run(target)))
      return signalPassFailure();
    forward.erase();
  }

private:
  LogicalResult getLimits(func::FuncOp forward, PlanLimits &limits) {
    if (maxRows < 1 || maxLogits < 0 || sequences < 1 || context < 1 ||
        maxRows > (1 << 20) || sequences > (1 << 20) || context > (1 << 30))
      return forward.emitError()
             << "max-rows, sequences and context must be at least 1 and at "
                "most 2^20, 2^20 and 2^30";
    limits.rows = maxRows;
    int64_t fitting = maxRows;
    if (!observes(forward)) {
      auto result = dyn_cast<RankedTensorType>(
          forward.getNumResults() == 1 ? forward.getResultTypes()[0] : Type());
      if (!result || result.getRank() != 2 || result.isDynamicDim(1))
        return forward.emitError() << "requires one result, the logits";
      fitting = (64 << 20) / (4 * result.getDimSize(1));
    }
    limits.logits = std::max<int64_t>(
        1,
        std::min<int64_t>(maxRows, maxLogits ? int64_t(maxLogits) : fitting));
    limits.sequences = sequences;
    limits.pagesPerSequence = ceilDiv(context, pagePositions);
    limits.pages = limits.sequences * limits.pagesPerSequence;
    return success();
  }
};

} // namespace
