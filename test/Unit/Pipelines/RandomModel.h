//===- RandomModel.h - Small models of every kind ---------------*- C++ -*-===//
//
// A decoder with random weights, as a module and a safetensors file beside it,
// and a profile and learned transforms (`transforms.safetensors`) that fit it:
// with and without grouped queries, biases and a tied head, in f32 or bf16,
// with sizes that have and have no Hadamard matrix.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_UNIT_PIPELINES_RANDOMMODEL_H
#define LOWBIT_TEST_UNIT_PIPELINES_RANDOMMODEL_H

#include "../Checkpoint/TemporaryFolder.h"
#include "lowbit/Analysis/ModelNumbers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <random>
#include <string>
#include <vector>

namespace lowbit {

/// What a model looks like.
struct RandomShape {
  explicit RandomShape(std::mt19937 &random);

  int64_t hidden, heads, kvHeads, headDim, ffn, layers, vocabulary = 24;
  bool biases, tied, bf16;
  /// Profile with all of H.
  bool fullMoments;
};

/// A safetensors file in the making.
class TensorFile {
public:
  /// Adds a tensor of f32, rounded to bf16 or f16 where the type says so.
  /// Returns its offset behind the header.
  int64_t add(const std::string &name, const std::string &type,
              const std::vector<int64_t> &shape,
              const std::vector<float> &values);
  /// The file's text; data starts at `dataStart`.
  std::string text(const std::string &metadata, int64_t &dataStart) const;

private:
  std::string header, data;
};

/// One model in a folder of its own.
class RandomModel {
public:
  RandomModel(mlir::MLIRContext &context, const RandomShape &shape,
              unsigned seed);

  mlir::ModuleOp module() { return *owned; }
  const std::string &folder() const { return files.path(); }
  const NumbersSource &numbers() const { return *source; }

private:
  TemporaryFolder files;
  mlir::OwningOpRef<mlir::ModuleOp> owned;
  std::optional<NumbersSource> source;
};

} // namespace lowbit

#endif // LOWBIT_TEST_UNIT_PIPELINES_RANDOMMODEL_H
