#!/usr/bin/env python3
# suite: the Python package against the runner.
"""Compiles a tiny model through the package and uses every call of it."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "python"), str(ROOT / "test/Reference")]

import lowbit  # noqa: E402
import strict_numerics as strict  # noqa: E402

MODEL = ROOT / "examples/models/books-7m"
BIN = pathlib.Path(os.environ["LOWBIT_BUILD"]) / "bin"


def linears(artifact, context, check):
    """Every parameter's linear alone, then one replaced, against Spec.md in NumPy."""
    random = np.random.Generator(np.random.PCG64(3))
    ran = 0
    for tensor in lowbit.inspect(artifact)["manifest"]["tensors"]:
        if not tensor["format"]:
            continue
        rows, columns, name = tensor["rows"], tensor["columns"], tensor["name"]
        bits, group, _, offset = re.match(
            r"#lowbit.int<(\d), group = (\w+), scale = (\w+), offset = (\w+)>", tensor["format"]).groups()
        grid = strict.Grid(int(bits), 0 if group == "row" else int(group), "f16", offset)
        groups = len(grid.groups(columns))
        codes = random.integers(0, 2 ** grid.bits, (rows, columns), np.uint8)
        scales = random.uniform(0, 0.1, (rows, groups)).astype(np.float16)
        zeros = random.integers(0, 2 ** grid.bits, (rows, groups), np.uint8) if offset == "stored" else None
        packed = lowbit.IntegerFormat(grid.bits, grid.group, "f16", offset).pack(codes, scales, zeros)
        context.model.replace(name, packed)
        weight = strict.GridWeight(grid, codes, scales.astype(np.float32), zeros, np.float32(1))
        x = (random.standard_normal((3, columns)) * [[1], [30], [0]]).astype(np.float32)
        first = context.linear(name, x[:1])
        expected = strict.linear_integer(x, weight, 2)
        check((context.linear(name, x) == expected).all() and (first == expected[:1]).all(), "the linear of " + name)
        many = np.repeat(x, 20, axis=0)
        check((context.linear(name, many) == np.repeat(expected, 20, axis=0)).all(), "60 rows of " + name)
        ran += 1
        if ran == 1:
            check(context.linear(name, x[:0]).shape == (0, rows), "no rows")
            damaged = packed.copy()
            damaged[-1] ^= 255
            wrong = [(name, packed[:-1], 2), ("none", packed, 2)]
            for bad, data, code in wrong:
                try:
                    context.model.replace(bad, data)
                    check(False, "a wrong replacement is an error")
                except lowbit.LowbitError as error:
                    check(error.code == code, f"exit code {error.code}: {error}")
    check(ran > 4, "linears were run")
    for name, x, code in (("none", np.zeros((1, 1)), 2), ("model.norm.weight", np.zeros((1, 1)), 2)):
        try:
            context.linear(name, x)
            check(False, "a wrong linear is an error")
        except lowbit.LowbitError as error:
            check(error.code == code, f"exit code {error.code}: {error}")


def documented_training_loop(artifact, check):
    """The example of GettingStarted.md: a linear with weights of the caller."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/GettingStarted.md").read_text(), re.S)
    example = next(block for block in blocks if "IntegerFormat" in block).replace("books.lowbit", str(artifact))
    name = "layers.0.down"
    random = np.random.Generator(np.random.PCG64(4))
    weights = random.standard_normal(lowbit.Model(artifact).shape(name)).astype(np.float32)
    # Positive, so that a zero point that is off adds up.
    names = {"lowbit": lowbit, "weights": weights, "x": random.random((5, weights.shape[1]), np.float32)}
    exec(example, names)  # noqa: S102
    wanted = names["x"] @ weights.T
    error = np.linalg.norm(names["y"] - wanted) / np.linalg.norm(wanted)
    check(error < 0.2, f"the example's linear is off by {error}")


def main():
    results = []
    check = lambda good, what: results.append(bool(good)) or good or print("FAIL " + what)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CONFIG_HOME"] = temporary + "/config"
        artifact = pathlib.Path(temporary) / "m.lowbit"
        lowbit.compile(MODEL, artifact, "int4-g64")
        lowbit.verify(artifact)
        check(lowbit.inspect(artifact)["manifest"]["model"]["vocabulary"] == 4096, "inspect")
        model = lowbit.Model(artifact)
        text = "It was upon the evening"
        ids = model.tokenize(text)
        check(model.detokenize(ids) == text, "tokenize and back")
        (pathlib.Path(temporary) / "ids").write_text(" ".join(map(str, ids)))
        subprocess.run([BIN / "lowbit-run", artifact, "--ids", temporary + "/ids", "--logits", temporary + "/l.npy"],
                       check=True, stderr=subprocess.DEVNULL)
        check((model.logits(ids) == np.load(temporary + "/l.npy")).all(), "logits equal the runner's")
        said = subprocess.run([BIN / "lowbit-run", artifact, "-p", text, "-n", "12", "--temp", "0",
                               "--no-display-prompt"], check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
        check(said.strip() == model.generate(text, max_tokens=12).strip(), "greedy text equals the runner's")
        context = model.context()
        sequence = context.sequence()
        context.step([(sequence, 0, ids[0])], [0])
        context.truncate(sequence, 0)
        context.free(sequence)
        linears(artifact, context, check)
        documented_training_loop(artifact, check)
        for action in (lambda: context.step([(9, 0, 0)], [0]), lambda: lowbit.Model("nothing"),
                       lambda: context.step([(0, 0, 10**6)], [0])):
            try:
                action()
                check(False, "a wrong call is an error")
            except lowbit.LowbitError as error:
                check(error.code in (2, 3) and str(error), f"exit code {error.code}: {error}")
        try:
            lowbit.compile(MODEL, artifact, "int5-g64", "--force")
            check(False, "an unknown recipe is an error")
        except lowbit.ToolError as error:
            check(error.code in (2, 3) and "int5-g64" in str(error), f"exit code {error.code}: {error}")
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
