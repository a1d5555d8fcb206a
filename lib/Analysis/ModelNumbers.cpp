//===- ModelNumbers.cpp - Numbers that passes may look at -----------------===//

#include "lowbit/Analysis/ModelNumbers.h"
#include "lowbit/Analysis/WeightRows.h"
#include "lowbit/Checkpoint/Message.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"

using namespace lowbit;

//===----------------------------------------------------------------------===//
// Where numbers are
//===----------------------------------------------------------------------===//

Result<NumbersSource> NumbersSource::open(std::vector<std::string> folders,
                                          const std::string &profile) {
  NumbersSource source;
  source.contents = std::make_shared<Contents>();
  source.contents->bytes = std::make_unique<FolderBytes>(std::move(folders));
  if (profile.empty())
    return source;
  Result<Profile> opened = Profile::open(profile);
  if (!opened)
    return opened.error();
  source.contents->profile.emplace(std::move(*opened));
  return source;
}

namespace {
/// Gives the numbers to the dialect of each context that loads it.
class NumbersExtension
    : public mlir::DialectExtension<NumbersExtension, LowbitDialect> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NumbersExtension)
  explicit NumbersExtension(NumbersSource source) : source(std::move(source)) {}

  void apply(mlir::MLIRContext *, LowbitDialect *dialect) const override {
    dialect->addInterface(std::make_unique<ModelNumbers>(dialect, source));
  }

private:
  NumbersSource source;
};
} // namespace

void lowbit::provideNumbers(mlir::DialectRegistry &registry,
                            const NumbersSource &source) {
  registry.addExtension(mlir::TypeID::get<NumbersExtension>(),
                        std::make_unique<NumbersExtension>(source));
}

void lowbit::provideNumbers(mlir::MLIRContext &context,
                            const NumbersSource &source) {
  auto *dialect = context.getOrLoadDialect<LowbitDialect>();
  dialect->addInterface(std::make_unique<ModelNumbers>(dialect, source));
}

const ModelNumbers *ModelNumbers::get(mlir::MLIRContext *context) {
  auto *dialect = context->getLoadedDialect<LowbitDialect>();
  return dialect ? dialect->getRegisteredInterface<ModelNumbers>() : nullptr;
}

Result<std::vector<double>> ModelNumbers::weight(mlir::Value value) const {
  return readWeight(value, bytes());
}

Result<std::optional<ModelNumbers::FileTensor>>
ModelNumbers::tensor(const std::string &path, const std::string &name) const {
  NumbersSource::Contents &contents = *source.contents;
  std::unique_ptr<Safetensors> &file = contents.files[path];
  if (!file) {
    Result<MappedFile> mapped = MappedFile::open(path);
    if (!mapped)
      return mapped.error();
    Result<Safetensors> opened = Safetensors::open(std::move(*mapped));
    if (!opened)
      return opened.error();
    file = std::make_unique<Safetensors>(std::move(*opened));
  }
  const TensorEntry *entry = file->find(name);
  if (!entry)
    return std::optional<FileTensor>();
  mlir::MLIRContext *context = getContext();
  mlir::Type element =
      entry->dtype == DType::F32   ? mlir::Type(mlir::Float32Type::get(context))
      : entry->dtype == DType::F16 ? mlir::Type(mlir::Float16Type::get(context))
      : entry->dtype == DType::BF16
          ? mlir::Type(mlir::BFloat16Type::get(context))
          : mlir::Type();
  if (!element || entry->shape.empty() || entry->shape.size() > 2)
    return badInput(path, name,
                    "is " + entry->describe() +
                        ", must be F32, F16 or BF16 of one or two dimensions");
  std::vector<int64_t> shape(entry->shape.begin(), entry->shape.end());
  FileTensor result;
  result.type = mlir::RankedTensorType::get(shape, element);
  // A path, so that it is not sought in the model's folder.
  std::string place = path.find('/') == std::string::npos ? "./" + path : path;
  result.source = SourceAttr::get(
      context, place, name, static_cast<int64_t>(file->fileOffset(*entry)),
      static_cast<int64_t>(entry->byteSize()));
  return std::optional<FileTensor>(result);
}

