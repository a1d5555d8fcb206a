"""Counts full-precision copies of weights in the last IR: there are none.

A copy would be a weight buffer of the plan as large as the matrix in 16 bits, memory
or a table of a kernel's own, or a float vector of a matrix's size. The same count on
the recipe `float` finds every matrix, so it can find one.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples/models/books-7m"
PARAMETER = re.compile(r'lowbit\.parameter @(?:"([^"]+)"|(\S+)) : tensor<(\d+)x(\d+)x')
BUFFER = re.compile(r'lowbit\.buffer "([^"]+)" "weight" bytes = \[(\d+), 0, 0, 0\]')
OWN_MEMORY = re.compile(r"alloca|mlir\.global|memref|dense_resource")
FLOATS = re.compile(r"(?:vector|array)<([\dx ]+)x ?(?:f16|bf16|f32|f64)>")


def product(text):
    result = 1
    for n in re.findall(r"\d+", text):
        result *= int(n)
    return result


def count(folder, recipe):
    """(matrices of the plan, copies of them in 16 bits or more)"""
    out = folder / f"{recipe}.mlir"
    subprocess.run(["lowbit-compile", MODEL, "-o", out, "--recipe", recipe, "--emit=lowered",
                    "--force"], check=True, capture_output=True)
    text = out.read_text()
    matrices = {a or b: int(n) * int(k) for a, b, n, k in PARAMETER.findall(text)}
    buffers = {name: int(size) for name, size in BUFFER.findall(text)}
    held = [name for name in matrices if name in buffers]
    copies = sum(buffers[name] >= 2 * matrices[name] for name in held)
    code = text[text.index("func.func"):]
    copies += len(OWN_MEMORY.findall(code))
    copies += sum(product(shape) >= min(matrices.values()) for shape in FLOATS.findall(code))
    return len(held), copies


if __name__ == "__main__":
    scratch = pathlib.Path(sys.argv[1]).absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    for name, expected in [("int4-g64", 0), ("trellis2", 0), ("float", None)]:
        held, found = count(scratch, name)
        print(f"{name}: {held} matrices, {found} copies in full precision")
        if held < 25 or found != (held if expected is None else expected):
            sys.exit(f"{name}: expected {held if expected is None else expected} copies")
