//===- Corpus.cpp - Formats and solvers on seeded weights -----------------===//

#include "Corpus.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Checkpoint/ModelFolder.h"
#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/FormatTrial.h"
#include "lowbit/Numerics/InputMoments.h"
#include "lowbit/Numerics/WeightCorpus.h"
#include "lowbit/Transforms/FormatNames.h"
#include "llvm/Support/FormatVariadic.h"

using namespace lowbit;
using namespace lowbit::bench;

namespace {

/// A matrix to judge formats on.
struct Matrix {
  std::string name;
  int64_t rows, columns;
  std::vector<float> weights;
};

/// Moments of one kind of inputs: of a sample of 8 K rows, and as expected.
struct Moments {
  std::vector<float> seen, judged;

  Moments(CorpusInputs kind, int64_t columns, uint64_t seed) {
    constexpr int64_t batch = 512;
    int64_t rows = 8 * columns;
    std::vector<float> x = corpusInputs(kind, {rows, columns}, seed, seed + 1);
    InputMoments sums(columns);
    for (int64_t row = 0; row < rows; row += batch) {
      const float *first = x.data() + row * columns;
      sums.add(first, first, std::min(batch, rows - row), runInOrder);
    }
    seen = sums.moments();
    judged = corpusMoments(kind, columns, seed);
  }
};

Error usage(const std::string &text) { return {ExitCode::Usage, text}; }

/// Weights, rows of inputs and moments are all in memory at once.
Status checkSize(const std::string &name, int64_t rows, int64_t columns) {
  constexpr int64_t mostColumns = 4096, mostWeights = 1 << 26;
  if (columns <= mostColumns && rows <= mostWeights / columns)
    return std::nullopt;
  return usage(name + " is " + std::to_string(rows) + "x" +
               std::to_string(columns) +
               ", --corpus takes at most 4096 columns and 2^26 weights");
}

Result<Matrix> readMatrix(const ModelFolder &folder, const std::string &name) {
  const TensorRef *tensor = folder.find(name);
  if (!tensor)
    return usage("--tensors: " + quoted(name) + " is not in " + folder.path());
  const TensorEntry &entry = *tensor->entry;
  std::optional<ElementType> type;
  if (entry.dtype == DType::F32)
    type = ElementType::F32;
  else if (entry.dtype == DType::F16)
    type = ElementType::F16;
  else if (entry.dtype == DType::BF16)
    type = ElementType::BF16;
  if (!type || entry.shape.size() != 2 || entry.elements() == 0)
    return usage("--tensors: " + quoted(name) + " is " + entry.describe() +
                 ", must be a matrix of F32, F16 or BF16");
  Matrix matrix{name,
                static_cast<int64_t>(entry.shape[0]),
                static_cast<int64_t>(entry.shape[1]),
                {}};
  if (Status status = checkSize(name, matrix.rows, matrix.columns))
    return *status;
  matrix.weights.resize(entry.elements());
  widenElements(*type, folder.bytes(*tensor).data,
                static_cast<int64_t>(matrix.weights.size()),
                matrix.weights.data());
  return matrix;
}

Result<std::vector<Matrix>> readMatrices(const CorpusOptions &options) {
  std::vector<Matrix> matrices;
  auto [rows, columns] = options.shape;
  if (Status status = checkSize("--shapes", rows, columns))
    return *status;
  for (CorpusWeights kind : allCorpusWeights)
    matrices.push_back({corpusName(kind), rows, columns,
                        corpusWeights(kind, rows, columns, options.seed)});
  if (options.tensors.empty())
    return matrices;
  Result<ModelFolder> folder = ModelFolder::open(options.model);
  if (!folder)
    return folder.error();
  for (const std::string &name : options.tensors) {
    Result<Matrix> matrix = readMatrix(*folder, name);
    if (!matrix)
      return matrix.error();
    matrices.push_back(std::move(*matrix));
  }
  return matrices;
}

/// One line of what is printed.
std::string describe(const Matrix &matrix, CorpusInputs inputs,
                     const std::string &format, const std::string &solver,
                     const TrialResult &result, bool json) {
  if (json)
    return llvm::formatv(
        " {{\"weights\":\"{0}\",\"inputs\":\"{1}\",\"format\":\"{2}\","
        "\"solver\":\"{3}\",\"bits\":{4:F4},\"weight_error\":{5:F6},"
        "\"output_error\":{6:F6}}",
        matrix.name, corpusName(inputs), format, solver, result.bits,
        result.weightError, result.outputError);
  return llvm::formatv("{0,-24} {1,-9} {2,-22} {3,-8} {4,8:F4} {5,10:F5} "
                       "{6,10:F5}\n",
                       matrix.name, corpusName(inputs), format, solver,
                       result.bits, result.weightError, result.outputError);
}

} // namespace

Result<std::string> bench::judgeCorpus(const CorpusOptions &options) {
  Result<std::vector<Matrix>> matrices = readMatrices(options);
  if (!matrices)
    return matrices.error();
  std::string text =
      options.json ? "["
                   : llvm::formatv("{0,-24} {1,-9} {2,-22} {3,-8} {4,8} {5,10} "
                                   "{6,10}\n",
                                   "weights", "inputs", "format", "solver",
                                   "bits", "weights", "outputs")
                         .str();
  const char *separator = options.json ? "\n" : "";
  for (const Matrix &matrix : *matrices)
    for (CorpusInputs kind : allCorpusInputs) {
      Moments moments(kind, matrix.columns, options.seed);
      TrialInput input{matrix.weights.data(),
                       matrix.rows,
                       matrix.columns,
                       {moments.seen.data(), matrix.columns},
                       {moments.judged.data(), matrix.columns}};
      for (const std::string &name : options.formats) {
        Result<FormatPtr> format = parseFormatName(name);
        if (!format)
          return format.error();
        for (const std::string &solver : (*format)->solvers()) {
          if (solver == "given")
            continue;
          TrialResult result;
          if (auto defect = tryFormat(**format, solver, input, result))
            return usage(matrix.name + ": " + lowbit::describe(*defect));
          text += separator +
                  describe(matrix, kind, name, solver, result, options.json);
          separator = options.json ? ",\n" : "";
        }
      }
    }
  return text + (options.json ? "]\n" : "");
}
