"""Error feedback on a profile, and calibration block by block.

The model has random weights; what it computes is compared with the float
artifact on the text that it was calibrated on.
"""
import json
import math
import pathlib
import random
import subprocess
import sys
import time

import numpy as np

from tool_case import big_model, check, digest, fresh, left_behind, run, start


def recipe(path, solver, **options):
    """3 bits for the linears of layers; embedding and head 8 bits."""
    path.write_text(json.dumps({"quantize": [
        {"lowbit-quantize": {"roles": ["embedding", "head"], "format": "int8-g64"}},
        {"lowbit-quantize": {"format": "int3-g64-half", "solver": solver, **options}}]}))
    return path


def linears(ledger):
    entries = json.loads(pathlib.Path(f"{ledger}.ledger.json").read_text())["tensors"]
    return [e for e in entries if e["layer"] >= 0 and e["columns"] > 1]


def mean_error(out):
    """Geometric mean of the output errors of the linears."""
    errors = [e["output_error"] for e in linears(out)]
    return math.exp(sum(map(math.log, errors)) / len(errors))


def profiles_of_all_kinds(model, text, folder):
    for moments in ("diagonal", "full"):
        subprocess.run(["lowbit-calibrate", model, text, "-o", folder / f"{moments}.profile",
                        f"--moments={moments}"], check=True, capture_output=True)
    gptq = recipe(folder / "gptq.json", "gptq")
    search = recipe(folder / "search.json", "search")
    emit = ["--emit=materialized"]
    for arguments in ([], ["--profile", folder / "diagonal.profile"]):
        _, error = run(model, "-o", folder / "no.mlir", "--recipe", gptq, *emit, *arguments, expect=4)
        check("needs the second moments of its input" in error, error)
    full = ["--profile", folder / "full.profile", *emit]
    run(model, "-o", folder / "search.mlir", "--recipe", search, *full)
    run(model, "-o", folder / "gptq.mlir", "--recipe", gptq, "--jobs", 1, *full)
    check({e["solver"] for e in linears(folder / "gptq.mlir")} == {"gptq"}, "solver in the ledger")
    check(mean_error(folder / "gptq.mlir") < 0.9 * mean_error(folder / "search.mlir"),
          "error feedback does not help")
    # Threads change nothing; options do.
    run(model, "-o", folder / "threads.mlir", "--recipe", gptq, "--jobs", 3, *full)
    check(digest(folder / "threads.mlir.safetensors") == digest(folder / "gptq.mlir.safetensors"),
          "bytes depend on threads")
    for name, options in (("order", {"order": "columns"}), ("scales", {"scales": "nearest"}),
                          ("damp", {"damp": "0.2"})):
        other = recipe(folder / f"{name}.json", "gptq", **options)
        run(model, "-o", folder / f"{name}.mlir", "--recipe", other, *full)
        check(digest(folder / f"{name}.mlir.safetensors") != digest(folder / "gptq.mlir.safetensors"),
              f"option {name} does nothing")


def names_choose_their_solver(model, text, folder):
    for arguments, solver, calibration in (
            ([], "search", "none"),
            (["--profile", folder / "diagonal.profile"], "search", "profile, diagonal moments"),
            (["--profile", folder / "full.profile"], "gptq", "profile, full moments"),
            (["--calibration-text", text], "gptq", "sequential, ")):
        said, _ = run(model, "--dry-run", "--recipe", "int3-g64", *arguments)
        check(f"int3-g64-half by {solver}: " in said, said)
        check(f"calibration: {calibration}" in said, said)


def logits(artifact, text, out):
    """Of the beginning of a text, as long as the model's context."""
    subprocess.run(["lowbit-run", artifact, "--logits", out, "--prompt", text.read_text()[:60],
                    "--trust"], check=True, capture_output=True)
    return np.load(out).astype(np.float64)


def divergence(wanted, seen):
    """Mean KL of the rows of logits, in nats."""
    def log_softmax(x):
        x = x - x.max(axis=1, keepdims=True)
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    p, q = log_softmax(wanted), log_softmax(seen)
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def kernels(dump):
    """Digests of what a dump has of kernels."""
    return {path.relative_to(dump): digest(path) for path in dump.glob("kernels.*/**/*") if path.is_file()}


