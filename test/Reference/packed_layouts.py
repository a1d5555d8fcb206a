"""docs/Spec.md, section 2: the bytes of packed weights, by plain loops."""

import numpy as np

from strict_numerics import GridWeight, F32

BLOCK_COLUMNS = {2: 16, 3: 32, 4: 8, 8: 4}


def pack_digits(codes, bits, columns):
    """One vector of 16 lanes of 4 bytes from codes[16][columns]."""
    vector = bytearray(64)
    for r in range(16):
        for k in range(columns):
            j, b = divmod(k, 4)
            vector[4 * r + b] |= int(codes[r][k]) << (bits * j)
    return bytes(vector)


def pack_block(codes, bits):
    """codes[16][B]: the bytes of one block."""
    if bits != 3:
        return pack_digits(codes, bits, BLOCK_COLUMNS[bits])
    high = codes >> 1
    return (pack_digits(high[:, :16], 2, 16) + pack_digits(high[:, 16:], 2, 16) +
            pack_digits(codes & 1, 1, 32))


def e4m3_bits(value):
    for bits in range(0x7F):
        e, m = bits >> 3, bits & 7
        if (m / 8 * 2.0**-6 if e == 0 else (1 + m / 8) * 2.0**(e - 7)) == value:
            return bits
    raise ValueError(value)


def pack_scales(values, scale):
    if scale == "f16":
        return np.array(values, "<f2").tobytes()
    return bytes(e4m3_bits(float(v)) for v in values)


def pack_zeros(values, bits):
    number = sum(int(z) << (r * bits) for r, z in enumerate(values))
    return number.to_bytes(2 * bits, "little")


def pad_rows(array, rows):
    return np.vstack([array, np.zeros((rows - len(array), array.shape[1]),
                                      array.dtype)])


def pack_integers(weight):
    grid = weight.grid
    n, k = weight.codes.shape
    rows = (n + 15) // 16 * 16
    codes = pad_rows(weight.codes, rows)
    scales, zeros = pad_rows(weight.scales, rows), pad_rows(weight.zeros, rows)
    block = BLOCK_COLUMNS[grid.bits]
    out = b""
    for t in range(0, rows, 16):
        tile = b""
        for g, (first, end) in enumerate(grid.groups(k)):
            width = (end - first + block - 1) // block * block
            padded = np.zeros((16, width), np.int64)
            padded[:, :end - first] = codes[t:t + 16, first:end]
            for b in range(0, width, block):
                tile += pack_block(padded[:, b:b + block], grid.bits)
            tile += pack_scales(scales[t:t + 16, g], grid.scale)
            if grid.offset == "stored":
                tile += pack_zeros(zeros[t:t + 16, g], grid.bits)
        out += tile + bytes(-len(tile) % 64)
    if grid.scale == "e4m3":
        out += np.array([weight.factor], "<f4").tobytes() + bytes(60)
    return out


def pack_floats(values):
    """[tile][k][row in tile] elements; values is an array of words."""
    n, k = values.shape
    rows = (n + 15) // 16 * 16
    padded = pad_rows(values, rows)
    out = b""
    for t in range(0, rows, 16):
        tile = np.ascontiguousarray(padded[t:t + 16].T).tobytes()
        out += tile + bytes(-len(tile) % 64)
    return out


def random_weight(random, grid, n, k):
    """Codes of the whole range, scales of both ends of their type."""
    groups = len(grid.groups(k))
    codes = random.integers(0, 2**grid.bits, (n, k))
    if grid.scale == "f16":
        scales = random.integers(0, 0x7C00, (n, groups)).astype("<u2").view("<f2")
        scales[0, 0] = 6e-8
    else:
        bits = random.integers(0, 0x7F, (n, groups))
        e, m = bits >> 3, bits & 7
        scales = np.where(e == 0, m / 8 * 2.0**-6, (1 + m / 8) * 2.0**(e - 7.0))
    zeros = np.zeros((n, groups), np.int64)
    if grid.offset == "stored":
        zeros = random.integers(0, 2**grid.bits, (n, groups))
    factor = random.uniform(0.1, 2) if grid.scale == "e4m3" else 1
    return GridWeight(grid, codes, scales.astype(F32), zeros, factor)
