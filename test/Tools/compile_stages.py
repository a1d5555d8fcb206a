"""Stages, determinism, sizes: the same bytes on every way to an artifact."""
import json
import os
import re
import sys

from tool_case import check, digest, fresh, left_behind, run, write_model


def same_bytes_on_every_way(folder):
    model = write_model("llama3", folder / "model")
    recipe = ["--recipe", "int4-g64"]
    one = folder / "one.lowbit"
    run(model, "-o", one, "--jobs", 1, *recipe)
    expected = digest(one)
    other = folder / "elsewhere"
    other.mkdir()
    os.symlink(model, other / "link")
    run("link", "-o", "two.lowbit", "--jobs", 2, *recipe, cwd=other,
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "TMPDIR": str(other)})
    check(digest(other / "two.lowbit") == expected, "jobs, folder and locale do not matter")

    stages = ["imported", "transformed", "quantized", "laid-out", "planned", "lowered"]
    for stage in stages:
        module = folder / f"{stage}.mlir"
        run(model, "-o", module, f"--emit={stage}", *recipe)
        out = folder / f"from-{stage}.lowbit"
        run(module, "-o", out, "--model", model)
        check(digest(out) == expected, f"an artifact from stage {stage} has the same bytes")
    # One stage after the other, each from the file of the one before.
    for before, after in zip(stages, stages[1:]):
        run(folder / f"{before}.mlir", "-o", folder / "next.mlir", f"--emit={after}",
            "--model", model, "--force")
        check(digest(folder / "next.mlir") == digest(folder / f"{after}.mlir"),
              f"{after} from {before}")
    # Packed weights are another way on; what they were made from travels along.
    module = folder / "materialized.mlir"
    run(model, "-o", module, "--emit=materialized", *recipe)
    run(module, "-o", folder / "packed.mlir", "--emit=planned", "--model", model)
    for path in (module, folder / "packed.mlir"):
        run(path, "-o", folder / "packed.lowbit", "--model", model, "--force")
        check(digest(folder / "packed.lowbit") == expected, f"an artifact from {path.name}")


def context_travels(folder):
    """--context is decided in the stage planned and holds from then on."""
    model = write_model("llama1", folder / "context")
    recipe = ["--recipe", "int4-g64", "--context", 100]
    run(model, "-o", folder / "short.lowbit", *recipe)
    run(model, "-o", folder / "short.mlir", "--emit=planned", *recipe)
    run(folder / "short.mlir", "-o", folder / "from-short.lowbit", "--model", model)
    check(digest(folder / "from-short.lowbit") == digest(folder / "short.lowbit"), "context")
    for value in (50, 101):
        _, error = run(folder / "short.mlir", "-o", folder / "other.lowbit", "--model", model,
                       "--context", value, expect=2)
        check(f"--context {value}" in error and "100" in error, error)
    _, error = run(folder / "short.mlir", "-o", folder / "other.lowbit", "--model", model,
                   "--targets", "aarch64", expect=2)
    check("--targets" in error and "x86_64" in error, error)


def dry_run_is_exact(folder):
    model = write_model("biases", folder / "dry")
    before = left_behind(folder)
    for recipe in ("float", "int2-g64"):
        text, _ = run(model, "--dry-run", "--recipe", recipe, cwd=folder)
        check(left_behind(folder) == before, "a dry run leaves nothing")
        out = folder / f"{recipe}.lowbit"
        run(model, "-o", out, "--recipe", recipe)
        size = int(re.search(r"output: (\d+) bytes", text)[1])
        check(size == out.stat().st_size, f"dry run says {size}, file has {out.stat().st_size}")
        check(re.search(r"peak memory: \d+ bytes", text), "memory")
        check(re.search(r"estimated time: [\d.]+ s", text), "time")
        check("values of weights: not checked" in text, "what a dry run does not see")
        before = left_behind(folder)


def manifest_says_what_is_there(folder):
    out = folder / "float.lowbit"
    data = out.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    check(header["__metadata__"] == {"kind": "lowbit", "version": "1"}, "kind")
    begin, end = header["manifest"]["data_offsets"]
    manifest = json.loads(data[8 + size + begin:8 + size + end])
    for tensor in manifest["tensors"]:
        begin, end = header["weights." + tensor["name"]]["data_offsets"]
        check(tensor["bytes"] == end - begin, tensor["name"])
        check((8 + size + begin) % 64 == 0, f"{tensor['name']} is aligned")
        check(tensor["payload"] + tensor["padding"] == tensor["bytes"], tensor["name"])
    bits = 8 * sum(t["bytes"] for t in manifest["tensors"]) / manifest["parameters"]["all"]
    check(abs(manifest["bits"]["model"] - bits) < 1e-12, "bits of the model")
    check('source <".", "weights.' in manifest["module"], "the module reads the artifact")
    files = {i["file"]: i for i in manifest["inputs"]}
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        path = folder / "dry" / name
        check(files[name]["sha256"] == digest(path), name)
        check(files[name]["bytes"] == path.stat().st_size, name)
    check(str(folder) not in data.decode("latin-1"), "no path is in the artifact")


def options_reach_the_graph(folder):
    model = write_model("llama1", folder / "options")
    out = folder / "kv.mlir"
    run(model, "-o", out, "--emit=quantized", "--recipe", "float", "--kv", "i8")
    check("cache = i8" in out.read_text() and "cache = f16" not in out.read_text(), "--kv")
    run(model, "-o", folder / "context.mlir", "--emit=planned", "--recipe", "float",
        "--context", 100)
    limits = re.search(r"limits = \[(.*?)\]", (folder / "context.mlir").read_text())[1]
    check(limits.split(", ")[-1] == "2", f"100 positions are two pages, not {limits}")
    run(model, "-o", folder / "dumped.mlir", "--emit=laid-out", "--recipe", "float",
        "--dump", folder / "dump")
    check(left_behind(folder / "dump") == ["laid-out.mlir", "quantized.mlir", "transformed.mlir"],
          "--dump")
    _, log = run(model, "-o", folder / "log.mlir", "--emit=materialized", "--recipe", "float",
                 "--log-jsonl")
    events = [json.loads(line) for line in log.splitlines()]
    check({e["event"] for e in events} >= {"begin", "end"}, "--log-jsonl")


if __name__ == "__main__":
    root = fresh(sys.argv[1])
    same_bytes_on_every_way(root)
    context_travels(root)
    dry_run_is_exact(root)
    manifest_says_what_is_there(root)
    options_reach_the_graph(root)
