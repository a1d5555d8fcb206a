"""Rows A1-A29: safetensors files. A26, the races, is in FileTest.cpp."""

import json
import os
import socket
import struct

from bad_input_case import (
    LIMIT, NORM, QUERY, SHARD, add, case, header_edit, layout, llama,
    model, pack, raw, tensor, text_edit, write, write_config, write_model)

add("A0", "valid", 0, ["2 layers"], model())
add("A0", "valid-tied", 0, [], model({"tie_word_embeddings": True}, head=False))

for size in (0, 1, 7):
    add("A1", f"{size}-bytes", 3,
        [SHARD, f"is {size} bytes", "shorter than the 8-byte header length"],
        raw(lambda size=size: b"\x05" * size))

add("A2", "length-0", 3, [SHARD, "does not start with {"],
    raw(lambda: struct.pack("<Q", 0)))
add("A2", "length-0-then-data", 3, [SHARD, "does not start with {"],
    raw(lambda: struct.pack("<Q", 0) + b"{}" + bytes(100)))
add("A2", "length-1", 3, [SHARD, "header"],
    raw(lambda: struct.pack("<Q", 1) + b"{}"))
for name, length in (("2e63", 2**63), ("2e64-1", 2**64 - 1),
                     ("2e64-8", 2**64 - 8)):
    add("A3", name, 3, [SHARD, "header length", str(length)],
        raw(lambda length=length: struct.pack("<Q", length) + b"{}" * 50))


@case("A4", "limit-plus-1", 3, [SHARD, "100000001", "limit 100000000"])
def _(folder):
    write_config(folder)
    path = os.path.join(folder, SHARD)
    write(path, struct.pack("<Q", LIMIT + 1) + b"{")
    os.truncate(path, LIMIT + 9)


def big_header(fill):
    def build(folder):
        header, data = layout(llama())
        write_config(folder)
        write(os.path.join(folder, SHARD), pack(fill(header), data))
    return build


def fill_spaces(header):
    text = json.dumps(header).encode()
    return text + b" " * (LIMIT - 1 - len(text))


def fill_string(header):
    header["__metadata__"] = {"a": ""}
    text = json.dumps(header).encode()
    return text.replace(b'"a": ""', b'"a": "' +
                        b"x" * (LIMIT - 1 - len(text)) + b'"')


add("A4", "limit-minus-1-spaces", 0, ["2 layers"], big_header(fill_spaces),
    large=True)
add("A4", "limit-minus-1-string", 0, ["2 layers"], big_header(fill_string),
    large=True)


@case("A5", "past-the-end", 3, [SHARD, "header length", "bytes follow"])
def _(folder):
    write_model(folder)
    path = os.path.join(folder, SHARD)
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.write(struct.pack("<Q", size - 7))


for name, start in (("space", b" "), ("bom", b"\xef\xbb\xbf"), ("array", b"[")):
    add("A6", name, 3, [SHARD, "header", "does not start with {"],
        text_edit(lambda text, start=start: start + text))

add("A7", "spaces", 0, ["2 layers"], text_edit(lambda text: text + b"     "))
for name, end in (("nul", b"\0"), ("tab", b"\t"), ("newline", b"\n"),
                  ("junk", b"x"), ("object", b"{}"), ("nul-brace", b"\0}")):
    add("A7", name, 3, [SHARD], text_edit(lambda text, end=end: text + end))

for name, new in (("invalid", b"\xff"), ("overlong", b"\xc0\x80"),
                  ("surrogate-bytes", b"\xed\xa0\x80"),
                  ("surrogate-escape", b"\\ud800"),
                  ("low-surrogate", b"\\udc00x")):
    add("A8", name, 3, [SHARD, "is not JSON"],
        text_edit(lambda text, new=new: text.replace(b"model.norm", new, 1)))


def repeat_tensor(text):
    header = json.loads(text)
    entry = json.dumps({"model.norm.weight": header["model.norm.weight"]})
    return text[:-1] + b", " + entry[1:-1].encode() + b"}"


