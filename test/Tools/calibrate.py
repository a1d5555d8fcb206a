#!/usr/bin/env python3
# suite
"""lowbit-calibrate against a plain forward pass in numpy, and its refusals.

The oracle computes every activation in float64 (keys and values rounded to f16,
as the cache holds them) and sums x xᵀ over all rows of all windows.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("LOWBIT_BUILD", ROOT / "build")) / "bin"
os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"

import tool_case  # noqa: E402
from tool_case import tiny_models  # noqa: E402

passed = failed = 0


def expect(condition, what):
    global passed, failed
    passed += bool(condition)
    failed += not condition
    if not condition:
        print(f"FAIL {what}", flush=True)


def calibrate(*arguments, code=0):
    """Runs the tool and checks its exit code; what it wrote to stderr."""
    done = subprocess.run([BIN / "lowbit-calibrate", *map(str, arguments)],
                          capture_output=True, text=True, check=False)
    expect(done.returncode == code,
           f"{arguments}: exit {done.returncode}, expected {code}: {done.stderr}")
    return done.stderr


def read_profile(path):
    """(metadata, name -> array)"""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__")
    kinds = {"F32": "<f4", "F16": "<f2"}
    return metadata, {
        name: np.frombuffer(data[8 + size + h["data_offsets"][0]:8 + size + h["data_offsets"][1]],
                            kinds[h["dtype"]]).reshape(h["shape"])
        for name, h in header.items()}


def full_matrix(packed):
    n = int((np.sqrt(8 * len(packed) + 1) - 1) / 2)
    h = np.zeros((n, n))
    h[np.tril_indices(n)] = packed
    return h + np.tril(h, -1).T


# ---------------------------------------------------------------- the oracle


def weights_of(name):
    """Tensor -> float64 values of the stored elements."""
    _, matrices, vectors, _, _, _ = tiny_models.MODELS[name]
    result = {}
    for tensor, x in tiny_models.values(name).items():
        dtype = matrices if x.ndim == 2 else vectors
        raw = tiny_models.stored(x, dtype)
        if dtype == "BF16":
            x = (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
        else:
            x = np.frombuffer(raw, "<f4" if dtype == "F32" else "<f2")
        result[tensor] = x.astype(np.float64).reshape(tiny_models.values(name)[tensor].shape)
    return result


def turn(x, head, base, scaling):
    """Rotary embedding of rows at positions 0, 1, …"""
    half = head // 2
    frequencies = base ** (-np.arange(half) / half) / scaling
    angles = np.arange(len(x))[:, None] * frequencies.astype(np.float32).astype(np.float64)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    h = x.reshape(len(x), -1, head)
    a, b = h[..., :half], h[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1).reshape(x.shape)


def attend(q, k, v, heads, kv_heads, head):
    rows = len(q)
    q = q.reshape(rows, heads, head)
    k = np.repeat(k.astype(np.float16).astype(np.float64).reshape(rows, kv_heads, head),
                  heads // kv_heads, 1)
    v = np.repeat(v.astype(np.float16).astype(np.float64).reshape(rows, kv_heads, head),
                  heads // kv_heads, 1)
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(head)
    scores[:, np.triu(np.ones((rows, rows), bool), 1)] = -np.inf
    p = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("hqk,khd->qhd", p / p.sum(-1, keepdims=True), v).reshape(rows, -1)


def forward(name, window):
    """Observation -> rows, for the tokens of one window."""
    c, w = tiny_models.config(name), weights_of(name)
    head = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    scaling = (c.get("rope_scaling") or {}).get("factor", 1.0)
    seen = {}

    def norm(x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * w[gain]

    def linear(x, place):
        y = x @ w[place + ".weight"].T
        return y + w[place + ".bias"] if place + ".bias" in w else y

    x = w["model.embed_tokens.weight"][window]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        n = seen[at + "self_attn.q_proj.weight"] = norm(x, at + "input_layernorm.weight")
        q = turn(linear(n, at + "self_attn.q_proj"), head, c["rope_theta"], scaling)
        k = turn(linear(n, at + "self_attn.k_proj"), head, c["rope_theta"], scaling)
        v = linear(n, at + "self_attn.v_proj")
        seen.update({f"attention.{layer}.{key}": value
                     for key, value in (("query", q), ("key", k), ("value", v))})
        a = seen[at + "self_attn.o_proj.weight"] = attend(
            q, k, v, c["num_attention_heads"], c["num_key_value_heads"], head)
        x = x + linear(a, at + "self_attn.o_proj")
        n = seen[at + "mlp.gate_proj.weight"] = norm(x, at + "post_attention_layernorm.weight")
        g = linear(n, at + "mlp.gate_proj")
        g = seen[at + "mlp.down_proj.weight"] = g / (1 + np.exp(-g)) * linear(n, at + "mlp.up_proj")
        x = x + linear(g, at + "mlp.down_proj")
    table = "model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"
    seen[table] = norm(x, "model.norm.weight")
    return seen


def observe(name, ids, context):
    """Observation -> rows of all windows in order."""
    bos = tiny_models.config(name)["bos_token_id"]
    windows = [[bos, *ids[i:i + context - 1]] for i in range(0, len(ids), context - 1)]
    parts = [forward(name, window) for window in windows]
    return {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}


# ------------------------------------------------------------------ the tests


def text_of(count, seed):
    """(ids, text): one printable character is one token."""
    ids = [int(i) % 90 for i in np.random.PCG64(seed).random_raw(count)]
    return ids, "".join(chr(33 + i) for i in ids)


def model_and_text(folder, name, count, seed=11, **changes):
    model = tool_case.write_model(name, folder / f"{name}{count}")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **changes}))
    ids, text = text_of(count, seed)
    (folder / f"{count}.txt").write_text(text)
    return model, ids, folder / f"{count}.txt"


def against_numpy(folder):
    """Windows that are batched, cut into pieces, left short; with and without totals in f64."""
    cases = [("llama1", 700, 48), ("llama2_linear", 300, 256), ("biases", 90, 512),
             ("odd_heads", 2600, 200), ("long", 1400, 1300)]
    for name, count, context in cases:
        model, ids, text = model_and_text(folder, name, count, max_position_embeddings=2048)
        for moments in ("full", "diagonal"):
            out = folder / f"{name}.{moments}"
            calibrate(model, text, "-o", out, f"--moments={moments}", f"--context={context}")
        compare_with_numpy(name, ids, context, folder)


def compare_with_numpy(name, ids, context, folder):
    seen = observe(name, ids, context)
    metadata, full = read_profile(folder / f"{name}.full")
    _, diagonal = read_profile(folder / f"{name}.diagonal")
    rows = len(next(iter(seen.values())))
    expect(metadata["rows"] == str(rows) and metadata["tokens"] == str(len(ids)),
           f"{name}: rows {metadata['rows']}, tokens {metadata['tokens']}")
    expect(set(full) == {"sample." + key for key in seen} |
           {"h." + key for key in seen if not key.startswith("attention.")}, f"{name}: tensors")
    for key, x in seen.items():
        # The first input has seen no attention: only f32 sums differ. A row that
        # is missing or there twice would be 4e-4 at least.
        bound = 1e-5 if key == "model.layers.0.self_attn.q_proj.weight" else 5e-4
        if "h." + key in full:
            h, want = full_matrix(full["h." + key]), x.T @ x
            scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))
            error = (np.abs(h - want) / scale).max()
            expect(error <= bound, f"{name}, {key}: H is off by {error:.1e} of its diagonal")
            expect(np.array_equal(np.diag(h).astype("<f4"), diagonal["h." + key]),
                   f"{name}, {key}: diagonals differ")
        sample, want = full["sample." + key].astype(np.float64), x[:512]
        error = (np.abs(sample - want).max() / np.abs(want).max()
                 if sample.shape == want.shape else np.inf)
        expect(error <= 2e-3, f"{name}, {key}: sample is off by {error:.1e}")
        expect(np.array_equal(full["sample." + key], diagonal["sample." + key]),
               f"{name}, {key}: samples differ")


def same_bytes(folder):
    """Threads do not matter."""
    model, _, text = model_and_text(folder, "odd_heads", 2600, max_position_embeddings=2048)
    for jobs in (1, 2, 5):
        calibrate(model, text, "-o", folder / f"jobs{jobs}", "--moments=full", f"--jobs={jobs}",
                  "--context=100")
    first = (folder / "jobs1").read_bytes()
    expect(all((folder / f"jobs{j}").read_bytes() == first for j in (2, 5)), "threads change bytes")


def compiler_reads_it(folder):
    """Weighted search with both kinds gives the same bytes, other than without."""
    model, _, text = model_and_text(folder, "llama1", 700)
    made = {}
    for moments in ("none", "diagonal", "full"):
        extra = []
        if moments != "none":
            calibrate(model, text, "-o", folder / f"for.{moments}", f"--moments={moments}")
            extra = ["--profile", folder / f"for.{moments}"]
        out = folder / f"{moments}.mlir"
        tool_case.run(model, "-o", out, "--emit=materialized", "--recipe=int4-g64", *extra)
        made[moments] = tool_case.read_safetensors(f"{out}.safetensors")
        ledger = json.loads(pathlib.Path(f"{out}.ledger.json").read_text())["tensors"]
        weighted = [e for e in ledger if e.get("output_error") is not None]
        expect(len(weighted) == (0 if moments == "none" else 9),
               f"{moments}: {len(weighted)} tensors with an output error")
    # A profile is taken for its own model only: another weight file, another name.
    other, _, _ = model_and_text(folder, "llama1", 700)
    weights = other / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    for emit in (["--emit=materialized"], []):
        _, error = tool_case.run(other, "-o", folder / "mixed", "--recipe=int2-g64", "--profile",
                                 folder / "for.full", *emit, expect=7)
        expect("for.full: model: is" in error and str(other) in error, f"names both files: {error}")
        expect(not (folder / "mixed").exists() and not (folder / ".mixed.partial").exists(), "left behind")
    expect(made["diagonal"] == made["full"], "diagonal and full weigh differently")
    expect(made["diagonal"] != made["none"], "the profile changes nothing")


def one_token(folder):
    model, ids, text = model_and_text(folder, "llama1", 1)
    calibrate(model, text, "-o", folder / "one")
    metadata, tensors = read_profile(folder / "one")
    expect(metadata["rows"] == "2", "one token: BOS and the token")
    want = observe("llama1", ids, 256)
    key = "model.layers.0.self_attn.q_proj.weight"
    expect(np.allclose(tensors["h." + key], (want[key]**2).sum(0), rtol=1e-5), "one token: H")


def refusals(folder):
    model, _, text = model_and_text(folder, "llama1", 700)
    (folder / "empty.txt").write_text("")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "taken").write_text("mine")
    (folder / "file").write_text("")
    before = tool_case.left_behind(folder)
    out = folder / "out"
    cases = [
        ((model, folder / "empty.txt", "-o", out), 3, "empty.txt: has no tokens"),
        ((model, folder / "latin.txt", "-o", out), 3, "latin.txt"),
        ((model, folder / "absent.txt", "-o", out), 3, "absent.txt"),
        ((folder / "absent", text, "-o", out), 3, "absent: is no model folder"),
        ((model, text, "-o", out, "--tokens=701"), 3, "has 700 tokens, --tokens asks for 701"),
        ((model, text, "-o", out, "--context=257"), 2, "257"),
        ((model, text, "-o", out, "--context=1"), 2, "must be from 2"),
        ((model, text, "-o", out, "--tokens=-1"), 2, "must be from 1"),
        ((model, text, "-o", out, "--moments=half"), 2, "must be diagonal or full"),
        ((model, text), 2, "needs an output"),
        ((model,), 2, "needs a model folder and a text"),
        ((model, text, "-o", folder / "taken"), 5, "taken"),
        ((model, text, "-o", folder / "no" / "where"), 5, "/no: cannot open"),
        ((model, text, "-o", folder / "file" / "x"), 5, "/file: cannot open"),
        ((model, text, "-o", folder), 5, ""),
    ]
    for arguments, code, line in cases:
        error = calibrate(*arguments, code=code)
        expect(line in error and error.count("\n") == 1, f"{arguments}: {error!r}")
    expect((folder / "taken").read_text() == "mine", "an output that exists was touched")
    expect(tool_case.left_behind(folder) == before, "something was left behind")
    calibrate(model, text, "-o", folder / "taken", "--force")
    expect(read_profile(folder / "taken")[0]["kind"] == "lowbit profile", "--force")


def overflow(folder):
    """Activations beyond f32 are refused and named."""
    model, _, text = model_and_text(folder, "llama1", 20)
    path = model / "model.safetensors"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    begin, end = header["model.layers.1.input_layernorm.weight"]["data_offsets"]
    data[8 + size + begin:8 + size + end] = np.full((end - begin) // 4, 3e38, "<f4").tobytes()
    path.write_bytes(data)
    error = calibrate(model, text, "-o", folder / "out", code=3)
    expect("model.layers.1.self_attn.q_proj.weight: activations are not finite" in error, error)
    expect(not (folder / "out").exists(), "a profile of infinite numbers was written")


def interrupted(folder):
    model, _, text = model_and_text(folder, "llama1", 700)
    before = tool_case.left_behind(folder)
    process = subprocess.Popen([BIN / "lowbit-calibrate", model, text, "-o", folder / "out"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 30
    while not (folder / ".out.partial").exists() and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    expect(process.wait() == 128 + signal.SIGTERM, f"SIGTERM: exit {process.returncode}")
    expect(tool_case.left_behind(folder) == before, "SIGTERM left something behind")


def main():
    for test in (against_numpy, same_bytes, compiler_reads_it, one_token, refusals, overflow,
                 interrupted):
        with tempfile.TemporaryDirectory() as folder:
            test(pathlib.Path(folder))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
