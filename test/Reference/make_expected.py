#!/usr/bin/env python3
"""Makes the interpreter's tests: operands, and results by strict_numerics.py.

  make_expected.py --write          rewrite the committed test/Reference/*.mlir
  make_expected.py --check          exit 1 where one of them is not current
  make_expected.py --formats DIR    formats.mlir and weights.safetensors: every
                                    format and layout, packed by
                                    packed_layouts.py (too large to commit)
"""
import argparse
import json
import pathlib
import sys

import numpy as np

import packed_layouts
import strict_numerics as spec
import transforms
from strict_numerics import F32, Grid

HERE = pathlib.Path(__file__).resolve().parent


def text(x):
    """A number as MLIR reads it back."""
    if np.isnan(x):
        return "0x7FC00000"
    if np.isinf(x):
        return "0x7F800000" if x > 0 else "0xFF800000"
    return np.format_float_scientific(F32(x), unique=True, trim="0")


def dense(a):
    """A dense constant: readable where small, else its bytes."""
    a = np.asarray(a)
    if a.size > 256 and a.dtype == F32:
        return 'dense<"0x' + a.astype("<f4").tobytes().hex().upper() + '">'

    def nested(part):
        if part.ndim == 0:
            return str(int(part)) if part.dtype.kind == "i" else text(part)
        return "[" + ", ".join(nested(p) for p in part) + "]"

    return f"dense<{nested(a)}>"


def tensor(a, element=None, encoding=""):
    a = np.asarray(a)
    element = element or ("i32" if a.dtype.kind == "i" else "f32")
    sizes = "x".join(map(str, a.shape))
    return f"tensor<{sizes}x{element}{', ' + encoding if encoding else ''}>"


class File:
    """The text of one test file."""

    def __init__(self, what, run="lowbit-reference %s"):
        self.lines = [f"// RUN: {run}", "",
                      f"// {what} Made by make_expected.py; do not edit."]
        self.number = 0

    def add(self, line):
        self.lines.append(line)

    def test(self, name, body):
        """A test function; `body` gets this file and emits its lines."""
        self.add("")
        self.add(f"func.func @test_{name}() {{")
        self.number = 0
        body()
        self.add("  return")
        self.add("}")

    def value(self, operation):
        self.number += 1
        self.add(f"  %{self.number} = {operation}")
        return f"%{self.number}"

    def constant(self, a):
        return self.value(f"arith.constant {dense(a)} : {tensor(a)}")

    def equal(self, value, expected, kind=None):
        self.add(f"  check.expect_eq {value}, {dense(expected)} : "
                 f"{tensor(expected)} : {kind or tensor(expected)}")

    def close(self, value, expected, tolerance, kind=None):
        self.add(f"  check.expect_close {value}, {dense(expected)} : "
                 f"{tensor(expected)} tolerance = {tolerance} : "
                 f"{kind or tensor(expected)}")

    def computed_parameter(self, name, w, grid=None, of=None):
        """A parameter from a constant (or the parameter `of`, which has the
        same values), quantized by `nearest` where `grid`."""
        kind = tensor(w, "f32", grid.attribute() if grid else "")
        self.add("")
        self.add(f"lowbit.parameter @{name} : {kind} init {{")
        start = f"lowbit.weight @{of}" if of else f"arith.constant {dense(w)}"
        self.add(f"  %0 = {start} : {tensor(w)}")
        result = "%0"
        if grid:
            self.add(f'  %1 = lowbit.quantize %0 solver "nearest" : {tensor(w)} -> {kind}')
            result = "%1"
        self.add(f"  lowbit.yield {result} : {kind}")
        self.add("}")
        return kind

    def text(self):
        return "\n".join(self.lines) + "\n"


def normal(random, *shape):
    return random.standard_normal(shape).astype(F32)


def add_and_gate(random):
    f = File("Sum and gated activation, with the ends of exp's range.")
    a, b = normal(random, 2, 19), normal(random, 2, 19)
    f.test("add", lambda: f.equal(
        f.value(f"lowbit.add {f.constant(a)}, {f.constant(b)} : {tensor(a)}"), a + b))
    g = np.concatenate([normal(random, 8) * 4, F32([
        0, -0.0, 87.3, 87.33655, 87.4, 88.37626, 89, 1e30, -88.5, -1e30])])[None]
    u = normal(random, *g.shape)
    f.test("gate", lambda: f.equal(
        f.value(f"lowbit.gate {f.constant(g)}, {f.constant(u)} : {tensor(g)}"),
        spec.gate(g, u)))
    return f


