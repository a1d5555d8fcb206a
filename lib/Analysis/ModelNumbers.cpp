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

const ModelNumbers *ModelNumbers::getWithProfile(mlir::ModuleOp module,
                                                 llvm::StringRef pass) {
  const ModelNumbers *numbers = get(module.getContext());
  if (numbers && numbers->profile())
    return numbers;
  module.emitError() << pass << " needs a profile (--profile)";
  return nullptr;
}

Result<std::vector<double>> ModelNumbers::weight(mlir::Value value) const {
  return readWeight(value, bytes());
}

Result<std::optional<InputNumbers>>
ModelNumbers::input(mlir::Value weight) const {
  Result<WeightInput> found = WeightInput::find(weight, bytes());
  if (!found)
    return found.error();
  return found->numbers(*profile());
}

Result<std::optional<ModelNumbers::FileTensor>>
ModelNumbers::tensor(const std::string &path, const std::string &name) const {
  NumbersSource::Contents &contents = *source.contents;
  std::unique_ptr<Safetensors> &file = contents.files[path];
  if (!file) {
    Result<Safetensors> opened = Safetensors::open(path);
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
