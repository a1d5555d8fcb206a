//===- NumericsAgreementTest.cpp - Two readings of one page -----*- C++ -*-===//
//
// The room Numerics and the interpreter share no code. Here the first rounds
// and packs awkward weights in every format, the second does both from the
// specification, and all values must be equal to the bit.
//
//===----------------------------------------------------------------------===//

#include "TinyModule.h"

#include "lowbit/Numerics/WeightFormat.h"
#include "mlir/AsmParser/AsmParser.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace lowbit;

namespace {

constexpr int64_t rows = 21, columns = 203;

/// Gaussian weights, with rows of zeros, of one sign, huge and tiny.
std::vector<float> awkwardWeights() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> weights(rows * columns);
  for (float &weight : weights)
    weight = normal(random);
  for (int64_t k = 0; k < columns; ++k) {
    weights[1 * columns + k] = 0;
    weights[2 * columns + k] = std::fabs(weights[2 * columns + k]);
    weights[3 * columns + k] = -std::fabs(weights[3 * columns + k]);
    weights[4 * columns + k] *= 1e3f;
    weights[17 * columns + k] *= 1e-8f;
    weights[18 * columns + k] = float(k) / 2 - 40;
  }
  std::fill_n(&weights[20 * columns], 64, 0.0f);
  return weights;
}

/// The stored buffer, made by Numerics.
std::vector<uint8_t> pack(const WeightFormat &format,
                          const std::vector<float> &weights) {
  TilePlaces places = *format.places(rows, columns);
  std::vector<uint8_t> bytes(places.trailer() + places.trailerBytes);
  EncoderOptions options;
  options.solver = "nearest";
  auto encoder = format.makeEncoder(columns, options);
  auto input = [&](int64_t tile) {
    int64_t first = tile * places.tileRows;
    return TileInput{&weights[first * columns], columns,
                     std::min(places.tileRows, rows - first), columns, first};
  };
  TensorScan scan;
  for (int64_t tile = 0; format.needsScan() && tile < places.tiles; ++tile)
    EXPECT_FALSE(encoder->scan(input(tile), scan).has_value());
  TensorFacts facts = format.facts(scan);
  ErrorSums sums;
  for (int64_t tile = 0; tile < places.tiles; ++tile)
    EXPECT_FALSE(
        encoder
            ->encode(input(tile), facts, &bytes[tile * places.tileBytes], sums)
            .has_value());
  format.writeTrailer(facts, bytes.data() + places.trailer());
  return bytes;
}

/// Values as Numerics decodes them.
std::vector<float> unpack(const WeightFormat &format,
                          const std::vector<uint8_t> &bytes) {
  TilePlaces places = *format.places(rows, columns);
  std::vector<float> values(rows * columns);
  TensorFacts facts;
  EXPECT_FALSE(format.readTrailer(bytes.data() + places.trailer(), facts));
  for (int64_t tile = 0; tile < places.tiles; ++tile) {
    int64_t first = tile * places.tileRows;
    EXPECT_FALSE(format.decode(&bytes[tile * places.tileBytes],
                               std::min(places.tileRows, rows - first), columns,
                               first, facts, &values[first * columns]));
  }
  return values;
}

/// One buffer, whatever the source says.
class OneBuffer : public ParameterBytes {
public:
  explicit OneBuffer(const std::vector<uint8_t> &bytes) : bytes(bytes) {}
  Result<Bytes> find(SourceAttr) override {
    return Bytes{bytes.data(), bytes.size()};
  }

private:
  const std::vector<uint8_t> &bytes;
};

/// `@given` (packed by Numerics) and `@own` (from `@weights`, by nearest).
mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext &context,
                                              FormatInterface format,
                                              const std::vector<float> &weights,
                                              int64_t bytes) {
  context.loadDialect<LowbitDialect, mlir::arith::ArithDialect>();
  mlir::OpBuilder builder(&context);
  mlir::Location location = builder.getUnknownLoc();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(location);
  builder.setInsertionPointToEnd(module->getBody());
  mlir::Type f32 = builder.getF32Type();
  auto plain = mlir::RankedTensorType::get({rows, columns}, f32);
  auto type = mlir::RankedTensorType::get({rows, columns}, f32,
                                          mlir::Attribute(format));
  ParameterOp::create(builder, location, "given", type,
                      SourceAttr::get(&context, "file", "given", 0, bytes),
                      getDefaultLayout(type));
  auto own =
      ParameterOp::create(builder, location, "own", type, nullptr, nullptr);
  builder.setInsertionPointToStart(&own.getInit().emplaceBlock());
  mlir::Value constant = mlir::arith::ConstantOp::create(
      builder, location,
      mlir::DenseElementsAttr::get(plain, llvm::ArrayRef<float>(weights)));
  mlir::Value quantized =
      QuantizeOp::create(builder, location, type, constant, "nearest",
                         builder.getDictionaryAttr({}));
  YieldOp::create(builder, location, quantized);
  return module;
}

