#!/usr/bin/env python3
# suite: imported models, by the reference interpreter, against transformers.
"""Compares logits of imported models with those of transformers.

Needs LOWBIT_BUILD (the build folder), Debian's python3 and python3-numpy, and
expected_logits.npz (make_parity.py makes it, with torch and transformers).

The bound is max |difference| <= 1e-4 of max |logit| for F64 mode and for strict
f32 steps. Strict mode with its f16 cache differs by what rounding keys and
values to f16 costs, which the bound of transformers' f32 cannot hold; it must
stay below 3e-3.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import tiny_models

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOL = pathlib.Path(os.environ["LOWBIT_BUILD"]) / "bin" / "lowbit-reference"
# (label, flags, bound)
ENGINES = [("f64", ["--engine=f64"], 1e-4),
           ("strict, exact cache", ["--engine=strict", "--exact-cache"], 1e-4),
           ("strict, f16 cache", ["--engine=strict"], 3e-3)]


def logits(model, ids, flags):
    """[tokens][vocabulary], or a line that says what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "ids").write_text(" ".join(map(str, ids)))
        done = subprocess.run(
            [TOOL, "--model", model, "--ids", path / "ids", "--logits",
             path / "out.npy", *flags], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return f"exit {done.returncode}: {done.stderr.strip()}"
        return np.load(path / "out.npy")


def compare(name, model, ids, expected):
    """Failures of one model on all engines; prints a line for each run."""
    failures = 0
    for label, flags, bound in ENGINES:
        got = logits(model, ids, flags)
        if isinstance(got, str):
            print(f"FAIL {name}, {label}: {got}")
            failures += 1
            continue
        picked = got[expected[f"{name}.rows"]] if f"{name}.rows" in expected else got
        if f"{name}.columns" in expected:
            picked = picked[:, expected[f"{name}.columns"]]
        wanted = expected[f"{name}.logits"]
        error = (np.abs(picked - wanted).max() / expected[f"{name}.max"]
                 if picked.shape == wanted.shape else np.inf)
        good = bool(error <= bound)
        if f"{name}.argmax" in expected:
            good = good and bool((got.argmax(1) == expected[f"{name}.argmax"]).all())
        print(f"{'ok  ' if good else 'FAIL'} {name}, {label}: max |difference| is "
              f"{error:.2e} of max |logit|, bound {bound:.0e}")
        failures += not good
    return failures


def main():
    expected = dict(np.load(HERE / "expected_logits.npz"))
    run = failed = skipped = 0
    for name in tiny_models.MODELS:
        with tempfile.TemporaryDirectory() as folder:
            tiny_models.write_model(name, folder)
            failed += compare(name, folder, tiny_models.tokens(name), expected)
        run += len(ENGINES)
    trained = {"books-7m": ROOT / "examples/models/books-7m",
               "stories260K": ROOT.parent / "shared/models/stories260K"}
    for name, folder in trained.items():
        if not folder.is_dir():
            print(f"skipped: {name}: {folder} is not there")
            skipped += len(ENGINES)
            continue
        failed += compare(name, folder, expected[f"{name}.ids"], expected)
        run += len(ENGINES)
    print(f"{run - failed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
