"""docs/Spec.md, sections 1 to 3, in numpy: the second opinion on the interpreter.

Written from the specification alone. All f32 steps are single rounded
operations in the order of the specification; `fma` rounds once.
"""

import math

import numpy as np

F32 = np.float32


def fma(a, b, c):
    """a*b + c with one rounding to f32.

    The product of two f32 is exact in f64. The sum is rounded to odd in f64
    (error by TwoSum), so that the second rounding, to f32, is the only one.
    """
    p = np.float64(a) * np.float64(b)
    c = np.float64(c)
    p, c = np.broadcast_arrays(p, c)
    s = p + c
    t = s - p
    e = (p - (s - t)) + (c - t)
    bits = s.copy().view(np.int64)
    inexact_even = (e != 0) & (bits & 1 == 0) & np.isfinite(s)
    outward = (e > 0) == (s > 0)
    bits = np.where(inexact_even, np.where(outward, bits + 1, bits - 1), bits)
    return bits.view(np.float64).astype(F32)


def sum_lanes(lanes):
    for distance in (8, 4, 2, 1):
        lanes = lanes[:distance] + lanes[distance:2 * distance]
    return lanes[0]


def sum16(v):
    lanes = np.zeros(16, F32)
    for i, x in enumerate(v):
        lanes[i % 16] = lanes[i % 16] + x
    return sum_lanes(lanes)


def sum16_fma(a, b):
    lanes = np.zeros(16, F32)
    for i, (x, y) in enumerate(zip(a, b)):
        lanes[i % 16] = fma(x, y, lanes[i % 16])
    return sum_lanes(lanes)


def exp(x):
    x = F32(x)
    if np.isnan(x):
        return x
    if x < F32(-87.33654):
        return F32(0)
    x = min(x, F32(88.37626))
    n = np.rint(x * F32(1.44269504))
    r = fma(n, F32(-0.693359375), x)
    r = fma(n, F32(2.12194440e-4), r)
    p = F32(1.9875691500e-4)
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
              1.6666665459e-1, 5.0000001201e-1):
        p = fma(p, r, F32(c))
    t = fma(p * r, r, r)
    return F32(np.ldexp(t + F32(1), int(n)))


def rms_norm(x, gain, eps):
    rows = []
    for row in x:
        ms = sum16_fma(row, row) / F32(len(row))
        r = F32(1) / np.sqrt(ms + F32(eps))
        rows.append((row * r) * gain)
    return np.array(rows, F32)


def gate(g, u):
    silu = [F32(v / (F32(1) + exp(-v))) for v in g.ravel()]
    return np.array(silu, F32).reshape(g.shape) * u


def rotary(x, positions, frequencies):
    y = x.copy()
    half = len(frequencies)
    for row, position in enumerate(positions):
        for i, f in enumerate(frequencies):
            angle = float(position) * float(f)
            c, s = F32(math.cos(angle)), F32(math.sin(angle))
            for head in range(0, x.shape[1], 2 * half):
                a, b = x[row, head + i], x[row, head + half + i]
                y[row, head + i] = fma(a, c, -(b * s))
                y[row, head + half + i] = fma(b, c, a * s)
    return y


def quantize_row(x, limit):
    """Integers and the scale of one row of activations."""
    if not np.isfinite(x).all():
        return np.zeros(len(x), np.int64), F32(np.nan)
    amax = np.abs(x).max() if len(x) else F32(0)
    with np.errstate(divide="ignore", over="ignore"):
        inv = F32(limit) / amax
    if np.isinf(inv):
        return np.zeros(len(x), np.int64), F32(0)
    q = np.clip(np.rint(x * inv), -limit, limit).astype(np.int64)
    return q, amax / F32(limit)


def linear_float(x, w, bias=None):
    y = np.zeros((len(x), len(w)), F32)
    for m, row in enumerate(x):
        total = np.zeros(len(w), F32)
        for first in range(0, w.shape[1], 512):
            partial = np.zeros(len(w), F32)
            for k in range(first, min(first + 512, w.shape[1])):
                partial = fma(w[:, k], row[k], partial)
            total = total + partial
        y[m] = total if bias is None else total + bias
    return y


