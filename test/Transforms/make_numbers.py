#!/usr/bin/env python3
"""Makes a model of one layer with its weights, a profile with outliers, and learned transforms.

  make_numbers.py DIR    writes model.mlir, model.safetensors, profile.safetensors,
                         transforms.safetensors
"""
import json
import pathlib
import sys

import numpy as np

HIDDEN, HEAD, FFN, VOCABULARY = 8, 4, 12, 16
SHAPES = {"e": (VOCABULARY, HIDDEN), "n1": (HIDDEN,), "q": (HEAD, HIDDEN), "k": (HEAD, HIDDEN),
          "v": (HEAD, HIDDEN), "o": (HIDDEN, HEAD), "n2": (HIDDEN,), "gate": (FFN, HIDDEN),
          "up": (FFN, HIDDEN), "down": (HIDDEN, FFN), "n3": (HIDDEN,)}
GRAPH = """
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x16xf32> {
  %e = lowbit.weight @e : tensor<16x8xf32>
  %x = lowbit.embedding %ids, %e : tensor<?xi32>, tensor<16x8xf32> -> tensor<?x8xf32>
  %g1 = lowbit.weight @n1 : tensor<8xf32>
  %n1 = lowbit.rms_norm %x, %g1 eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %wq = lowbit.weight @q : tensor<4x8xf32>
  %q = lowbit.linear %n1, %wq activation = <f32> : tensor<?x8xf32>, tensor<4x8xf32> -> tensor<?x4xf32>
  %wk = lowbit.weight @k : tensor<4x8xf32>
  %k = lowbit.linear %n1, %wk activation = <f32> : tensor<?x8xf32>, tensor<4x8xf32> -> tensor<?x4xf32>
  %wv = lowbit.weight @v : tensor<4x8xf32>
  %v = lowbit.linear %n1, %wv activation = <f32> : tensor<?x8xf32>, tensor<4x8xf32> -> tensor<?x4xf32>
  %qr = lowbit.rotary %q, %rows frequencies = [1.0, 0.5] : tensor<?x4xf32>, tensor<?x2xi32>
  %kr = lowbit.rotary %k, %rows frequencies = [1.0, 0.5] : tensor<?x4xf32>, tensor<?x2xi32>
  %a = lowbit.attention %qr, %kr, %v, %rows layer = 0 heads = 1 kv_heads = 1 scale = 0.5 cache = f16 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x2xi32>
  %wo = lowbit.weight @o : tensor<8x4xf32>
  %o = lowbit.linear %a, %wo activation = <f32> : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
  %x1 = lowbit.add %x, %o : tensor<?x8xf32>
  %g2 = lowbit.weight @n2 : tensor<8xf32>
  %n2 = lowbit.rms_norm %x1, %g2 eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %wg = lowbit.weight @gate : tensor<12x8xf32>
  %g = lowbit.linear %n2, %wg activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  %wu = lowbit.weight @up : tensor<12x8xf32>
  %u = lowbit.linear %n2, %wu activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  %gu = lowbit.gate %g, %u : tensor<?x12xf32>
  %wd = lowbit.weight @down : tensor<8x12xf32>
  %d = lowbit.linear %gu, %wd activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
  %x2 = lowbit.add %x1, %d : tensor<?x8xf32>
  %s = lowbit.select_rows %x2, %select : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  %g3 = lowbit.weight @n3 : tensor<8xf32>
  %n3 = lowbit.rms_norm %s, %g3 eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %h = lowbit.linear %n3, %e activation = <f32> : tensor<?x8xf32>, tensor<16x8xf32> -> tensor<?x16xf32>
  return %h : tensor<?x16xf32>
}
"""


def container(tensors, metadata=None):
    """The text of a safetensors file, and where each tensor starts in it."""
    header, data, places = {}, b"", {}
    if metadata:
        header["__metadata__"] = metadata
    for name, value in tensors.items():
        kind = {"f4": "F32", "f2": "F16"}[value.dtype.str[1:]]
        raw = value.tobytes()
        header[name] = {"dtype": kind, "shape": value.shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        places[name] = len(data)
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    return (len(text).to_bytes(8, "little") + text + data,
            {name: start + place for name, place in places.items()})


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    weights = {name: random.standard_normal(shape).astype("f4") for name, shape in SHAPES.items()}
    for name in ("n1", "n2", "n3"):
        weights[name] = (1 + 0.2 * weights[name]).astype("f4")
    text, places = container(weights)
    (folder / "model.safetensors").write_bytes(text)
    lines = []
    for name, value in weights.items():
        sizes = "x".join(map(str, value.shape))
        lines.append(f"lowbit.parameter @{name} : tensor<{sizes}xf32> source <\"model.safetensors\", "
                     f"\"{name}\", offset = {places[name]}, bytes = {value.nbytes}>")
    (folder / "model.mlir").write_text("\n".join(lines) + GRAPH)

    # One column of what the down projection reads, and of the keys, is large.
    profile = {}
    for name, columns, large in (("q", HIDDEN, None), ("o", HEAD, None), ("gate", HIDDEN, None),
                                 ("down", FFN, 3), ("e", HIDDEN, None)):
        x = random.standard_normal((64, columns))
        if large is not None:
            x[:, large] *= 40
        x = x.astype("f2")
        h = x.astype("f8").T @ x.astype("f8")
        profile["h." + name] = h[np.tril_indices(columns)].astype("f4")
        profile["sample." + name] = x
    for which in ("key", "value"):
        rows = random.standard_normal((64, HEAD))
        rows[:, 1] *= 40 if which == "key" else 1
        profile[f"sample.attention.0.{which}"] = rows.astype("f2")
    shared = {"h.k": "h.q", "h.v": "h.q", "h.up": "h.gate", "moments": "full"}
    (folder / "profile.safetensors").write_bytes(container(profile, shared)[0])

    near = lambda n: (np.eye(n) + 0.1 * random.standard_normal((n, n))).astype("f4")
    rotation = np.linalg.qr(random.standard_normal((HIDDEN, HIDDEN)))[0].astype("f4")
    transforms = {"R1": rotation, "layers.0.attention_input.scale": near(HIDDEN)[0] + 1,
                  "layers.0.down.P1": near(3), "layers.0.down.P2": near(4),
                  "layers.0.value.P": near(HEAD), "layers.0.key.P": near(HEAD)}
    (folder / "transforms.safetensors").write_bytes(container(transforms)[0])
    singular = {"layers.0.down.P": np.ones((FFN, FFN), "f4")}
    (folder / "singular.safetensors").write_bytes(container(singular)[0])


if __name__ == "__main__":
    main()
