"""Rows B1-B15: shards, index, paths. B9, the race, is in FileTest.cpp."""

import json
import os

from bad_input_case import (
    CONFIG, INDEX, NORM, add, case, layout, llama, pack, tensor, write,
    write_config, write_model)

S1, S2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def sharded(folder, edit=None, config=CONFIG, first=None, second=None):
    """Two shards and their index; `edit(index)` may change or replace it."""
    tensors = llama()
    names = list(tensors)
    half = len(names) // 2
    one = {n: tensors[n] for n in names[:half]}
    two = {n: tensors[n] for n in names[half:]}
    index = {"metadata": {"total_size": sum(len(t[2]) for t in
                                            tensors.values())},
             "weight_map": dict({n: S1 for n in one}, **{n: S2 for n in two})}
    if first:
        one = first(one)
    if second:
        two = second(two)
    if edit:
        index = edit(index) or index
    write_config(folder, config)
    write(os.path.join(folder, S1), pack(*layout(one)))
    write(os.path.join(folder, S2), pack(*layout(two)))
    write(os.path.join(folder, INDEX),
          index if isinstance(index, (str, bytes)) else json.dumps(index))


def index_case(row, name, code, words, edit, **extra):
    add(row, name, code, words, lambda folder: sharded(folder, edit), **extra)


add("B0", "valid", 0, ["2 layers", "2 files"], sharded, notWords=["note:"])
index_case("B0", "no-metadata", 0, ["2 files"],
           lambda index: index.pop("metadata") and None)


@case("B1", "missing", 3, [INDEX, "missing", "gone-1.safetensors",
                           "gone-2.safetensors"])
def _(folder):
    def edit(index):
        index["weight_map"][NORM] = "gone-1.safetensors"
        index["weight_map"]["lm_head.weight"] = "gone-2.safetensors"
    sharded(folder, edit)


def drop_norm(tensors):
    return {n: t for n, t in tensors.items() if n != NORM}


add("B2", "not-in-shard", 3, [INDEX, NORM, S2],
    lambda folder: sharded(folder, second=drop_norm))
add("B2", "in-other-shard", 3, [INDEX, NORM, S1, S2],
    lambda folder: sharded(folder, second=drop_norm, first=lambda one: dict(
        one, **{NORM: tensor([8])})))
add("B3", "in-two-shards", 3, [NORM, "in two shards", S1, S2],
    lambda folder: sharded(folder, first=lambda one: dict(
        one, **{NORM: tensor([8])})))
for name, code, args in (("warn", 0, []), ("strict", 3, ["--strict"])):
    add("B4", name, code, [INDEX, "extra.tensor"],
        lambda folder: sharded(folder, first=lambda one: dict(
            one, **{"extra.tensor": tensor([4])})), args)
for name, text in (("parent", "../x"), ("absolute", "/etc/passwd"),
                   ("inside-out", "a/../../x"), ("drive", "C:\\x"),
                   ("url", "file:///etc/passwd"), ("empty", ""), ("dot", "."),
                   ("dots", ".."), ("folder", "sub/model.safetensors"),
                   ("nul", "model\0.safetensors"), ("long", "x" * 256)):
    def name_shard(index, text=text):
        index["weight_map"][NORM] = text
    index_case("B5", name, 3, [INDEX, "weight_map", NORM, "plain file name"],
               name_shard, notWords=["root:"])


def linked(target, make=None):
    """The second shard is a link to `target`."""
    def build(folder):
        sharded(folder)
        path = os.path.join(folder, S2)
        content = open(path, "rb").read()
        os.remove(path)
        if make:
            make(folder, content)
        os.symlink(target, path)
    return build


def outside(folder, content):
    write(os.path.join(folder, "..", os.path.basename(folder) + ".outside"),
          content)


add("B6", "etc-passwd", 3, [S2, "outside"], linked("/etc/passwd"),
    notWords=["root:"])


@case("B6", "outside", 3, [S2, "outside"])
def _(folder):
    linked(os.path.join("..", os.path.basename(folder) + ".outside"),
           outside)(folder)


@case("B6", "absolute-into-itself", 3, [S2, "outside"])
def _(folder):
    inner = os.path.join(os.path.abspath(folder), "inner.bin")
    linked(inner, lambda f, content: write(inner, content))(folder)


add("B6", "inside", 0, ["2 files"],
    linked("inner.bin", lambda folder, content: write(
        os.path.join(folder, "inner.bin"), content)))
add("B6", "config-outside", 3, ["config.json", "outside"],
    lambda folder: os.symlink("/etc/passwd",
                              os.path.join(folder, "config.json")),
    notWords=["root:"])

REVISION = "models--org--tiny/snapshots/0123abcd"


def cache(change=None):
    """A model in the layout of the Hugging Face cache."""
    def build(folder):
        repo = os.path.join(folder, "models--org--tiny")
        snapshot = os.path.join(folder, REVISION)
        blobs = os.path.join(repo, "blobs")
        os.makedirs(snapshot)
        os.makedirs(blobs)
        os.makedirs(os.path.join(repo, "refs"))
        write(os.path.join(repo, "refs", "main"), "0123abcd")
        sharded(snapshot)
        for number, name in enumerate(sorted(os.listdir(snapshot))):
            blob = f"{number:064x}"
            os.rename(os.path.join(snapshot, name), os.path.join(blobs, blob))
            os.symlink(f"../../blobs/{blob}", os.path.join(snapshot, name))
        if change:
            change(folder, snapshot, blobs)
    return build


def relink(target):
    def change(folder, snapshot, blobs):
        path = os.path.join(snapshot, S2)
        write(os.path.join(folder, "secret"), "root: secret")
        os.remove(path)
        os.symlink(target, path)
    return change


