"""Packed bytes, ledger and the solver `given`, against an independent program.

The solver `nearest` is redone in plain loops (test/Reference), packed by
Spec.md, section 2, and compared byte for byte, for every width, group, scale
and offset. Error figures of all solvers are redone from the stored bytes.
"""
import itertools
import json
import sys

import numpy as np

from tool_case import check, fresh, read_safetensors, run, tiny_models, write_model, write_tensors
from packed_layouts import BLOCK_COLUMNS, pack_floats, pack_integers
from strict_numerics import Grid, GridWeight, quantize_nearest


def checkpoint(name):
    """Tensor -> the f32 values that the stored elements mean."""
    result = {}
    _, matrices, vectors, _, _, _ = tiny_models.MODELS[name]
    for tensor, x in tiny_models.values(name).items():
        dtype = matrices if x.ndim == 2 else vectors
        raw = tiny_models.stored(x, dtype)
        if dtype == "BF16":
            bits = np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)
            result[tensor] = bits.view(np.float32).reshape(x.shape)
        else:
            kind = "<f4" if dtype == "F32" else "<f2"
            result[tensor] = np.frombuffer(raw, kind).astype(np.float32).reshape(x.shape)
    return result


def unpack(raw, grid, n, k):
    """The way back from Spec.md, section 2: a GridWeight from stored bytes."""
    data = np.frombuffer(raw, np.uint8)
    factor = 1.0
    if grid.scale == "e4m3":
        factor = data[-64:-60].view("<f4")[0]
        data = data[:-64]
    tiles = data.reshape((n + 15) // 16, -1)
    groups = grid.groups(k)
    codes = np.zeros((len(tiles) * 16, k), np.int64)
    scales = np.zeros((len(tiles) * 16, len(groups)), np.float32)
    zeros = np.zeros(scales.shape, np.int64)
    block = BLOCK_COLUMNS[grid.bits]
    for t, tile in enumerate(tiles):
        rows, at = slice(16 * t, 16 * t + 16), 0
        for g, (first, end) in enumerate(groups):
            for column in range(first, end, block):
                c, used = unpack_block(tile[at:], grid.bits)
                width = min(block, end - column)
                codes[rows, column:column + width] = c[:, :width]
                at += used
            size = 32 if grid.scale == "f16" else 16
            stored = tile[at:at + size]
            scales[rows, g] = (stored.view("<f2") if grid.scale == "f16"
                               else np.array([e4m3(b) for b in stored]))
            at += size
            if grid.offset == "stored":
                number = int.from_bytes(tile[at:at + 2 * grid.bits].tobytes(), "little")
                zeros[rows, g] = [number >> (r * grid.bits) & (2**grid.bits - 1)
                                  for r in range(16)]
                at += 2 * grid.bits
    return GridWeight(grid, codes[:n], scales[:n], zeros[:n], factor)


def unpack_digits(vector, bits):
    lanes = vector[:64].reshape(16, 4)
    count = 8 // bits
    c = np.zeros((16, 4 * count), np.int64)
    for j in range(count):
        c[:, 4 * j:4 * j + 4] = lanes >> (bits * j) & (2**bits - 1)
    return c


def unpack_block(data, bits):
    if bits != 3:
        return unpack_digits(data, bits), 64
    high = np.hstack([unpack_digits(data, 2), unpack_digits(data[64:], 2)])
    return 2 * high + unpack_digits(data[128:], 1), 192


def e4m3(byte):
    e, m = int(byte) >> 3, int(byte) & 7
    return m / 8 * 2.0**-6 if e == 0 else (1 + m / 8) * 2.0**(e - 7)


def recipe(path, **options):
    path.write_text(json.dumps({"quantize": [{"lowbit-quantize": options}]}))
    return path


def format_name(grid):
    return (f"int{grid.bits}-" + (f"g{grid.group}" if grid.group else "row") +
            f"-{grid.scale}-{grid.offset}")


def stacked(weights, entry):
    return np.concatenate([weights[s] for s in entry["sources"]])


def relative(error, energy):
    return error / energy if energy else 0.0


def compile_to(folder, model, *arguments):
    out = folder / "out.mlir"
    run(model, "-o", out, "--emit=materialized", "--force", *arguments)
    ledger = json.loads((folder / "out.mlir.ledger.json").read_text())["tensors"]
    return ledger, read_safetensors(folder / "out.mlir.safetensors")


def check_entry(entry, raw, w, grid, importance=None, moments=None):
    """Errors and sizes of one tensor; what the error is by diagonal importance, or without any."""
    weight = unpack(raw, grid, *w.shape)
    difference = w.astype(np.float64) - weight.decoded()
    h = np.ones(w.shape[1]) if importance is None else importance.astype(np.float64)
    got = relative((difference**2).sum(), (w.astype(np.float64)**2).sum())
    check(abs(entry["weight_error"] - got) <= 1e-9 * got + 1e-30,
          f"{entry['name']}: weight error {entry['weight_error']}, numpy {got}")
    if importance is not None:
        # All of H where the profile has it (sums of 128 products are f32 there), else the diagonal.
        full = np.diag(h) if moments is None else moments.astype(np.float64)
        got = relative(((difference @ full) * difference).sum(), ((w @ full) * w).sum())
        check(abs(entry["output_error"] - got) <= (1e-9 if moments is None else 1e-5) * got + 1e-30,
              f"{entry['name']}: output error {entry['output_error']}, numpy {got}")
    check(entry["bytes"] == len(raw), f"{entry['name']}: bytes")
    check(entry["payload"] + entry["padding"] == len(raw), f"{entry['name']}: sum")
    return (h * difference**2).sum()


def nearest_for_all_formats(folder):
    model = write_model("llama2_linear", folder / "nearest")
    weights = checkpoint("llama2_linear")
    for grid in (Grid(*g) for g in itertools.product(
            (2, 3, 4, 8), (32, 64, 128, 0), ("f16", "e4m3"), ("integer", "half", "stored"))):
        ledger, stored = compile_to(folder, model, "--recipe", recipe(
            folder / "r.json", format=format_name(grid), solver="nearest"))
        for entry in ledger:
            w = stacked(weights, entry)
            raw = stored[entry["name"]]
            if w.ndim == 1:
                check(raw == w.tobytes() + bytes(-w.nbytes % 64), entry["name"])
                continue
            check(raw == pack_integers(quantize_nearest(w, grid)),
                  f"{format_name(grid)}: {entry['name']}: bytes differ from plain loops")
            check_entry(entry, raw, w, grid)


def floats_stay(folder):
    model = write_model("llama3", folder / "floats")
    ledger, stored = compile_to(folder, model, "--recipe", "float")
    weights = checkpoint("llama3")
    for entry in ledger:
        w = stacked(weights, entry)
        expected = w.tobytes() if w.ndim == 1 else pack_floats(
            (w.view(np.uint32) >> np.uint32(16)).astype("<u2"))
        check(stored[entry["name"]] == expected + bytes(-len(expected) % 64), entry["name"])
        check(entry["weight_error"] == 0, entry["name"])


def search_with_profile(folder):
    """Search is never worse than nearest; with a profile, in the weighted sum."""
    model = write_model("llama3", folder / "search")
    weights = checkpoint("llama3")
    random = np.random.Generator(np.random.PCG64(3))
    layers = sorted({n.split(".")[2] for n in weights if ".layers." in n})
    importances, moments, profile = {}, {}, []
    for layer in layers:
        for site in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"):
            name = f"model.layers.{layer}.{site}.weight"
            columns = weights[name].shape[1]
            h = random.random(columns, dtype=np.float32)**4 * 100
            importances[name] = h
            if site.startswith("mlp"):  # Inputs correlated by 0.3; only the lower triangle is stored.
                correlation = 0.7 * np.eye(columns) + 0.3
                moments[name] = (correlation * np.sqrt(np.outer(h, h))).astype("<f4")
                np.fill_diagonal(moments[name], h)
            profile.append(("h." + name, "F32", np.tril(moments[name]) if name in moments else h))
    write_tensors(folder / "profile", profile)
    grid = Grid(2, 32, "f16", "half")
    errors = {}
    for solver in ("nearest", "search"):
        ledger, stored = compile_to(folder, model, "--profile", folder / "profile", "--recipe", recipe(
            folder / "r.json", format=format_name(grid), solver=solver))
        for entry in ledger:
            w = stacked(weights, entry)
            if w.ndim != 2:
                continue
            source = entry["sources"][0]
            h = importances.get(source)
            check((h is None) == (entry["output_error"] is None), f"{entry['name']}: profile")
            error = check_entry(entry, stored[entry["name"]], w, grid, h, moments.get(source))
            errors.setdefault(entry["name"], []).append(error)
    for name, (nearest, search) in errors.items():
        check(search <= nearest, f"{name}: search {search} worse than nearest {nearest}")
    check(sum(e[1] < 0.95 * e[0] for e in errors.values()) > len(errors) // 2, "search helps")


def given_round_trip(folder):
    """Codes that another program chose come back to the bit."""
    model = write_model("llama1", folder / "given")
    weights = checkpoint("llama1")
    random = np.random.Generator(np.random.PCG64(5))
    for grid in (Grid(4, 32, "f16", "integer"), Grid(3, 0, "f16", "half"),
                 Grid(2, 64, "e4m3", "stored")):
        tensors, chosen = [], {}
        for name, w in weights.items():
            if w.ndim != 2:
                continue
            groups = len(grid.groups(w.shape[1]))
            codes = random.integers(0, 2**grid.bits, w.shape).astype(np.uint8)
            zeros = random.integers(0, 2**grid.bits, (len(w), groups)).astype(np.uint8)
            bits = (random.integers(0, 0x7F, (len(w), groups)).astype(np.uint8)
                    if grid.scale == "e4m3" else
                    random.integers(0, 0x7C00, (len(w), groups)).astype("<u2"))
            scales = (np.array([[e4m3(b) for b in row] for row in bits], np.float32)
                      if grid.scale == "e4m3" else bits.view("<f2").astype(np.float32))
            factor = np.float32(0.375) if grid.scale == "e4m3" else np.float32(1)
            chosen[name] = GridWeight(grid, codes.astype(np.int64), scales,
                                      zeros.astype(np.int64), factor)
            tensors.append((name + ".codes", "U8", codes))
            tensors.append((name + ".scales", "F8_E4M3" if grid.scale == "e4m3" else "F16", bits))
            if grid.offset == "stored":
                tensors.append((name + ".zeros", "U8", zeros))
            if grid.scale == "e4m3":
                tensors.append((name + ".factor", "F32", np.array([factor], "<f4")))
        write_tensors(folder / "codes.safetensors", tensors)
        ledger, stored = compile_to(folder, model, "--recipe", recipe(
            folder / "r.json", format=format_name(grid), solver="given",
            file=str(folder / "codes.safetensors")))
        for entry in ledger:
            parts = [chosen[s] for s in entry["sources"] if s in chosen]
            if not parts:
                continue
            expected = pack_integers(GridWeight(
                grid, *(np.concatenate([getattr(p, f) for p in parts])
                        for f in ("codes", "scales", "zeros")), parts[0].factor))
            check(stored[entry["name"]] == expected, f"{format_name(grid)}: {entry['name']}")
            check(entry["solver"] == "given", entry["name"])


if __name__ == "__main__":
    root = fresh(sys.argv[1])
    nearest_for_all_formats(root)
    floats_stay(root)
    search_with_profile(root)
    given_round_trip(root)
