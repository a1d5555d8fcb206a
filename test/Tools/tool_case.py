"""Model folders with a tokenizer, runs of lowbit-compile, and what they left.

Only numpy and the standard library.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "Import"), str(HERE.parent / "Reference")]

import tiny_models  # noqa: E402

# One token for each of the first printable bytes; no merges.
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
    "normalizer": None, "post_processor": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False,
                      "trim_offsets": True, "use_regex": True},
    "decoder": {"type": "ByteLevel", "add_prefix_space": True,
                "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "dropout": None, "unk_token": None,
              "continuing_subword_prefix": None, "end_of_word_suffix": None,
              "fuse_unk": False, "byte_fallback": False, "merges": [],
              "vocab": {chr(33 + i): i for i in range(90)}},
}


def write_model(name, folder):
    tiny_models.write_model(name, folder)
    (pathlib.Path(folder) / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    return pathlib.Path(folder)


def write_tensors(path, tensors):
    """(name, dtype, array) to a safetensors file."""
    pathlib.Path(path).write_bytes(tiny_models.safetensors(
        [(name, dtype, list(a.shape), a.tobytes()) for name, dtype, a in tensors]))


def read_safetensors(path):
    """name -> bytes of the tensor, and the offset of each."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: data[8 + size + h["data_offsets"][0]:8 + size + h["data_offsets"][1]]
            for name, h in header.items()}


def run(*arguments, expect=0, **options):
    """Runs lowbit-compile; returns (stdout, stderr)."""
    done = subprocess.run(["lowbit-compile", *map(str, arguments)],
                          capture_output=True, text=True, **options)
    if done.returncode != expect:
        raise SystemExit(f"lowbit-compile {' '.join(map(str, arguments))}\n"
                         f"exit {done.returncode}, expected {expect}\n"
                         f"{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def start(*arguments):
    """Starts lowbit-compile; only its stderr is kept."""
    return subprocess.Popen(["lowbit-compile", *map(str, arguments)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def left_behind(folder):
    """All names in a folder, hidden ones, too."""
    return sorted(os.listdir(folder))


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def fresh(path):
    """An empty folder."""
    path = pathlib.Path(path).absolute()
    subprocess.run(["rm", "-rf", str(path)], check=True)
    path.mkdir(parents=True)
    return path


def big_model(folder, layers=4, hidden=768, ffn=2048, vocabulary=97, tied=True):
    """A model large enough to be interrupted: random bf16 weights."""
    folder = pathlib.Path(folder)
    c = {**tiny_models.BASE, "hidden_size": hidden, "intermediate_size": ffn,
         "num_hidden_layers": layers, "num_attention_heads": 8,
         "num_key_value_heads": 2, "vocab_size": vocabulary,
         "tie_word_embeddings": tied}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(c))
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    random = np.random.Generator(np.random.PCG64(7))
    tensors = []
    for name, shape in tiny_models.shapes(c):
        x = random.standard_normal(shape, dtype=np.float32) / 32
        tensors.append((name, "BF16", list(shape), tiny_models.stored(x, "BF16")))
    (folder / "model.safetensors").write_bytes(tiny_models.safetensors(tensors))
    return folder
