//===- WeightJob.cpp - One stored parameter in the making -----------------===//

#include "WeightJob.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/FloatLayout.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

namespace {

/// Weights that a block should have at least: a few milliseconds of work.
constexpr int64_t minBlockWeights = int64_t(1) << 18;

std::string elementName(mlir::Type type) {
  return type.isF32() ? "f32" : type.isF16() ? "f16" : "bf16";
}

/// What the ledger says before anything is packed.
LedgerEntry describeParameter(const StoredParameter &parameter) {
  ParameterOp op = parameter.op;
  mlir::RankedTensorType type = op.getTensorType();
  LedgerEntry entry;
  entry.name = parameter.name;
  if (auto role = op->getAttrOfType<mlir::StringAttr>("lowbit.role"))
    entry.role = role.str();
  if (auto layer = op->getAttrOfType<mlir::IntegerAttr>("lowbit.layer"))
    entry.layer = layer.getInt();
  FormatInterface format = getFormat(type);
  entry.format =
      format ? format.getShortName() : elementName(type.getElementType());
  entry.rows = type.getRank() == 0 ? 1 : type.getDimSize(0);
  entry.columns = entry.rows == 0 ? 0 : type.getNumElements() / entry.rows;
  entry.originals = parameter.originals;
  entry.bytes = parameter.size.bytes;
  entry.payload = parameter.size.payload;
  entry.padding = parameter.size.padding;
  return entry;
}

void cutIntoBlocks(WeightJob &job) {
  if (job.kind == WeightJob::Kind::Copied) {
    job.blocks = (job.entry.bytes + copyBlockBytes - 1) / copyBlockBytes;
  } else if (job.kind != WeightJob::Kind::Vector) {
    int64_t tileWeights = job.places.tileRows * job.entry.columns;
    job.blockTiles =
        std::max<int64_t>(1, (minBlockWeights + tileWeights - 1) / tileWeights);
    job.blocks = (job.places.tiles + job.blockTiles - 1) / job.blockTiles;
  }
  job.results.resize(job.blocks);
}

/// What the solver will ask of the statistics, and whether they have it.
Status setUpStatistics(WeightJob &job, QuantizeOp quantize,
                       ParameterBytes &bytes,
                       const MaterializeOptions &options) {
  StatisticsRequest &request = job.request;
  request.format = job.format;
  request.encoder.solver = job.entry.solver;
  if (mlir::DictionaryAttr choices = quantize.getOptionsAttr()) {
    if (auto order = choices.getAs<mlir::StringAttr>("order"))
      request.encoder.order = order.str();
    if (auto scales = choices.getAs<mlir::StringAttr>("scales"))
      request.encoder.scales = scales.str();
    if (auto damp = choices.getAs<mlir::FloatAttr>("damp"))
      request.encoder.damp = damp.getValueAsDouble();
  }
  job.source = options.statistics;
  Result<WeightInput> input = WeightInput::find(quantize.getInput(), bytes);
  if (!input)
    return input.error();
  request.input = std::move(*input);
  if (request.usesFeedback() &&
      (!job.source || !request.input.hasMoments(*job.source)))
    return unsupported(
        "module", job.entry.name,
        "has solver " + job.entry.solver +
            ", which needs the second moments of its input: give --profile "
            "with a profile of lowbit-calibrate --moments=full that knows " +
            quoted(request.input.tensors().front()) +
            ", or --calibration-text");
  // What is there already is refused now where it does not fit.
  return job.source ? request.input.check(*job.source) : Status();
}

Status setUpEncoded(WeightJob &job, QuantizeOp quantize, ParameterBytes &bytes,
                    const MaterializeOptions &options) {
  FormatInterface format = getFormat(quantize.getResult().getType());
  job.kind = WeightJob::Kind::Encoded;
  job.format = format.getWeightFormat();
  job.entry.solver = quantize.getSolver().str();
  if (!llvm::is_contained(job.format->solvers(), job.entry.solver))
    return unsupported("module", job.entry.name,
                       "has solver " + quoted(job.entry.solver) +
                           ", which does not go with format " +
                           job.format->name() + ": " +
                           job.format->whyNoSolver());
  job.places = *job.format->places(job.entry.rows, job.entry.columns);
  if (Status status = setUpStatistics(job, quantize, bytes, options))
    return status;
  mlir::DictionaryAttr choices = quantize.getOptionsAttr();
  if (job.entry.solver != "given")
    return std::nullopt;
  auto file =
      choices ? choices.getAs<mlir::StringAttr>("file") : mlir::StringAttr();
  if (!file)
    return unsupported("module", job.entry.name,
                       "has the solver given, but names no file");
  Result<GivenWeights> given =
      GivenWeights::open(file.str(), job.format, job.leaves, job.entry.columns);
  if (!given)
    return given.error();
  job.facts = given->facts();
  job.given.emplace(std::move(*given));
  return std::nullopt;
}

/// A parameter whose bytes are computed.
Status setUpChain(WeightJob &job, const StoredParameter &parameter,
                  ParameterBytes &bytes, const MaterializeOptions &options) {
  ParameterOp op = parameter.op;
  auto yield = llvm::cast<YieldOp>(op.getInit().front().back());
  mlir::Value value = yield.getValue();
  auto quantize = value.getDefiningOp<QuantizeOp>();
  auto rows =
      makeWeightRows(quantize ? quantize.getInput() : value, bytes, job.leaves);
  if (!rows)
    return rows.error();
  job.rows = std::move(*rows);
  for (const WeightLeaf &leaf : job.leaves)
    job.entry.sources.push_back(leaf.tensor);
  job.allowNonfinite = options.allowNonfinite;
  job.entry.solver = "exact";
  mlir::RankedTensorType type = op.getTensorType();
  if (type.getRank() == 2 && !op.getLayoutAttr())
    return unsupported("module", job.entry.name,
                       "has no layout: run lowbit-assign-layouts");
  if (quantize)
    return setUpEncoded(job, quantize, bytes, options);
  if (type.getRank() != 2) {
    job.kind = WeightJob::Kind::Vector;
    return std::nullopt;
  }
  job.kind = WeightJob::Kind::Floats;
  FloatLayout layout =
      *floatLayout(job.rows->type, job.entry.rows, job.entry.columns);
  job.places = {tileRows, layout.tileBytes, layout.tiles, 0};
  return std::nullopt;
}

} // namespace

