#!/usr/bin/env python3
"""Makes expected_logits.npz: logits of `transformers` in f32, for parity.py.

  make_parity.py [--shared ../../../shared]     needs torch and transformers

Tiny models: all logits of the rows ROWS. The two trained models: 64 columns of
each row, its largest logit's id, and the largest |logit| of all.
"""
import argparse
import pathlib
import tempfile

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

import tiny_models

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# transformers 5 refuses heads that do not divide hidden_size even where head_dim
# is given; its model has no such limit (nor had earlier versions).
LlamaConfig.__class_validators__ = [
    check for check in LlamaConfig.__class_validators__
    if check.__name__ != "validate_architecture"]

# Text of the trained models: ids of the first words of a story.
BOOKS_IDS = [0, 1411, 297, 258, 682, 12, 3003, 84, 1003, 259, 304, 77, 2020, 4095,
             560, 271, 33, 19, 900, 1500, 2222, 3333, 44, 5]
STORIES_IDS = [1, 403, 407, 261, 378, 432, 384, 34, 505, 400, 23, 97, 301, 299, 288,
               411, 276, 5, 77, 256, 133, 500, 511, 3]


def logits(folder, ids):
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def rows_of(count):
    """Rows that are kept: all of a short text, some of a long one."""
    return list(range(count)) if count <= 40 else [0, 1, 62, 63, 64, 65, 127, 128, count - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared")
    arguments = parser.parse_args()
    result = {}
    for name in tiny_models.MODELS:
        with tempfile.TemporaryDirectory() as folder:
            tiny_models.write_model(name, folder)
            full = logits(folder, tiny_models.tokens(name))
        rows = rows_of(len(full))
        result[f"{name}.rows"] = np.array(rows, np.int32)
        result[f"{name}.logits"] = full[rows]
        result[f"{name}.max"] = np.abs(full).max()
    trained = {"books-7m": (ROOT / "examples/models/books-7m", BOOKS_IDS),
               "stories260K": (arguments.shared / "models/stories260K", STORIES_IDS)}
    for name, (folder, ids) in trained.items():
        full = logits(folder, ids)
        columns = np.arange(64) * (full.shape[1] // 64) + 3
        result[f"{name}.ids"] = np.array(ids, np.int32)
        result[f"{name}.columns"] = columns.astype(np.int32)
        result[f"{name}.logits"] = full[:, columns]
        result[f"{name}.argmax"] = full.argmax(1).astype(np.int32)
        result[f"{name}.max"] = np.abs(full).max()
    np.savez_compressed(HERE / "expected_logits.npz", **result)
    print(f"{len(result)} arrays")


if __name__ == "__main__":
    main()