add("A9", "tensor", 3, [SHARD, NORM, "twice"], text_edit(repeat_tensor))
for key, value in (("dtype", b'"F32"'), ("shape", b"[8]"),
                   ("data_offsets", b"[0, 32]")):
    add("A9", key, 3, [SHARD, key, "twice"],
        text_edit(lambda text, key=key, value=value: text.replace(
            b'{"dtype"', b'{"' + key.encode() + b'": ' + value + b', "dtype"',
            1) if key != "dtype" else text.replace(
                b'{"dtype"', b'{"dtype": "F32", "dtype"', 1)))


def metadata(text):
    return lambda head: b'{"__metadata__": ' + text + b", " + head[1:]


add("A10", "valid", 0, [], text_edit(metadata(b'{"format": "pt"}')))
add("A10", "twice", 3, [SHARD, "__metadata__", "twice"],
    text_edit(lambda head: metadata(b"{}")(metadata(b"{}")(head))))
add("A10", "key-twice", 3, [SHARD, "__metadata__", "twice"],
    text_edit(metadata(b'{"a": "1", "a": "2"}')))
for name, text in (("number", b"1"), ("array", b"[]"), ("null", b"null"),
                   ("string", b'"x"'), ("value-number", b'{"a": 1}'),
                   ("value-nested", b'{"a": {"b": "c"}}'),
                   ("value-null", b'{"a": null}'),
                   ("value-array", b'{"a": ["b"]}')):
    add("A10", name, 3, [SHARD, "__metadata__", "must be"],
        text_edit(metadata(text)))

for key in ("dtype", "shape", "data_offsets"):
    def drop(header, data, key=key):
        del header[NORM][key]
    add("A11", f"missing-{key}", 3, [SHARD, NORM, key, "missing"],
        header_edit(drop))


@case("A11", "extra", 3, [SHARD, NORM, '"strides"'])
@header_edit
def _(header, data):
    header[NORM]["strides"] = [1]


def shift(header, name, begin, end):
    """Moves a tensor's range by (begin, end)."""
    offsets = header[name]["data_offsets"]
    header[name]["data_offsets"] = [offsets[0] + begin, offsets[1] + end]


@case("A12", "one-byte", 3, [SHARD, "lm_head.weight", "overlap"])
@header_edit
def _(header, data):
    shift(header, "lm_head.weight", -1, -1)
    return header, data[:-1]


@case("A12", "identical", 3, [SHARD, "overlap"])
@header_edit
def _(header, data):
    header["other"] = dict(header[NORM])


@case("A12", "empty-inside", 3, [SHARD, "overlap"])
@header_edit
def _(header, data):
    header["other"] = {"dtype": "U8", "shape": [0], "data_offsets": [5, 5]}


@case("A13", "hole", 3, [SHARD, "lm_head.weight", "hole"])
@header_edit
def _(header, data):
    shift(header, "lm_head.weight", 1, 1)
    return header, data + b"\0"


@case("A13", "hole-at-start", 3, [SHARD, "hole"])
@header_edit
def _(header, data):
    for entry in header.values():
        entry["data_offsets"] = [o + 1 for o in entry["data_offsets"]]
    return header, b"\0" + data


@case("A13", "trailing", 3, [SHARD, "1 bytes after the last tensor"])
@header_edit
def _(header, data):
    return header, data + b"P"


@case("A13", "no-tensors-but-data", 3, [SHARD, "after the last tensor"])
@header_edit
def _(header, data):
    return {}, b"PK\x03\x04"


