//===- RandomPassesTest.cpp - Passes in any order keep the function -------===//

#include "RandomModel.h"
#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Pipelines/VerifyNumerics.h"
#include "lowbit/Transforms/Materialize.h"
#include "lowbit/Transforms/NumericsPromise.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>

using namespace lowbit;

namespace {

/// A pass with options drawn at random.
std::string randomPass(std::mt19937 &random, const std::string &file) {
  auto pick = [&](std::vector<std::string> values) {
    return values[random() % values.size()];
  };
  std::string seed = " seed=" + std::to_string(random() % 1000);
  auto words = [&](std::vector<std::string> all) {
    std::string chosen;
    for (const std::string &word : all)
      if (random() % 2)
        chosen += (chosen.empty() ? "" : ",") + word;
    return chosen.empty() ? std::string() : "sites={" + chosen + "}";
  };
  std::string rounding =
      " format=" + pick({"int4-g32", "int2-g32-half", "int3-row-stored"}) +
      " solver=" + pick({"nearest", "search"});
  switch (random() % 10) {
  case 0:
    return "lowbit-fold-norm-scale{tied=" + pick({"keep", "untie"}) + "}";
  case 1:
    return "lowbit-insert-rotations{" + words({"r1", "r2", "r3", "r4"}) +
           (random() % 4 ? seed : " seed=-1") + "}";
  case 2:
  case 3:
    return "lowbit-fold-rotations{tied=" + pick({"keep", "untie"}) + "}";
  case 4:
    return "lowbit-flip-signs{" +
           words({"residual", "input", "value", "gated"}) + seed + "}";
  case 5:
    return "lowbit-scale-channels{" + words({"input", "value", "gated"}) +
           " steps=4" + rounding + "}";
  case 6:
    return "lowbit-select-rotations{metric=" + pick({"frobenius", "output"}) +
           rounding + seed + " activation-bits=" + pick({"4", "8", "16"}) + "}";
  case 7:
    return "lowbit-fold-transforms{file=" + file +
           " max-condition=1e6 tied=" + pick({"keep", "untie"}) + "}";
  case 8:
    return "lowbit-split-outlier-channels{" +
           words({"input", "output", "gated"}) +
           " copies=" + std::to_string(2 + random() % 3) +
           pick({"", " first-ratio=0.3 last-ratio=0.1"}) +
           " format=" + pick({"int4-g32", "int2-g32-half", "int3-row-stored"}) +
           "}";
  default:
    return "lowbit-insert-rotations{" + words({"r1", "r2", "r3", "r4"}) + seed +
           "},lowbit-fold-rotations";
  }
}

/// Runs passes; what went wrong, or nothing.
Status runVerified(RandomModel &model, const std::string &passes,
                   int64_t &compared) {
  NumericsVerifier verifier(model.numbers().bytes(), {6, 3});
  Status status =
      runPipeline(model.module(), "builtin.module(" + passes + ")", &verifier);
  compared += verifier.compared();
  return status;
}

/// Collects what the materializer writes.
class MemorySink : public WeightSink {
public:
  explicit MemorySink(const Materializer &materializer) {
    for (const StoredParameter &parameter : materializer.parameters())
      stored.emplace_back(parameter.size.bytes);
  }
  uint8_t *bytes(size_t index) override { return stored[index].data(); }
  Status finished(size_t, LedgerEntry) override { return std::nullopt; }
  void progressed(int64_t) override {}