Result<std::vector<double>> ModelNumbers::remember(
    const std::string &key,
    const std::function<Result<std::vector<double>>()> &compute) const {
  NumbersSource::Contents &contents = *source.contents;
  {
    std::lock_guard<std::mutex> lock(contents.mutex);
    auto found = contents.answers.find(key);
    if (found != contents.answers.end())
      return found->second;
  }
  Result<std::vector<double>> answer = compute();
  if (!answer)
    return answer.error();
  std::lock_guard<std::mutex> lock(contents.mutex);
  contents.answers[key] = *answer;
  return answer;
}

//===----------------------------------------------------------------------===//
// Chains
//===----------------------------------------------------------------------===//

std::string lowbit::describeWeight(mlir::Value value) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  mlir::Operation *op = value.getDefiningOp();
  if (!op)
    return "argument";
  if (auto weight = llvm::dyn_cast<WeightOp>(op)) {
    auto module = op->getParentOfType<mlir::ModuleOp>();
    auto parameter = module.lookupSymbol<ParameterOp>(weight.getParameter());
    if (parameter && parameter.getSourceAttr()) {
      stream << parameter.getSourceAttr() << parameter.getTensorType();
      return text;
    }
  }
  stream << op->getName() << op->getAttrDictionary() << '(';
  for (mlir::Value operand : op->getOperands())
    stream << describeWeight(operand) << ',';
  stream << ')' << value.getType();
  return text;
}

namespace {

/// The transforms of the weight's columns, from the checkpoint's tensor on.
void collectColumnTransforms(mlir::Value value,
                             llvm::SmallVectorImpl<TransformWeightOp> &steps,
                             std::vector<std::string> &names) {
  mlir::Operation *op = value.getDefiningOp();
  if (auto step = llvm::dyn_cast_or_null<TransformWeightOp>(op)) {
    collectColumnTransforms(step.getInput(), steps, names);
    if (step.getDim() == 1)
      steps.push_back(step);
  } else if (auto weight = llvm::dyn_cast_or_null<WeightOp>(op)) {
    auto module = op->getParentOfType<mlir::ModuleOp>();
    auto parameter = module.lookupSymbol<ParameterOp>(weight.getParameter());
    if (parameter && parameter.getSourceAttr())
      names.push_back(parameter.getSourceAttr().getTensor().str());
  } else if (llvm::isa_and_nonnull<ConcatOp, WidenOp, QuantizeOp>(op)) {
    // Linears that share their rows share what was done to them.
    llvm::SmallVector<TransformWeightOp> first;
    for (mlir::Value operand : op->getOperands()) {
      llvm::SmallVector<TransformWeightOp> other;
      collectColumnTransforms(operand, first.empty() ? first : other, names);
    }
    steps.append(first);
  }
}

/// What W · T in the weight says was done to the rows: x · T⁻ᵀ. Numbers are
/// inverted here, as the module has no such matrix.
Result<std::unique_ptr<RowTransform>> makeRowSide(TransformWeightOp step,
                                                  ParameterBytes &bytes) {
  auto type = llvm::cast<mlir::RankedTensorType>(step.getInput().getType());
  int64_t columns = type.getDimSize(1);
  TransformInterface kind =
      step.getTransform().getInverseKind().getTransposedKind();
  if (step.getMatrices().empty())
    return makeRowTransform(kind, step.getMatrices(), columns, bytes);
  std::vector<std::vector<double>> matrices;
  std::vector<int64_t> sizes;
  for (mlir::Value matrix : step.getMatrices()) {
    Result<std::vector<double>> read = readWeight(matrix, bytes);
    if (!read)
      return read.error();
    auto shape = llvm::cast<mlir::RankedTensorType>(matrix.getType());
    int64_t n = shape.getDimSize(0);
    sizes.push_back(n);
    if (shape.getRank() == 1) {
      for (double &factor : *read)
        factor = 1 / factor;
      return makeDiagonalRows(columns, std::move(*read));
    }
    if (!step.getTransform().isOrthogonal()) {
      if (!invertMatrix(*read, n))
        return badInput("module", "transform", "has no inverse");
      std::vector<double> turned(n * n);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          turned[j * n + i] = (*read)[i * n + j];
      *read = std::move(turned);
    }
    matrices.push_back(std::move(*read));
  }
  if (matrices.size() == 1)
    return makeKroneckerRows(columns, {}, 1, std::move(matrices[0]), sizes[0]);
  return makeKroneckerRows(columns, std::move(matrices[0]), sizes[0],
                           std::move(matrices[1]), sizes[1]);
}

/// Tᵀ H T, rows first.
std::vector<double> transformMoments(const std::vector<double> &moments,
                                     const RowTransform &transform) {
  int64_t from = transform.inColumns, to = transform.outColumns;
  std::vector<double> half(from * to), turned(to * from), result(to * to);
  transform.apply(moments.data(), from, half.data());
  for (int64_t i = 0; i < from; ++i)
    for (int64_t j = 0; j < to; ++j)
      turned[j * from + i] = half[i * to + j];
  transform.apply(turned.data(), to, result.data());
  return result;
}

} // namespace

