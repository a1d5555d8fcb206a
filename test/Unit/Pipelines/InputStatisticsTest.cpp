//===- InputStatisticsTest.cpp - A profile follows transforms -------------===//
//
// What the profile says of a linear's rows after passes, by algebra, against
// what is measured on the module that they made.
//
//===----------------------------------------------------------------------===//

#include "RandomModel.h"
#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Reference/Interpreter.h"
#include "gtest/gtest.h"

#include <cmath>
#include <map>

using namespace lowbit;

namespace {

/// Rows that each linear reads, in the order of the graph.
std::vector<HostTensor> measureInputs(RandomModel &model) {
  llvm::DenseMap<mlir::Operation *, HostTensor> made;
  InterpreterOptions options;
  options.mode = ReferenceMode::F64;
  options.trace = [&](mlir::Operation *op, const HostTensor &rows) {
    made[op] = rows;
  };
  Interpreter interpreter(model.module(), model.numbers().bytes(), options);
  Batch batch;
  for (int32_t i = 0; i < 40; ++i) {
    batch.ids.push_back((i * 7 + i * i) % 24);
    batch.sequences.push_back(0);
    batch.positions.push_back(i);
    batch.select.push_back(i);
  }
  auto logits = interpreter.forward(batch);
  EXPECT_TRUE(bool(logits));
  std::vector<HostTensor> inputs;
  auto forward = model.module().lookupSymbol<mlir::func::FuncOp>("forward");
  for (auto linear : forward.getOps<LinearOp>())
    inputs.push_back(made.lookup(linear.getInput().getDefiningOp()));
  return inputs;
}

double moment(const HostTensor &rows, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t row = 0; row < rows.rows(); ++row)
    sum +=
        rows.at(row * rows.columns() + i) * rows.at(row * rows.columns() + j);
  return sum;
}

/// The checkpoint's name of a linear's weight.
std::string nameOf(RandomModel &model, LinearOp linear) {
  auto weight = linear.getWeight().getDefiningOp<WeightOp>();
  auto parameter =
      model.module().lookupSymbol<ParameterOp>(weight.getParameter());
  return parameter.getSourceAttr().getTensor().str();
}

std::string writeProfile(RandomModel &model,
                         const std::vector<HostTensor> &inputs,
                         const TemporaryFolder &folder) {
  TensorFile file;
  auto forward = model.module().lookupSymbol<mlir::func::FuncOp>("forward");
  size_t number = 0;
  for (auto linear : forward.getOps<LinearOp>()) {
    const HostTensor &rows = inputs[number++];
    std::vector<float> moments;
    for (int64_t i = 0; i < rows.columns(); ++i)
      for (int64_t j = 0; j <= i; ++j)
        moments.push_back(static_cast<float>(moment(rows, i, j)));
    file.add("h." + nameOf(model, linear), "F32",
             {static_cast<int64_t>(moments.size())}, moments);
  }
  int64_t start;
  return folder.write(
      "measured.safetensors",
      file.text("\"__metadata__\":{\"moments\":\"full\"}", start));
}

TEST(InputStatistics, AlgebraEqualsMeasurement) {
  registerCompilerPasses();
  std::mt19937 random(11);
  const char *pipelines[] = {
      "lowbit-fold-norm-scale",
      "lowbit-insert-rotations{seed=2},lowbit-fold-rotations",
      "lowbit-insert-rotations{sites={r1,r4} seed=2},lowbit-fold-rotations{"
      "tied=keep},lowbit-flip-signs{seed=9}",
      "lowbit-scale-channels{steps=3 format=int2-g32-half},"
      "lowbit-insert-rotations{seed=4},lowbit-fold-rotations",
      "lowbit-insert-rotations{sites={r1,r2} seed=5},lowbit-fold-rotations,"
      "lowbit-split-outlier-channels{copies=3 first-ratio=0.2 last-ratio=0.1 "
      "format=int2-g32-half}",
  };
  int64_t compared = 0;
  for (int trial = 0; trial < 30; ++trial) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    RandomShape shape(random);
    RandomModel model(context, shape, trial);
    TemporaryFolder folder;
    std::string path = writeProfile(model, measureInputs(model), folder);
    auto numbers = NumbersSource::open({model.folder()}, path);
    ASSERT_TRUE(bool(numbers)) << numbers.error().message;
    provideNumbers(context, *numbers);
    Status status = runPipeline(model.module(), std::string("builtin.module(") +
                                                    pipelines[trial % 5] + ")");
    ASSERT_FALSE(status) << status->message;
    std::vector<HostTensor> inputs = measureInputs(model);
    auto forward = model.module().lookupSymbol<mlir::func::FuncOp>("forward");
    size_t number = 0;
    for (auto linear : forward.getOps<LinearOp>()) {
      const HostTensor &rows = inputs[number++];
      auto found = ModelNumbers::get(&context)->input(linear.getWeight());
      ASSERT_TRUE(bool(found) && found->has_value());
      ASSERT_EQ((*found)->columns, rows.columns());
      double largest = 0;
      for (int64_t i = 0; i < rows.columns(); ++i)
        largest = std::max(largest, moment(rows, i, i));
      for (int64_t i = 0; i < rows.columns(); ++i)
        for (int64_t j = 0; j <= i; ++j)
          ASSERT_NEAR((*found)->moments[i * rows.columns() + j],
                      moment(rows, i, j), 1e-5 * largest)
              << trial << ": linear " << number << " [" << i << ", " << j
              << "]";
      ++compared;
    }
  }
  EXPECT_GT(compared, 150);
}

} // namespace