/// Compares every integer, scale and factor of one format, and what they
/// decode to. A format without solver nearest is refused where the interpreter
/// would encode it.
void expectAgreement(const std::string &name, mlir::MLIRContext &context,
                     bool hasNearest = true) {
  SCOPED_TRACE(name);
  std::string why;
  FormatPtr stored = findFormat(name, why);
  ASSERT_TRUE(stored) << why;
  auto format = mlir::cast<FormatInterface>(
      mlir::parseAttribute(stored->attribute(), &context));
  EXPECT_EQ(format.getShortName(), name);
  std::vector<float> weights = awkwardWeights();
  std::vector<uint8_t> bytes = pack(*stored, weights);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      buildModule(context, format, weights, bytes.size());
  OneBuffer buffer(bytes);
  Interpreter interpreter(*module, buffer);
  Result<WeightPtr> given = interpreter.parameter("given");
  ASSERT_TRUE(bool(given)) << given.error().message;
  std::vector<float> values = unpack(*stored, bytes);
  for (int64_t i = 0; i < rows * columns; ++i)
    ASSERT_EQ(values[i], (*given)->strictValue(i / columns, i % columns)) << i;
  ASSERT_EQ((*given)->integers.has_value(), stored->sumColumns() > 0);
  Result<WeightPtr> own = interpreter.parameter("own");
  if (!hasNearest) {
    ASSERT_FALSE(bool(own));
    EXPECT_EQ(own.error().code, ExitCode::Unsupported);
    return;
  }
  ASSERT_TRUE(bool(own)) << own.error().message;
  if ((*given)->integers) {
    const IntegerSteps &a = *(*given)->integers, &b = *(*own)->integers;
    EXPECT_EQ(a.steps, b.steps);
    EXPECT_EQ(a.scales, b.scales);
    EXPECT_EQ(a.factor, b.factor);
  } else {
    EXPECT_EQ((*given)->values, (*own)->values);
  }
}

TEST(NumericsAgreement, EveryInteger) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  for (int bits = 1; bits <= 8; ++bits)
    for (const char *group : {"g16", "g32", "g64", "g128", "row"})
      for (const char *scale : {"", "-e4m3"})
        for (const char *offset : {"", "-half", "-stored"}) {
          bool isShort = bits % 2 == 0;
          if ((bits == 1 && offset == std::string("")) ||
              (group == std::string("g16") && !isShort))
            continue;
          expectAgreement("int" + std::to_string(bits) + "-" + group + scale +
                              offset,
                          context);
        }
}

TEST(NumericsAgreement, EveryElement) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  for (const char *name :
       {"mxfp4", "nvfp4", "mxfp6-e2m3", "mxfp6-e3m2", "mxfp8-e4m3",
        "mxfp8-e5m2", "mxint8", "ternary-g64", "ternary-row",
        "ternary-g16-e4m3", "levels.m127.m80.m3.0.1.2.50.100.101.127-g32",
        "levels.m127.m90.m61.m40.m22.m7.0.9.24.44.70.127-row-e4m3",
        "levels.m3.0.1.2-g16", "levels.0.1-g64"})
    expectAgreement(name, context);
}

/// There is no solver nearest: what the solver of Numerics makes, decoded.
TEST(NumericsAgreement, FreeLevels) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  for (const char *name : {"free4-g32", "free4-g64-e4m3", "free4-g128"})
    expectAgreement(name, context, /*hasNearest=*/false);
}

//===----------------------------------------------------------------------===//
// Trellis codes
//===----------------------------------------------------------------------===//

/// `@given` as the interpreter reads it.
Result<WeightPtr> readTrellis(mlir::MLIRContext &context, TrellisAttr format,
                              int64_t rows, int64_t columns,
                              const std::vector<uint8_t> &bytes) {
  context.loadDialect<LowbitDialect>();
  mlir::OpBuilder builder(&context);
  mlir::Location location = builder.getUnknownLoc();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(location);
  builder.setInsertionPointToEnd(module->getBody());
  auto type = mlir::RankedTensorType::get({rows, columns}, builder.getF32Type(),
                                          format);
  ParameterOp::create(
      builder, location, "given", type,
      SourceAttr::get(&context, "file", "given", 0, int64_t(bytes.size())),
      getDefaultLayout(type));
  OneBuffer buffer(bytes);
  return Interpreter(*module, buffer).parameter("given");
}

