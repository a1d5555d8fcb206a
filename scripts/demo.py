#!/usr/bin/env python3
"""Compiles examples/models/books-7m at 16, 4 and 2 bits, generates text, prints a table.

An artifact that exists already and was made from the same inputs by the same compiler is kept.
"""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples" / "models" / "books-7m"
TEXT = ROOT / "examples" / "text" / "the-lamp-at-marrow-point.txt"
PROMPT = "It was upon the evening of the second of November, in a year which"
RECIPES = [("full precision", "float"), ("4 bits", "int4-g64"), ("2 bits", "int2-g64")]


def stamp(build):
    """Changes where the compiler or the model does."""
    digest = hashlib.sha256((build / "bin" / "lowbit-compile").read_bytes())
    for path in sorted(MODEL.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def run(command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True, **options)


def compile_model(build, folder, recipe):
    """The artifact's path; compiled only where it is missing or stale."""
    artifact, note = folder / f"books-7m-{recipe}.lowbit", folder / f"{recipe}.stamp"
    current = stamp(build)
    if not (artifact.exists() and note.exists() and note.read_text() == current):
        print(f"\ncompiling books-7m with recipe {recipe}", flush=True)
        run([build / "bin" / "lowbit-compile", MODEL, "-o", artifact, "--recipe", recipe, "--force"])
        note.write_text(current)
    return artifact


def perplexity(build, artifact):
    out = run([build / "bin" / "lowbit-run", artifact, "--perplexity", TEXT], stdout=subprocess.PIPE,
              stderr=subprocess.DEVNULL).stdout
    return float(re.search(r"perplexity: ([\d.]+)", out).group(1))


def bench(build, artifact):
    """What lowbit-run --bench says: a record for the prompt (pp512) and one for text (tg128)."""
    out = run([build / "bin" / "lowbit-run", artifact, "--bench", "-o", "json"], stdout=subprocess.PIPE,
              stderr=subprocess.DEVNULL).stdout
    return {record["test"]: record for record in json.loads(out)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    folder = build / "demo"
    folder.mkdir(exist_ok=True)

    artifacts = [(label, recipe, compile_model(build, folder, recipe)) for label, recipe in RECIPES]
    for label, recipe, artifact in artifacts[1:]:
        print(f"\n{label} ({recipe}):", flush=True)
        run([build / "bin" / "lowbit-run", artifact, "-p", PROMPT, "-n", "60", "--temp", "0.8", "--top-k", "40",
             "-s", "7"], stderr=subprocess.DEVNULL)
        print(flush=True)

    print(f"\nperplexity on {TEXT.relative_to(ROOT)} (context 512, BOS first in every window); speed on this machine")
    header = ["", "file", "bits/weight: linears", "whole model", "perplexity", "against full", "prompt tok/s",
              "text tok/s"]
    rows, full = [], None
    for label, recipe, artifact in artifacts:
        value, records = perplexity(build, artifact), bench(build, artifact)
        full = full or value
        facts = records["tg128"]
        rows.append([label, f"{artifact.stat().st_size / 1e6:.2f} MB", f"{facts['linear_bits']:.3f}",
                     f"{facts['model_bits']:.3f}", f"{value:.2f}", f"{100 * (value / full - 1):+.2f} %",
                     f"{records['pp512']['avg_ts']:.0f}", f"{facts['avg_ts']:.0f}"])
    widths = [max(len(str(row[i])) for row in [header] + rows) for i in range(len(header))]
    for row in [header, ["-" * w for w in widths]] + rows:
        print("| " + " | ".join(str(cell).rjust(w) for cell, w in zip(row, widths)) + " |")
    print(f"\nthe artifacts are in {folder}; try\n  {build / 'bin' / 'lowbit-run'} {artifacts[1][2]} -p 'Once upon a time'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
