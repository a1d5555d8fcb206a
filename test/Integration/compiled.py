#!/usr/bin/env python3
# suite: compiled models against the reference interpreter (to the bit) and transformers.
"""Compiles small models and compares the kernels' logits.

- With recipe `float` against transformers: max |difference| <= 1e-4 of max |logit|
  (expected_logits.npz of test/Import).
- With named recipes, with E4M3 row scales, stacks of trellis codes, and caches and activations of 8, 4 and
  2 bits, against the strict interpreter: equal to the bit, for every variant that this machine runs,
  one and two threads, and token by token instead of in one batch.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "Tools"), str(HERE.parent / "Import"), str(HERE.parent / "Reference"),
                str(ROOT / "python")]

import tiny_models  # noqa: E402
from tool_case import write_model  # noqa: E402
import lowbit  # noqa: E402

BIN = pathlib.Path(os.environ["LOWBIT_BUILD"]) / "bin"
RECIPES = ["float", "int8-g64", "int4-g64", "int3-g64", "int2-g64", "trellis2"]
# Every kind of scale, zero and group that the named recipes leave out.
EXTRA = {"quantize": [
    {"lowbit-quantize": {"roles": ["embedding", "head"], "format": "int4-g32-stored", "solver": "search"}},
    {"lowbit-quantize": {"roles": ["q", "k", "v"], "format": "int3-row-e4m3-half", "solver": "search", "activation": "i8"}},
    {"lowbit-quantize": {"roles": ["down"], "format": "int2-g32-e4m3-stored", "solver": "search"}},
    {"lowbit-quantize": {"format": "int8-row", "solver": "nearest"}},
    {"lowbit-set-cache": {"type": "i8"}}]}
# Other rates and stacks of trellis codes, with both windows and activations.
TRELLIS = {"quantize": [
    {"lowbit-quantize": {"roles": ["embedding", "head"], "format": "int8-g64", "solver": "search"}},
    {"lowbit-quantize": {"roles": ["q", "k", "v"], "format": "trellis1.5", "solver": "viterbi", "activation": "i8"}},
    {"lowbit-quantize": {"roles": ["down"], "format": "trellis3-fast", "solver": "viterbi"}},
    {"lowbit-quantize": {"roles": ["o"], "format": "trellis0.5", "solver": "viterbi", "activation": "i4-g32-e4m3-stored"}},
    {"lowbit-quantize": {"format": "trellis1+1", "solver": "viterbi"}}]}
# Small floats, levels, and the integers with several planes of digits.
ELEMENTS = {"quantize": [
    {"lowbit-quantize": {"roles": ["embedding", "head"], "format": "mxfp6-e2m3", "solver": "search"}},
    {"lowbit-quantize": {"roles": ["q", "k", "v"], "format": "nvfp4", "solver": "search", "activation": "i4-g32-e4m3"}},
    {"lowbit-quantize": {"roles": ["o"], "format": "ternary-row", "solver": "search", "activation": "i8"}},
    {"lowbit-quantize": {"roles": ["gate", "up"], "format": "mxfp4", "solver": "nearest"}},
    {"lowbit-quantize": {"format": "int5-g64-half", "solver": "search"}},
    {"lowbit-set-cache": {"type": "f16"}}]}
# Activations and a cache of 4 and 2 bits, groups of both sides smaller, equal and larger.
GROUPED = {"quantize": [
    {"lowbit-quantize": {"roles": ["embedding", "head"], "format": "int8-g64", "solver": "nearest"}},
    {"lowbit-quantize": {"roles": ["q", "k", "v"], "format": "int4-row", "activation": "i4-g32-e4m3-stored"}},
    {"lowbit-quantize": {"roles": ["down"], "format": "int3-g32-half", "activation": "i4-g64-e4m3"}},
    {"lowbit-quantize": {"roles": ["o"], "format": "int8-g128-stored", "activation": "i2-g32-stored"}},
    {"lowbit-quantize": {"format": "int4-g64", "activation": "i4-g128"}},
    {"lowbit-set-cache": {"type": "i4-g32"}}]}
PAIRS = {"quantize": [{"lowbit-quantize": {"format": "int4-g64", "activation": "i2-g32-e4m3-stored"}},
                      {"lowbit-set-cache": {"type": "i2-head"}}]}
SHARED = ROOT.parent / "shared/models/stories260K"


class Tally:
    passed = failed = skipped = 0

    def check(self, good, what):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print("FAIL " + what)


def run(tool, *arguments):
    command = [str(BIN / tool), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")


def logits(folder, artifact, *flags):
    run("lowbit-run", artifact, "--ids", folder / "ids", "--logits", folder / "out.npy", *flags)
    return np.load(folder / "out.npy")


def same(a, b):
    return a.shape == b.shape and (a.view(np.uint32) == b.view(np.uint32)).all()


def one_by_one(artifact, ids):
    """Logits of one row a step, with rows of another sequence in between."""
    context = lowbit.Model(artifact).context(sequences=2)
    main, other = context.sequence(), context.sequence()
    rows = []
    for i, token in enumerate(ids):
        rows.append(context.step([(other, i, ids[-1 - i]), (main, i, token)], [1]))
    return np.concatenate(rows)


def variants():
    listed = subprocess.run([BIN / "lowbit-run", "--list-variants"], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    for line in listed.splitlines():
        name, available = line.split()[:2]
        yield name, available == "yes"


def compare_with_reference(tally, folder, model, name, recipe, ids):
    artifact = folder / "m.lowbit"
    run("lowbit-compile", model, "-o", artifact, "--recipe", recipe, "--force")
    label = f"{name}, {pathlib.Path(recipe).stem}"
    expected = logits(folder, artifact, "--engine=reference")
    tally.check(np.isfinite(expected).all(), f"{label}: the reference's logits are finite")
    for variant, available in variants():
        if available:
            tally.check(same(logits(folder, artifact, "--variant", variant), expected), f"{label}, {variant}")
        else:
            tally.skipped += 1
    tally.check(same(logits(folder, artifact, "-t", "1"), expected), f"{label}, one thread")
    tally.check(same(one_by_one(artifact, ids), expected), f"{label}, token by token beside another sequence")
    return artifact


def main():
    tally = Tally()
    missing = [name for name, available in variants() if not available]
    if missing:
        print(f"skipped: variants that this machine cannot run: {', '.join(missing)}")
    expected = dict(np.load(HERE.parent / "Import" / "expected_logits.npz"))
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
    for name in list(tiny_models.MODELS) + ["books-7m", "stories260K"]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            own = []
            for file, recipe in (("extra", EXTRA), ("trellis", TRELLIS), ("elements", ELEMENTS), ("grouped", GROUPED),
                                 ("pairs", PAIRS)):
                own.append(folder / f"{file}.json")
                own[-1].write_text(json.dumps(recipe))
            if name in tiny_models.MODELS:
                (folder / "model").mkdir()
                model, ids = write_model(name, folder / "model"), tiny_models.tokens(name)
            else:
                model = ROOT / "examples/models/books-7m" if name == "books-7m" else SHARED
                ids = [int(i) for i in expected[f"{name}.ids"]]
            if not model.is_dir():
                print(f"skipped: {name}: {model} is not there")
                tally.skipped += 1
                continue
            (folder / "ids").write_text(" ".join(map(str, ids)))
            small = name in tiny_models.MODELS
            recipes = (["float"] if small else RECIPES) + own
            for recipe in recipes:
                artifact = compare_with_reference(tally, folder, model, name, str(recipe), ids)
                if recipe != "float":
                    continue
                got = logits(folder, artifact)
                picked = got[expected[f"{name}.rows"]] if f"{name}.rows" in expected else got
                if f"{name}.columns" in expected:
                    picked = picked[:, expected[f"{name}.columns"]]
                error = np.abs(picked - expected[f"{name}.logits"]).max() / expected[f"{name}.max"]
                tally.check(error <= 1e-4, f"{name}: compiled f32 differs from transformers by {error:.2e}")
                print(f"{name}: compiled f32 against transformers: {error:.2e} of max |logit|")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