class Grid:
    """A grouped-integer format, and what a weight in it is."""

    def __init__(self, bits, group, scale, offset):
        self.bits, self.group, self.scale, self.offset = bits, group, scale, offset

    def attribute(self):
        group = "row" if self.group == 0 else self.group
        scale = "f16" if self.scale == "f16" else "f8E4M3FN"
        return (f"#lowbit.int<{self.bits}, group = {group}, scale = {scale}, "
                f"offset = {self.offset}>")

    def name(self):
        return f"int{self.bits}_g{self.group or 'row'}_{self.scale}_{self.offset}"

    def width(self, columns):
        return self.group or columns

    def groups(self, columns):
        """[first, end) of each group of a row."""
        width = self.width(columns)
        return [(k, min(k + width, columns)) for k in range(0, columns, width)]


class GridWeight:
    """codes[n][k], scales[n][group] (f32 values), zeros[n][group], factor."""

    def __init__(self, grid, codes, scales, zeros, factor):
        self.grid, self.codes, self.scales = grid, codes, scales
        self.zeros, self.factor = zeros, F32(factor)

    def twice_offsets(self):
        """2·(c − z), exact."""
        codes = 2 * self.codes.astype(np.int64)
        if self.grid.offset == "integer":
            return codes - 2**self.grid.bits
        if self.grid.offset == "half":
            return codes - (2**self.grid.bits - 1)
        z = np.zeros_like(codes)
        for g, (first, end) in enumerate(self.grid.groups(codes.shape[1])):
            z[:, first:end] = self.zeros[:, g:g + 1]
        return codes - 2 * z

    def decoded(self):
        s = np.zeros(self.codes.shape, F32)
        for g, (first, end) in enumerate(self.grid.groups(s.shape[1])):
            s[:, first:end] = self.scales[:, g:g + 1]
        value = (self.twice_offsets() / 2).astype(F32) * s
        return value * self.factor if self.grid.scale == "e4m3" else value

    def exact(self):
        s = np.zeros(self.codes.shape, np.float64)
        for g, (first, end) in enumerate(self.grid.groups(s.shape[1])):
            s[:, first:end] = self.scales[:, g:g + 1]
        return self.twice_offsets() / 2 * s * np.float64(self.factor)


class Groups:
    """Activations of 4 or 2 bits with a scale for each group of columns."""

    def __init__(self, bits, group, scale, offset):
        self.bits, self.group, self.scale, self.offset = bits, group, scale, offset

    def attribute(self):
        scale = "f16" if self.scale == "f16" else "f8E4M3FN"
        return f"i{self.bits}, group = {self.group}, scale = {scale}, offset = {self.offset}"

    def quantize(self, x):
        """q, the scale of each group, the token's scale."""
        stored = self.offset == "stored"
        n = F32(2**self.bits - 1 if stored else 2**(self.bits - 1) - 1)
        parts = [x[k:k + self.group] for k in range(0, len(x), self.group)]
        if not np.isfinite(x).all():
            return np.zeros(len(x), np.int64), [F32(0)] * len(parts), F32(np.nan)
        lows = [min(p.min(), F32(0)) for p in parts]
        exact = [(max(p.max(), F32(0)) - low if stored else np.abs(p).max()) / n
                 for p, low in zip(parts, lows)]
        factor = max(exact) / F32(448) if self.scale == "e4m3" else F32(1)
        q, scales = [], []
        for p, low, s in zip(parts, lows, exact):
            if self.scale == "e4m3":
                ratio = s / factor if factor > 0 else F32(0)
                s = min(round_scale(ratio, "e4m3"), F32(448))
            else:
                s = F32(np.float16(s))
            with np.errstate(divide="ignore", over="ignore"):
                inv = F32(1) / (factor * s)
            inv = F32(0) if np.isinf(inv) else inv
            z = np.clip(np.rint(-low * inv), F32(0), n) if stored else F32(0)
            c = np.clip(np.rint(p * inv) + z, F32(0) if stored else -n, n) - z
            q += c.astype(np.int64).tolist()
            scales.append(s)
        return np.array(q), scales, factor


