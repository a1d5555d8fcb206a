//===- ModelConfigTest.cpp ------------------------------------------------===//
//
// The refusals are in test/Inputs/make_bad_inputs.py; here is what is read.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Checkpoint/ModelConfig.h"

#include <gtest/gtest.h>

using namespace lowbit;

namespace {

Result<ModelConfig> read(const std::string &fields) {
  Result<JsonValue> json = parseJson(
      R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,)"
      R"("intermediate_size":172,"num_hidden_layers":5,"vocab_size":512,)"
      R"("num_attention_heads":8)" +
          fields + "}",
      "config.json", configLimits);
  EXPECT_TRUE(json);
  return readModelConfig(*json, "config.json");
}

} // namespace

TEST(ModelConfig, ReadsAllFields) {
  Result<ModelConfig> config =
      read(R"(,"model_type":"llama","num_key_value_heads":4,"head_dim":16,)"
           R"("max_position_embeddings":1048576,"rms_norm_eps":1e-5,)"
           R"("rope_theta":500000,"hidden_act":"swish","attention_bias":true,)"
           R"("tie_word_embeddings":true,"mlp_bias":true,"bos_token_id":3,)"
           R"("eos_token_id":[4,5],"torch_dtype":"bfloat16")");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->architecture, "LlamaForCausalLM");
  EXPECT_EQ(config->hidden, 64u);
  EXPECT_EQ(config->ffn, 172u);
  EXPECT_EQ(config->layers, 5u);
  EXPECT_EQ(config->heads, 8u);
  EXPECT_EQ(config->kvHeads, 4u);
  EXPECT_EQ(config->headDim, 16u);
  EXPECT_EQ(config->vocabulary, 512u);
  EXPECT_EQ(config->maxPositions, 1048576u);
  EXPECT_EQ(config->rmsEps, 1e-5);
  EXPECT_EQ(config->rope.kind, RopeKind::Default);
  EXPECT_EQ(config->rope.theta, 500000.0);
  EXPECT_EQ(config->activation, Activation::Silu);
  EXPECT_TRUE(config->tied && config->attentionBias && config->mlpBias);
  EXPECT_EQ(config->bos, 3u);
  EXPECT_EQ(config->eos, (std::vector<uint64_t>{4, 5}));
  EXPECT_EQ(config->declaredType, "bfloat16");
  EXPECT_TRUE(config->notes.empty());
}

TEST(ModelConfig, TakesWhatTransformersTakes) {
  Result<ModelConfig> config = read("");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->kvHeads, 8u);
  EXPECT_EQ(config->headDim, 8u);
  EXPECT_EQ(config->maxPositions, 2048u);
  EXPECT_EQ(config->rmsEps, 1e-6);
  EXPECT_EQ(config->rope.theta, 10000.0);
  EXPECT_FALSE(config->tied || config->attentionBias || config->mlpBias);
  EXPECT_EQ(config->bos, 1u);
  EXPECT_EQ(config->eos, std::vector<uint64_t>{2});
  // eps, positions, bos and eos are said.
  EXPECT_EQ(config->notes.size(), 4u);
}

TEST(ModelConfig, NullIsAbsent) {
  Result<ModelConfig> config =
      read(R"(,"head_dim":null,"rope_scaling":null,"rope_theta":null,)"
           R"("bos_token_id":null,"eos_token_id":null,"attention_bias":null,)"
           R"("quantization_config":null,"sliding_window":null)");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->headDim, 8u);
  EXPECT_FALSE(config->bos);
  EXPECT_TRUE(config->eos.empty());
}

TEST(ModelConfig, ReadsRopeInBothForms) {
  const std::string llama3 =
      R"("factor":32.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
      R"("original_max_position_embeddings":8192,"rope_type":"llama3")";
  for (const std::string &fields :
       {R"(,"rope_theta":5e5,"rope_scaling":{)" + llama3 + "}",
        R"(,"rope_parameters":{"rope_theta":5e5,)" + llama3 + "}",
        R"(,"rope_theta":5e5,"rope_parameters":{)" + llama3 + "}",
        R"(,"rope_parameters":{"rope_theta":5e5,)" + llama3 +
            R"(},"rope_scaling":{)" + llama3 + "}"}) {
    Result<ModelConfig> config = read(fields);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->rope.kind, RopeKind::Llama3);
    EXPECT_EQ(config->rope.theta, 5e5);
    EXPECT_EQ(config->rope.factor, 32.0);
    EXPECT_EQ(config->rope.lowFrequencyFactor, 1.0);
    EXPECT_EQ(config->rope.highFrequencyFactor, 4.0);
    EXPECT_EQ(config->rope.originalMaxPositions, 8192u);
  }
  Result<ModelConfig> linear =
      read(R"(,"rope_scaling":{"type":"linear","factor":4})");
  ASSERT_TRUE(linear);
  EXPECT_EQ(linear->rope.kind, RopeKind::Linear);
  EXPECT_EQ(linear->rope.factor, 4.0);
  EXPECT_EQ(linear->rope.theta, 10000.0);
}

TEST(ModelConfig, SaysWhichFieldsItDoesNotKnow) {
  Result<ModelConfig> config =
      read(R"(,"rms_norm_eps":1e-5,"max_position_embeddings":9,)"
           R"("bos_token_id":1,"eos_token_id":2,"zeta":1,"use_cache":true,)"
           R"("alpha":{})");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->notes.size(), 1u);
  EXPECT_NE(config->notes[0].find("zeta, alpha"), std::string::npos);
}

TEST(ModelConfig, NamesTheNearestArchitecture) {
  Result<JsonValue> json = parseJson(
      R"({"architectures":["Gemma2ForCausalLM"],"model_type":"gemma2",)"
      R"("hidden_size":64,"intermediate_size":172,"num_hidden_layers":5,)"
      R"("vocab_size":512,"num_attention_heads":8,"sliding_window":4096,)"
      R"("hidden_activation":"gelu","final_logit_softcapping":30.0})",
      "config.json", configLimits);
  Result<ModelConfig> config = readModelConfig(*json, "config.json");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ExitCode::Unsupported);
  for (const char *part :
       {"config.json: architectures: ", "Gemma2ForCausalLM",
        "nearest is LlamaForCausalLM", "model_type (is \"gemma2\"",
        "sliding_window (is 4096", "final_logit_softcapping (is 30.0",
        "hidden_activation (not known there)"})
    EXPECT_NE(config.error().message.find(part), std::string::npos) << part;
}
