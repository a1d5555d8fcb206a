#!/usr/bin/env python3
# suite: the Python package against the runner.
"""Compiles a tiny model through the package and uses every call of it."""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "python")]

import lowbit  # noqa: E402

MODEL = ROOT / "examples/models/books-7m"
BIN = pathlib.Path(os.environ["LOWBIT_BUILD"]) / "bin"


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
