//===- ApiTest.cpp - The runtime from C -----------------------------------===//
#include "lowbit/Runtime/lowbit_runtime.h"

#include "TinyModel.h"
#include "lowbit/Checkpoint/Json.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

using namespace lowbit::test;

namespace {

/// Fails the test where there is an error.
void succeed(lowbit_error *error) {
  ASSERT_EQ(error, nullptr) << lowbit_error_message(error);
}

/// The code of an error, which it frees; 0 for none.
int codeOf(lowbit_error *error) {
  int code = error ? lowbit_error_code(error) : 0;
  lowbit_error_free(error);
  return code;
}

class Api : public testing::Test {
protected:
  Api() {
    writeFile(path, tinyArtifact());
    lowbit_model_options_init(&options);
    options.trust = 1;
    succeed(lowbit_model_open(path.c_str(), &options, &model));
    succeed(lowbit_context_create(model, nullptr, &context));
    succeed(lowbit_sequence_create(context, &sequence));
  }
  ~Api() override {
    // The context keeps what it needs of the model.
    lowbit_model_close(model);
    lowbit_context_free(context);
  }

  TemporaryFolder folder;
  std::string path = folder.file("m.lowbit");
  lowbit_model_options options;
  lowbit_model *model = nullptr;
  lowbit_context *context = nullptr;
  int32_t sequence = -1;
};

/// The tiny model with packed rows of its head: code of the tiny model reads
/// floats, so this one is only opened.
class PackedHead : public Api {
protected:
  void open(const lowbit_integer_format &format, const char *attribute,
            int64_t rows) {
    int64_t bytes = 0;
    succeed(lowbit_stored_bytes(&format, rows, tinyHidden, &bytes));
    packed.resize(bytes);
    succeed(lowbit_quantize(&format, LOWBIT_SOLVER_SEARCH, tinyHead().data(),
                            rows, tinyHidden, nullptr, packed.data()));
    lowbit::Manifest manifest = tinyManifest();
    manifest.tensors[1].rows = rows;
    manifest.tensors[1].format = attribute;
    manifest.tensors[1].bytes = bytes;
    manifest.tensors[1].payload = bytes;
    auto sections = withSection(tinySections(), "manifest",
                                lowbit::writeManifest(manifest));
    writeFile(folder.file("packed"), buildArtifact(sections));
    succeed(lowbit_model_open(folder.file("packed").c_str(), &options, &other));
  }
  ~PackedHead() override { lowbit_model_close(other); }

  /// Exit code and message where byte `at` becomes `value`.
  std::string replace(int64_t at, uint8_t value) {
    std::vector<uint8_t> changed = packed;
    changed[at] = value;
    lowbit_error *error = lowbit_model_replace_parameter(
        other, "head", changed.data(), changed.size());
    std::string message = error ? lowbit_error_message(error) : "";
    int code = codeOf(error);
    return std::to_string(code) + " " + message;
  }

  std::vector<uint8_t> packed;
  lowbit_model *other = nullptr;
};

} // namespace

TEST_F(Api, TellsTheFactsOfAModel) {
  lowbit_model_facts facts{};
  facts.size = sizeof(facts);
  lowbit_model_get_facts(model, &facts);
  EXPECT_EQ(facts.vocabulary, tinyVocabulary);
  EXPECT_EQ(facts.context, 150);
  EXPECT_EQ(facts.bos, tinyBos);
  EXPECT_EQ(facts.eos_count, 1);
  EXPECT_EQ(lowbit_model_eos(model, 0), tinyEnd);
  EXPECT_EQ(lowbit_model_eos(model, 1), -1);
  EXPECT_STREQ(lowbit_version(), "0.1.0");
  EXPECT_STREQ(lowbit_variant_name(2), "avx512");
  EXPECT_EQ(lowbit_variant_name(3), nullptr);
  // A caller with an older struct gets what fits.
  lowbit_model_facts old{};
  old.size = offsetof(lowbit_model_facts, context);
  old.context = 7;
  lowbit_model_get_facts(model, &old);
  EXPECT_EQ(old.vocabulary, tinyVocabulary);
  EXPECT_EQ(old.context, 7);
}

