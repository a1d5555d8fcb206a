//===- RandomModel.cpp - Small models of every kind -----------------------===//

#include "RandomModel.h"
#include "lowbit/Numerics/Float.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>

using namespace lowbit;

RandomShape::RandomShape(std::mt19937 &random) {
  auto pick = [&](std::initializer_list<int64_t> values) {
    return *(values.begin() + random() % values.size());
  };
  headDim = pick({4, 8, 12});
  kvHeads = pick({1, 2});
  heads = kvHeads * pick({1, 2, 3});
  hidden = pick({8, 12, 14, 16, 20});
  ffn = pick({12, 16, 18, 24, 28});
  layers = pick({1, 1, 2});
  biases = random() % 2;
  tied = random() % 2;
  bf16 = random() % 2;
  fullMoments = random() % 2;
}

int64_t TensorFile::add(const std::string &name, const std::string &type,
                        const std::vector<int64_t> &shape,
                        const std::vector<float> &values) {
  int64_t offset = data.size();
  for (float value : values) {
    char bytes[4];
    int size = 4;
    std::memcpy(bytes, &value, 4);
    if (type == "BF16") { // The numbers are such that cutting is exact.
      std::memmove(bytes, bytes + 2, 2);
      size = 2;
    } else if (type == "F16") {
      uint16_t half = roundToF16(value);
      std::memcpy(bytes, &half, 2);
      size = 2;
    }
    data.append(bytes, size);
  }
  std::string sizes;
  for (int64_t size : shape)
    sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
  header += (header.empty() ? "" : ",") + std::string("\"") + name +
            "\":{\"dtype\":\"" + type + "\",\"shape\":[" + sizes +
            "],\"data_offsets\":[" + std::to_string(offset) + "," +
            std::to_string(data.size()) + "]}";
  return offset;
}

std::string TensorFile::text(const std::string &metadata,
                             int64_t &dataStart) const {
  std::string json = "{" + metadata +
                     (metadata.empty() || header.empty() ? "" : ",") + header +
                     "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  uint64_t size = json.size();
  std::string result(reinterpret_cast<const char *>(&size), 8);
  dataStart = 8 + size;
  return result + json + data;
}

namespace {

/// Writes the module's text while it draws the weights.
class Writer {
public:
  Writer(const RandomShape &shape, unsigned seed)
      : shape(shape), random(seed) {}

  std::string write() {
    std::string x = embed();
    for (int64_t layer = 0; layer < shape.layers; ++layer)
      x = feedForward(attention(x, layer), layer);
    head(x);
    std::string offsets;
    int64_t start;
    weights.text("", start);
    for (const auto &[text, offset, bytes] : parameters)
      offsets += text + std::to_string(start + offset) +
                 ", bytes = " + std::to_string(bytes) + ">\n";
    return offsets +
           "func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, "
           "%select: tensor<?xi32>) -> " +
           rows(shape.vocabulary) + " {\n" + body + "}\n";
  }

  TensorFile weights, profile, transforms;
  std::string metadata;

private:
  struct Parameter {
    std::string text;
    int64_t offset, bytes;
  };

  static std::string rows(int64_t columns) {
    return "tensor<?x" + std::to_string(columns) + "xf32>";
  }

  std::vector<float> draw(int64_t count, float mean, float deviation) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(count);
    for (float &value : values) {
      value = normal(random);
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      bits &= shape.bf16 ? 0xFFFF0000u : ~0u;
      std::memcpy(&value, &bits, 4);
    }
    return values;
  }

  /// Declares and uses a parameter; its value and type.
  std::pair<std::string, std::string> weight(const std::string &name,
                                             std::vector<int64_t> sizes,
                                             float mean, float deviation) {
    int64_t count = 1;
    std::string type = "tensor<";
    for (int64_t size : sizes) {
      count *= size;
      type += std::to_string(size) + "x";
    }
    type += shape.bf16 ? "bf16>" : "f32>";
    std::string symbol = "\"" + name + "\"";
    int64_t offset = weights.add(name, shape.bf16 ? "BF16" : "F32", sizes,
                                 draw(count, mean, deviation));
    parameters.push_back({"lowbit.parameter @" + symbol + " : " + type +
                              " source <\"model.safetensors\", " + symbol +
                              ", offset = ",
                          offset, count * (shape.bf16 ? 2 : 4)});
    return use(symbol, type);
  }

