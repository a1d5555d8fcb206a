#!/usr/bin/env python3
"""Makes MicroscalingGolden.h: elements as the package ml_dtypes rounds them.

Needs numpy and ml_dtypes. Inputs are every value of a type, the middle between
neighbours, both sides of it, and random numbers; E8M0 codes are those of the
specification's floor(log2 amax) - emax.
"""
import pathlib

import ml_dtypes
import numpy as np


def inputs(dtype, codes):
    values = np.arange(codes, dtype=np.uint8).view(dtype).astype(np.float32)
    values = np.unique(np.abs(values[np.isfinite(values)]))
    middles = ((values[1:] + values[:-1]) / 2).astype(np.float32)
    points = np.concatenate([values, middles, np.nextafter(middles, np.float32(1e6)),
                             np.nextafter(middles, np.float32(-1e6)),
                             np.random.default_rng(1).uniform(0, values[-1], 60)])
    points = points.astype(np.float32)
    return np.concatenate([points, -points])


def array(kind, name, values, form):
    text = ", ".join(form(v) for v in values)
    return f"inline constexpr {kind} {name}[] = {{{text}}};\n"


def main():
    out = ["//===- MicroscalingGolden.h - Made by make_microscaling.py ------*- C++ -*-===//\n",
           "#ifndef LOWBIT_TEST_UNIT_NUMERICS_MICROSCALINGGOLDEN_H\n",
           "#define LOWBIT_TEST_UNIT_NUMERICS_MICROSCALINGGOLDEN_H\n\n",
           "#include <cstdint>\n\n", "namespace lowbit::golden {\n\n"]
    for name, dtype, codes in (("E2M1", ml_dtypes.float4_e2m1fn, 16),
                               ("E2M3", ml_dtypes.float6_e2m3fn, 64),
                               ("E3M2", ml_dtypes.float6_e3m2fn, 64),
                               ("E4M3", ml_dtypes.float8_e4m3fn, 256),
                               ("E5M2", ml_dtypes.float8_e5m2, 256)):
        x = inputs(dtype, codes)
        code = x.astype(dtype).view(np.uint8)
        out.append(f"/// f32 bits, and the codes that ml_dtypes rounds them to.\n")
        out.append(array("uint32_t", f"inputs{name}", x.view(np.uint32), lambda v: f"0x{v:08X}u"))
        out.append(array("uint8_t", f"codes{name}", code, str))
    amax = np.array([2.0**-127, 2.0**-100, 1e-3, 0.5, 1, 3.999, 4, 6, 7.75, 8, 448, 1e30], np.float32)
    power = np.clip(np.floor(np.log2(amax.astype(np.float64))) - 2, -127, 127)
    scale = np.exp2(power).astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    out.append("/// Largest magnitudes as f32 bits, and E8M0 codes of their scales for emax = 2.\n")
    out.append(array("uint32_t", "magnitudes", amax.view(np.uint32), lambda v: f"0x{v:08X}u"))
    out.append(array("uint8_t", "scalesE8M0", scale, str))
    out.append("\n} // namespace lowbit::golden\n\n#endif // LOWBIT_TEST_UNIT_NUMERICS_MICROSCALINGGOLDEN_H\n")
    pathlib.Path(__file__).with_name("MicroscalingGolden.h").write_text("".join(out))


if __name__ == "__main__":
    main()
