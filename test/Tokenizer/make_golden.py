#!/usr/bin/env python3
"""Writes test/Unit/Tokenizer/Golden: answers of the `tokenizers` package.

  make_golden.py [--shared ../shared]

Each file holds a tokenizer.json (or where it, or its vocabulary and merges, lie)
and cases of encoding, [text, addSpecial, parseSpecial, ids], and of decoding,
[ids, skipSpecial, text].
"""
import argparse
import json
import os

import tokenizers

import tokenizer_cases

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = {"books-7m": "examples/models/books-7m/tokenizer.json",
         "gpt-neox-20B": "../shared/tokenizers/gpt-neox-20B_tokenizer.json"}
# Their tokenizer.json is put together from NAME_vocab.json and NAME_merges.txt.
VOCABULARIES = {"gpt2": "../shared/tokenizers/gpt2", "qwen2": "../shared/tokenizers/qwen2"}
LONGEST = 120


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cases(description, seed, count):
    """(encoding cases, decoding cases), about half as many of the latter."""
    tokenizer = tokenizers.Tokenizer.from_str(compact(description))
    texts = [s for s in tokenizer_cases.strings(seed, 3 * count, description)
             if len(s) <= LONGEST][:count]
    encode = []
    for i, text in enumerate(texts):
        add, parse = bool(i % 2), bool(i // 2 % 2)
        tokenizer.encode_special_tokens = not parse
        ids = tokenizer.encode(text, add_special_tokens=add).ids
        encode.append([text, add, parse, ids])
    decode = []
    for i, ids in enumerate(tokenizer_cases.id_lists(seed, count // 2, description)):
        ids = ids[:LONGEST // 4]
        decode.append([ids, bool(i % 2),
                       tokenizer.decode(ids, skip_special_tokens=bool(i % 2))])
    return encode, decode


def write(folder, name, description, seed, count):
    encode, decode = cases(description, seed, count)
    path = os.path.join(folder, name.replace(" ", "-") + ".json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"madeBy":"tokenizers {tokenizers.__version__}",\n')
        if name in FILES:
            file.write(f'"file":{compact(FILES[name])},\n')
        elif name in VOCABULARIES:
            model = {k: v for k, v in description["model"].items() if k not in ("vocab", "merges")}
            file.write(f'"vocabulary":{compact(VOCABULARIES[name])},\n'
                       f'"tokenizer":{compact({**description, "model": model})},\n')
        else:
            file.write(f'"tokenizer":{compact(description)},\n')
        for key, rows in (("encode", encode), ("decode", decode)):
            lines = ",\n".join(compact(row) for row in rows)
            file.write(f'"{key}":[\n{lines}]{"," if key == "encode" else "}"}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", default=os.path.join(os.path.dirname(ROOT), "shared"))
    shared = parser.parse_args().shared
    folder = os.path.join(ROOT, "test/Unit/Tokenizer/Golden")
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.remove(os.path.join(folder, old))
    five = tokenizer_cases.shared_tokenizers(shared)
    for name, description in five.items():
        write(folder, name, description, 3, 500)
    # The same two where there is no ../shared: their rules on few merges.
    for name in VOCABULARIES:
        write(folder, f"{name} trimmed", tokenizer_cases.trimmed(five[name], 150), 4, 200)
    for name, description in tokenizer_cases.variants(shared, merges=150).items():
        write(folder, name, description, 4, 40)
    sizes = [os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)]
    print(f"{len(sizes)} files, {sum(sizes)} bytes")


if __name__ == "__main__":
    main()