for name, text, words in (
        ("begin-after-end", b"[64, 32]", ["end is before its begin"]),
        ("beyond", b"[99999968, 100000000]", ["100000000", "only"]),
        ("negative", b"[-1, 31]", ["-1", "integers from 0"]),
        ("fraction", b"[1.5, 33.5]", ["1.5"]),
        ("exponent", b"[1e2, 132]", ["100"]),
        ("string", b'["0", 32]', ['"0"']),
        ("2e64", b"[18446744073709551616, 18446744073709551648]",
         ["must be integers"]),
        ("2e64-1", b"[18446744073709551584, 18446744073709551615]", ["only"]),
        ("one", b"[0]", ["must have 2"]), ("three", b"[0, 32, 64]",
                                           ["must have 2"]),
        ("none", b"[]", ["must have 2"]), ("null", b"null", ["null"]),
        ("nested", b"[[0, 32]]", ["an array"]), ("true", b"[true, 32]",
                                                 ["true"])):
    def put(folder, text=text):
        header, data = layout(llama())
        old = json.dumps(header[NORM]["data_offsets"]).encode()
        head = json.dumps(header).encode()
        mark = b'"model.norm.weight": {"dtype": "F32", "shape": [8], ' \
               b'"data_offsets": '
        write_config(folder)
        write(os.path.join(folder, SHARD),
              pack(head.replace(mark + old, mark + text), data))
    add("A14", name, 3, [SHARD, NORM] + words, put)


def shape_case(row, name, shape, words, dtype="F32", code=3):
    def edit(header, data):
        header[NORM].update(shape=shape, dtype=dtype)
    add(row, name, code, [SHARD, NORM] + words, header_edit(edit))


shape_case("A15", "one-more", [9], ["needs 36"])
shape_case("A15", "one-less", [7], ["needs 28"])
shape_case("A15", "dtype", [8], ["needs 16"], dtype="F16")
shape_case("A16", "wraps-to-4", [4194305, 4194305, 211106198978564],
           ["overflows"])
shape_case("A17", "2e32-2e32", [2**32, 2**32], ["overflows"])
shape_case("A17", "2e63", [2**63], ["overflows"])
shape_case("A17", "65-dimensions", [1] * 65, ["8 dimensions"])
shape_case("A17", "9-dimensions", [1] * 8 + [8], ["8 dimensions"])
shape_case("A17", "2e64", [2**64], ["must be integers"])
shape_case("A17", "negative", [-8], ["-8"])
shape_case("A17", "overflow-before-zero", [2**63, 4, 0], ["overflows"])
for dtype in ("F128", "f32", "Q4_0", ""):
    shape_case("A18", dtype or "empty", [8],
               ["unsupported dtype", f'"{dtype}"', "BF16"], dtype, code=4)


def sub_byte(dtype, count, size):
    def build(folder):
        tensors = llama()
        tensors["other"] = ("U8", [size], bytes(size))
        header, data = layout(tensors)
        header["other"].update(dtype=dtype, shape=[count])
        write_config(folder)
        write(os.path.join(folder, SHARD), pack(header, data))
    return build


add("A19", "f4-even", 0, [], sub_byte("F4", 4, 2), ["--allow-unused"])
add("A19", "f4-odd", 3, [SHARD, "other", "not whole bytes"],
    sub_byte("F4", 5, 3))
add("A19", "f6-odd", 3, [SHARD, "other", "not whole bytes"],
    sub_byte("F6_E2M3", 3, 2))
add("A19", "f6-four", 0, [], sub_byte("F6_E3M2", 4, 3), ["--allow-unused"])


def empty_tensor(tensors):
    tensors["extra.empty"] = ("F32", [0, 4096], b"")


def empty_weight(tensors):
    tensors[NORM] = ("F32", [0, 8], b"")


add("A20", "unused", 0, ["extra.empty", "empty"], model(edit=empty_tensor))
add("A20", "used", 3, [SHARD, NORM, "weight has no elements"],
    model(edit=empty_weight))


def scalar_weight(tensors):
    tensors[QUERY] = tensor([])


add("A21", "scalar", 3, [SHARD, QUERY, "[]", "[8, 8]"],
    model(edit=scalar_weight))


@case("A22", "million-tensors", 0, ["more"], large=True)
def _(folder):
    header, data = layout(llama())
    end = len(data)
    text = json.dumps(header)[:-1]
    text += "".join(
        f',"t{i:07}":{{"dtype":"U8","shape":[0],"data_offsets":[{end},{end}]}}'
        for i in range(1_000_000))
    write_config(folder)
    write(os.path.join(folder, SHARD), pack((text + "}").encode(), data))