  std::vector<std::vector<uint8_t>> stored;
};

/// The materialized floats of every parameter equal the interpreter's, to the
/// bit.
void expectMaterialized(RandomModel &model) {
  ASSERT_FALSE(runPipeline(model.module(),
                           "builtin.module(func.func(lowbit-fuse-linears),"
                           "lowbit-outline-parameters,lowbit-assign-layouts)"));
  auto materializer =
      Materializer::create(model.module(), model.numbers().bytes(), {});
  ASSERT_TRUE(bool(materializer)) << materializer.error().message;
  MemorySink sink(*materializer);
  Status status = materializer->run(sink);
  ASSERT_FALSE(status) << status->message;
  Interpreter interpreter(model.module(), model.numbers().bytes(), {});
  for (size_t i = 0; i < sink.stored.size(); ++i) {
    ParameterOp op = materializer->parameters()[i].op;
    mlir::RankedTensorType type = op.getTensorType();
    Result<WeightPtr> wanted = interpreter.parameter(op.getSymName());
    ASSERT_TRUE(bool(wanted)) << wanted.error().message;
    if (!type.getElementType().isF32())
      continue; // Copied as it is.
    bool isMatrix = type.getRank() == 2;
    int64_t columns = isMatrix ? type.getDimSize(1) : 1;
    int64_t tileBytes = (columns * 64 + 63) / 64 * 64;
    for (int64_t row = 0; row < type.getDimSize(0); ++row)
      for (int64_t column = 0; column < columns; ++column) {
        int64_t at = isMatrix
                         ? row / 16 * tileBytes + (column * 16 + row % 16) * 4
                         : row * 4;
        float value;
        std::memcpy(&value, &sink.stored[i][at], 4);
        float expected = isMatrix ? (*wanted)->strictValue(row, column)
                                  : (*wanted)->strictValue(0, row);
        ASSERT_EQ(std::memcmp(&value, &expected, 4), 0)
            << op.getSymName().str() << " [" << row << ", " << column
            << "]: " << value << " instead of " << expected;
      }
  }
}

TEST(RandomPasses, KeepTheFunction) {
  registerCompilerPasses();
  std::mt19937 random(20261124);
  int64_t compared = 0, materialized = 0, splits = 0;
  for (int trial = 0; trial < 500; ++trial) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    RandomShape shape(random);
    RandomModel model(context, shape, trial);
    provideNumbers(context, model.numbers());
    std::string passes;
    for (int count = 1 + random() % 6; count > 0; --count) {
      std::string pass =
          randomPass(random, model.folder() + "/transforms.safetensors");
      // The file's matrices are of the columns that the model had.
      if (passes.find("split") != std::string::npos &&
          pass.find("fold-transforms") != std::string::npos)
        pass = "lowbit-fold-norm-scale";
      splits += pass.find("split") != std::string::npos;
      passes += (passes.empty() ? "" : ",") + pass;
    }
    auto start = traceModule(model.module(), model.numbers().bytes(), {6, 3});
    ASSERT_TRUE(bool(start)) << start.error().message;
    std::string what =
        "trial " + std::to_string(trial) + ", " + std::to_string(shape.hidden) +
        " columns, " + std::to_string(shape.heads) + "/" +
        std::to_string(shape.kvHeads) + " heads of " +
        std::to_string(shape.headDim) + ", ffn " + std::to_string(shape.ffn) +
        (shape.biases ? ", biases" : "") + (shape.tied ? ", tied" : "") + ": " +
        passes;
    Status status = runVerified(model, passes, compared);
    ASSERT_FALSE(status) << what << "\n" << status->message;
    auto end = traceModule(model.module(), model.numbers().bytes(), {6, 3});
    ASSERT_TRUE(bool(end)) << what << "\n" << end.error().message;
    auto difference = compareTraces(**start, **end, closeTolerance);
    ASSERT_FALSE(difference) << what << "\n" << *difference;
    if (trial % 10 != 0)
      continue;
    expectMaterialized(model);
    ++materialized;
    ASSERT_FALSE(::testing::Test::HasFatalFailure()) << what;
  }
  EXPECT_GT(compared, 1000);
  EXPECT_EQ(materialized, 50);
  EXPECT_GT(splits, 100);
}

/// A rotation that is folded leaves nothing online but R3 and R4.
TEST(RandomPasses, RotationsFold) {
  registerCompilerPasses();
  std::mt19937 random(7);
  for (int trial = 0; trial < 40; ++trial) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    RandomShape shape(random);
    RandomModel model(context, shape, trial);
    int64_t compared = 0;
    Status status = runVerified(
        model, "lowbit-insert-rotations{seed=3},lowbit-fold-rotations",
        compared);
    ASSERT_FALSE(status) << status->message;
    int64_t online = 0;
    model.module().walk([&](TransformOp) { ++online; });
    EXPECT_EQ(online, 3 * shape.layers) << trial;
  }
}

/// The check sees a pass that changes the function, and says which.
TEST(VerifyNumerics, NamesPassAndOperation) {
  registerCompilerPasses();
  std::mt19937 random(3);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  RandomShape shape(random);
  RandomModel model(context, shape, 1);
  auto before = traceModule(model.module(), model.numbers().bytes(), {});
  ASSERT_TRUE(bool(before) && before->has_value());
  auto forward = model.module().lookupSymbol<mlir::func::FuncOp>("forward");
  for (auto attention : forward.getOps<AttentionOp>())
    attention.setScaleAttr(
        mlir::FloatAttr::get(mlir::Float32Type::get(&context), 0.41f));
  auto after = traceModule(model.module(), model.numbers().bytes(), {});
  ASSERT_TRUE(bool(after) && after->has_value());
  auto difference = compareTraces(**before, **after, closeTolerance);
  ASSERT_TRUE(difference);
  EXPECT_NE(difference->find("first at lowbit.attention number 1 (layer 0)"),
            std::string::npos)
      << *difference;
  EXPECT_FALSE(compareTraces(**before, **before, 0));
}

} // namespace