def cut_sum(steps, q, first, end, groups, scales):
    """f over columns first ... end - 1, cut where a group of activations ends."""
    f = np.zeros(len(steps), F32)
    while first < end:
        stop = min(end, (first // groups.group + 1) * groups.group)
        i = (steps[:, first:stop] @ q[first:stop]).astype(F32)
        f = fma(i, scales[first // groups.group], f)
        first = stop
    return f


def linear_integer(x, weight, planes, bias=None):
    """Strict linear with int16 (planes = 2), int8 (1) or grouped activations."""
    grid = weight.grid
    steps = weight.twice_offsets()
    factor = weight.factor
    if grid.offset == "half":
        factor = factor / F32(2)
    else:
        steps = steps // 2
    n, k = steps.shape
    width = grid.group or 512
    y = np.zeros((len(x), n), F32)
    for m, row in enumerate(x):
        if isinstance(planes, Groups):
            q, column_scales, scale = planes.quantize(row)
        else:
            q, scale = quantize_row(row, 32639 if planes == 2 else 127)
        hi = (q + 128) >> 8
        lo = q - 256 * hi if planes == 2 else q
        total = np.zeros(n, F32)
        for slab in range(0, k, 512):
            partial = np.zeros(n, F32)
            for first in range(slab, min(slab + 512, k), width):
                end = min(first + width, slab + 512, k)
                f = (steps[:, first:end] @ lo[first:end]).astype(F32)
                if isinstance(planes, Groups):
                    f = cut_sum(steps, q, first, end, planes, column_scales)
                elif planes == 2:
                    i = (steps[:, first:end] @ hi[first:end]).astype(F32)
                    f = fma(i, F32(256), f)
                if grid.group == 0:
                    partial = f
                else:
                    partial = fma(f, weight.scales[:, first // width], partial)
            total = total + partial
        a = scale * factor
        y[m] = (total * weight.scales[:, 0]) * a if grid.group == 0 else total * a
        if bias is not None:
            y[m] = y[m] + bias
    return y


class Attention:
    """Keeps the cache of one layer: sequence -> position -> (k, v)."""

    def __init__(self, heads, kv_heads, head_dim, scale, cache, bits=8, group=None):
        """`cache`: f16, i8, or the text of a grouped one with `bits` and `group`."""
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.scale, self.cache, self.stored = F32(scale), cache, {}
        self.bits, self.group = bits, group or head_dim

    def store_group(self, x):
        """c - z and s of a group of a cache of 4 or 2 bits."""
        if not np.isfinite(x).all():
            return np.zeros(len(x), F32), F32(np.nan)
        n = F32(2**self.bits - 1)
        low, high = min(x.min(), F32(0)), max(x.max(), F32(0))
        s = F32(np.float16((high - low) / n))
        with np.errstate(divide="ignore"):
            inv = F32(1) / s
        if np.isinf(inv) or np.isinf(s):
            return np.zeros(len(x), F32), s
        z = np.clip(np.rint(-low * inv), F32(0), n)
        return np.clip(np.rint(x * inv) + z, F32(0), n) - z, s

    def store(self, x):
        """Stored values (zero points taken off) and scales, for each KV head."""
        result = []
        for h in range(self.kv_heads):
            part = x[h * self.head_dim:(h + 1) * self.head_dim]
            if self.cache == "f16":
                result.append((part.astype(np.float16).astype(F32), None))
            elif self.cache == "i8":
                q, s = quantize_row(part, 127)
                result.append((q.astype(F32), [s]))
            else:
                groups = [self.store_group(part[d:d + self.group])
                          for d in range(0, self.head_dim, self.group)]
                result.append((np.concatenate([c for c, _ in groups]),
                               [s for _, s in groups]))
        return result

    def run(self, q, k, v, places, only=None):
        """Appends all rows; the results of the rows `only`, or of all."""
        for row, (sequence, position) in enumerate(places):
            self.stored.setdefault(sequence, {})[position] = (
                self.store(k[row]), self.store(v[row]))
        only = range(len(q)) if only is None else only
        y = np.zeros((len(only), q.shape[1]), F32)
        for i, row in enumerate(only):
            sequence, position = places[row]
            for h in range(self.heads):
                part = slice(h * self.head_dim, (h + 1) * self.head_dim)
                y[i, part] = self.head(q[row, part], sequence, position,
                                       h // (self.heads // self.kv_heads))
        return y

    def head(self, q, sequence, position, kv_head):
        m, l = F32(-np.inf), F32(0)
        o = np.zeros(self.head_dim, F32)
        for first in range(0, position + 1, 64):
            keys = [self.stored[sequence][j] for j in
                    range(first, min(first + 64, position + 1))]
            s = []
            for k, _ in keys:
                values, ks = k[kv_head]
                t = F32(0)
                for g, begin in enumerate(range(0, self.head_dim, self.group)):
                    u = F32(0)
                    for d in range(begin, min(begin + self.group, self.head_dim)):
                        u = fma(q[d], values[d], u)
                    t = u if ks is None else fma(u, ks[g], t)
                s.append(t * self.scale)
            new = max(m, max(s))
            corr = F32(0) if first == 0 else exp(m - new)
            p = np.zeros(64, F32)
            for j, value in enumerate(s):
                p[j] = exp(value - new)
            l = fma(l, corr, sum16(p))
            o = o * corr
            for j, (_, v) in enumerate(keys):
                values, vs = v[kv_head]
                w = p[j] if vs is None else np.repeat(
                    [p[j] * scale for scale in vs], self.group)[:self.head_dim]
                o = fma(w, values, o)
            m = new
        return o / l


def round_scale(value, scale):
    """To the stored type, to nearest even; for E4M3 at most 448."""
    if scale == "f16":
        return F32(np.float16(value))
    if value == 0:
        return F32(0)
    exponent = max(math.floor(math.log2(float(value))), -6)
    unit = 2.0**(exponent - 3)
    return F32(np.rint(float(value) / unit) * unit)


def quantize_nearest(w, grid):
    """Spec 1.1, solver nearest."""
    codes_max = 2**grid.bits - 1
    middle = 2**(grid.bits - 1)
    groups = grid.groups(w.shape[1])
    unrounded = np.zeros((len(w), len(groups)), F32)
    low = np.zeros_like(unrounded)
    for n in range(len(w)):
        for g, (first, end) in enumerate(groups):
            part = w[n, first:end]
            low[n, g] = min(part.min(), F32(0))
            high = max(part.max(), F32(0))
            amax = np.abs(part).max()
            unrounded[n, g] = {
                "integer": amax / F32(middle - 1),
                "half": amax / F32(middle - 0.5),
                "stored": (high - low[n, g]) / F32(codes_max)}[grid.offset]
    factor = F32(1)
    if grid.scale == "e4m3" and unrounded.max() > 0:
        factor = F32(unrounded.max() / F32(448))
    scales = np.zeros_like(unrounded)
    zeros = np.zeros(unrounded.shape, np.int64)
    codes = np.zeros(w.shape, np.int64)
    for n in range(len(w)):
        for g, (first, end) in enumerate(groups):
            s = round_scale(unrounded[n, g] / factor, grid.scale)
            step = factor * s if grid.scale == "e4m3" else s
            z = middle
            if grid.offset == "stored":
                exact = unrounded[n, g]
                z = (0 if exact == 0 else
                     int(np.clip(np.rint(-low[n, g] / exact), 0, codes_max)))
                zeros[n, g] = z
            if step == 0:
                codes[n, first:end] = z
                continue
            scales[n, g] = s
            quotient = w[n, first:end] / step
            if grid.offset == "half":
                c = np.rint(quotient - F32(0.5)) + F32(middle)
            else:
                c = np.rint(quotient + F32(z))
            lowest = 1 if grid.offset == "integer" else 0
            codes[n, first:end] = np.clip(c, lowest, codes_max)
    return GridWeight(grid, codes, scales, zeros, factor)
