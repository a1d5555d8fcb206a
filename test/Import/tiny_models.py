"""Small random models of every kind that import knows, from a seed.

  tiny_models.py NAME FOLDER     writes one of MODELS as a model folder

Weights are made from 64-bit integers of NumPy's PCG64 stream, so every NumPy
gives the same bytes. Only numpy and the standard library.
"""
import json
import pathlib
import sys

import numpy as np

BASE = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 97,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "hidden_act": "silu", "tie_word_embeddings": False, "attention_bias": False,
    "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 2,
}

LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}

# name: (seed, element types of matrices and vectors, shards, tokens, config)
MODELS = {
    # Llama 1: an own head, as many KV heads as heads.
    "llama1": (1, "F32", "F32", 1, 40, {"num_key_value_heads": 4}),
    # Llama 2 stretched by linear scaling, tied, f16, in shards.
    "llama2_linear": (2, "F16", "F16", 3, 40, {
        "tie_word_embeddings": True, "rms_norm_eps": 1e-6,
        "rope_scaling": {"type": "linear", "factor": 4.0}}),
    # Llama 3.1: scaled by wavelength, bf16, several end tokens.
    "llama3": (3, "BF16", "BF16", 2, 40, {
        "rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE, "head_dim": 16,
        "eos_token_id": [2, 3], "torch_dtype": "bfloat16"}),
    # The newer spelling of the same, norms wider than matrices.
    "llama3_rope_parameters": (4, "BF16", "F32", 1, 40, {
        "rope_theta": None, "tie_word_embeddings": True,
        "rope_parameters": {**LLAMA3_ROPE, "rope_theta": 10000.0}}),
    # Biases everywhere, one KV head.
    "biases": (5, "F32", "F32", 1, 40, {
        "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 1}),
    # head_dim given, heads do not divide hidden.
    "odd_heads": (6, "F32", "F32", 1, 40, {
        "hidden_size": 40, "num_attention_heads": 3, "num_key_value_heads": 3,
        "head_dim": 12, "attention_bias": True}),
    # More than one slab of columns and several blocks of keys.
    "long": (7, "F16", "F32", 1, 200, {
        "intermediate_size": 1100, "num_hidden_layers": 1}),
}


def config(name):
    return {**BASE, **MODELS[name][5]}


def shapes(c):
    """(tensor, shape) in the order of a checkpoint."""
    head = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    hidden, ffn, vocabulary = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    yield "model.embed_tokens.weight", [vocabulary, hidden]
    linears = [("self_attn.q_proj", q, hidden, "attention_bias"),
               ("self_attn.k_proj", kv, hidden, "attention_bias"),
               ("self_attn.v_proj", kv, hidden, "attention_bias"),
               ("self_attn.o_proj", hidden, q, "attention_bias"),
               ("mlp.gate_proj", ffn, hidden, "mlp_bias"),
               ("mlp.up_proj", ffn, hidden, "mlp_bias"),
               ("mlp.down_proj", hidden, ffn, "mlp_bias")]
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", [hidden]
        for linear, rows, columns, bias in linears:
            yield prefix + linear + ".weight", [rows, columns]
            if c[bias]:
                yield prefix + linear + ".bias", [rows]
        yield prefix + "post_attention_layernorm.weight", [hidden]
    yield "model.norm.weight", [hidden]
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", [vocabulary, hidden]


def uniform(stream, shape):
    """f32 in [−1, 1), a multiple of 2^−23, from 24 bits of each integer."""
    bits = stream.random_raw(int(np.prod(shape))) >> np.uint64(40)
    return ((bits.astype(np.float64) - 2**23) / 2**23).astype(np.float32).reshape(shape)


def values(name):
    """tensor -> f32 array, before it is stored."""
    stream = np.random.PCG64(MODELS[name][0])
    result = {}
    for tensor, shape in shapes(config(name)):
        x = uniform(stream, shape)
        if "norm" in tensor:
            x = np.float32(1) + x / 4
        elif len(shape) == 2 and "embed" not in tensor:
            # Variance 1/columns, so that layers neither fade nor explode.
            x = x * np.float32(np.sqrt(3 / shape[1]) * 1.5)
        result[tensor] = x
    return result


def stored(x, dtype):
    if dtype == "F32":
        return x.astype("<f4").tobytes()
    if dtype == "F16":
        return x.astype("<f2").tobytes()
    bits = x.view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype("<u2").tobytes()


def safetensors(tensors):
    """The bytes of a file with (name, dtype, shape, data)."""
    header, data = {}, b""
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def write_model(name, folder):
    _, matrices, vectors, shards, _, _ = MODELS[name]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(name), indent=1))
    tensors = []
    for tensor, x in values(name).items():
        dtype = matrices if x.ndim == 2 else vectors
        tensors.append((tensor, dtype, list(x.shape), stored(x, dtype)))
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors(tensors))
        return
    index = {"metadata": {"total_size": sum(len(t[3]) for t in tensors)},
             "weight_map": {}}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = tensors[shard::shards]
        (folder / file).write_bytes(safetensors(part))
        index["weight_map"].update({t[0]: file for t in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def tokens(name):
    _, _, _, _, count, _ = MODELS[name]
    bits = np.random.PCG64(1000 + MODELS[name][0]).random_raw(count)
    return [int(b) % config(name)["vocab_size"] for b in bits]


if __name__ == "__main__":
    write_model(sys.argv[1], sys.argv[2])