def rows(random):
    f = File("Slices and selected rows.")
    x = normal(random, 3, 7)

    def cut():
        v = f.value(f"lowbit.slice {f.constant(x)} at 2 : {tensor(x)} -> tensor<3x4xf32>")
        f.equal(v, x[:, 2:6])

    def select():
        index = np.array([2, 0, 2, 1], np.int32)
        v = f.value(f"lowbit.select_rows {f.constant(x)}, {f.constant(index)} : "
                    f"{tensor(x)}, {tensor(index)} -> tensor<4x7xf32>")
        f.equal(v, x[index])

    f.test("slice", cut)
    f.test("select_rows", select)
    return f


def rms_norm(random):
    f = File("RMS norm: full and ragged lanes, a row of zeros.")
    for columns in (16, 37):
        x, gain = normal(random, 3, columns), normal(random, columns)
        x[1] = 0

        def body(x=x, gain=gain):
            v = f.value(f"lowbit.rms_norm {f.constant(x)}, {f.constant(gain)} eps = "
                        f"1.0e-5 : {tensor(x)}, {tensor(gain)}")
            f.equal(v, spec.rms_norm(x, gain, 1e-5))

        f.test(f"columns_{columns}", body)
    return f


def rotary(random):
    f = File("Rotary embedding of two heads at small and large positions.")
    x = normal(random, 3, 8)
    places = np.array([[0, 0], [0, 7], [3, 131071]], np.int32)
    frequencies = F32([1, 0.01])

    def body():
        v = f.value(f"lowbit.rotary {f.constant(x)}, {f.constant(places)} frequencies = "
                    f"[1.0, 0.01] : {tensor(x)}, {tensor(places)}")
        f.equal(v, spec.rotary(x, places[:, 1], frequencies))

    f.test("two_heads", body)
    return f


def embedding(random):
    f = File("Rows of float and integer tables.")
    ids = np.array([4, 0, 4], np.int32)
    w = normal(random, 5, 40)
    kind = f.computed_parameter("float", w)
    grids = [Grid(4, 32, "f16", "integer"), Grid(2, 32, "e4m3", "half")]
    kinds = [f.computed_parameter(g.name(), w, g) for g in grids]

    def lookup(name, kind, table):
        t = f.value(f"lowbit.weight @{name} : {kind}")
        v = f.value(f"lowbit.embedding {f.constant(ids)}, {t} : {tensor(ids)}, {kind} "
                    f"-> tensor<3x40xf32>")
        f.equal(v, table[ids])

    f.test("float", lambda: lookup("float", kind, w))
    for grid, kind_ in zip(grids, kinds):
        f.test(grid.name(), lambda g=grid, k=kind_: lookup(
            g.name(), k, spec.quantize_nearest(w, g).decoded()))
    return f


def linear_float(random):
    f = File("Linear with float weights: one slab, two slabs, a bias.")
    for n, k in ((35, 5), (3, 520)):
        x, w, b = normal(random, 2, k), normal(random, n, k), normal(random, n)
        kind = f.computed_parameter(f"w{k}", w)
        out = f"tensor<2x{n}xf32>"

        def body(x=x, w=w, b=b, kind=kind, out=out):
            weight = f.value(f"lowbit.weight @w{w.shape[1]} : {kind}")
            rows_, bias = f.constant(x), f.constant(b)
            v = f.value(f"lowbit.linear {rows_}, {weight} activation = <f32> : "
                        f"{tensor(x)}, {kind} -> {out}")
            f.equal(v, spec.linear_float(x, w))
            v = f.value(f"lowbit.linear {rows_}, {weight} bias {bias} : {tensor(b)} "
                        f"activation = <f32> : {tensor(x)}, {kind} -> {out}")
            f.equal(v, spec.linear_float(x, w, b))

        f.test(f"columns_{k}", body)
    return f


