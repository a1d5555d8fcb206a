//===- PartedModel.cpp - A module as parts that run -----------------------===//

#include "PartedModel.h"
#include "PlanTarget.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/Runtime/KernelTable.h"
#include "lowbit/Transforms/ExtractPart.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/raw_ostream.h"

using namespace lowbit;

namespace {

mlir::func::FuncOp getForward(mlir::ModuleOp module) {
  return module.lookupSymbol<mlir::func::FuncOp>("forward");
}

int64_t columnsOf(mlir::Type rows) {
  return llvm::cast<mlir::RankedTensorType>(rows).getDimSize(1);
}

Observation describeObserver(ObserveOp op) {
  Observation result;
  auto names = op.getNames().getAsValueRange<mlir::StringAttr>();
  for (llvm::StringRef name : names) {
    if (result.name.empty())
      result.name = name.str();
    else
      result.otherNames.push_back(name.str());
  }
  result.columns = columnsOf(op.getInput().getType());
  result.moments = op.getMoments() == "full"       ? Moments::Full
                   : op.getMoments() == "diagonal" ? Moments::Diagonal
                                                   : Moments::None;
  return result;
}

/// Puts weights where the caller of fillWeights says.
class PlaceSink : public WeightSink {
public:
  explicit PlaceSink(const std::function<uint8_t *(size_t)> &place)
      : place(place) {}
  uint8_t *bytes(size_t index) override { return place(index); }
  Status finished(size_t, LedgerEntry) override { return std::nullopt; }
  void progressed(int64_t) override {}

private:
  const std::function<uint8_t *(size_t)> &place;
};

} // namespace

struct ObservedPart::Contents {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Plan plan;
  const std::string *code = nullptr;
  std::vector<Observation> observations;
  int64_t taken = 0, given = 0, linearWeights = 0;
  std::vector<PartWeight> weights;
  ParameterBytes *bytes = nullptr;
  unsigned jobs = 1;
};

ObservedPart::ObservedPart(std::unique_ptr<Contents> contents)
    : contents(std::move(contents)) {}
ObservedPart::ObservedPart(ObservedPart &&) = default;
ObservedPart::~ObservedPart() = default;

const Plan &ObservedPart::plan() const { return contents->plan; }
const std::string &ObservedPart::code() const { return *contents->code; }
const std::vector<Observation> &ObservedPart::observations() const {
  return contents->observations;
}
int64_t ObservedPart::takenColumns() const { return contents->taken; }
int64_t ObservedPart::givenColumns() const { return contents->given; }
int64_t ObservedPart::linearWeights() const { return contents->linearWeights; }
const std::vector<PartWeight> &ObservedPart::weights() const {
  return contents->weights;
}

Status ObservedPart::fillWeights(
    const std::function<uint8_t *(size_t weight)> &place) {
  MaterializeOptions how;
  how.jobs = contents->jobs;
  auto made = Materializer::create(*contents->module, *contents->bytes, how);
  if (!made)
    return made.error();
  PlaceSink sink(place);
  return made->run(sink);
}

Result<PartedModel>
PartedModel::create(mlir::OwningOpRef<mlir::ModuleOp> module,
                    ParameterBytes &bytes, PartOptions options) {
  PartedModel model;
  model.module = std::move(module);
  model.bytes = &bytes;
  model.options = std::move(options);
  model.options.compile.dump.clear(); // A dump is of what the output holds.
  if (Status status = model.findObservations())
    return *status;
  return model;
}

/// Says what each part observes, and how large its weights are.
Status PartedModel::findObservations() {
  int64_t parts = countParts(getForward(*module));
  if (parts == 0)
    return unsupported(options.compile.input, "", "has no linear to observe");
  for (int64_t i = 0; i < parts; ++i) {
    auto part = extract(i);
    if (!part)
      return part.error();
    seen.emplace_back();
    for (ObserveOp op : getForward(**part).getOps<ObserveOp>())
      seen.back().push_back(describeObserver(op));
    auto stored = getStoredParameters(**part);
    if (!stored)
      return stored.error();
    int64_t weights = 0;
    for (const StoredParameter &parameter : *stored)
      weights += parameter.size.bytes;
    mostWeights = std::max(mostWeights, weights);
  }
  return std::nullopt;
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> PartedModel::extract(int64_t part) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module->clone();
  if (Status status =
          runPipeline(*copy, "builtin.module(lowbit-extract-part{index=" +
                                 std::to_string(part) + "})"))
    return *status;
  return copy;
}

/// From the graph to the plan, in place.
Status PartedModel::makePlan(mlir::ModuleOp part) const {
  if (Status status =
          runPipeline(part, makePipeline(Recipe(), Stage::Quantized,
                                         Stage::LaidOut, /*gates=*/true)))
    return status;
  return runPipeline(
      part, "builtin.module(convert-lowbit-to-plan{target=" + options.target +
                " max-rows=" + std::to_string(options.limits.rows) +
                " max-logits=" + std::to_string(options.limits.rows) +
                " sequences=" + std::to_string(options.limits.sequences) +
                " context=" + std::to_string(options.limits.context) +
                "},lowbit-verify-stage{stage=planned})");
}

Result<const std::string *> PartedModel::generate(mlir::ModuleOp part) {
  mlir::OwningOpRef<mlir::ModuleOp> kernels = extractKernels(part);
  // They run here and nowhere else, and the variants give equal bits.
  mlir::Builder builder(kernels->getContext());
  (*kernels)->setAttr(variantAttr,
                      builder.getStringAttr(variantName(bestVariant())));
  std::string text;
  llvm::raw_string_ostream(text) << *kernels;
  std::unique_ptr<std::string> &known = code[text];
  if (!known) {
    Result<std::string> made =
        generateKernels(*kernels, options.target, options.compile);
    if (!made)
      return made.error();
    known = std::make_unique<std::string>(std::move(*made));
  }
  return known.get();
}

Result<ObservedPart> PartedModel::build(int64_t index) {
  auto copy = extract(index);
  if (!copy)
    return copy.error();
  auto part = std::make_unique<ObservedPart::Contents>();
  part->module = std::move(*copy);
  part->bytes = bytes;
  part->jobs = options.compile.jobs;
  part->observations = seen[index];
  mlir::func::FuncOp forward = getForward(*part->module);
  if (forward.getNumArguments() == 4)
    part->taken = columnsOf(forward.getArgumentTypes()[3]);
  if (forward.getNumResults() == 1)
    part->given = columnsOf(forward.getResultTypes()[0]);
  for (LinearOp linear : forward.getOps<LinearOp>())
    part->linearWeights +=
        llvm::cast<mlir::RankedTensorType>(linear.getWeight().getType())
            .getNumElements();
  if (Status status = makePlan(*part->module))
    return *status;
  Result<Plan> plan = exportVerifiedPlan(*part->module, /*vocabulary=*/0);
  if (!plan)
    return plan.error();
  part->plan = std::move(*plan);
  Result<const std::string *> made = generate(*part->module);
  if (!made)
    return made.error();
  part->code = *made;
  auto stored = getStoredParameters(*part->module);
  if (!stored)
    return stored.error();
  for (const StoredParameter &parameter : *stored)
    part->weights.push_back(
        {getWeightTensorName(parameter.name), parameter.size.bytes});
  return ObservedPart(std::move(part));
}
