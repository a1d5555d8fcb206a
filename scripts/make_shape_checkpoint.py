#!/usr/bin/env python3
"""Writes a random checkpoint of a named shape, as a Hugging Face folder.

    make_shape_checkpoint.py 1B /tmp/shape-1b
    make_shape_checkpoint.py 8B /tmp/shape-8b --layers 2

Weights are bf16, normal with deviation 0.02, norms are 1: activations stay
finite, text means nothing. The same shape, layers and seed give the same bytes.
Memory stays at a few hundred MB, whatever the shape. The tokenizer has a token
for each byte and a filler for every other id. Needs numpy.
"""

import argparse
import json
import os
import sys

import numpy as np

# Shapes of design section 7; `tiny` is for tests.
SHAPES = {
    "tiny": dict(hidden=256, ffn=768, layers=4, heads=4, kv_heads=2, vocabulary=1024, tied=True),
    "1B": dict(hidden=2048, ffn=8192, layers=16, heads=32, kv_heads=8, vocabulary=128256, tied=True),
    "8B": dict(hidden=4096, ffn=14336, layers=32, heads=32, kv_heads=8, vocabulary=128256, tied=False),
}
SHARD_BYTES = 1 << 30
CHUNK = 1 << 23  # elements made at a time
DEVIATION = 0.02


def list_tensors(shape):
    """(name, shape) of all tensors, in the order of the files."""
    hidden, ffn = shape["hidden"], shape["ffn"]
    kv = hidden // shape["heads"] * shape["kv_heads"]
    yield "model.embed_tokens.weight", (shape["vocabulary"], hidden)
    for layer in range(shape["layers"]):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", (hidden,)
        yield at + "self_attn.q_proj.weight", (hidden, hidden)
        yield at + "self_attn.k_proj.weight", (kv, hidden)
        yield at + "self_attn.v_proj.weight", (kv, hidden)
        yield at + "self_attn.o_proj.weight", (hidden, hidden)
        yield at + "post_attention_layernorm.weight", (hidden,)
        yield at + "mlp.gate_proj.weight", (ffn, hidden)
        yield at + "mlp.up_proj.weight", (ffn, hidden)
        yield at + "mlp.down_proj.weight", (hidden, ffn)
    yield "model.norm.weight", (hidden,)
    if not shape["tied"]:
        yield "lm_head.weight", (shape["vocabulary"], hidden)


def to_bf16(values):
    """f32 to bf16 bits, to nearest even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def chunks(name, dims, seed):
    """The elements of a tensor as arrays of bf16 bits."""
    count = int(np.prod(dims))
    if len(dims) == 1:
        yield to_bf16(np.ones(count, np.float32))
        return
    # Named after the tensor: fewer layers do not change the rest.
    random = np.random.Generator(np.random.PCG64([seed, *name.encode()]))
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        yield to_bf16(random.standard_normal(size, np.float32) * np.float32(DEVIATION))


def split_shards(tensors):
    """Lists of tensors of at most SHARD_BYTES each (or one tensor)."""
    shards, room = [], 0
    for name, dims in tensors:
        size = 2 * int(np.prod(dims))
        if size > room:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append((name, dims))
        room -= size
    return shards


def write_shard(path, tensors, seed):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dims in tensors:
        size = 2 * int(np.prod(dims))
        header[name] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, dims in tensors:
            for part in chunks(name, dims, seed):
                file.write(part.tobytes())


def byte_characters():
    """The character that stands for each byte in byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {byte: chr(byte) for byte in plain}
    table.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return [table[byte] for byte in range(256)]


def make_tokenizer(vocabulary):
    special = ["<|begin_of_text|>", "<|end_of_text|>"]
    tokens = special + byte_characters()
    tokens += [f"<{i}>" for i in range(len(tokens), vocabulary)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for i, text in enumerate(special)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {text: i for i, text in enumerate(tokens)}, "merges": []},
    }


def make_config(shape):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["ffn"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv_heads"],
        "head_dim": shape["hidden"] // shape["heads"],
        "vocab_size": shape["vocabulary"],
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": shape["tied"],
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "bfloat16",
    }


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder")
    parser.add_argument("--layers", type=int, help="fewer or more layers than the shape has")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shape = dict(SHAPES[options.shape])
    if options.layers is not None:
        shape["layers"] = options.layers
    if shape["layers"] < 1:
        parser.error(f"--layers: is {shape['layers']}, must be at least 1")
    if options.seed < 0:
        parser.error(f"--seed: is {options.seed}, must be at least 0")
    os.makedirs(options.folder, exist_ok=True)
    if os.listdir(options.folder):
        sys.exit(f"{options.folder}: is not empty")

    shards = split_shards(list_tensors(shape))
    names = ["model.safetensors"]
    if len(shards) > 1:
        names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, tensors in zip(names, shards):
        print(f"{name}: {len(tensors)} tensors", file=sys.stderr)
        write_shard(os.path.join(options.folder, name), tensors, options.seed)
    if len(shards) > 1:
        total = sum(2 * int(np.prod(dims)) for _, dims in list_tensors(shape))
        write_json(os.path.join(options.folder, "model.safetensors.index.json"),
                   {"metadata": {"total_size": total},
                    "weight_map": {tensor: name for name, part in zip(names, shards) for tensor, _ in part}})
    write_json(os.path.join(options.folder, "tokenizer.json"), make_tokenizer(shape["vocabulary"]))
    # Last: a folder with a configuration is whole.
    write_json(os.path.join(options.folder, "config.json"), make_config(shape))


if __name__ == "__main__":
    main()