TEST_F(Api, TokenizesAndBack) {
  int32_t *ids = nullptr;
  size_t count = 0;
  succeed(lowbit_tokenize(model, "Hi!", 3, 1, 0, &ids, &count));
  ASSERT_EQ(count, 4u);
  EXPECT_EQ(ids[0], tinyBos);
  EXPECT_EQ(ids[1], 'H');
  char *text = nullptr;
  size_t bytes = 0;
  succeed(lowbit_detokenize(model, ids, count, 1, &text, &bytes));
  EXPECT_EQ(std::string(text, bytes), "Hi!");
  lowbit_free(text);
  int32_t *same = nullptr;
  size_t sameCount = 0;
  lowbit_tokenizer *tokenizer = nullptr;
  succeed(lowbit_tokenizer_open(path.c_str(), &tokenizer));
  succeed(
      lowbit_tokenizer_encode(tokenizer, "Hi!", 3, 1, 0, &same, &sameCount));
  EXPECT_EQ(sameCount, count);
  lowbit_free(same);
  EXPECT_EQ(codeOf(lowbit_tokenizer_encode(tokenizer, "\xFF", 1, 0, 0, &same,
                                           &sameCount)),
            3);
  lowbit_tokenizer_close(tokenizer);
  lowbit_tokenizer_close(nullptr);
  EXPECT_EQ(codeOf(lowbit_tokenizer_open("none.lowbit", &tokenizer)), 3);
  lowbit_free(ids);
  EXPECT_EQ(codeOf(lowbit_tokenize(model, "\xFF", 1, 0, 0, &ids, &count)), 3);
}

TEST_F(Api, StepsAndSamples) {
  lowbit_row rows[] = {{sequence, 0, 1}, {sequence, 1, 2}};
  int32_t selected = 1;
  const float *logits = nullptr;
  succeed(lowbit_step(context, rows, 2, &selected, 1, &logits));
  auto expected = tinyLogits({1, 2});
  EXPECT_EQ(memcmp(logits, expected.data(), expected.size() * 4), 0);
  int32_t id = -1;
  succeed(lowbit_sample(logits, tinyVocabulary, nullptr, 0, 0, 0, &id));
  EXPECT_GE(id, 0);
  int64_t length = 0;
  succeed(lowbit_sequence_length(context, sequence, &length));
  EXPECT_EQ(length, 2);
  succeed(lowbit_sequence_truncate(context, sequence, 1));
  EXPECT_EQ(codeOf(lowbit_sequence_truncate(context, sequence, 2)), 2);
  rows[0].id = -1;
  EXPECT_EQ(codeOf(lowbit_step(context, rows, 2, &selected, 1, &logits)), 2);
  EXPECT_EQ(codeOf(lowbit_step(context, rows, size_t(1) << 40, &selected, 1,
                               &logits)),
            2);
  succeed(lowbit_sequence_free(context, sequence));
  EXPECT_EQ(codeOf(lowbit_sequence_free(context, sequence)), 2);
}

TEST_F(Api, ReplacesAParameter) {
  std::vector<float> table(tinyTable().size(), 0.5f);
  auto *bytes = reinterpret_cast<const uint8_t *>(table.data());
  size_t size = table.size() * sizeof(float);
  succeed(lowbit_model_replace_parameter(model, "table", bytes, size));
  lowbit_row row{sequence, 0, 1};
  int32_t selected = 0;
  const float *logits = nullptr;
  succeed(lowbit_step(context, &row, 1, &selected, 1, &logits));
  float expected = 0;
  for (int h = 0; h < tinyHidden; ++h)
    expected += 0.5f * tinyHead()[h];
  EXPECT_EQ(logits[0], expected);
  EXPECT_EQ(
      codeOf(lowbit_model_replace_parameter(model, "tables", bytes, size)), 2);
  EXPECT_EQ(
      codeOf(lowbit_model_replace_parameter(model, "table", bytes, size - 4)),
      2);
  options.weights = LOWBIT_WEIGHTS_MAP;
  lowbit_model *mapped = nullptr;
  succeed(lowbit_model_open(path.c_str(), &options, &mapped));
  EXPECT_EQ(
      codeOf(lowbit_model_replace_parameter(mapped, "table", bytes, size)), 4);
  lowbit_model_close(mapped);
}

TEST_F(Api, RunsALinearAlone) {
  int64_t rows = 0, columns = 0, bytes = 0;
  succeed(lowbit_parameter_shape(model, "head", &rows, &columns, &bytes));
  EXPECT_EQ(rows, tinyVocabulary);
  EXPECT_EQ(columns, tinyHidden);
  EXPECT_EQ(bytes, tinyVocabulary * tinyHidden * 4);
  // More rows than one batch has.
  constexpr int64_t count = 37;
  std::vector<float> x(count * tinyHidden), y(count * tinyVocabulary);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(i % 13) - 6;
  succeed(lowbit_run_linear(context, "head", x.data(), count, tinyHidden,
                            y.data(), tinyVocabulary));
  for (int64_t r = 0; r < count; ++r)
    for (int64_t v = 0; v < tinyVocabulary; ++v) {
      float sum = 0;
      for (int64_t h = 0; h < tinyHidden; ++h)
        sum += x[r * tinyHidden + h] * tinyHead()[v * tinyHidden + h];
      ASSERT_EQ(y[r * tinyVocabulary + v], sum);
    }
  auto code = [&](const char *name, int64_t in, int64_t out) {
    return codeOf(
        lowbit_run_linear(context, name, x.data(), 1, in, y.data(), out));
  };
  EXPECT_EQ(code("heads", tinyHidden, tinyVocabulary), 2);
  EXPECT_EQ(code("head", tinyHidden - 1, tinyVocabulary), 2);
  EXPECT_EQ(code("head", tinyHidden, tinyVocabulary + 1), 2);
  // Rows of it are gathered, nothing is multiplied by it.
  EXPECT_EQ(code("table", tinyHidden, tinyVocabulary), 2);
}

