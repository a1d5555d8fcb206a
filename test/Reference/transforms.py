"""docs/Spec.md, section 3, "Transforms", in numpy: strict steps on rows, and the matrices themselves."""
import itertools

import numpy as np

from strict_numerics import F32, linear_float


def prime_power(q):
    """(p, k) with q = p^k, or None."""
    if q < 2:
        return None
    p = next(d for d in range(2, q + 1) if q % d == 0)
    k = 0
    while q % p == 0:
        q, k = q // p, k + 1
    return (p, k) if q == 1 else None


class Field:
    """GF(p^k): elements are tuples of coefficients, lowest first."""

    def __init__(self, p, k):
        self.p, self.k = p, k
        products = {self.times(a, b) for da in range(1, k) for a in self.monic(da)
                    for b in self.monic(k - da)} if k > 1 else set()
        self.low = next(low for low in self.all(k) if low + (1,) not in products)
        self.squares = {self.rest(self.times(a, a)) for a in self.all(k) if any(a)}

    def all(self, size):
        for digits in itertools.product(range(self.p), repeat=size):
            yield digits[::-1]

    def monic(self, degree):
        for low in self.all(degree):
            yield low + (1,)

    def times(self, a, b):
        c = [0] * (len(a) + len(b) - 1)
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                c[i + j] = (c[i + j] + x * y) % self.p
        return tuple(c)

    def rest(self, a):
        a = list(a)
        while len(a) > self.k:
            top = a.pop()
            for i, c in enumerate(self.low):
                a[len(a) - self.k + i] = (a[len(a) - self.k + i] - top * c) % self.p
        return tuple(a)

    def characters(self):
        """chi(i - j) as a matrix."""
        elements = list(self.all(self.k))
        return np.array([[0 if a == b else 1 if tuple(
            (x - y) % self.p for x, y in zip(a, b)) in self.squares else -1
            for b in elements] for a in elements])


def core(m):
    """H_m for m = 1 or a Paley order, or None."""
    if m == 1:
        return np.array([[1]])
    if m % 4:
        return None
    if (m - 1) % 4 == 3 and prime_power(m - 1):
        h = np.ones((m, m), int)
        h[1:, 0] = -1
        h[1:, 1:] = Field(*prime_power(m - 1)).characters()
        return h * (1 - np.eye(m, dtype=int)) + np.eye(m, dtype=int)
    q = m // 2 - 1
    if q % 4 == 1 and prime_power(q):
        c = np.ones((q + 1, q + 1), int)
        c[0, 0] = 0
        c[1:, 1:] = Field(*prime_power(q)).characters()
        return (np.kron(c, [[1, 1], [1, -1]]) +
                np.kron(np.eye(q + 1, dtype=int), [[1, -1], [-1, -1]]))
    return None


def split(n):
    """(H_m, 2^p) with n = m 2^p and the smallest m."""
    width = n & -n
    while core(n // width) is None:
        width //= 2
    return core(n // width), width


def signs(seed, count):
    mask, result = (1 << 64) - 1, []
    for k in range(count):
        z = (seed + (k // 64 + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        result.append(-1 if z >> (k % 64) & 1 else 1)
    return np.array(result)


def hadamard_matrix(n, seed=None, transposed=False):
    """D H_n / sqrt(n), or its transpose, in f64."""
    h, width = split(n)
    sylvester = np.array([[(-1) ** bin(i & j).count("1") for j in range(width)]
                          for i in range(width)])
    t = np.kron(h, sylvester) / np.sqrt(n)
    if seed is not None:
        t = signs(seed, n)[:, None] * t
    return t.T if transposed else t


def hadamard_rows(x, n, seed=None, transposed=False):
    """Strict f32."""
    h, width = split(n)
    h = h.T if transposed else h
    d = np.ones(n, F32) if seed is None else signs(seed, n).astype(F32)
    blocks = x.reshape(-1, n).copy()
    if not transposed:
        blocks = blocks * d
    stride = 1
    while stride < width:
        b = blocks.reshape(len(blocks), -1, 2, stride)
        blocks = np.stack([b[:, :, 0] + b[:, :, 1], b[:, :, 0] - b[:, :, 1]], 2)
        blocks = blocks.reshape(-1, n)
        stride *= 2
    if len(h) > 1:
        parts = blocks.reshape(len(blocks), len(h), width)
        out = np.empty_like(parts)
        for to in range(len(h)):
            total = F32(h[0, to]) * parts[:, 0]
            for i in range(1, len(h)):
                total = total + F32(h[i, to]) * parts[:, i]
            out[:, to] = total
        blocks = out.reshape(-1, n)
    blocks = blocks * F32(1 / np.sqrt(n))
    if transposed:
        blocks = blocks * d
    return blocks.reshape(x.shape)


def dense_rows(x, p):
    return linear_float(x.reshape(-1, len(p)), np.ascontiguousarray(p.T)).reshape(x.shape)


def kronecker_rows(x, p1, p2):
    a, b = len(p1), len(p2)
    z = dense_rows(x.reshape(-1, b), p2).reshape(-1, a, b)
    y = dense_rows(np.ascontiguousarray(z.transpose(0, 2, 1)).reshape(-1, a), p1)
    return np.ascontiguousarray(
        y.reshape(-1, b, a).transpose(0, 2, 1)).reshape(x.shape)


def gather_matrix(columns, runs):
    index = [(-1 if first < 0 else first + j)
             for first, count in runs for j in range(count)]
    g = np.zeros((columns, len(index)))
    for to, i in enumerate(index):
        if i >= 0:
            g[i, to] = 1
    return g