def linear_integer(random):
    f = File("Linear with integer weights and activations, by the solver nearest; "
             "rows of zeros, tiny numbers and NaN.")
    x = normal(random, 6, 40)
    x[1] = 0
    x[2] *= F32(1e-30)
    x[3, 7] = np.nan
    x[4] *= F32(1e-35)
    x[5, 0] = np.inf
    bias = normal(random, 3)
    for grid in (Grid(4, 32, "f16", "integer"), Grid(2, 32, "e4m3", "half"),
                 Grid(8, 32, "f16", "stored"), Grid(3, 0, "f16", "half")):
        w = normal(random, 3, 40)
        kind = f.computed_parameter(grid.name(), w, grid)

        def body(grid=grid, w=w, kind=kind):
            weight = f.value(f"lowbit.weight @{grid.name()} : {kind}")
            rows_, b = f.constant(x), f.constant(bias)
            quantized = spec.quantize_nearest(w, grid)
            grouped = [spec.Groups(4, 32, "e4m3", "stored"), spec.Groups(2, 32, "f16", "integer"),
                       spec.Groups(2, 128, "e4m3", "stored")]
            for planes, name in [(2, "i16"), (1, "i8")] + [(g, g.attribute()) for g in grouped]:
                v = f.value(f"lowbit.linear {rows_}, {weight} bias {b} : {tensor(bias)} "
                            f"activation = <{name}> : {tensor(x)}, {kind} -> "
                            f"tensor<6x3xf32>")
                f.equal(v, spec.linear_integer(x, quantized, planes, bias))

        f.test(grid.name(), body)
    return f


def attend(f, attention, q, k, v, places, only=None, heads="heads = 4 kv_heads = 2"):
    value = f.value(f"lowbit.attention {f.constant(q)}, {f.constant(k)}, {f.constant(v)}, "
                    f"{f.constant(places)} layer = 1 {heads} scale = 0.5 cache = "
                    f"{attention.cache} : {tensor(q)}, "
                    f"{tensor(k)}, {tensor(places)}")
    expected = attention.run(q, k, v, places, only)
    if only is not None:
        index = np.array(only, np.int32)
        value = f.value(f"lowbit.select_rows {value}, {f.constant(index)} : {tensor(q)}, "
                        f"{tensor(index)} -> {tensor(expected)}")
    f.equal(value, expected)


def attention_test(random):
    f = File("Attention: groups of query heads, two sequences in one batch, several "
             "blocks of keys, a prompt and then single tokens, positions written again.")
    for name, cache, bits in (("f16", "f16", 16), ("i8", "i8", 8),
                              ("i4", "i4 group = head", 4), ("i2", "i2 group = 32", 2)):
        def batch(cache=cache, bits=bits):
            attention = spec.Attention(4, 2, 4, 0.5, cache, bits)
            for places in ([[0, 1], [5, 0], [0, 0], [5, 1], [0, 2]],
                           [[5, 2], [0, 1]]):
                n = len(places)
                attend(f, attention, normal(random, n, 16), normal(random, n, 8),
                       normal(random, n, 8), np.array(places, np.int32))

        def blocks(cache=cache, bits=bits):
            attention = spec.Attention(4, 2, 4, 0.5, cache, bits)
            places = np.array([[2, j] for j in range(130)], np.int32)
            k = normal(random, 130, 8) * F32(3)
            attend(f, attention, normal(random, 130, 16), k, normal(random, 130, 8), places,
                   [0, 62, 63, 64, 127, 128, 129])
            attend(f, attention, normal(random, 1, 16), normal(random, 1, 8),
                   normal(random, 1, 8), np.array([[2, 130]], np.int32))

        f.test(f"batch_{name}", batch)
        f.test(f"blocks_{name}", blocks)

    def groups():
        attention = spec.Attention(2, 1, 72, 0.5, "i4 group = 32", 4, 32)
        k, v = normal(random, 4, 72), normal(random, 4, 72)
        k[0], k[1, :32], k[2] = 0, np.abs(k[1, :32]), k[2] * F32(1e-9)
        v[0], v[1, 32:64], v[2] = -np.abs(v[0]), 0, v[2] * F32(1e4)
        attend(f, attention, normal(random, 4, 144), k, v,
               np.array([[0, j] for j in range(4)], np.int32), heads="heads = 2 kv_heads = 1")

    f.test("groups_i4", groups)
    return f