def named(name):
    def edit(tensors):
        tensors[name] = tensor([2])
    return model(edit=edit)


add("A23", "slash", 0, ["a/../../b"], named("a/../../b"), ["--allow-unused"])
for name, text, shown in (("nul", "a\0b", "\\x00"), ("newline", "a\nb", "\\x0a"),
                          ("escape", "a\x1b[2Jb", "\\x1b[2J"),
                          ("delete", "a\x7fb", "\\x7f"),
                          ("c1", "a\x9b2Jb", "\\u{9b}")):
    add("A23", name, 3, [SHARD, shown, "control character"], named(text),
        ["--allow-unused"], notWords=[text])
add("A23", "megabyte", 3, [SHARD, "1048576", "limit 1024"],
    named("n" * 2**20), ["--allow-unused"])
add("A23", "empty", 3, [SHARD, "empty name"], named(""), ["--allow-unused"])


@case("A24", "big-endian", 3, [SHARD, "header length", "wrong endianness?"])
def _(folder):
    write_model(folder)
    with open(os.path.join(folder, SHARD), "r+b") as file:
        length = file.read(8)
        file.seek(0)
        file.write(length[::-1])


@case("A25", "misaligned", 0, ["2 layers"], ["--allow-unused"])
def _(folder):
    tensors = llama()
    tensors["double"] = tensor([3], "F64")
    header, data = layout(tensors)
    text = json.dumps(header).encode()
    write_config(folder)
    text += b" " * ((1 - len(text)) % 8)
    write(os.path.join(folder, SHARD), pack(text, data))


@case("A27", "fifo", 3, [SHARD, "FIFO", "not a regular file"])
def _(folder):
    write_config(folder)
    os.mkfifo(os.path.join(folder, SHARD))


@case("A27", "socket", 3, [SHARD, "not a regular file"])
def _(folder):
    write_config(folder)
    here = os.getcwd()
    os.chdir(folder)  # A socket's path may have only 107 bytes.
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(SHARD)
        listener.close()
    finally:
        os.chdir(here)


@case("A27", "directory", 3, [SHARD, "a directory", "not a regular file"])
def _(folder):
    write_config(folder)
    os.mkdir(os.path.join(folder, SHARD))


@case("A27", "link-to-dev-zero", 3, [SHARD, "outside"])
def _(folder):
    write_config(folder)
    os.symlink("/dev/zero", os.path.join(folder, SHARD))


@case("A27", "config-fifo", 3, ["config.json", "FIFO"])
def _(folder):
    os.mkfifo(os.path.join(folder, "config.json"))


add("A27", "dev-zero", 3, ["/dev/zero", "not a regular file"],
    lambda folder: None, ["--file"], target="/dev/zero")
add("A27", "proc", 3, ["/proc/self/maps", "is 0 bytes"], lambda folder: None,
    ["--file"], target="/proc/self/maps")

LFS = (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64
       + b"\nsize 14696792\n")
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 9
add("A28", "lfs-pointer", 3, [SHARD, "Git LFS"], raw(lambda: LFS))
add("A28", "html", 3, [SHARD, "HTML"], raw(lambda: HTML))
add("A28", "lfs-config", 3, ["config.json", "Git LFS"],
    lambda folder: write_model(folder, config=LFS))
add("A29", "zip", 3, [SHARD, "zip"], raw(lambda: b"PK\x03\x04" + bytes(200)))
add("A29", "gguf", 3, [SHARD, "GGUF"],
    raw(lambda: b"GGUF\x03\0\0\0" + bytes(200)))
add("A29", "pickle", 3, [SHARD, "pickle"],
    raw(lambda: b"\x80\x02}q\0." + bytes(200)))
for name in ("pytorch_model.bin", "model.gguf", "consolidated.00.pth"):
    def other(folder, name=name):
        write_config(folder)
        write(os.path.join(folder, name), b"\x80\x02}q\0.")
    add("A29", name.replace("_", "-"), 3,
        ["has no weights", name, "does not read"], other)