def link_blob(folder, snapshot, blobs):
    path = os.path.join(blobs, os.path.basename(
        os.readlink(os.path.join(snapshot, S2))))
    os.remove(path)
    os.symlink("/etc/passwd", path)


add("B7", "cache", 0, ["2 layers", "2 files"], cache(), target=REVISION)
add("B7", "cache-link-out", 3, [S2, "outside"], cache(relink("../../../secret")),
    target=REVISION, notWords=["root:"])
add("B7", "cache-link-through-blobs", 3, [S2, "outside"],
    cache(relink("../../blobs/../../secret")), target=REVISION,
    notWords=["root:"])
add("B7", "cache-link-absolute", 3, [S2, "outside"],
    cache(relink("/etc/passwd")), target=REVISION, notWords=["root:"])
add("B7", "cache-link-dangling", 3, [S2], cache(relink("../../blobs/none")),
    target=REVISION)
add("B7", "cache-blob-is-link", 3, [S2, "link"], cache(link_blob),
    target=REVISION, notWords=["root:"])
add("B8", "loop", 3, [S2, "loop"], linked(S2))
add("B8", "dangling", 3, [S2, "No such file"], linked("nothing"))


@case("B8", "parent-is-link-out", 3, [INDEX, "plain file name"])
def _(folder):
    def edit(index):
        index["weight_map"][NORM] = "out/model.safetensors"
    os.symlink("..", os.path.join(folder, "out"))
    sharded(folder, edit)


@case("B8", "link-through-link-out", 3, [S2, "outside"])
def _(folder):
    os.symlink("..", os.path.join(folder, "out"))
    name = os.path.basename(folder) + ".outside"
    linked("out/" + name, outside)(folder)


@case("B10", "both", 0, ["note:", "has both", INDEX, "1 files"])
def _(folder):
    sharded(folder)
    write_model(folder)


def total(value):
    def edit(index):
        index["metadata"]["total_size"] = value
    return edit


index_case("B11", "wrong", 0, ["note:", INDEX, "total_size", "1234", "bytes"],
           total(1234))
index_case("B11", "text", 0, ["note:", INDEX, "total_size"], total("many"))
for name, value in (("array", []), ("null", None), ("string", "x"),
                    ("number-values", {NORM: 1}), ("empty", {}),
                    ("null-values", {NORM: None}),
                    ("array-values", {NORM: [S1]})):
    def put_map(index, value=value):
        index["weight_map"] = value
    index_case("B12", name, 3, [INDEX, "weight_map"], put_map)
index_case("B12", "missing", 3, [INDEX, "weight_map", "missing"],
           lambda index: {"metadata": {}})
index_case("B12", "root-array", 3, [INDEX, "object"], lambda index: "[]")
index_case("B12", "tensor-twice", 3, [INDEX, "weight_map", NORM, "twice"],
           lambda index: json.dumps(index).replace(
               '"weight_map": {', f'"weight_map": {{"{NORM}": "{S2}", '))


@case("B13", "case-only", 0, ["2 files"])
def _(folder):
    def edit(index):
        for name, shard in index["weight_map"].items():
            index["weight_map"][name] = ("A.safetensors" if shard == S1
                                         else "a.safetensors")
    sharded(folder, edit)
    os.rename(os.path.join(folder, S1), os.path.join(folder, "A.safetensors"))
    os.rename(os.path.join(folder, S2), os.path.join(folder, "a.safetensors"))


@case("B13", "non-utf8-name-on-disk", 0, ["2 layers"])
def _(folder):
    write_model(folder)
    write(os.path.join(os.fsencode(folder), b"\xff\xfe.safetensors"), b"x")


@case("B13", "non-utf8-names-without-weights", 3, ["has no weights", "\\xff"])
def _(folder):
    write_config(folder)
    write(os.path.join(os.fsencode(folder), b"\xff\x1b[2J.bin"), b"x")


def forbid(name):
    def build(folder):
        sharded(folder)
        os.chmod(os.path.join(folder, name), 0)
    return build


add("B14", "shard-0000", 3, [S2, "Permission denied", "errno 13"], forbid(S2),
    unprivileged=True)
add("B14", "config-0000", 3, ["config.json", "errno 13"],
    forbid("config.json"), unprivileged=True)


@case("B14", "folder-0000", 3, ["errno 13"], unprivileged=True)
def _(folder):
    sharded(folder)
    os.chmod(folder, 0)


add("B14", "no-folder", 3, ["No such file", "errno 2"], lambda folder: None,
    target="nothing")


@case("B14", "folder-is-file", 3, ["errno 20"], target="file")
def _(folder):
    write(os.path.join(folder, "file"), b"x")


@case("B15", "same-content", 3, ["in two shards", S1, S2])
def _(folder):
    sharded(folder)
    write(os.path.join(folder, S2),
          open(os.path.join(folder, S1), "rb").read())


@case("B15", "10000-shards", 0, ["10000 files"], noFiles=64)
def _(folder):
    tensors = llama()
    weights = {}
    for i in range(10000):
        name = f"s-{i:05}.safetensors"
        own = f"model.layers.{i}.self_attn.rotary_emb.inv_freq"
        part = {own: tensor([2])}
        if i == 0:
            part.update(tensors)
        weights.update({n: name for n in part})
        write(os.path.join(folder, name), pack(*layout(part)))
    write_config(folder)
    write(os.path.join(folder, INDEX), json.dumps({"weight_map": weights}))


@case("B15", "too-many-shards", 3, [INDEX, "20000 shards", "limit 16384"])
def _(folder):
    write_config(folder)
    write(os.path.join(folder, INDEX), json.dumps({"weight_map": {
        f"t{i}": f"s{i}.safetensors" for i in range(20000)}}))