def quantize(random):
    f = File("The solver nearest on awkward groups: zeros, one sign, huge and tiny "
             "numbers, ties; and on a stack of weights.")
    w = normal(random, 6, 72)
    w[0, :32] = 0
    w[1] = np.abs(w[1])
    w[2] = -np.abs(w[2])
    w[3] *= F32(1e-9)
    w[4] *= F32(1e4)
    w[5] = np.arange(72, dtype=F32) / 2 - 16
    f.computed_parameter("w", w)
    for bits in (2, 3, 4, 8):
        for grid in (Grid(bits, 32, "f16", "integer"), Grid(bits, 64, "e4m3", "half"),
                     Grid(bits, 0, "f16", "stored"), Grid(bits, 32, "e4m3", "stored"),
                     Grid(bits, 128, "e4m3", "integer")):
            kind = f.computed_parameter(grid.name(), w, grid, of="w")
            f.test(grid.name(), lambda g=grid, k=kind: f.equal(
                f.value(f"lowbit.weight @{g.name()} : {k}"),
                spec.quantize_nearest(w, g).decoded(), k))
    a, b = normal(random, 2, 3), normal(random, 1, 3)
    f.computed_parameter("upper", a)
    f.computed_parameter("lower", b)
    f.lines += [
        "", "lowbit.parameter @stack : tensor<3x3xf32> init {",
        "  %0 = lowbit.weight @upper : tensor<2x3xf32>",
        "  %1 = lowbit.weight @lower : tensor<1x3xf32>",
        "  %2 = lowbit.concat %0, %1 : tensor<2x3xf32>, tensor<1x3xf32> -> tensor<3x3xf32>",
        "  lowbit.yield %2 : tensor<3x3xf32>", "}"]
    f.test("concat", lambda: f.equal(
        f.value("lowbit.weight @stack : tensor<3x3xf32>"), np.vstack([a, b])))
    return f