void expectEqual(const IntegerSteps &steps, const StepTile &tile,
                 int64_t firstRow, int64_t count, int64_t columns) {
  for (int64_t r = 0; r < count; ++r) {
    ASSERT_EQ(steps.scales[firstRow + r], tile.scales[r]);
    for (int64_t k = 0; k < columns; ++k)
      ASSERT_EQ(steps.steps[(firstRow + r) * columns + k],
                tile.steps[r * columns + k])
          << firstRow + r << ", " << k;
  }
}

/// Any bits are a code: random ones, until every window was seen, in every
/// stack and with odd shapes.
TEST(NumericsAgreement, EveryWindowOfATrellis) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  std::mt19937 random(5);
  const std::vector<std::vector<int64_t>> stacks = {{1},    {2},    {4},
                                                    {1, 1}, {2, 4}, {1, 2, 4}};
  for (const std::vector<int64_t> &streams : stacks)
    for (int64_t window : {12, 10})
      for (int64_t columns : {1, 7, 1022}) {
        auto format = TrellisAttr::get(&context, streams, window);
        FormatPtr stored = format.getWeightFormat();
        int64_t tileRows = stored->tileRows(), rows = tileRows + 37;
        TilePlaces places = *stored->places(rows, columns);
        std::vector<uint8_t> bytes(places.tiles * places.tileBytes);
        for (uint8_t &byte : bytes)
          byte = uint8_t(random());
        TrellisGeometry geometry =
            *trellisGeometry(format.getFormat(), rows, columns);
        std::vector<bool> seen(4096);
        for (int64_t tile = 0; tile < places.tiles; ++tile) {
          uint8_t *at = bytes.data() + tile * places.tileBytes;
          for (const TrellisGeometry::Stream &stream : geometry.streams)
            for (int64_t r = 0; r < tileRows; ++r)
              at[stream.scales + 2 * r + 1] &= 0x3F; // finite, not signed
          for (int64_t bit = 0; bit + 12 < geometry.strandBytes * 8; bit += 2) {
            int value = 0;
            for (int64_t i = 0; i < 12; ++i)
              value |= (at[(bit + i) / 8] >> (bit + i) % 8 & 1) << i;
            seen[value] = true;
          }
        }
        if (columns > 1000)
          EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 4096);
        Result<WeightPtr> read =
            readTrellis(context, format, rows, columns, bytes);
        ASSERT_TRUE(bool(read)) << read.error().message;
        ASSERT_EQ((*read)->refinements.size() + 1, streams.size());
        for (int64_t first = 0; first < rows; first += tileRows) {
          StepTile tile;
          int64_t count = std::min(tileRows, rows - first);
          ASSERT_FALSE(
              stored->unpack(bytes.data() + first / tileRows * places.tileBytes,
                             count, columns, first, tile));
          expectEqual(*(*read)->integers, tile, first, count, columns);
          for (size_t i = 1; i < streams.size(); ++i)
            expectEqual((*read)->refinements[i - 1], tile.more[i - 1], first,
                        count, columns);
          // And the values that both make of them.
          std::vector<float> values(count * columns);
          ASSERT_FALSE(
              stored->decode(bytes.data() + first / tileRows * places.tileBytes,
                             count, columns, first, {}, values.data()));
          for (int64_t i = 0; i < count * columns; ++i)
            ASSERT_EQ(values[i],
                      (*read)->strictValue(first + i / columns, i % columns));
        }
      }
}

TEST(NumericsAgreement, RefusesBrokenTrellises) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  auto format = TrellisAttr::get(&context, {1, 2}, 12);
  TilePlaces places = *format.getWeightFormat()->places(130, 8);
  std::vector<uint8_t> bytes(places.tiles * places.tileBytes);
  ASSERT_TRUE(bool(readTrellis(context, format, 130, 8, bytes)));
  bytes.pop_back();
  Result<WeightPtr> shorter = readTrellis(context, format, 130, 8, bytes);
  ASSERT_FALSE(bool(shorter));
  EXPECT_NE(shorter.error().message.find("its format and shape need"),
            std::string::npos);
  bytes.push_back(0xFF); // the scale of the last row of the last tile
  ASSERT_TRUE(bool(readTrellis(context, format, 130, 8, bytes)));
  int64_t scales =
      trellisGeometry(format.getFormat(), 130, 8)->streams[1].scales;
  bytes[scales + 2 * 3 + 1] = 0x80;
  Result<WeightPtr> negative = readTrellis(context, format, 130, 8, bytes);
  ASSERT_FALSE(bool(negative));
  EXPECT_NE(negative.error().message.find("row 3, stream 1"),
            std::string::npos);
}

} // namespace
