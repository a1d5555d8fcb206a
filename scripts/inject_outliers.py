#!/usr/bin/env python3
"""Gives a LLaMA-like model outliers without changing what it computes (methods, section 0b.1).

  inject_outliers.py residual MODEL OUT --profile FILE
      Scales of norms go into the linears, the head is untied, and the residual
      stream is turned into the basis of its own principal components: most of
      its energy then lies in a few channels. No folding of scales undoes it;
      a rotation of the residual stream (R1) does. The profile is of MODEL, made
      by lowbit-calibrate --moments=full.
  inject_outliers.py channels MODEL OUT [--scale S] [--channels N] [--seed N]
      In each layer some rows of `up`, of `v` (of each key head) and pairs of rows
      of `k` become S times larger, and the columns of `down` and `o` and rows of
      `q` that meet them S times smaller. Channel scales undo it; rotations only
      spread it.

Weights are computed in f64 and stored as f32. test/Integration/outliers.py shows
that logits stay, and what repairs the outliers.
"""
import argparse
import json
import pathlib
import shutil
import sys

import numpy as np

LAYER = "model.layers.%d."


def read_tensors(path):
    """Metadata and tensors of a safetensors file, floats as f64."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        data = raw[8 + size + first:8 + size + last]
        if entry["dtype"] == "BF16":
            value = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        elif entry["dtype"] in ("F32", "F16", "F64"):
            value = np.frombuffer(data, {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[entry["dtype"]])
        else:
            sys.exit(f"{path}: {name} is {entry['dtype']}, must be BF16, F16, F32 or F64")
        tensors[name] = value.astype("f8").reshape(entry["shape"])
    return metadata, tensors


def write_tensors(path, tensors):
    """All as f32, in the order of their names."""
    header, data = {}, bytearray()
    for name in sorted(tensors):
        value = tensors[name].astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": tensors[name].shape,
                        "data_offsets": [len(data), len(data) + len(value)]}
        data += value
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


class Model:
    """The weights of a folder by short names, the head untied."""

    def __init__(self, folder):
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        self.tensors = {}
        for path in sorted(folder.glob("*.safetensors")):
            self.tensors.update(read_tensors(path)[1])
        self.tensors.setdefault("lm_head.weight", self.tensors["model.embed_tokens.weight"].copy())
        self.layers = self.config["num_hidden_layers"]

    def save(self, out):
        out.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.is_file() and path.suffix not in (".safetensors", ".bin", ".gguf") and \
                    not path.name.endswith(".index.json"):
                shutil.copyfile(path, out / path.name)
        config = dict(self.config, tie_word_embeddings=False)
        for key in ("dtype", "torch_dtype"):
            if key in config:
                config[key] = "float32"
        (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        write_tensors(out / "model.safetensors", self.tensors)

    def linear(self, layer, name):
        """Names of weight and bias; the bias may be absent."""
        return [LAYER % layer + name + end for end in (".weight", ".bias")]

    def readers(self, layer):
        """Norms of a layer, and the linears that read them."""
        attention = ["self_attn." + name for name in ("q_proj", "k_proj", "v_proj")]
        return [(LAYER % layer + "input_layernorm.weight", attention),
                (LAYER % layer + "post_attention_layernorm.weight", ["mlp.gate_proj", "mlp.up_proj"])]

    def scale_rows(self, layer, name, rows, factor):
        for tensor in self.linear(layer, name):
            if tensor in self.tensors:
                self.tensors[tensor][rows] *= factor

    def scale_columns(self, layer, name, columns, factor):
        self.tensors[self.linear(layer, name)[0]][:, columns] *= factor


def principal_basis(model, profile):
    """Columns: eigenvectors of the normalized residual stream's second moments, over all norms.

    The profile has those of the norms' results, scales included.
    """
    metadata, tensors = read_tensors(profile)
    if metadata.get("moments") != "full":
        sys.exit(f"{profile}: has no full moments: lowbit-calibrate --moments=full")
    columns = model.config["hidden_size"]
    moments = np.zeros((columns, columns))
    for layer in range(model.layers):
        for norm, linears in model.readers(layer):
            name = "h." + model.linear(layer, linears[0])[0]
            lower = np.zeros((columns, columns))
            lower[np.tril_indices(columns)] = tensors[metadata.get(name, name)]
            scale = model.tensors[norm]
            moments += (lower + np.tril(lower, -1).T) / np.outer(scale, scale)
    return np.linalg.eigh(moments)[1]


def inject_residual(model, profile):
    basis = principal_basis(model, profile)
    tensors = model.tensors
    tensors["lm_head.weight"] = tensors["lm_head.weight"] * tensors["model.norm.weight"] @ basis
    tensors["model.norm.weight"][:] = 1
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"] @ basis
    for layer in range(model.layers):
        for norm, linears in model.readers(layer):
            for linear in linears:
                weight = model.linear(layer, linear)[0]
                tensors[weight] = tensors[weight] * tensors[norm] @ basis
            tensors[norm][:] = 1
        for linear in ("self_attn.o_proj", "mlp.down_proj"):
            weight, bias = model.linear(layer, linear)
            tensors[weight] = basis.T @ tensors[weight]
            if bias in tensors:
                tensors[bias] = tensors[bias] @ basis


def inject_channels(model, scale, channels, seed):
    random = np.random.default_rng(seed)
    config = model.config
    heads = config["num_attention_heads"]
    key_heads = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or config["hidden_size"] // heads
    group = heads // key_heads
    for layer in range(model.layers):
        rows = random.choice(config["intermediate_size"], channels, replace=False)
        model.scale_rows(layer, "mlp.up_proj", rows, scale)
        model.scale_columns(layer, "mlp.down_proj", rows, 1 / scale)
        for head in range(key_heads):
            queries = range(head * group, (head + 1) * group)
            value = random.choice(size, 1)
            model.scale_rows(layer, "self_attn.v_proj", head * size + value, scale)
            for query in queries:
                model.scale_columns(layer, "self_attn.o_proj", query * size + value, 1 / scale)
            # Channels i and i + size / 2 turn together.
            pair = random.choice(size // 2, 1)
            for part in (pair, pair + size // 2):
                model.scale_rows(layer, "self_attn.k_proj", head * size + part, scale)
                for query in queries:
                    model.scale_rows(layer, "self_attn.q_proj", query * size + part, 1 / scale)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["residual", "channels"])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--profile", type=pathlib.Path)
    parser.add_argument("--scale", type=float, default=16)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.kind == "residual" and options.profile is None:
        parser.error("residual needs --profile")
    model = Model(options.model)
    if options.kind == "residual":
        inject_residual(model, options.profile)
    else:
        inject_channels(model, options.scale, options.channels, options.seed)
    model.save(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
