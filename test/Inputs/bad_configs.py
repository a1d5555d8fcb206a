"""Rows C1-C23: config.json, and JSON at large."""

import os

from bad_input_case import (
    EMBED, INDEX, QUERY, SHARD, add, case, config_bytes, config_edit,
    config_text, model, tensor, write, write_model)
from bad_shards import sharded

CFG = "config.json"
for name, text in (("50000-arrays", b"[" * 50000),
                   ("50000-objects", b'{"a":' * 50000),
                   ("65-levels", b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")):
    add("C1", name, 3, [CFG, "64"], config_bytes(lambda _, text=text: text))
add("C1", "64-levels", 0, [CFG, "nested"],
    config_bytes(lambda old: old[:-1] + b', "nested": ' + b"[" * 63 + b"]" * 63
                 + b"}"))
for name, text in (("10e7-arrays", b"["), ("10e7-objects", b'{"":')):
    add("C1", name, 3, [INDEX, "64"],
        lambda folder, text=text: sharded(
            folder, lambda index: b'{"weight_map":' + text * 10_000_000),
        large=True)
add("C2", "hidden-size", 3, [CFG, "hidden_size", "twice"],
    config_bytes(lambda old: b'{"hidden_size": 8, ' + old[1:]))
add("C2", "nested", 3, [CFG, "rope_scaling.factor", "twice"],
    config_text("rope_scaling", '{"type": "linear", "factor": 2, "factor": 4}'))
add("C2", "escaped", 3, [CFG, "hidden_size", "twice"],
    config_bytes(lambda old: b'{"hidden\\u005fsize": 8, ' + old[1:]))


@case("C3", "1-GB", 3, [CFG, "1073741824 bytes", "limit 1048576"])
def _(folder):
    write_model(folder)
    os.truncate(os.path.join(folder, CFG), 2**30)


add("C3", "2-MB-string", 3, [CFG, "limit 1048576"],
    config_bytes(lambda old: old[:-1] + b', "x": "' + b"y" * 2**21 + b'"}'))


@case("C3", "100-MB-index", 3, [INDEX, "limit 67108864"])
def _(folder):
    sharded(folder)
    os.truncate(os.path.join(folder, INDEX), 100_000_000)


add("C3", "6-million-keys", 3, [INDEX, "4194304 values"],
    lambda folder: sharded(folder, lambda index: "{" + ",".join(
        f'"{i:x}":1' for i in range(6_000_000)) + "}"), large=True)
add("C3", "30-million-numbers", 3, [INDEX, "4194304 values"],
    lambda folder: sharded(folder, lambda index: b"[1" + b",1" * 30_000_000
                           + b"]"), large=True)

for name, text in (("1e400", "1e400"), ("leading-zero", "01"), ("dot", "1."),
                   ("no-digit", ".5"), ("plus", "+1"), ("hex", "0x10"),
                   ("nan", "NaN"), ("infinity", "Infinity"),
                   ("minus-infinity", "-Infinity"), ("minus", "-"),
                   ("exponent", "1e"), ("underscore", "1_000")):
    add("C4", name, 3, [CFG, "is not JSON"], config_text("rms_norm_eps", text))
for name, text in (("minus-zero", "-0"), ("2e53+1", "9007199254740993"),
                   ("2e64-1", "18446744073709551615")):
    add("C4", name, 3, [CFG, "hidden_size", text.replace("-0", "0")],
        config_text("hidden_size", text))
for name, text in (("2e64", "18446744073709551616"), ("300-digits", "9" * 300)):
    add("C4", name, 3, [CFG, "hidden_size", "integer"],
        config_text("hidden_size", text))
add("C4", "tiny", 3, [CFG, "rms_norm_eps"], config_text("rms_norm_eps",
                                                        "1e-400"))
for name, make in (
        ("trailing-comma", lambda old: old[:-1] + b",}"),
        ("line-comment", lambda old: b"// x\n" + old),
        ("block-comment", lambda old: old[:-1] + b"/* x */}"),
        ("two-documents", lambda old: old + b" " + old),
        ("trailing-text", lambda old: old + b"x"),
        ("trailing-nul", lambda old: old + b"\0"),
        ("nul-inside", lambda old: old.replace(b"silu", b"si\0lu")),
        ("cut", lambda old: old[:-5]), ("empty", lambda old: b""),
        ("blank", lambda old: b"  \n"),
        ("single-quotes", lambda old: old.replace(b'"', b"'")),
        ("control-in-string", lambda old: old.replace(b"silu", b"si\nlu")),
        ("invalid-utf8", lambda old: old.replace(b"silu", b"si\xfflu")),
        ("utf16", lambda old: old.decode().encode("utf-16-le"))):
    add("C5", name, 3, [CFG], config_bytes(make))
add("C5", "bom", 3, [CFG, "byte order mark"],
    config_bytes(lambda old: b"\xef\xbb\xbf" + old))
add("C5", "root-array", 3, [CFG, "must be an object"],
    config_bytes(lambda old: b"[]"))

for name, text in (("0", "0"), ("negative", "-1"), ("2e31", "2147483648"),
                   ("string", '"4096"'), ("null", "null"), ("true", "true"),
                   ("array", "[8]")):
    add("C6", name, 3, [CFG, "hidden_size", "must be an integer from 1"],
        config_text("hidden_size", text))
add("C6", "4096.0", 3, [CFG, "hidden_size", "4096.0", "without fraction"],
    config_text("hidden_size", "4096.0"))
for field in ("hidden_size", "intermediate_size", "num_hidden_layers",
              "num_attention_heads", "vocab_size"):
    add("C6", f"missing-{field}", 3, [CFG, field, "missing"],
        config_edit(**{field: ...}))
    add("C6", f"zero-{field}", 3, [CFG, field, "is 0"],
        config_edit(**{field: 0}))

add("C7", "heads", 3, [SHARD, QUERY, "num_attention_heads * head_dim = 4 * 4"],
    config_edit(num_attention_heads=4))
add("C7", "head-dim", 3, [SHARD, QUERY,
                          "num_attention_heads * head_dim = 2 * 8"],
    config_edit(head_dim=8))
add("C7", "kv-heads", 3, [CFG, "num_key_value_heads", "3 % 2 = 1"],
    config_edit(num_attention_heads=3, num_key_value_heads=2))
add("C7", "kv-more-than-heads", 3, [CFG, "num_key_value_heads"],
    config_edit(num_key_value_heads=4))
add("C7", "odd-head-dim", 3, [CFG, "head_dim", "is 3", "even"],
    config_edit(head_dim=3))
add("C7", "odd-quotient", 3, [CFG, "head_dim", "8 / 8"],
    config_edit(head_dim=..., num_attention_heads=8, num_key_value_heads=8))
add("C7", "not-divisible", 3, [CFG, "head_dim", "8 / 3"],
    config_edit(head_dim=..., num_attention_heads=3, num_key_value_heads=3))
add("C7", "not-divisible-but-given", 0, ["2 layers"],
    model({"num_attention_heads": 3, "num_key_value_heads": 3}, queries=12,
          keys=12))
add("C7", "head-dim-from-quotient", 0, ["2 layers"], config_edit(head_dim=None))
add("C8", "10e9-layers", 3, ["model.layers.2.", "missing",
                             "num_hidden_layers is 1000000000"],
    config_edit(num_hidden_layers=10**9))
add("C8", "one-more", 3, ["model.layers.2.", "missing"],
    config_edit(num_hidden_layers=3))
add("C9", "one-less", 3, ["model.layers.1.", "unused",
                          "num_hidden_layers is 1", "--allow-unused"],
    config_edit(num_hidden_layers=1))
add("C9", "allowed", 0, ["note:", "model.layers.1.", "1 layers"],
    config_edit(num_hidden_layers=1), ["--allow-unused"])
add("C10", "padded", 0, ["note:", EMBED, "16 rows", "vocab_size is 15", "cut"],
    config_edit(vocab_size=15))
add("C10", "more-than-rows", 3, [SHARD, EMBED, "vocab_size"],
    config_edit(vocab_size=17))

for name, text in (("0", "0"), ("negative", "-1"), ("string", '"10000"'),
                   ("1e30", "1e30")):
    add("C11", f"theta-{name}", 3, [CFG, "rope_theta"],
        config_text("rope_theta", text))
add("C11", "theta-nan", 3, [CFG, "is not JSON"],
    config_text("rope_theta", "NaN"))
add("C11", "theta-missing", 0, ["2 layers"], config_edit(rope_theta=...))
for kind in ("dynamic", "yarn", "longrope", "su", "mrope", "LINEAR"):
    add("C11", f"kind-{kind}", 4, [CFG, "rope_scaling", f'"{kind}"', "llama3"],
        config_edit(rope_scaling={"type": kind, "factor": 2.0}))
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
for name, value, code, words in (
        ("linear", {"type": "linear", "factor": 2.0}, 0, []),
        ("llama3", LLAMA3, 0, []),
        ("default", {"rope_type": "default"}, 0, []),
        ("null", None, 0, []), ("empty", {}, 0, []),
        ("string", "linear", 3, ["must be an object"]),
        ("no-kind", {"factor": 2.0}, 3, ["type"]),
        ("kind-number", {"type": 1, "factor": 2.0}, 3, ["must be a string"]),
        ("two-kinds", {"type": "linear", "rope_type": "llama3",
                       "factor": 2.0}, 3, ["rope_type"]),
        ("factor-0", {"type": "linear", "factor": 0}, 3, ["factor"]),
        ("factor-negative", {"type": "linear", "factor": -2}, 3, ["factor"]),
        ("factor-string", {"type": "linear", "factor": "2"}, 3, ["factor"]),
        ("factor-missing", {"type": "linear"}, 3, ["factor", "missing"]),
        ("low-above-high", dict(LLAMA3, low_freq_factor=8.0), 3,
         ["low_freq_factor", "high_freq_factor"]),
        ("low-equals-high", dict(LLAMA3, low_freq_factor=4.0), 3,
         ["low_freq_factor"]),
        ("original-0", dict(LLAMA3, original_max_position_embeddings=0), 3,
         ["original_max_position_embeddings"]),
        ("original-double", dict(LLAMA3,
                                 original_max_position_embeddings=32.0), 3,
         ["original_max_position_embeddings"]),
        ("unknown-field", dict(LLAMA3, mscale=2.0), 4, ["mscale"]),
        ("partial", {"type": "linear", "factor": 2.0,
                     "partial_rotary_factor": 0.5}, 4,
         ["partial_rotary_factor"]),
        ("yarn-fields", {"type": "yarn", "factor": "8", "beta_fast": []}, 4,
         ['"yarn"'])):
    add("C11", name, code, ([CFG, "rope_scaling"] if code else []) + words,
        config_edit(rope_scaling=value))
for field in LLAMA3:
    if field != "rope_type":
        short = {k: v for k, v in LLAMA3.items() if k != field}
        add("C11", f"llama3-without-{field}", 3, [CFG, field, "missing"],
            config_edit(rope_scaling=short))

PARAMETERS = {"rope_type": "default", "rope_theta": 10000.0}
for name, changes, code, words in (
        ("parameters-only", {"rope_theta": ..., "rope_parameters": PARAMETERS},
         0, []),
        ("agree", {"rope_scaling": LLAMA3, "rope_parameters": dict(
            LLAMA3, rope_theta=10000.0)}, 0, []),
        ("agree-without-outer-theta", {
            "rope_theta": ..., "rope_scaling": LLAMA3,
            "rope_parameters": dict(LLAMA3, rope_theta=500000.0)}, 0, []),
        ("kinds", {"rope_scaling": LLAMA3, "rope_parameters": PARAMETERS}, 3,
         ["rope_parameters", "disagrees"]),
        ("factors", {"rope_scaling": LLAMA3, "rope_parameters": dict(
            LLAMA3, factor=4.0)}, 3, ["rope_parameters", "disagrees"]),
        ("theta", {"rope_theta": 500000.0, "rope_parameters": PARAMETERS}, 3,
         ["rope_parameters.rope_theta", "5e+05"]),
        ("original", {"rope_scaling": LLAMA3,
                      "original_max_position_embeddings": 16}, 3,
         ["original_max_position_embeddings"])):
    add("C12", name, code, ([CFG] if code else []) + words,
        config_edit(**changes))

for name, text in (("0", "0"), ("0.0", "0.0"), ("negative", "-1"),
                   ("1e30", "1e30"), ("string", '"1e-5"'), ("true", "true")):
    add("C13", name, 3, [CFG, "rms_norm_eps", "must be a number"],
        config_text("rms_norm_eps", text))
add("C13", "nan", 3, [CFG, "is not JSON"], config_text("rms_norm_eps", "NaN"))
add("C13", "missing", 0, ["note:", "rms_norm_eps", "1e-06"],
    config_edit(rms_norm_eps=...))

KNOWN = "LlamaForCausalLM"
for name, value in (("unknown", ["NopeForCausalLM"]), ("empty", []),
                    ("two", [KNOWN, "MistralForCausalLM"]), ("missing", ...),
                    ("null", None), ("wrong-case", ["llamaforcausallm"])):
    add("C14", name, 4, [CFG, "architectures", KNOWN],
        config_edit(architectures=value))
add("C14", "string", 3, [CFG, "architectures", "array"],
    config_edit(architectures=KNOWN))
add("C14", "number", 3, [CFG, "architectures", "string"],
    config_edit(architectures=[1]))
add("C14", "model-type", 4, [CFG, "model_type", '"mistral"'],
    config_edit(model_type="mistral"))
add("C14", "qwen2", 4,
    [CFG, '"Qwen2ForCausalLM"', "nearest is " + KNOWN,
     'model_type (is "qwen2", must be "llama")'],
    config_edit(architectures=["Qwen2ForCausalLM"], model_type="qwen2",
                use_sliding_window=False, sliding_window=None))
add("C14", "mistral", 4,
    [CFG, '"MistralForCausalLM"', "nearest is " + KNOWN,
     "sliding_window (is 4096, must be absent)"],
    config_edit(architectures=["MistralForCausalLM"], model_type="mistral",
                sliding_window=4096))
add("C14", "gpt2", 4,
    [CFG, '"GPT2LMHeadModel"', "hidden_size (is missing)", "n_embd"],
    lambda folder: write_model(folder, config={
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
        "activation_function": "gelu_new", "n_embd": 8, "n_layer": 2,
        "n_head": 2, "vocab_size": 16}))
add("C14", "same-fields", 4, [CFG, '"OtherForCausalLM"', "fields are the same"],
    config_edit(architectures=["OtherForCausalLM"]))
add("C14", "escape-codes", 4, [CFG, "\\x1b"],
    config_edit(architectures=["\x1b[2J"]), notWords=["\x1b"])

MARK = "lowbit-executed-model-code"


@case("C15", "auto-map", 4, [CFG, "auto_map", "never executed"],
      notWords=[MARK])
def _(folder):
    config_edit(auto_map={"AutoModelForCausalLM": "modeling.Model"})(folder)
    write(os.path.join(folder, "modeling.py"), f"print('{MARK}')")


@case("C15", "code-but-not-needed", 0, ["2 layers"], notWords=[MARK])
def _(folder):
    write_model(folder)
    write(os.path.join(folder, "modeling.py"), f"print('{MARK}')")


add("C15", "trust-remote-code", 4, [CFG, "trust_remote_code"],
    config_edit(trust_remote_code=True))

TIED = {"tie_word_embeddings": True}


def same_head(tensors):
    tensors["lm_head.weight"] = tensors[EMBED]


def half_head(tensors):
    tensors["lm_head.weight"] = tensor([16, 8], "BF16")


add("C16", "different", 3, [SHARD, "lm_head.weight", "tie_word_embeddings"],
    model(TIED))
add("C16", "other-type", 3, [SHARD, "lm_head.weight", "tie_word_embeddings"],
    model(TIED, edit=half_head))
add("C16", "equal", 0, ["note:", "lm_head.weight", "stored once"],
    model(TIED, edit=same_head))
add("C16", "not-boolean", 3, [CFG, "tie_word_embeddings", "true or false"],
    config_edit(tie_word_embeddings="yes"))
add("C17", "false", 3, ["lm_head.weight", "missing", "tie_word_embeddings"],
    model(head=False))
add("C17", "absent", 3, ["lm_head.weight", "missing", "tie_word_embeddings"],
    model({"tie_word_embeddings": None}, head=False))

for method in ("gptq", "awq", "fp8", "bitsandbytes"):
    add("C18", method, 4, [CFG, "quantization_config", method],
        config_edit(quantization_config={"quant_method": method, "bits": 4}))


def packed_ints(tensors):
    tensors[QUERY] = tensor([8, 8], "I32")


add("C18", "packed-without-config", 4, [SHARD, QUERY, "I32", "F16"],
    model(edit=packed_ints))
add("C18", "null", 0, [], config_edit(quantization_config=None))
add("C19", "contradicts", 0, ["note:", "bfloat16", "float32"],
    config_edit(torch_dtype="bfloat16"))
add("C19", "two-names", 0, ["note:", "dtype"], config_edit(dtype="float16"))
add("C19", "number", 3, [CFG, "torch_dtype"], config_edit(torch_dtype=32))

for name, changes, code, words in (
        ("window", {"sliding_window": 4096}, 4, ["sliding_window", "4096"]),
        ("window-0", {"sliding_window": 0}, 3, ["sliding_window", "is 0"]),
        ("window-string", {"sliding_window": "x"}, 3, ["sliding_window"]),
        ("window-null", {"sliding_window": None}, 0, []),
        ("layer-types", {"layer_types": ["full_attention"] * 2}, 0, []),
        ("layer-types-count", {"layer_types": ["full_attention"] * 3}, 3,
         ["layer_types", "3", "num_hidden_layers is 2"]),
        ("layer-types-other", {"layer_types": ["full_attention",
                                               "sliding_attention"]}, 4,
         ["layer_types[1]", "sliding_attention"]),
        ("layer-types-text", {"layer_types": "full"}, 3, ["layer_types"]),
        ("experts", {"num_experts": 8}, 4, ["num_experts", "8"]),
        ("experts-0", {"num_experts": 0}, 3, ["num_experts", "is 0"]),
        ("local-experts", {"num_local_experts": 8}, 4, ["num_local_experts"]),
        ("soft-cap", {"final_logit_softcapping": 30.0}, 4,
         ["final_logit_softcapping"]),
        ("attention-soft-cap", {"attn_logit_softcapping": 50.0}, 4,
         ["attn_logit_softcapping"]),
        ("partial-rotary", {"partial_rotary_factor": 0.5}, 4,
         ["partial_rotary_factor"]),
        ("partial-rotary-1", {"partial_rotary_factor": 1.0}, 0, [])):
    add("C20", name, code, ([CFG] if code else []) + words,
        config_edit(**changes))

add("C21", "2e40", 0, ["2 layers"],
    config_edit(max_position_embeddings=2**40))
for name, value in (("0", 0), ("negative", -1), ("double", 64.5)):
    add("C21", name, 3, [CFG, "max_position_embeddings"],
        config_edit(max_position_embeddings=value))

for field in ("bos_token_id", "eos_token_id", "pad_token_id"):
    for name, value in (("negative", -1), ("vocab", 16), ("2e31", 2**31),
                        ("string", "1"), ("double", 1.0)):
        add("C22", f"{field}-{name}", 3, [CFG, field, "from 0 to 15"],
            config_edit(**{field: value}))
    add("C22", f"{field}-null", 0, [], config_edit(**{field: None}))
add("C22", "eos-list", 0, [], config_edit(eos_token_id=[2, 3, 15]))
add("C22", "eos-list-range", 3, [CFG, "eos_token_id[1]", "is 16"],
    config_edit(eos_token_id=[2, 16]))
add("C22", "eos-list-empty", 3, [CFG, "eos_token_id"],
    config_edit(eos_token_id=[]))
add("C22", "eos-list-nested", 3, [CFG, "eos_token_id[0]"],
    config_edit(eos_token_id=[[2]]))
add("C22", "bos-list", 3, [CFG, "bos_token_id"], config_edit(bos_token_id=[1]))


def biases(*parts):
    def edit(tensors):
        sizes = {"q_proj": 8, "k_proj": 4, "v_proj": 4, "o_proj": 8,
                 "gate_proj": 16, "up_proj": 16, "down_proj": 8}
        for i in range(2):
            for part in parts:
                block = "mlp" if part in ("gate_proj", "up_proj",
                                          "down_proj") else "self_attn"
                tensors[f"model.layers.{i}.{block}.{part}.bias"] = tensor(
                    [sizes[part]])
    return edit


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
for act in ("gelu", "relu", "gelu_pytorch_tanh"):
    add("C23", act, 4, [CFG, "hidden_act", act, "silu"],
        config_edit(hidden_act=act))
add("C23", "act-number", 3, [CFG, "hidden_act"], config_edit(hidden_act=1))
add("C23", "attention-bias", 0, ["2 layers"],
    model({"attention_bias": True}, edit=biases(*ATTENTION)))
add("C23", "mlp-bias", 0, ["2 layers"],
    model({"mlp_bias": True}, edit=biases(*MLP)))
add("C23", "attention-bias-missing", 3, ["q_proj.bias", "attention_bias"],
    model({"attention_bias": True}))
add("C23", "attention-bias-partly", 3, ["o_proj.bias", "attention_bias"],
    model({"attention_bias": True},
          edit=biases("q_proj", "k_proj", "v_proj")))
add("C23", "mlp-bias-missing", 3, ["gate_proj.bias", "mlp_bias"],
    model({"mlp_bias": True}))
add("C23", "attention-bias-unasked", 3, [".bias", "attention_bias is false"],
    model(edit=biases(*ATTENTION)))
add("C23", "mlp-bias-unasked", 3, [".bias", "mlp_bias is false"],
    model(edit=biases(*MLP)))