def f64_mode(random):
    f = File("F64 mode rounds neither weights, activations nor the cache.",
             "lowbit-reference --engine=f64 %s")
    grid = Grid(4, 32, "e4m3", "half")
    x, w = normal(random, 2, 40), normal(random, 3, 40)
    kind = f.computed_parameter("w", w, grid)

    def close(value, expected):
        f.add(f"  check.expect_close {value}, dense<[" + ", ".join(
            "[" + ", ".join(f"{v:.17e}" for v in row) + "]" for row in expected) +
            f"]> : {tensor(expected, 'f64')} tolerance = 1.0e-14 : {tensor(expected)}")

    def linear():
        weight = f.value(f"lowbit.weight @w : {kind}")
        v = f.value(f"lowbit.linear {f.constant(x)}, {weight} activation = <i8> : "
                    f"{tensor(x)}, {kind} -> tensor<2x3xf32>")
        close(v, x.astype(np.float64) @ spec.quantize_nearest(w, grid).exact().T)

    def attention(heads, dim, cache):
        """`heads` query heads of `dim` elements, two for each head of keys and values."""
        q = normal(random, 3, heads * dim)
        k, v = (normal(random, 3, heads * dim // 2) for _ in range(2))
        places = np.array([[0, j] for j in range(3)], np.int32)
        expected = np.zeros((3, heads * dim))
        for row in range(3):
            for h in range(heads):
                head, kv = (slice(dim * i, dim * i + dim) for i in (h, h // 2))
                s = np.float64(q[row, head]) @ np.float64(k[:row + 1, kv]).T * 0.5
                p = np.exp(s - s.max())
                expected[row, head] = p / p.sum() @ np.float64(v[:row + 1, kv])
        value = f.value(
            f"lowbit.attention {f.constant(q)}, {f.constant(k)}, {f.constant(v)}, "
            f"{f.constant(places)} layer = 1 heads = {heads} kv_heads = {heads // 2} "
            f"scale = 0.5 cache = {cache} : {tensor(q)}, {tensor(k)}, {tensor(places)}")
        close(value, expected)

    f.test("linear", linear)
    f.test("attention", lambda: attention(4, 4, "i8"))
    f.test("attention_grouped", lambda: attention(2, 72, "i4 group = 32"))
    return f


HADAMARDS = [(1, None, False), (16, None, False), (64, 3, False), (64, 3, True),
             (12, 5, False), (12, 5, True), (20, None, True), (28, 1, False),
             (36, 2, True), (52, 7, False), (24, 9, False)]


def hadamard_text(n, seed, transposed):
    return (f"hadamard<block = {n}" + (f", seed = {seed}" if seed is not None else "") +
            (", transposed>" if transposed else ">"))


def transform(random):
    f = File("Transforms of rows, each step and its order.")

    def apply(x, kind, expected, *matrices):
        operands = [f.constant(m) for m in matrices]
        text_ = (f"({', '.join(operands)} : {', '.join(tensor(m) for m in matrices)})"
                 if matrices else "")
        f.equal(f.value(f"lowbit.transform {f.constant(x)} by {kind}{text_} : "
                        f"{tensor(x)} -> {tensor(expected)}"), expected)

    def hadamard():
        for n, seed, transposed in HADAMARDS:
            x = normal(random, 2, 2 * n)
            apply(x, hadamard_text(n, seed, transposed),
                  transforms.hadamard_rows(x, n, seed, transposed))

    def others():
        x = normal(random, 2, 24)
        apply(x, 'signs<block = 8, bits = "9c">', x * np.tile(bits_of("9c", 8), 3))
        apply(x, "signs<block = 24, seed = 11>",
              x * transforms.signs(11, 24).astype(F32))
        s = normal(random, 12)
        apply(x, "diagonal", x * np.tile(s, 2), s)
        p = normal(random, 8, 8)
        apply(x, "dense<general>", transforms.dense_rows(x, p), p)
        p1, p2 = normal(random, 3, 3), normal(random, 4, 4)
        apply(x, "kronecker<general>", transforms.kronecker_rows(x, p1, p2), p1, p2)
        runs = [(0, 5), (4, 1), (4, 20), (-1, 6)]
        g = transforms.gather_matrix(24, runs).astype(F32)
        listed = ", ".join(f"{a}, {b}" for a, b in runs)
        apply(x, f"gather<columns = 24, runs = [{listed}]>", x @ g)
        wide = normal(random, 2, 32)
        apply(wide, f"gather<columns = 24, runs = [{listed}], transposed>", wide @ g.T)
        copies = np.maximum(g.sum(1), 1).astype(F32)
        apply(x, f"gather<columns = 24, runs = [{listed}], averaged>", (x / copies) @ g)
        apply(wide, f"gather<columns = 24, runs = [{listed}], transposed, averaged>",
              (wide @ g.T) / copies)

    f.test("hadamard", hadamard)
    f.test("others", others)
    return f


def bits_of(digits, count):
    """Signs of hexadecimal digits, four to a digit, lowest bit first."""
    return np.array([-1 if int(digits[k // 4], 16) >> (k % 4) & 1 else 1
                     for k in range(count)], F32)


def transform_weight(random):
    f = File("Transforms of weights, in f64, and their inverses.",
             "lowbit-reference --engine=f64 %s")

    def close(value, expected):
        expected = np.asarray(expected, np.float64)
        parts = [np.atleast_1d(row) for row in expected]
        rows_ = [", ".join(f"{v:.17e}" for v in row) for row in parts]
        body = ", ".join(rows_ if expected.ndim == 1 else [f"[{r}]" for r in rows_])
        f.add(f"  check.expect_close {value}, dense<[{body}]> : {tensor(expected, 'f64')} "
              f"tolerance = 1.0e-13 : {tensor(expected)}")

    def weigh(value, w, dim, kind, shape, matrices=""):
        out = "x".join(map(str, shape))
        return f.value(f"lowbit.transform_weight {value} dim = {dim} by {kind}{matrices} : "
                       f"{tensor(w)} -> tensor<{out}xf32>")

    def hadamard():
        for n, seed, transposed in HADAMARDS[3:8]:
            t = np.kron(np.eye(2), transforms.hadamard_matrix(n, seed, transposed))
            w = normal(random, 2, 2 * n)
            kind = hadamard_text(n, seed, transposed)
            close(weigh(f.constant(w), w, 1, kind, w.shape), w @ t)
            w = np.ascontiguousarray(w.T)
            close(weigh(f.constant(w), w, 0, kind, w.shape), t.T @ w)
        b = normal(random, 24)
        t = np.kron(np.eye(2), transforms.hadamard_matrix(12, 5))
        close(weigh(f.constant(b), b, 0, hadamard_text(12, 5, False), b.shape), b @ t)

    def matrices():
        w, p = normal(random, 4, 12), normal(random, 6, 6)
        p1, p2, s = normal(random, 2, 2), normal(random, 3, 3), normal(random, 12)
        start, matrix = f.constant(w), f.constant(p)
        inverse = f.value(f"lowbit.invert {matrix} : {tensor(p)} -> {tensor(p)}")
        turned = f.value(f"lowbit.transpose {inverse} : {tensor(p)} -> {tensor(p)}")
        exact = np.linalg.inv(np.float64(p))
        close(weigh(start, w, 1, "dense<general>", w.shape,
                    f"({turned} : {tensor(p)})"), w @ np.kron(np.eye(2), exact.T))
        a, b = f.constant(p1), f.constant(p2)
        close(weigh(start, w, 1, "kronecker<general>", w.shape,
                    f"({a}, {b} : {tensor(p1)}, {tensor(p2)})"),
              w @ np.kron(np.eye(2), np.kron(np.float64(p1), p2)))
        vector = f.constant(s)
        reciprocal = f.value(f"lowbit.invert {vector} : {tensor(s)} -> {tensor(s)}")
        close(weigh(start, w, 1, "diagonal", w.shape, f"({reciprocal} : {tensor(s)})"),
              w / np.float64(s))
        runs = [(0, 3), (2, 10), (-1, 3)]
        g = transforms.gather_matrix(12, runs)
        listed = ", ".join(f"{a}, {b}" for a, b in runs)
        close(weigh(start, w, 1, f"gather<columns = 12, runs = [{listed}]>", (4, 16)),
              w @ g)

    def diagonal_in_a_basis():
        """M = R' diag(g) R, as a tied head keeps its table."""
        s, ones = normal(random, 8), np.full(8, 2, F32)
        r = transforms.hadamard_matrix(8, 4)
        m = f.value(f"lowbit.expand_diagonal {f.constant(s)} : {tensor(s)} -> tensor<8x8xf32>")
        filled = f.value("lowbit.fill 2.0 : tensor<8xf32>")
        square = np.zeros((8, 8), F32)
        m = weigh(m, square, 1, hadamard_text(8, 4, False), (8, 8))
        m = weigh(m, square, 0, hadamard_text(8, 4, False), (8, 8))
        m = weigh(m, square, 1, "diagonal", (8, 8), f"({filled} : {tensor(ones)})")
        close(m, r.T @ np.diag(np.float64(s)) @ r * 2)

    def orthonormal():
        q = np.linalg.qr(random.standard_normal((7, 7)))[0].astype(F32)
        u, _, v = np.linalg.svd(np.float64(q))
        close(f.value(f"lowbit.orthonormalize {f.constant(q)} : {tensor(q)} -> {tensor(q)}"),
              u @ v)

    f.test("hadamard", hadamard)
    f.test("orthonormal", orthonormal)
    f.test("matrices", matrices)
    f.test("diagonal_in_a_basis", diagonal_in_a_basis)
    return f


COMMITTED = {
    "add-gate": add_and_gate, "attention": attention_test, "embedding": embedding,
    "f64": f64_mode, "linear-float": linear_float, "linear-integer": linear_integer,
    "quantize-concat": quantize, "rms-norm": rms_norm, "rotary": rotary,
    "slice-select-rows": rows, "transform": transform,
    "transform-weight": transform_weight,
}


def committed():
    """(path, text) of each committed test."""
    for number, (name, make) in enumerate(COMMITTED.items()):
        yield HERE / f"{name}.mlir", make(np.random.default_rng(number)).text()


class Container:
    """A safetensors file in the making."""

    def __init__(self):
        self.header, self.data = {}, b""

    def add(self, name, dtype, shape, data):
        self.header[name] = {"dtype": dtype, "shape": shape,
                             "data_offsets": [len(self.data), len(self.data) + len(data)]}
        self.data += data

    def text(self):
        raw = json.dumps(self.header).encode()
        raw += b" " * (-len(raw) % 8)
        return len(raw).to_bytes(8, "little") + raw + self.data

    def source(self, name):
        begin, end = self.header[name]["data_offsets"]
        start = len(self.text()) - len(self.data)
        return (f'source <"weights.safetensors", "{name}", offset = {start + begin}, '
                f"bytes = {end - begin}>")


LAYOUT = {2: "layout <tile_rows = 16, lane_bytes = 2>",
          4: "layout <tile_rows = 16, lane_bytes = 4>"}


def all_grids():
    return [Grid(bits, group, scale, offset) for bits in (2, 3, 4, 8)
            for group in (32, 64, 128, 0) for scale in ("f16", "e4m3")
            for offset in ("integer", "half", "stored")]


def float_cases(random):
    """(name, element, words, values) of stored floats; NaN and infinities too."""
    words16 = random.integers(0, 1 << 16, (18, 21), dtype=np.uint16)
    words32 = random.integers(0, 1 << 32, (18, 21), dtype=np.uint32)
    bf16 = (words16.astype(np.uint32) << 16).view(F32)
    with np.errstate(invalid="ignore"):
        f16 = words16.view(np.float16).astype(F32)
    return [("f16", "f16", words16, f16), ("bf16", "bf16", words16, bf16),
            ("f32", "f32", words32, words32.view(F32))]


def formats(folder):
    """Every format in its layout, decoded and multiplied."""
    random = np.random.default_rng(1)
    container, cases = Container(), []
    for grid in all_grids():
        n, k = 18, 520 + 17 if grid.group == 0 else 137
        weight = packed_layouts.random_weight(random, grid, n, k)
        container.add(grid.name(), "U8", [len(packed_layouts.pack_integers(weight))],
                      packed_layouts.pack_integers(weight))
        cases.append((grid, weight))
    floats = float_cases(random)
    for name, element, words, values in floats:
        container.add("rows_" + name, element.upper(), list(words.shape), words.tobytes())
        container.add("tiles_" + name, "U8", [len(packed_layouts.pack_floats(words))],
                      packed_layouts.pack_floats(words))

    f = File("Every format and layout.")
    for grid, weight in cases:
        kind = tensor(weight.codes, "f32", grid.attribute())
        f.add(f"lowbit.parameter @{grid.name()} : {kind} "
              f"{container.source(grid.name())} {LAYOUT[4]}")
        x = normal(random, 2, weight.codes.shape[1])

        def body(grid=grid, weight=weight, kind=kind, x=x):
            w = f.value(f"lowbit.weight @{grid.name()} : {kind}")
            f.equal(w, weight.decoded(), kind)
            rows_ = f.constant(x)
            grouped = [spec.Groups(4, 32, "e4m3", "stored"), spec.Groups(2, 32, "f16", "integer"),
                       spec.Groups(2, 128, "e4m3", "stored")]
            for planes, name in [(2, "i16"), (1, "i8")] + [(g, g.attribute()) for g in grouped]:
                v = f.value(f"lowbit.linear {rows_}, {w} activation = <{name}> : "
                            f"{tensor(x)}, {kind} -> tensor<2x18xf32>")
                f.equal(v, spec.linear_integer(x, weight, planes))

        f.test(grid.name(), body)
    for name, element, words, values in floats:
        kind = tensor(values, element)
        for order, layout in (("rows", ""), ("tiles", LAYOUT[words.itemsize])):
            stored = f"{order}_{name}"
            f.add(f"lowbit.parameter @{stored} : {kind} {container.source(stored)} {layout}")
            f.test(stored, lambda s=stored, k=kind, v=values: f.equal(
                f.value(f"lowbit.weight @{s} : {k}"), v, k))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(container.text())
    (folder / "formats.mlir").write_text(f.text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--formats", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.formats:
        formats(arguments.formats)
    stale = []
    if arguments.write or arguments.check:
        for path, wanted in committed():
            if arguments.write:
                path.write_text(wanted)
            elif not path.exists() or path.read_text() != wanted:
                stale.append(path.name)
    for name in stale:
        print(f"{name} is not what make_expected.py --write makes")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
