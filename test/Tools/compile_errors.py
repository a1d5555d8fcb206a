"""What lowbit-compile refuses: exit code, one line, nothing left behind."""
import json
import os
import pathlib
import sys

import numpy as np

from tool_case import (TOKENIZER, check, fresh, left_behind, run, tiny_models,
                       write_model, write_tensors)


def quantize(**options):
    return {"quantize": [{"lowbit-quantize": options}]}


# Recipe, exit code, words of the message: both sides of what does not go together.
RECIPES = [
    ("[]", 3, ["is an array", "an object"]),
    ('{"quantize": [}', 3, ["recipe.json"]),
    ({"passes": []}, 3, ['"passes" is not known', "transform"]),
    ({"quantize": [{"lowbit-fuse-linears": {}}]}, 3,
     ["quantize[0]", "lowbit-fuse-linears", "lowbit-quantize, lowbit-set-cache"]),
    ({"transform": [{"lowbit-quantize": {}}]}, 3, ["lowbit-quantize", "transform"]),
    ({"quantize": [{"cse": {}}]}, 3, ['"cse" is no pass']),
    ({"transform": [{"lowbit-insert-observers": {}}]}, 3, ['"lowbit-insert-observers" is no pass']),
    ({"transform": [{"lowbit-extract-part": {}}]}, 3, ['"lowbit-extract-part" is no pass']),
    ({"quantize": [{"lowbit-quantize": {"bits": 4}}]}, 3,
     ["quantize[0].lowbit-quantize.bits: is no option"]),
    (quantize(format="int9-g64"), 3,
     ["recipe.json: quantize[0].lowbit-quantize.format", "int9-g64", "bits must be 1 to 8"]),
    ({"quantize": [{"lowbit-set-cache": {}}, {"lowbit-quantize": {"formt": "int4-g64"}}]}, 3,
     ["quantize[1].lowbit-quantize.formt: is no option", "--help"]),
    (quantize(format="int4-g64", solver="best"), 3,
     ["quantize[0].lowbit-quantize.solver", '"best" is not known']),
    (quantize(format="int4-g64", activation="f32"), 3, ["activation: f32", "format int4-g64"]),
    (quantize(format="int4-g64", solver="given"), 3, ["solver: given", "file"]),
    (quantize(format="int4-g64", solver="nearest", file="c"), 3, ['file: "c"', "solver nearest"]),
    (quantize(format="int4-g64", **{"first-layer": 5, "last-layer": 1}), 3,
     ["last-layer: 1", "first-layer 5", "empty"]),
    (quantize(format="int4-g64", roles=["lm_head"]), 3, ['"lm_head"', "head"]),
    (quantize(format="int4-g64", roles=[]), 3, ["roles", "list"]),
    (quantize(format="a} b"), 3, ["format"]),
    ({"quantize": [{"lowbit-set-cache": {"type": "i3"}}]}, 3, ['"i3"', "f16, f32, i8 or i{4,2}"]),
]


def refused(folder, arguments, code, words):
    before = left_behind(folder / "out")
    _, error = run(*arguments, expect=code)
    check(error.startswith("lowbit-compile: error: ") and error.count("\n") == 1,
          f"one line: {error}")
    for word in words:
        check(word in error, f"{word!r} is not in: {error}")
    check(left_behind(folder / "out") == before, f"left behind: {left_behind(folder / 'out')}")


def bad_recipes(folder, model, out):
    for recipe, code, words in RECIPES:
        text = recipe if isinstance(recipe, str) else json.dumps(recipe)
        (folder / "recipe.json").write_text(text)
        refused(folder, [model, "-o", out, "--recipe", folder / "recipe.json"], code, words)
    refused(folder, [model, "-o", out, "--recipe", "int5"], 2, ['"int5"', "int4-g64"])
    refused(folder, [model, "-o", out, "--recipe", folder / "none.json"], 3, ["none.json"])
    refused(folder, [model, "-o", out], 2, ["--recipe is needed", "int2-g64"])


def bad_options(folder, model, out):
    recipe = ["--recipe", "float"]
    refused(folder, ["-o", out], 2, ["model folder"])
    refused(folder, [model, *recipe], 2, ["-o FILE"])
    refused(folder, [model, "-o", out, "--emit=packed", *recipe], 2, ['"packed"', "laid-out"])
    refused(folder, [model, "-o", out, "--targets=riscv", *recipe], 2, ['"riscv"', "x86_64"])
    refused(folder, [model, "-o", out, "--kv=i3", *recipe], 2, ["--kv", '"i3"'])
    refused(folder, [model, "-o", out, "--context=100000", *recipe], 2, ["--context 100000", "256"])
    refused(folder, [model, "-o", out, "--context=-1", *recipe], 2, ["--context"])
    refused(folder, [model, "--dry-run", "--emit=planned", *recipe], 2, ["--dry-run", "planned"])
    refused(folder, [model, "-o", out, "--emit=planned", "--targets=x86_64,aarch64", *recipe], 2,
            ["--emit=planned", "--targets"])
    refused(folder, [model, "-o", out, "--model", model, *recipe], 2, ["--model"])
    refused(folder, [model, "-o", out, "--profile", model / "model.safetensors", *recipe], 3,
            ["not a profile"])