TEST_F(PackedHead, ChecksTheValuesOfAReplacement) {
  open({4, 0, LOWBIT_SCALE_E4M3, LOWBIT_OFFSET_STORED},
       "#lowbit.int<4, group = row, scale = f8E4M3FN, offset = stored>",
       tinyVocabulary);
  auto bytes = static_cast<int64_t>(packed.size());
  EXPECT_EQ(replace(0, packed[0]), "0 ");
  // A tile: codes of 8 columns in one block (64 bytes), 16 scales, 8 bytes of
  // zero points, padding to 128.
  EXPECT_NE(replace(64 + 3, 0x7F)
                .find("3 parameter \"head\": scale of the "
                      "group at row 3"),
            std::string::npos)
      << replace(64 + 3, 0x7F);
  EXPECT_NE(replace(127, 1).find("3 parameter \"head\": byte 127 is padding"),
            std::string::npos)
      << replace(127, 1);
  EXPECT_NE(replace(bytes - 61, 0xFF).find("3 parameter \"head\": factor"),
            std::string::npos)
      << replace(bytes - 61, 0xFF);
  EXPECT_NE(replace(bytes - 1, 1).find("is padding"), std::string::npos);
}

TEST_F(PackedHead, ChecksRowsThatAReplacementDoesNotHave) {
  const int64_t rows = tinyVocabulary - 5;
  open({4, 0, LOWBIT_SCALE_F16, LOWBIT_OFFSET_STORED},
       "#lowbit.int<4, group = row, scale = f16, offset = stored>", rows);
  // The last tile: 64 bytes of codes, 16 scales, 16 zero points, padding to
  // 128. The last row is row 15, the last that exists row 10.
  int64_t tile = (rows + 15) / 16 * 128 - 128;
  EXPECT_EQ(replace(tile + 4 * 10, packed[tile + 4 * 10] ^ 1), "0 ");
  for (int64_t at : {4 * 11, 4 * 15 + 3, 64 + 2 * 11, 64 + 2 * 15 + 1})
    EXPECT_NE(replace(tile + at, 1)
                  .find("3 parameter \"head\": byte " +
                        std::to_string(tile + at) + " is padding"),
              std::string::npos)
        << replace(tile + at, 1);
  // Two zero points of 4 bits to a byte.
  EXPECT_NE(replace(tile + 96 + 7, 1).find("is padding"), std::string::npos);
}

TEST_F(Api, Generates) {
  lowbit_generate_options how;
  lowbit_generate_options_init(&how);
  how.max_tokens = 5;
  how.ignore_end = 1;
  lowbit_generate_result result{};
  result.size = sizeof(result);
  int32_t prompt[] = {tinyBos, 'a'};
  int calls = 0;
  succeed(lowbit_generate(
      context, sequence, prompt, 2, &how,
      [](void *user, int32_t, const char *, size_t) {
        ++*static_cast<int *>(user);
        return 1;
      },
      &calls, &result));
  EXPECT_EQ(calls, 6);
  EXPECT_EQ(result.tokens, 5);
  EXPECT_EQ(result.stop, LOWBIT_STOP_MAX_TOKENS);
  EXPECT_STREQ(lowbit_stop_name(result.stop), "max_tokens");
  how.sampler.top_p = NAN;
  EXPECT_EQ(codeOf(lowbit_generate(context, sequence, prompt, 2, &how, nullptr,
                                   nullptr, nullptr)),
            2);
  how.size = 3;
  EXPECT_EQ(codeOf(lowbit_generate(context, sequence, prompt, 2, &how, nullptr,
                                   nullptr, nullptr)),
            2);
}

TEST_F(Api, MeasuresPerplexity) {
  std::vector<int32_t> ids(100, 65);
  lowbit_perplexity_options how;
  lowbit_perplexity_options_init(&how);
  how.window = 20;
  lowbit_sequence_free(context, sequence);
  lowbit_perplexity_result result{};
  succeed(lowbit_perplexity(context, ids.data(), ids.size(), &how, nullptr,
                            nullptr, &result));
  EXPECT_EQ(result.scored, 100);
  EXPECT_NEAR(std::exp(result.nats.mean), result.perplexity.mean, 1e-9);
  lowbit_context *other = nullptr;
  succeed(lowbit_context_create(model, nullptr, &other));
  lowbit_comparison_result comparison{};
  succeed(lowbit_compare(context, other, ids.data(), ids.size(), &how, nullptr,
                         nullptr, &comparison));
  EXPECT_EQ(comparison.divergence.mean, 0);
  EXPECT_EQ(codeOf(lowbit_compare(context, context, ids.data(), ids.size(),
                                  &how, nullptr, nullptr, &comparison)),
            2);
  lowbit_context_free(other);
}

