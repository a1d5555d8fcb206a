#!/usr/bin/env python3
"""Writes lib/Tokenizer/UnicodeTables.cpp.

The tables follow the `tokenizers` package, which is what a model was trained
with, and not the newest Unicode: its regular expressions know Unicode 16.0, its
normalizers 9.0. Sources of the data:

  unicodedata2 16.0.0   categories (PyPI)
  regex                 the properties Alphabetic, Join_Control, White_Space (PyPI)
  python3.11            unicodedata 14.0.0, the categories of PCRE2 10.42
  DerivedAge.txt        the version a character is from (Debian: unicode-data)

`--check` compares the result with the `tokenizers` package on all code points
(letters, numbers, white space and every other category; word characters; all
four normalization forms), about two minutes.

  python scripts/make_unicode_tables.py [--check] [OUTPUT]
"""
import argparse
import os
import sys
import unicodedata

import regex
import unicodedata2

CATEGORIES = ("Cc Cf Cn Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No "
              "Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs").split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
AGE_FILE = "/usr/share/unicode/DerivedAge.txt"
# PCRE2 counts U+180E as white space although it is a format character.
PCRE2_EXTRA_SPACE = 0x180E


def read_ages():
    """Code point -> version, as far as AGE_FILE knows."""
    ages = {}
    for line in open(AGE_FILE, encoding="utf-8"):
        line = line.split("#")[0].strip()
        if not line:
            continue
        codes, age = (part.strip() for part in line.split(";"))
        first, _, last = codes.partition("..")
        for c in range(int(first, 16), int(last or first, 16) + 1):
            ages[c] = tuple(int(part) for part in age.split("."))
    return ages


def ranges(pairs):
    """[(code point, value)] in order -> [[first, last, value]]."""
    result = []
    for c, value in pairs:
        if result and result[-1][1] == c - 1 and result[-1][2] == value:
            result[-1][1] = c
        else:
            result.append([c, c, value])
    return result


def utf8_length(c):
    return len(chr(c).encode())


def substituted():
    """Code points that PCRE2 10.42, or a later one, may see otherwise."""
    for c in CODE_POINTS:
        category = unicodedata2.category(chr(c))
        if (category == "Cn" and utf8_length(c) > 2
                or category != unicodedata.category(chr(c))
                or c == PCRE2_EXTRA_SPACE):
            assert utf8_length(c) > 2
            yield c, category


def stand_ins(ages, table):
    """(category, UTF-8 length) -> an old character that stands for them."""
    wanted = {(value, utf8_length(first)) for first, _, value in table}
    found = {}
    for c in reversed(CODE_POINTS):
        key = (unicodedata2.category(chr(c)), utf8_length(c))
        old = c & 0xFFFE == 0xFFFE if key[0] == "Cn" else (
            ages.get(c, (99,)) <= (13, 0)
            and unicodedata.category(chr(c)) == key[0])
        if key in wanted and old and c != PCRE2_EXTRA_SPACE:
            found.setdefault(key, c)
    assert wanted == set(found), wanted - set(found)
    return found


def word_characters():
    """What \\w is in Rust's regex crate at Unicode 16.0."""
    word = regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]")
    return [(c, None) for c in CODE_POINTS
            if unicodedata2.category(chr(c)) != "Cn" and word.match(chr(c))]


def emit(out, kind, name, rows):
    out.write(f"static const {kind} {name}Data[] = {{\n")
    for i in range(0, len(rows), 4):
        out.write("    " + " ".join(rows[i:i + 4]) + "\n")
    out.write(f"}};\nconst RangeTable<{kind}> {name} = {{{name}Data, "
              f"std::size({name}Data)}};\n\n")