Status WeightJob::prepare(const ParallelLoop &loop) {
  auto loaded = JobStatistics::load(*source, request, loop);
  if (!loaded)
    return loaded.error();
  if (request.usesFeedback() && !loaded->hasMoments())
    return unsupported("module", entry.name,
                       "has solver " + entry.solver +
                           ", but no moments of its input are known when it "
                           "is packed");
  statistics.emplace(std::move(*loaded));
  return std::nullopt;
}

int64_t WeightJob::blockWeights(int64_t block) const {
  if (kind == Kind::Copied || kind == Kind::Vector) // by bytes, evenly
    return weights() * (block + 1) / blocks - weights() * block / blocks;
  int64_t blockRows = blockTiles * places.tileRows;
  return std::min(blockRows, entry.rows - block * blockRows) * entry.columns;
}

Result<std::unique_ptr<WeightJob>>
lowbit::makeWeightJob(const StoredParameter &parameter, ParameterBytes &bytes,
                      const MaterializeOptions &options) {
  auto job = std::make_unique<WeightJob>();
  job->entry = describeParameter(parameter);
  ParameterOp op = parameter.op;
  if (SourceAttr source = op.getSourceAttr()) {
    Result<Bytes> found = bytes.find(source);
    if (!found)
      return found.error();
    job->copied = *found;
    job->entry.sources.push_back(source.getTensor().str());
    job->entry.solver = "copied";
  } else if (Status status = setUpChain(*job, parameter, bytes, options)) {
    return *status;
  }
  cutIntoBlocks(*job);
  return job;
}

Error lowbit::describeDefect(const WeightJob &job, Defect defect) {
  const WeightLeaf *leaf = &job.leaves.front();
  for (const WeightLeaf &candidate : job.leaves)
    if (defect.row >= candidate.firstRow)
      leaf = &candidate;
  if (defect.row >= 0)
    defect.row -= leaf->firstRow;
  if (defect.kind != Defect::Kind::NonFiniteWeight)
    return badInput(leaf->file, leaf->tensor, describe(defect));
  // The tensor's count, not the tile's.
  int64_t count = 0;
  std::vector<float> row(job.entry.columns);
  for (int64_t r = 0; r < leaf->rows; ++r) {
    job.rows->readFloats(leaf->firstRow + r, 1, row.data());
    count += std::count_if(row.begin(), row.end(),
                           [](float w) { return !isFiniteFloat(w); });
  }
  std::string value = std::isnan(defect.value) ? "nan"
                      : defect.value > 0       ? "inf"
                                               : "-inf";
  return badInput(leaf->file, leaf->tensor,
                  "weight [" + std::to_string(defect.row) + ", " +
                      std::to_string(defect.column) + "] is " + value +
                      ", must be finite (" + std::to_string(count) +
                      " such in the tensor; --allow-nonfinite takes them)");
}