TEST_F(Api, InspectsAndVerifies) {
  char *json = nullptr;
  succeed(lowbit_inspect(path.c_str(), &json));
  auto parsed = lowbit::parseJson(json, "inspect", {1 << 20});
  ASSERT_TRUE(bool(parsed)) << parsed.error().message;
  EXPECT_NE(parsed->find("manifest"), nullptr);
  EXPECT_EQ(parsed->find("sections")->asArray().size(), 8u);
  lowbit_free(json);
  succeed(lowbit_verify(path.c_str(), 2));
  std::string file = readFile(path);
  file[file.size() - 200] ^= 4; // Of the last weight.
  writeFile(folder.file("damaged"), file);
  EXPECT_EQ(codeOf(lowbit_verify(folder.file("damaged").c_str(), 2)), 7);
  EXPECT_EQ(codeOf(lowbit_verify(folder.file("none").c_str(), 2)), 3);
}

TEST_F(Api, RefusesOptionsOutOfRange) {
  lowbit_model *refused = nullptr;
  lowbit_model_options bad = options;
  bad.weights = 3;
  EXPECT_EQ(codeOf(lowbit_model_open(path.c_str(), &bad, &refused)), 2);
  bad = options;
  bad.variant = 3;
  EXPECT_EQ(codeOf(lowbit_model_open(path.c_str(), &bad, &refused)), 2);
  bad = options;
  bad.size = sizeof(bad) + 1;
  EXPECT_EQ(codeOf(lowbit_model_open(path.c_str(), &bad, &refused)), 2);
  EXPECT_EQ(refused, nullptr);
}

TEST_F(Api, LetsCallsOnOneContextWait) {
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      lowbit_row row{sequence, 0, t};
      int32_t selected = 0;
      const float *logits = nullptr;
      for (int i = 0; i < 50; ++i)
        failures +=
            codeOf(lowbit_step(context, &row, 1, &selected, 1, &logits)) != 0;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(failures, 0);
}

TEST(ApiNumerics, QuantizesPacksAndUnpacks) {
  const int64_t rows = 37, columns = 100;
  std::vector<float> weights(rows * columns), back(weights.size());
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = std::sin(static_cast<float>(i));
  int compared = 0;
  for (int bits : {2, 3, 4, 8})
    for (int group : {0, 32, 64})
      for (int scale : {LOWBIT_SCALE_F16, LOWBIT_SCALE_E4M3})
        for (int offset : {LOWBIT_OFFSET_INTEGER, LOWBIT_OFFSET_HALF,
                           LOWBIT_OFFSET_STORED}) {
          lowbit_integer_format format{bits, group, scale, offset};
          int64_t bytes = 0;
          succeed(lowbit_stored_bytes(&format, rows, columns, &bytes));
          std::vector<uint8_t> packed(bytes);
          succeed(lowbit_quantize(&format, LOWBIT_SOLVER_NEAREST,
                                  weights.data(), rows, columns, nullptr,
                                  packed.data()));
          succeed(lowbit_unpack(&format, packed.data(), rows, columns,
                                back.data()));
          double error = 0;
          for (size_t i = 0; i < back.size(); ++i)
            error = std::max(error, std::fabs(double(back[i]) - weights[i]));
          // E4M3 scales are right to 1/16.
          double scaleError = scale == LOWBIT_SCALE_E4M3 ? 0.07 : 0.0;
          EXPECT_LT(error, (bits == 2 ? 1.1 : 2.0 / (1 << bits)) + scaleError)
              << bits;
          ++compared;
        }
  EXPECT_EQ(compared, 72);
  lowbit_integer_format wrong{9, 64, 0, 0};
  int64_t bytes = 0;
  EXPECT_EQ(codeOf(lowbit_stored_bytes(&wrong, 16, 16, &bytes)), 2);
  lowbit_integer_format right{4, 64, 0, 0};
  EXPECT_EQ(codeOf(lowbit_stored_bytes(&right, 0, 16, &bytes)), 2);
  weights[5] = NAN;
  std::vector<uint8_t> packed(1 << 16);
  EXPECT_EQ(
      codeOf(lowbit_quantize(&right, LOWBIT_SOLVER_NEAREST, weights.data(),
                             rows, columns, nullptr, packed.data())),
      3);
}