def bad_places(folder, model, out):
    recipe = ["--recipe", "float", "--emit=laid-out"]
    out.write_text("old")
    refused(folder, [model, "-o", out, *recipe], 5, [str(out), "exists; --force replaces it"])
    refused(folder, [model, "-o", out, "--recipe", "int5"], 2, ['"int5"'])
    check(out.read_text() == "old", "an output is not replaced without --force")
    run(model, "-o", out, "--force", *recipe)
    check(out.read_text().startswith("module"), "--force replaces")
    out.unlink()
    refused(folder, [model, "-o", folder / "none" / "x", *recipe], 5, ["none"])
    refused(folder, [model, "-o", folder / "out", *recipe], 5, ["not a regular file"])
    refused(folder, [folder / "no-model", "-o", out, *recipe], 3, ["no-model"])
    if os.geteuid() != 0:
        (folder / "out").chmod(0o500)
        refused(folder, [model, "-o", out, *recipe], 5, [str(out)])
        (folder / "out").chmod(0o700)


def bad_modules(folder, model, out):
    module = folder / "module.mlir"
    run(model, "-o", module, "--emit=quantized", "--recipe", "int4-g64")
    good = module.read_text()
    arguments = [module, "-o", out, "--model", model]
    refused(folder, [*arguments, "--recipe", "float"], 2, ["--recipe", "quantized"])
    refused(folder, [*arguments, "--kv", "i8"], 2, ["--kv", "quantized"])
    refused(folder, [*arguments, "--emit=imported"], 2, ["quantized", "imported"])
    for old, new, code, words in [
            (', lowbit.stage = "quantized"', "", 3, ["lowbit.stage"]),
            ('lowbit.stage = "quantized"', 'lowbit.stage = "later"', 3, ["lowbit.stage"]),
            ('lowbit.stage = "quantized"', 'lowbit.stage = "laid-out"', 3,
             ["inside a parameter", "laid-out"]),
            ('"model.safetensors"', '"other.safetensors"', 3, ["other.safetensors"]),
            ("lowbit.embedding", "lowbit.embeding", 3, ["embeding"]),
            ("module", "module {" * 300 + "module", 3, ["256", "brackets"]),
            ("hidden = ", "width = ", 3, ["module.mlir: lowbit.model.hidden: is missing"]),
            ("context = 256", "context = 0", 3, ["module.mlir: lowbit.model.context: is 0"]),
            ("heads = 4 : i64, hidden", "heads = 3 : i64, hidden", 3,
             ["lowbit.model.heads: is 3", "kv_heads"]),
            ("layers = 2 : i64", "layers = 3 : i64", 7, ["config.json: layers is 2", "is 3"])]:
        check(old in good, old)
        module.write_text(good.replace(old, new))
        refused(folder, arguments, code, words)
    module.write_text(good)
    refused(folder, [module, "-o", out], 3, ["module.mlir", "--model DIR", "config.json"])
    refused(folder, [module, "-o", out, "--emit=materialized"], 3, ["module.mlir", "--model DIR"])
    # The checkpoint changed since the module was made.
    other = write_model("llama3_rope_parameters", folder / "other")
    refused(folder, [module, "-o", out, "--model", other], 7, ["other/config.json: kv_heads is 2"])
    (other / "config.json").write_bytes((model / "config.json").read_bytes())
    refused(folder, [module, "-o", out, "--model", other], 3, ["model.safetensors"])


def bad_packed(folder, model, out):
    """Modules that hold more than a graph: all of it must fit together."""
    module = folder / "packed.mlir"
    arguments = [module, "-o", out, "--model", model]
    for stage, changes in [
            ("materialized", [
                ("lowbit.inputs = ", "lowbit.other = ", 3, ["lowbit.inputs: is missing"]),
                ("sha256 = ", "sha1 = ", 3, ["lowbit.inputs", "sha256"])]),
            ("planned", [
                ("lowbit.graph = ", "lowbit.other = ", 3, ["lowbit.graph: is missing"]),
                ("lowbit.context = 256", "lowbit.context = 257", 3,
                 ["lowbit.context: is 257", "from 1 to 256"]),
                ("#lowbit.int<4, ", "#lowbit.int<3, ", 3, ["packed.mlir"])])]:
        run(model, "-o", module, f"--emit={stage}", "--recipe", "int4-g64", "--force")
        good = module.read_text()
        for old, new, code, words in changes:
            check(old in good, old)
            module.write_text(good.replace(old, new, 1))
            refused(folder, arguments, code, words)