Result<std::optional<InputStatistics>>
lowbit::getInputStatistics(mlir::Value weight, const Profile &profile,
                           ParameterBytes &bytes) {
  llvm::SmallVector<TransformWeightOp> steps;
  std::vector<std::string> names;
  collectColumnTransforms(weight, steps, names);
  auto type = llvm::cast<mlir::RankedTensorType>(
      steps.empty() ? weight.getType() : steps.front().getInput().getType());
  InputStatistics statistics;
  statistics.columns = type.getDimSize(1);
  auto diagonal = profile.diagonal(names, statistics.columns);
  if (!diagonal)
    return diagonal.error();
  if (!*diagonal)
    return std::optional<InputStatistics>();
  statistics.diagonal.assign((*diagonal)->begin(), (*diagonal)->end());
  auto moments = profile.moments(names, statistics.columns);
  if (!moments)
    return moments.error();
  if (*moments)
    statistics.moments = std::move(**moments);
  auto samples = profile.samples(names, statistics.columns);
  if (!samples)
    return samples.error();
  statistics.sampleRows =
      static_cast<int64_t>(samples->size()) / statistics.columns;
  statistics.samples.assign(samples->begin(), samples->end());

  for (TransformWeightOp step : steps) {
    auto transform = makeRowSide(step, bytes);
    if (!transform)
      return transform.error();
    int64_t to = (*transform)->outColumns;
    std::vector<double> rows(statistics.sampleRows * to);
    (*transform)
        ->apply(statistics.samples.data(), statistics.sampleRows, rows.data());
    statistics.samples = std::move(rows);
    if (!statistics.moments.empty()) {
      statistics.moments = transformMoments(statistics.moments, **transform);
      statistics.diagonal.resize(to);
      for (int64_t i = 0; i < to; ++i)
        statistics.diagonal[i] = statistics.moments[i * (to + 1)];
    } else if (step.getTransform().isDiagonal() &&
               !statistics.diagonal.empty()) {
      // x_i² takes the factor twice.
      for (int twice = 0; twice < 2; ++twice) {
        std::vector<double> scaled(to);
        (*transform)->apply(statistics.diagonal.data(), 1, scaled.data());
        statistics.diagonal = std::move(scaled);
      }
    } else {
      statistics.diagonal.clear();
    }
    statistics.columns = to;
  }
  return std::optional<InputStatistics>(std::move(statistics));
}

Result<std::optional<std::vector<float>>>
lowbit::getInputDiagonal(mlir::Value weight, const Profile &profile,
                         ParameterBytes &bytes) {
  using Diagonal = std::optional<std::vector<float>>;
  llvm::SmallVector<TransformWeightOp> steps;
  std::vector<std::string> names;
  collectColumnTransforms(weight, steps, names);
  if (steps.empty()) // Without H, which may be large.
    return profile.diagonal(
        names,
        llvm::cast<mlir::RankedTensorType>(weight.getType()).getDimSize(1));
  auto statistics = getInputStatistics(weight, profile, bytes);
  if (!statistics)
    return statistics.error();
  if (!*statistics)
    return Diagonal();
  if ((*statistics)->diagonal.empty())
    return badInput(profile.file().name(), "h." + names.front(),
                    "is a diagonal, but a transform mixes the columns: "
                    "calibrate with --moments full");
  return Diagonal(std::vector<float>((*statistics)->diagonal.begin(),
                                     (*statistics)->diagonal.end()));
}
