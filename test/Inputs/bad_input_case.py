"""A case of bad input, and the valid model that it is made from."""

import copy
import json
import os
import struct

CASES = []
LIMIT = 100_000_000


class Case:
    """One folder: how to make it, and what must come of it."""

    def __init__(self, row, name, code, words, build, args=(), **extra):
        self.row, self.name, self.code = row, name, code
        self.words, self.build, self.args = list(words), build, list(args)
        # notWords: must not be in the output; target: path below the folder
        # (or absolute) to open; noFiles: RLIMIT_NOFILE; unprivileged: not root.
        self.extra = extra

    @property
    def id(self):
        return f"{self.row}-{self.name}"

    def manifest(self):
        return dict(row=self.row, name=self.name, exit=self.code,
                    words=self.words, args=self.args, **self.extra)


def case(row, name, code, words, args=(), **extra):
    def register(build):
        CASES.append(Case(row, name, code, words, build, args, **extra))
        return build
    return register


def add(row, name, code, words, build, args=(), **extra):
    CASES.append(Case(row, name, code, words, build, args, **extra))


SIZES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "U8": 1, "I32": 4}
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
    "vocab_size": 16, "max_position_embeddings": 64, "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0, "hidden_act": "silu",
    "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
    "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
}


def tensor(shape, dtype="F32", seed=1):
    count = SIZES[dtype]
    for dimension in shape:
        count *= dimension
    return dtype, list(shape), bytes((i * 7 + seed) % 251 for i in range(count))


def llama(layers=2, hidden=8, ffn=16, queries=8, keys=4, vocab=16, head=True):
    tensors = {"model.embed_tokens.weight": tensor([vocab, hidden], seed=3)}
    for i in range(layers):
        at = f"model.layers.{i}."
        tensors[at + "input_layernorm.weight"] = tensor([hidden])
        tensors[at + "self_attn.q_proj.weight"] = tensor([queries, hidden])
        tensors[at + "self_attn.k_proj.weight"] = tensor([keys, hidden])
        tensors[at + "self_attn.v_proj.weight"] = tensor([keys, hidden])
        tensors[at + "self_attn.o_proj.weight"] = tensor([hidden, queries])
        tensors[at + "post_attention_layernorm.weight"] = tensor([hidden])
        tensors[at + "mlp.gate_proj.weight"] = tensor([ffn, hidden])
        tensors[at + "mlp.up_proj.weight"] = tensor([ffn, hidden])
        tensors[at + "mlp.down_proj.weight"] = tensor([hidden, ffn])
    tensors["model.norm.weight"] = tensor([hidden])
    if head:
        tensors["lm_head.weight"] = tensor([vocab, hidden], seed=5)
    return tensors


NORM = "model.norm.weight"
EMBED = "model.embed_tokens.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


def layout(tensors):
    """Header dictionary and data of a lawful file."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return header, data


def pack(header, data):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def write(path, content):
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def write_config(folder, config=CONFIG):
    text = config if isinstance(config, (str, bytes)) else json.dumps(config)
    write(os.path.join(folder, "config.json"), text)


def write_model(folder, tensors=None, config=CONFIG,
                name="model.safetensors"):
    write_config(folder, config)
    write(os.path.join(folder, name), pack(*layout(tensors or llama())))


def raw(make):
    """A case whose model.safetensors is `make()`, with a valid config."""
    def build(folder):
        write_config(folder)
        write(os.path.join(folder, "model.safetensors"), make())
    return build


def header_edit(edit):
    """A case that edits the header (dictionary) and data of a valid file."""
    def build(folder):
        header, data = layout(llama())
        result = edit(header, data)
        header, data = result if result is not None else (header, data)
        write_config(folder)
        write(os.path.join(folder, "model.safetensors"), pack(header, data))
    return build


def text_edit(edit):
    """A case that edits the header's bytes."""
    def build(folder):
        header, data = layout(llama())
        write_config(folder)
        write(os.path.join(folder, "model.safetensors"),
              pack(edit(json.dumps(header).encode()), data))
    return build


def config_edit(**changes):
    """A case that sets (or, by `...`, removes) fields of config.json."""
    def build(folder):
        config = copy.deepcopy(CONFIG)
        for key, value in changes.items():
            if value is ...:
                config.pop(key, None)
            else:
                config[key] = value
        write_model(folder, config=config)
    return build


def config_text(field, text):
    """A case that puts raw text in place of a field's value."""
    def build(folder):
        config = json.dumps(dict(CONFIG, **{field: "@@"}))
        write_model(folder, config=config.replace('"@@"', text))
    return build


def config_bytes(make):
    def build(folder):
        write_model(folder, config=make(json.dumps(CONFIG).encode()))
    return build


def model(config=None, **changes):
    """A case with its own tensors: `edit(tensors)` and config changes."""
    edit = changes.pop("edit", None)

    def build(folder):
        tensors = llama(**{k: v for k, v in changes.items()})
        if edit:
            tensors = edit(tensors) or tensors
        write_model(folder, tensors, dict(CONFIG, **(config or {})))
    return build


SHARD = "model.safetensors"

SHARD = "model.safetensors"
INDEX = "model.safetensors.index.json"