def bad_weights(folder, out):
    """NaN: tensor, place, how many; taken and counted when asked."""
    model = write_model("llama1", folder / "nan")
    path = model / "model.safetensors"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    name = "model.layers.1.mlp.up_proj.weight"
    begin = 8 + size + header[name]["data_offsets"][0]
    columns = header[name]["shape"][1]
    for row, column in ((20, 3), (41, 0)):
        at = begin + 4 * (row * columns + column)
        data[at:at + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(data)
    words = ["model.safetensors", name, "[20, 3] is nan", "2 such in the tensor"]
    for recipe in ("int4-g64", "float"):
        for jobs in (1, 2, 5):
            refused(folder, [model, "-o", out, "--emit=materialized", "--recipe", recipe,
                             "--jobs", jobs], 3, words)
    run(model, "-o", out, "--emit=materialized", "--recipe", "int4-g64", "--allow-nonfinite")
    ledger = json.loads(pathlib.Path(f"{out}.ledger.json").read_text())["tensors"]
    counts = {e["name"]: e["nonfinite"] for e in ledger if e["nonfinite"]}
    check(list(counts.values()) == [2], f"counts: {counts}")
    for file in left_behind(folder / "out"):
        (folder / "out" / file).unlink()


def bad_scales(folder, out):
    """A scale beyond f16 is refused by name; E4M3 with its factor holds it."""
    model = folder / "large"
    write_model("llama1", model)
    tensors = []
    for tensor, x in tiny_models.values("llama1").items():
        if "down_proj" in tensor:
            x = x * np.float32(1e6)
        tensors.append((tensor, "F32", x))
    write_tensors(model / "model.safetensors", tensors)
    arguments = [model, "-o", out, "--emit=materialized", "--recipe", folder / "recipe.json"]
    (folder / "recipe.json").write_text(json.dumps(quantize(format="int2-g64")))
    refused(folder, arguments, 3, ["model.layers.0.mlp.down_proj.weight", "scale"])
    (folder / "recipe.json").write_text(json.dumps(quantize(format="int2-g64-e4m3")))
    run(*arguments)
    for file in left_behind(folder / "out"):
        (folder / "out" / file).unlink()


def bad_tokenizers(folder, out):
    model = write_model("llama1", folder / "tokenizer")
    arguments = [model, "-o", out, "--recipe", "float"]
    path = model / "tokenizer.json"
    large = json.loads(json.dumps(TOKENIZER))
    large["model"]["vocab"] = {chr(0x4E00 + i): i for i in range(98)}
    path.write_text(json.dumps(large))
    refused(folder, arguments, 3, ["tokenizer.json", "98 ids", "97"])
    path.write_text("{}")
    refused(folder, arguments, 3, ["tokenizer.json"])
    path.unlink()
    refused(folder, arguments, 3, ["tokenizer.json"])
    (model / "tokenizer.model").write_bytes(b"x")
    refused(folder, arguments, 4, ["tokenizer.model", "save_pretrained"])


def bad_given(folder, model, out):
    name = "model.layers.0.self_attn.q_proj.weight"
    codes, recipe = folder / "codes.safetensors", folder / "recipe.json"
    recipe.write_text(json.dumps(quantize(roles=["q"], format="int4-g64", solver="given",
                                          file=str(codes), **{"last-layer": 0})))
    arguments = [model, "-o", out, "--emit=materialized", "--recipe", recipe]
    refused(folder, arguments, 3, ["codes.safetensors"])
    rows, columns = 32, 32
    good = {"codes": ("U8", np.zeros((rows, columns), np.uint8)),
            "scales": ("F16", np.zeros((rows, 1), np.float16))}
    wrong_code, wrong_scale = good["codes"][1].copy(), good["scales"][1].copy()
    wrong_code[17, 5] = 16
    wrong_scale[3, 0] = -1
    for change, words in [
            ({"codes": None}, [name + ".codes", "is missing"]),
            ({"scales": ("F32", np.zeros((rows, 1), np.float32))}, [name + ".scales", "F16"]),
            ({"codes": ("U8", np.zeros((rows, 31), np.uint8))}, [name + ".codes", "[32, 32]"]),
            ({"codes": ("U8", wrong_code)}, [name, "row 17, column 5", "16"]),
            ({"scales": ("F16", wrong_scale)}, [name, "row 3"])]:
        tensors = {**good, **change}
        write_tensors(codes, [(f"{name}.{part}", *value)
                              for part, value in tensors.items() if value])
        refused(folder, arguments, 3, words)


if __name__ == "__main__":
    root = fresh(sys.argv[1])
    (root / "out").mkdir()
    output = root / "out" / "model.lowbit"
    base = write_model("llama1", root / "model")
    bad_recipes(root, base, output)
    bad_options(root, base, output)
    bad_places(root, base, output)
    bad_modules(root, base, output)
    bad_packed(root, base, output)
    bad_weights(root, output)
    bad_scales(root, output)
    bad_tokenizers(root, output)
    bad_given(root, base, output)
