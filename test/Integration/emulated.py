#!/usr/bin/env python3
# suite: GPU plans in the emulator against the CPU (to the bit) and the reference interpreter.
"""Compiles small models for the CPU and the emulator, and compares.

- Logits of the emulated GPU plan equal the reference interpreter's to the bit:
  every width, scale, zero and group, f32, f16 and int8 caches, in order and on
  random schedules.
- stories260K with an int8 cache: 64 greedy tokens, the same as the CPU's.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import json  # noqa: E402

import compiled  # noqa: E402
from compiled import BIN, EXTRA, SHARED, Tally, logits, run, same, tiny_models, write_model  # noqa: E402

SCHEDULES = [0, 1, 2, 12345]


def can_run():
    """The emulator needs what the AVX2 variant needs."""
    return any(name == "avx2" and available for name, available in compiled.variants())


def compare_logits(tally, folder, model, name, recipe, cache, ids):
    artifact = folder / "m.lowbit"
    run("lowbit-compile", model, "-o", artifact, "--recipe", recipe, "--kv", cache, "--targets",
        "x86_64,emulated", "--force")
    (folder / "ids").write_text(" ".join(map(str, ids)))
    expected = logits(folder, artifact, "--engine=reference")
    label = f"{name}, {pathlib.Path(recipe).stem}, cache {cache}"
    tally.check(same(logits(folder, artifact), expected), f"{label}: the CPU's logits")
    for schedule in SCHEDULES:
        got = logits(folder, artifact, "--device", "emulated", "--schedule", schedule)
        tally.check(same(got, expected), f"{label}: emulated logits, schedule {schedule}")


def text_of(artifact, *flags):
    done = subprocess.run([BIN / "lowbit-run", artifact, "-p", "Once upon a time", "-n", "64", "--temp", "0",
                           *map(str, flags)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"


def compare_text(tally, folder):
    if not SHARED.is_dir():
        print(f"skipped: stories260K: {SHARED} is not there")
        tally.skipped += 1
        return
    artifact = folder / "s.lowbit"
    run("lowbit-compile", SHARED, "-o", artifact, "--recipe", "int8-g64", "--kv", "i8", "--targets",
        "x86_64,emulated")
    expected = text_of(artifact)
    tally.check(len(expected) > 64, "stories260K: the CPU makes text")
    for schedule in SCHEDULES:
        got = text_of(artifact, "--device", "emulated", "--schedule", schedule)
        tally.check(got == expected, f"stories260K: 64 tokens of the emulated plan, schedule {schedule}: {got!r}, "
                                     f"expected {expected!r}")


def main():
    tally = Tally()
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
    if not can_run():
        print("skipped: this machine cannot run emulated kernels (no AVX2)\n0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "extra.json").write_text(json.dumps(EXTRA))
        compare_text(tally, folder)
        for number, name in enumerate(tiny_models.MODELS):
            (folder / name).mkdir()
            model, ids = write_model(name, folder / name), tiny_models.tokens(name)
            recipe = ["float", folder / "extra.json", "int3-g64", "int2-g64"][number % 4]
            compare_logits(tally, folder, model, name, str(recipe), ["i8", "f16", "f32"][number % 3], ids)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped; "
          f"{len(SCHEDULES)} schedules each")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
