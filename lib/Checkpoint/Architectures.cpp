//===- Architectures.cpp - The table of known architectures ---------------===//
#include "Architectures.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>

using namespace lowbit;

namespace {

constexpr std::string_view llamaRequired[] = {
    "hidden_size", "intermediate_size", "num_hidden_layers",
    "num_attention_heads", "vocab_size"};

constexpr std::string_view llamaRead[] = {"architectures",
                                          "model_type",
                                          "num_key_value_heads",
                                          "head_dim",
                                          "hidden_act",
                                          "max_position_embeddings",
                                          "rms_norm_eps",
                                          "rope_theta",
                                          "rope_scaling",
                                          "rope_parameters",
                                          "tie_word_embeddings",
                                          "attention_bias",
                                          "mlp_bias",
                                          "bos_token_id",
                                          "eos_token_id",
                                          "pad_token_id",
                                          "torch_dtype",
                                          "dtype",
                                          "layer_types",
                                          "original_max_position_embeddings"};

// What PretrainedConfig writes, and what has no part in the forward pass.
constexpr std::string_view llamaHarmless[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_name_or_path",
    "attention_dropout",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "max_window_layers",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache"};

// Fields by which relatives of Llama change the function.
constexpr FieldRule llamaRules[] = {
    {"add_cross_attention", "false"},
    {"alibi", "false"},
    {"altup_num_inputs", ""},
    {"attention_chunk_size", "", true},
    {"attention_multiplier", ""},
    {"attn_logit_softcapping", ""},
    {"audio_config", ""},
    {"auto_map", "{}"},
    {"bias", "false"},
    {"clip_qkv", ""},
    {"compression_config", ""},
    {"cross_attention_layers", "[]"},
    {"dim_model_base", ""},
    {"embedding_multiplier", "1|1.0"},
    {"embedding_scale", "1|1.0"},
    {"embedding_size", ""},
    {"ffn_dim_multiplier", ""},
    {"final_logit_softcapping", ""},
    {"first_k_dense_replace", "", true},
    {"is_encoder_decoder", "false"},
    {"kv_lora_rank", "", true},
    {"layer_norm_eps", ""},
    {"layer_norm_epsilon", ""},
    {"logit_scale", "1|1.0"},
    {"logits_scaling", "1|1.0"},
    {"moe_intermediate_size", "", true},
    {"mrope_section", ""},
    {"n_routed_experts", "", true},
    {"no_rope_layer_interval", ""},
    {"no_rope_layers", "[]"},
    {"num_experts", "", true},
    {"num_experts_per_tok", "", true},
    {"num_local_experts", "", true},
    {"parallel_residual", "false"},
    {"partial_rotary_factor", "1|1.0"},
    {"position_embedding_type", "\"rotary\"|\"rope\""},
    {"pruned_heads", "{}"},
    {"q_lora_rank", "", true},
    {"qk_layernorm", "false"},
    {"qk_norm", "false"},
    {"qkv_bias", "false"},
    {"quantization", ""},
    {"quantization_config", ""},
    {"query_pre_attn_scalar", ""},
    {"residual_multiplier", "1|1.0"},
    {"rope_interleave", "false"},
    {"rope_interleaved", "false"},
    {"rope_local_base_freq", ""},
    {"rotary_dim", ""},
    {"rotary_emb_base", ""},
    {"rotary_pct", "1|1.0"},
    {"scale_depth", ""},
    {"scale_emb", "1|1.0"},
    {"sliding_window", "", true},
    {"sliding_window_pattern", "", true},
    {"text_config", ""},
    {"tie_encoder_decoder", "false"},
    {"trust_remote_code", "false"},
    {"use_bias", "false"},
    {"use_mrope", "false"},
    {"use_parallel_residual", "false"},
    {"use_qk_norm", "false"},
    {"use_qkv_bias", "false"},
    {"use_sliding_window", "false"},
    {"vision_config", ""},
};

constexpr TensorRule llamaTensors[] = {
    {TensorRole::Embedding, "model.embed_tokens.weight", SizeName::Vocabulary,
     SizeName::Hidden, Presence::Always},
    {TensorRole::FinalNorm, "model.norm.weight", SizeName::Hidden,
     SizeName::None, Presence::Always},
    {TensorRole::Head, "lm_head.weight", SizeName::Vocabulary, SizeName::Hidden,
     Presence::Untied},
    {TensorRole::AttentionNorm, "model.layers.{}.input_layernorm.weight",
     SizeName::Hidden, SizeName::None, Presence::Always},
    {TensorRole::Query, "model.layers.{}.self_attn.q_proj.weight",
     SizeName::Queries, SizeName::Hidden, Presence::Always},
    {TensorRole::Key, "model.layers.{}.self_attn.k_proj.weight",
     SizeName::KeyValues, SizeName::Hidden, Presence::Always},
    {TensorRole::Value, "model.layers.{}.self_attn.v_proj.weight",
     SizeName::KeyValues, SizeName::Hidden, Presence::Always},
    {TensorRole::Output, "model.layers.{}.self_attn.o_proj.weight",
     SizeName::Hidden, SizeName::Queries, Presence::Always},
    {TensorRole::QueryBias, "model.layers.{}.self_attn.q_proj.bias",
     SizeName::Queries, SizeName::None, Presence::AttentionBias},
    {TensorRole::KeyBias, "model.layers.{}.self_attn.k_proj.bias",
     SizeName::KeyValues, SizeName::None, Presence::AttentionBias},
    {TensorRole::ValueBias, "model.layers.{}.self_attn.v_proj.bias",
     SizeName::KeyValues, SizeName::None, Presence::AttentionBias},
    {TensorRole::OutputBias, "model.layers.{}.self_attn.o_proj.bias",
     SizeName::Hidden, SizeName::None, Presence::AttentionBias},
    {TensorRole::FfnNorm, "model.layers.{}.post_attention_layernorm.weight",
     SizeName::Hidden, SizeName::None, Presence::Always},
    {TensorRole::Gate, "model.layers.{}.mlp.gate_proj.weight", SizeName::Ffn,
     SizeName::Hidden, Presence::Always},
    {TensorRole::Up, "model.layers.{}.mlp.up_proj.weight", SizeName::Ffn,
     SizeName::Hidden, Presence::Always},
    {TensorRole::Down, "model.layers.{}.mlp.down_proj.weight", SizeName::Hidden,
     SizeName::Ffn, Presence::Always},
    {TensorRole::GateBias, "model.layers.{}.mlp.gate_proj.bias", SizeName::Ffn,
     SizeName::None, Presence::MlpBias},
    {TensorRole::UpBias, "model.layers.{}.mlp.up_proj.bias", SizeName::Ffn,
     SizeName::None, Presence::MlpBias},
    {TensorRole::DownBias, "model.layers.{}.mlp.down_proj.bias",
     SizeName::Hidden, SizeName::None, Presence::MlpBias},
};

const Architecture table[] = {
    {"LlamaForCausalLM", "llama", llamaRequired, llamaRead, llamaHarmless,
     llamaRules, llamaTensors, /*defaultRmsEps=*/1e-6,
     /*defaultMaxPositions=*/2048, /*defaultBos=*/1, /*defaultEos=*/2},
};

template <typename Rows>
bool contains(const Rows &rows, std::string_view name) {
  return std::find(rows.begin(), rows.end(), name) != rows.end();
}

/// Whether a value is one of those that change nothing.
bool isNeutral(const FieldRule &rule, const JsonField &field) {
  if (field.isAbsent())
    return true;
  std::string text = writeJson(*field.value());
  std::string_view rest = rule.neutral;
  while (!rest.empty()) {
    size_t end = std::min(rest.find('|'), rest.size());
    if (rest.substr(0, end) == text)
      return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

std::string neutralText(const FieldRule &rule) {
  std::string text = "absent";
  if (size_t end = rule.neutral.find('|'); !rule.neutral.empty())
    text += " or " + std::string(rule.neutral.substr(0, end));
  return text;
}

} // namespace

Table<Architecture> lowbit::architectures() { return table; }

const Architecture *lowbit::findArchitecture(std::string_view name) {
  for (const Architecture &row : table)
    if (row.name == name)
      return &row;
  return nullptr;
}

std::string lowbit::knownArchitectures() {
  std::string names;
  for (const Architecture &row : table) {
    names += names.empty() ? "" : ", ";
    names += row.name;
  }
  return names;
}

Status lowbit::checkRule(const FieldRule &rule, const JsonField &field) {
  if (isNeutral(rule, field))
    return {};
  if (rule.isCount) {
    std::optional<uint64_t> count = field.value()->asUint64();
    if (!count || *count == 0)
      return field.mustBe("absent, or an integer above 0");
  }
  std::string problem = "is " + field.describe() +
                        ", which is not supported: must be " +
                        neutralText(rule);
  if (rule.name == "quantization_config") {
    JsonField method = field.get("quant_method");
    if (!method.isAbsent())
      problem += " (quant_method " + method.describe() +
                 "; import the weights that it was made from)";
  }
  if (rule.name == "auto_map" || rule.name == "trust_remote_code")
    problem += " (code in a model folder is never executed)";
  return field.notSupported(problem);
}

std::vector<std::string>
lowbit::unknownFields(const JsonField &config,
                      const Architecture &architecture) {
  std::vector<std::string> names;
  for (const JsonMember &member : config.value()->asObject()) {
    auto isRuled = [&](const FieldRule &rule) {
      return rule.name == member.key;
    };
    if (!contains(architecture.required, member.key) &&
        !contains(architecture.read, member.key) &&
        !contains(architecture.harmless, member.key) &&
        std::none_of(architecture.rules.begin(), architecture.rules.end(),
                     isRuled))
      names.push_back(member.key);
  }
  return names;
}

std::vector<std::string> lowbit::differences(const JsonField &config,
                                             const Architecture &architecture) {
  std::vector<std::string> found;
  JsonField type = config.get("model_type");
  if (!type.value() || !type.value()->isString() ||
      type.value()->asString() != architecture.modelType)
    found.push_back("model_type (is " + type.describe() + ", must be \"" +
                    std::string(architecture.modelType) + "\")");
  for (std::string_view name : architecture.required)
    if (config.get(name).isAbsent())
      found.push_back(std::string(name) + " (is missing)");
  for (const FieldRule &rule : architecture.rules) {
    JsonField field = config.get(rule.name);
    if (!isNeutral(rule, field))
      found.push_back(std::string(rule.name) + " (is " + field.describe() +
                      ", must be " + neutralText(rule) + ")");
  }
  for (std::string_view name : {"hidden_act", "activation_function"}) {
    JsonField act = config.get(name);
    if (!act.isAbsent() && act.describe() != "\"silu\"")
      found.push_back(std::string(name) + " (is " + act.describe() +
                      ", must be \"silu\")");
  }
  for (const std::string &name : unknownFields(config, architecture))
    if (name != "activation_function")
      found.push_back(escaped(name, 60) + " (not known there)");
  return found;
}