def sequential(model, text, folder):
    gptq, search = folder / "gptq.json", folder / "search.json"
    sequential = ["--calibration=sequential", "--calibration-text", text]
    run(model, "-o", folder / "float.lowbit", "--recipe", "float")
    wanted = logits(folder / "float.lowbit", text, folder / "l.npy")
    found = {}
    for name, chosen, arguments in (
            ("search", search, ["--profile", folder / "full.profile"]),
            ("search-sequential", search, sequential),
            ("gptq", gptq, ["--profile", folder / "full.profile"]),
            ("gptq-sequential", gptq, sequential)):
        out = folder / f"{name}.lowbit"
        run(model, "-o", out, "--recipe", chosen, "--dump", folder / f"{name}.dump", *arguments)
        found[name] = divergence(wanted, logits(out, text, folder / "l.npy"))
    # A dump is of the artifact's kernels, not of those that calibrate.
    check(kernels(folder / "gptq.dump"), "no kernel is dumped")
    check(kernels(folder / "gptq.dump") == kernels(folder / "gptq-sequential.dump"), "other kernels are dumped")
    check(found["search-sequential"] < found["search"], str(found))
    check(found["gptq-sequential"] < found["gptq"], str(found))
    check(found["gptq-sequential"] < found["search-sequential"], str(found))
    said, _ = run(model, "--dry-run", "--recipe", gptq, *sequential,
                  "--calibration-tokens", 500, "--calibration-context", 64)
    check("sequential, 500 tokens in windows of 64" in said, said)


def killed_and_resumed(model, text, folder):
    """Kills, then a run to the end on one thread: the same bytes."""
    whole = digest(folder / "gptq-sequential.lowbit")
    arguments = [model, "-o", folder / "killed.lowbit", "--recipe", folder / "gptq.json",
                 "--calibration-text", text]
    journal = folder / ".killed.lowbit.journal"
    generator = random.Random(5)
    for lines in (3, generator.randrange(5, 8)):
        child = start(*arguments, "--resume")
        while child.poll() is None and not (
                journal.exists() and journal.read_bytes().count(b"\n") > lines):
            time.sleep(0.001)
        check(child.poll() is None, "it was faster than the kill")
        child.kill()
        child.communicate()
        check(not (folder / "killed.lowbit").exists(), "published although killed")
    # Another text is another job.
    other = folder / "other.txt"
    other.write_text(text.read_text()[::-1])
    _, error = run(*arguments[:-1], other, "--resume", expect=7)
    check("different in" in error and "inputs" in error, error)
    _, log = run(*arguments, "--resume", "--jobs", 1)
    check("resumed:" in log, log)
    check(digest(folder / "killed.lowbit") == whole, "other bytes after kills")
    check(not any(name.startswith(".") for name in left_behind(folder)), "something is left")


def refusals(model, text, folder):
    out = folder / "refused.lowbit"
    gptq = folder / "gptq.json"
    for arguments, code, what in (
            (["--calibration=sequential"], 2, "needs --calibration-text"),
            (["--calibration=often"], 2, "must be one-shot or sequential"),
            (["--calibration=one-shot", "--calibration-text", text], 2, "does not go with"),
            (["--calibration-tokens", 10], 2, "--calibration-tokens needs --calibration-text"),
            (["--calibration-text", text, "--profile", folder / "full.profile"], 2,
             "measures for itself"),
            (["--calibration-text", text, "--emit=quantized"], 2, "it has no weights"),
            (["--calibration-text", text, "--calibration-context", 257], 2,
             "--calibration-context 257 is more than the 256 positions"),
            (["--calibration-text", text, "--context", 100, "--calibration-context", 101], 2,
             "--calibration-context 101 is more than the 100 positions"),
            (["--calibration-text", folder / "missing.txt"], 3, "missing.txt"),
            (["--calibration-text", text, "--calibration-tokens", 10 ** 6], 3,
             "--calibration-tokens asks for 1000000")):
        _, error = run(model, "-o", out, "--recipe", gptq, *arguments, expect=code)
        check(what in error, error)
        check(not out.exists(), "an output is left")
    run(model, "-o", folder / "quantized.mlir", "--recipe", gptq, "--emit=quantized")
    _, error = run(folder / "quantized.mlir", "-o", out, "--model", model, "--calibration-text",
                   text, expect=2)
    check("before it is quantized" in error, error)
    tied = big_model(folder / "tied", layers=1, hidden=64, ffn=128)
    everything = folder / "everything.json"
    everything.write_text(json.dumps({"quantize": [
        {"lowbit-quantize": {"format": "int3-g32", "solver": "gptq"}}]}))
    _, error = run(tied, "-o", out, "--recipe", everything, "--calibration-text", text, expect=4)
    check("embedding and head at once" in error, error)


if __name__ == "__main__":
    root = fresh(sys.argv[1])
    big = big_model(root / "model", layers=2, hidden=128, ffn=256, tied=False)
    letters = np.random.Generator(np.random.PCG64(3)).integers(33, 123, 1500)
    sample = root / "text.txt"
    sample.write_bytes(letters.astype(np.uint8).tobytes())
    profiles_of_all_kinds(big, sample, root)
    names_choose_their_solver(big, sample, root)
    sequential(big, sample, root)
    killed_and_resumed(big, sample, root)
    refusals(big, sample, root)