  std::pair<std::string, std::string> use(const std::string &symbol,
                                          const std::string &type) {
    return {line("lowbit.weight @" + symbol + " : " + type), type};
  }

  std::string line(const std::string &operation) {
    std::string value = "%" + std::to_string(++values);
    body += "  " + value + " = " + operation + "\n";
    return value;
  }

  std::string norm(const std::string &name, const std::string &x) {
    auto [gain, type] = weight(name, {shape.hidden}, 1, 0.3f);
    return line("lowbit.rms_norm " + x + ", " + gain +
                " eps = 1.0e-5 : " + rows(shape.hidden) + ", " + type);
  }

  std::string linear(const std::string &name, const std::string &x, int64_t n,
                     int64_t k, const std::string &sharedWith = "") {
    auto [w, type] = weight(name, {n, k}, 0, 0.4f);
    std::string bias;
    if (shape.biases) {
      auto [b, biasType] = weight(name + ".bias", {n}, 0, 0.2f);
      bias = " bias " + b + " : " + biasType;
    }
    addMoments(name, k, sharedWith);
    return line("lowbit.linear " + x + ", " + w + bias +
                " activation = <f32> : " + rows(k) + ", " + type + " -> " +
                rows(n));
  }

  /// Moments of random rows, some columns larger than others.
  void addMoments(const std::string &name, int64_t k,
                  const std::string &sharedWith) {
    if (!sharedWith.empty()) {
      metadata += (metadata.empty() ? "" : ",") + std::string("\"h.") + name +
                  "\":\"h." + sharedWith + "\"";
      return;
    }
    int64_t count = 2 * k + 8;
    std::vector<float> x = draw(count * k, 0.1f, 1);
    for (int64_t i = 0; i < count * k; ++i) {
      x[i] *= i % k % 5 == 0 ? 8 : 1;
      x[i] = f16ToFloat(roundToF16(x[i]));
    }
    std::vector<float> moments;
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = shape.fullMoments ? 0 : i; j <= i; ++j) {
        double sum = 0;
        for (int64_t row = 0; row < count; ++row)
          sum += double(x[row * k + i]) * x[row * k + j];
        moments.push_back(static_cast<float>(sum));
      }
    profile.add("h." + name, "F32", {static_cast<int64_t>(moments.size())},
                moments);
    profile.add("sample." + name, "F16", {count, k}, x);
  }

  /// Adds a matrix near the identity, so that it can be inverted; nothing in
  /// one of three places.
  void addTransform(const std::string &name, int64_t columns) {
    auto matrix = [&](const std::string &suffix, int64_t n) {
      std::vector<float> values = draw(n * n, 0, 0.3f / std::sqrt(float(n)));
      for (int64_t i = 0; i < n; ++i)
        values[i * (n + 1)] += 1;
      transforms.add(name + suffix, "F32", {n, n}, values);
    };
    switch (random() % 4) {
    case 0:
      return matrix(".P", columns);
    case 1: {
      int64_t first = columns % 4 == 0 ? 4 : 2;
      matrix(".P1", first);
      return matrix(".P2", columns / first);
    }
    case 2: {
      std::vector<float> values = draw(columns, 1, 0.2f);
      for (float &value : values)
        value = std::fabs(value) + 0.1f;
      return (void)transforms.add(name + ".scale", "F32", {columns}, values);
    }
    }
  }

  /// A rotation of pairs of columns, in f32.
  void addRotation(const std::string &name, int64_t n) {
    std::vector<float> values(n * n);
    for (int64_t i = 0; i + 1 < n; i += 2) {
      double angle = std::uniform_real_distribution<>(0, 6)(random);
      values[i * n + i] = values[(i + 1) * n + i + 1] = float(std::cos(angle));
      values[i * n + i + 1] = float(std::sin(angle));
      values[(i + 1) * n + i] = -values[i * n + i + 1];
    }
    transforms.add(name, "F32", {n, n}, values);
  }

  std::string embed() {
    addRotation("R1", shape.hidden);
    std::tie(table, tableType) =
        weight("embed", {shape.vocabulary, shape.hidden}, 0, 1);
    return line("lowbit.embedding %ids, " + table + " : tensor<?xi32>, " +
                tableType + " -> " + rows(shape.hidden));
  }

  std::string attention(const std::string &x, int64_t layer) {
    std::string p = "layers." + std::to_string(layer) + ".";
    int64_t q = shape.heads * shape.headDim, kv = shape.kvHeads * shape.headDim;
    addTransform(p + "attention_input", shape.hidden);
    addTransform(p + "value", shape.headDim);
    addTransform(p + "key", shape.headDim);
    addTransform(p + "output", shape.heads * shape.headDim);
    addTransform(p + "ffn_input", shape.hidden);
    addTransform(p + "down", shape.ffn);
    addRotation(p + "R2", shape.headDim);
    std::string n = norm(p + "norm1", x);
    std::string query = linear(p + "q", n, q, shape.hidden);
    std::string key = linear(p + "k", n, kv, shape.hidden, p + "q");
    std::string value = linear(p + "v", n, kv, shape.hidden, p + "q");
    std::string frequencies;
    for (int64_t i = 0; i < shape.headDim / 2; ++i)
      frequencies += (i ? ", " : "") + std::to_string(1.0 / (1 + 2 * i));
    auto rotary = [&](const std::string &rotated, int64_t columns) {
      return line("lowbit.rotary " + rotated + ", %rows frequencies = [" +
                  frequencies + "] : " + rows(columns) + ", tensor<?x2xi32>");
    };
    query = rotary(query, q);
    key = rotary(key, kv);
    std::string attended =
        line("lowbit.attention " + query + ", " + key + ", " + value +
             ", %rows layer = " + std::to_string(layer) +
             " heads = " + std::to_string(shape.heads) +
             " kv_heads = " + std::to_string(shape.kvHeads) +
             " scale = 0.4 cache = f16 : " + rows(q) + ", " + rows(kv) +
             ", tensor<?x2xi32>");
    return add(x, linear(p + "o", attended, shape.hidden, q));
  }

  std::string feedForward(const std::string &x, int64_t layer) {
    std::string p = "layers." + std::to_string(layer) + ".";
    std::string n = norm(p + "norm2", x);
    std::string gate = linear(p + "gate", n, shape.ffn, shape.hidden);
    std::string up = linear(p + "up", n, shape.ffn, shape.hidden, p + "gate");
    std::string gated =
        line("lowbit.gate " + gate + ", " + up + " : " + rows(shape.ffn));
    return add(x, linear(p + "down", gated, shape.hidden, shape.ffn));
  }

  std::string add(const std::string &a, const std::string &b) {
    return line("lowbit.add " + a + ", " + b + " : " + rows(shape.hidden));
  }

  void head(std::string x) {
    std::string type = rows(shape.hidden);
    x = line("lowbit.select_rows " + x + ", %select : " + type +
             ", tensor<?xi32> -> " + type);
    x = norm("norm", x);
    if (!shape.tied)
      std::tie(table, tableType) =
          weight("head", {shape.vocabulary, shape.hidden}, 0, 0.4f);
    addMoments(shape.tied ? "embed" : "head", shape.hidden, "");
    x = line("lowbit.linear " + x + ", " + table + " activation = <f32> : " +
             type + ", " + tableType + " -> " + rows(shape.vocabulary));
    body += "  return " + x + " : " + rows(shape.vocabulary) + "\n";
  }

  const RandomShape &shape;
  std::mt19937 random;
  std::vector<Parameter> parameters;
  std::string body, table, tableType;
  int values = 0;
};

} // namespace

RandomModel::RandomModel(mlir::MLIRContext &context, const RandomShape &shape,
                         unsigned seed) {
  Writer writer(shape, seed);
  std::string text = writer.write();
  int64_t start;
  files.write("model.safetensors", writer.weights.text("", start));
  std::string metadata = "\"__metadata__\":{" + writer.metadata +
                         (writer.metadata.empty() ? "" : ",") +
                         "\"moments\":\"" +
                         (shape.fullMoments ? "full" : "diagonal") + "\"}";
  std::string profile =
      files.write("profile.safetensors", writer.profile.text(metadata, start));
  files.write("transforms.safetensors", writer.transforms.text("", start));
  context.loadDialect<LowbitDialect, mlir::func::FuncDialect>();
  owned = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  EXPECT_TRUE(owned) << text;
  Result<NumbersSource> opened = NumbersSource::open({files.path()}, profile);
  EXPECT_TRUE(bool(opened)) << (opened ? "" : opened.error().message);
  source.emplace(std::move(*opened));
}
