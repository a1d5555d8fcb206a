#!/usr/bin/env python3
"""Writes a checkpoint of make_shape_checkpoint.py as a GGUF file, for llama.cpp to measure.

    make_shape_gguf.py /tmp/shape-1b /tmp/shape-1b.gguf
    llama-quantize /tmp/shape-1b.gguf /tmp/shape-1b-q4_0.gguf q4_0

The same numbers (bf16), no tokenizer: llama-bench needs none. Needs the package `gguf`.
"""

import argparse
import json
import os

import gguf
import numpy as np

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    stem = name.removesuffix(".weight")
    if stem in TOP_NAMES:
        return TOP_NAMES[stem] + ".weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def read_tensors(folder):
    """(name, array of bf16 bits), mapped, shard by shard."""
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".safetensors"):
            continue
        path = os.path.join(folder, file)
        with open(path, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                yield name, np.memmap(path, "<u2", "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"]))


def convert(name, bits, config):
    """What llama.cpp wants of a tensor: norms in f32, pairs of rotary columns side by side."""
    if bits.ndim == 1:
        return (bits.astype(np.uint32) << 16).view(np.float32), None
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    count = heads.get(name.split(".")[-2])
    if count:
        half = bits.shape[0] // count // 2
        bits = bits.reshape(count, 2, half, -1).swapaxes(1, 2).reshape(bits.shape)
    return np.ascontiguousarray(bits).view(np.uint8), gguf.GGMLQuantizationType.BF16


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("output")
    options = parser.parse_args()
    with open(os.path.join(options.folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    writer = gguf.GGUFWriter(options.output, "llama", use_temp_file=False)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    for name, bits in read_tensors(options.folder):
        name = gguf_name(name)
        array, kind = convert(name, bits, config)
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