def write(path):
    ages = read_ages()
    table = ranges(substituted())
    old = stand_ins(ages, table)
    plain = lambda rows: [f"{{0x{a:04X}, 0x{b:04X}}}," for a, b, _ in rows]
    with open(path, "w", encoding="ascii") as out:
        out.write("""\
//===- UnicodeTables.cpp - Generated Unicode properties ---------*- C++ -*-===//
//
// Written by scripts/make_unicode_tables.py; do not edit. See UnicodeTables.h.
//
//===----------------------------------------------------------------------===//
#include "UnicodeTables.h"

#include <iterator>

// clang-format off
namespace lowbit {

""")
        emit(out, "StandInRange", "standInRanges",
             [f"{{0x{a:04X}, 0x{b:04X}, 0x{old[v, utf8_length(a)]:04X}}},"
              for a, b, v in table])
        v9 = plain(ranges((c, None) for c in CODE_POINTS
                          if ages.get(c, (99,)) <= (9, 0)))
        emit(out, "CodePointRange", "unicode9Ranges", v9)
        word = plain(ranges(word_characters()))
        emit(out, "CodePointRange", "wordRanges", word)
        space = plain(ranges((c, None) for c in CODE_POINTS if regex.match(
            r"\p{White_Space}", chr(c))))
        emit(out, "CodePointRange", "spaceRanges", space)
        out.write("} // namespace lowbit\n")
    print(f"{path}: {len(table)} ranges with {len(old)} stand-ins, {len(v9)} of "
          f"Unicode 9, {len(word)} of words, {len(space)} of white space")


def check_categories(normalizers, Regex):
    """The package's own regular expressions against unicodedata2."""
    wrong = 0
    patterns = [(rf"\p{{{g}}}", lambda c, g=g: unicodedata2.category(c) == g)
                for g in CATEGORIES if g != "Cs"]
    patterns.append((r"\s", lambda c: bool(regex.match(r"\p{White_Space}", c))))
    for pattern, expected in patterns:
        remove = normalizers.Replace(Regex(pattern), "")
        for i in range(0, len(CODE_POINTS), 256):
            block = [chr(c) for c in CODE_POINTS[i:i + 256]]
            left = set(remove.normalize_str("".join(block)))
            wrong += sum((c not in left) != expected(c) for c in block)
    return wrong


def check_words(tokenizers):
    """Which character next to a single-word token keeps it from matching."""
    model = tokenizers.models.BPE({"u": 0}, [], unk_token="u")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.add_tokens([tokenizers.AddedToken("Q9Q", single_word=True,
                                                normalized=False)])
    words = {c for c, _ in word_characters()}
    return sum((tokenizer.encode(chr(c) + "Q9Q").ids[-1] != 1) != (c in words)
               for c in CODE_POINTS)


def check_normalization(normalizers):
    """unicodedata, with what Unicode 9 did not have left alone."""
    ages = read_ages()

    def expected(form, text):
        parts = [""]
        for ch in text:
            if ages.get(ord(ch), (99,)) <= (9, 0):
                parts[-1] += ch
            else:
                parts += [ch, ""]
        return "".join(part if i % 2 else unicodedata.normalize(form, part)
                       for i, part in enumerate(parts))

    wrong = 0
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        normalize = getattr(normalizers, form)().normalize_str
        for c in CODE_POINTS:
            ch = chr(c)
            wrong += any(normalize(t) != expected(form, t) for t in (
                ch, "a\u0301" + ch, "a" + ch + "\u0334", "a\u0316" + ch,
                "a" + ch + "\u0316", "a" + ch + "\u0301"))
    return wrong


def check():
    import tokenizers
    from tokenizers import normalizers, Regex
    results = {"categories": check_categories(normalizers, Regex),
               "word characters": check_words(tokenizers),
               "normalization": check_normalization(normalizers)}
    for name, wrong in results.items():
        print(f"tokenizers {tokenizers.__version__}, {name}: "
              f"{len(CODE_POINTS)} code points, {wrong} differ")
    return any(results.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("output", nargs="?", default=os.path.join(
        root, "lib/Tokenizer/UnicodeTables.cpp"))
    arguments = parser.parse_args()
    assert unicodedata2.unidata_version == "16.0.0", "pip install unicodedata2==16.0.0"
    assert unicodedata.unidata_version == "14.0.0", "needs Python 3.11"
    write(arguments.output)
    return check() if arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
