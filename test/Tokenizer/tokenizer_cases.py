"""Tokenizer files and strings for comparing with the `tokenizers` package.

Used by compare_tokenizers.py (many strings, every run new ones if asked) and
make_golden.py (few strings, committed answers).
"""
import copy
import json
import os
import random

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = GPT4.replace("{1,3}", "")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
             r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_HAN = r"[一-龥ࠀ-一가-퟿]+"

# Numbers of Unicode 17 that the package's Digits knows and ours does not.
NEW_NUMBERS = set(range(0x11DE0, 0x11DEA)) | set(range(0x16FF4, 0x16FF7))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern},
            "behavior": behavior, "invert": invert}


def byte_level(prefix=False, use_regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix,
            "trim_offsets": True, "use_regex": use_regex}


def sequence(*steps, name="pretokenizers"):
    return {"type": "Sequence", name: list(steps)}


def metaspace(scheme, split_words=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme,
            "split": split_words}


def added(first_id, *entries):
    """Entries are (content, flags); flags name what is true."""
    return [{"id": first_id + i, "content": content,
             **{flag: flag in flags for flag in (
                 "single_word", "lstrip", "rstrip", "normalized", "special")}}
            for i, (content, flags) in enumerate(entries)]


def from_vocabulary(folder, name, pre_tokenizer, special):
    """A tokenizer.json out of NAME_vocab.json and NAME_merges.txt."""
    vocab = load(os.path.join(folder, f"{name}_vocab.json"))
    with open(os.path.join(folder, f"{name}_merges.txt"), encoding="utf-8") as f:
        merges = [line.split(" ") for line in f.read().split("\n")
                  if line and not line.startswith("#version")]
    size = max(vocab.values()) + 1
    tokens = [t for t in special if t not in vocab]
    entries = [{"id": vocab[t], "content": t, "single_word": False,
                "lstrip": False, "rstrip": False, "normalized": False,
                "special": True} for t in special if t in vocab]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": entries + added(size, *[(t, "special") for t in tokens]),
            "normalizer": {"type": "NFC"} if name == "qwen2" else None,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": byte_level(), "decoder": byte_level(True, True),
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "",
                      "fuse_unk": False, "byte_fallback": False,
                      "vocab": vocab, "merges": merges}}


def shared_tokenizers(shared):
    """Name -> tokenizer.json of the files that come with the project."""
    folder = os.path.join(shared, "tokenizers")
    qwen = sequence(split(QWEN2), byte_level())
    return {
        "books-7m": load(os.path.join(shared, "models/books-7m/tokenizer.json")),
        "stories260K": load(os.path.join(shared, "models/stories260K/tokenizer.json")),
        "gpt-neox-20B": load(os.path.join(folder, "gpt-neox-20B_tokenizer.json")),
        "gpt2": from_vocabulary(folder, "gpt2", byte_level(use_regex=True),
                                ["<|endoftext|>"]),
        "qwen2": from_vocabulary(folder, "qwen2", qwen,
                                 ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])}


def changed(base, model=None, **parts):
    result = copy.deepcopy(base)
    result.update(parts)
    result["model"].update(model or {})
    return result


def renamed(base, token, name):
    result = copy.deepcopy(base)
    vocab = result["model"]["vocab"]
    result["model"]["vocab"] = {name if k == token else k: v
                                for k, v in vocab.items()}
    return result


def trimmed(base, merges):
    """Only the first merges, and tokens that they make or that are characters."""
    result = copy.deepcopy(base)
    model = result["model"]
    model["merges"] = model["merges"][:merges]
    made = {"".join(merge) for merge in model["merges"]}
    content = {token["content"] for token in base["added_tokens"]}
    kept = [t for t in sorted(model["vocab"], key=model["vocab"].get)
            if len(t) == 1 or t in made or t in content]
    model["vocab"] = {token: i for i, token in enumerate(kept)}
    size = len(kept)
    for token in result["added_tokens"]:
        token["id"] = model["vocab"].get(token["content"], size)
        size += token["id"] == size
    return result


def variants(shared, merges=4000):
    """Every option that is understood, on the two small vocabularies."""
    books = trimmed(load(os.path.join(shared, "models/books-7m/tokenizer.json")),
                    merges)
    stories = load(os.path.join(shared, "models/stories260K/tokenizer.json"))
    many = added(len(books["model"]["vocab"]), ("<|im_start|>", "special"), ("<|im_end|>", "special lstrip"),
                 ("<|pad|>", "special rstrip"), ("<mask>", "special lstrip rstrip"),
                 ("word", "single_word"), ("the end", "normalized single_word"),
                 ("  ", "normalized"), ("   ", "normalized"), ("éé", "normalized"),
                 ("<|im", ""), ("\n", "rstrip"), ("ßß", "lstrip normalized special"))
    result = {}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        result[f"books {form}"] = changed(
            books, normalizer={"type": form},
            added_tokens=books["added_tokens"] + many)
    result["books added"] = changed(books, added_tokens=books["added_tokens"] + many)
    result["books ignore merges"] = changed(books, {"ignore_merges": True})
    result["books prefix"] = changed(books, pre_tokenizer=byte_level(True, True))
    for name, steps in {
            "o200k": [split(O200K)], "deepseek": [split(r"\p{N}{1,3}"),
                                                  split(DEEPSEEK_HAN), split(DEEPSEEK3)],
            "digits": [{"type": "Digits", "individual_digits": True}],
            "digit runs": [{"type": "Digits", "individual_digits": False}],
            "tabs": [split("\t", kind="String"), split(r"[^\S\n]+", "Removed")],
    }.items():
        result[f"books {name}"] = changed(
            books, pre_tokenizer=sequence(*steps, byte_level(True, name == "digits")))
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            result[f"books {behavior} {invert}"] = changed(
                books, pre_tokenizer=sequence(
                    split(r"\s|\p{P}", behavior, invert), byte_level()))
    decoders = {"Metaspace": metaspace("always"),
                "Sequence": sequence({"type": "ByteFallback"}, metaspace("never"),
                                     name="decoders")}
    for scheme in ("always", "first", "never"):
        for words in (True, False):
            result[f"stories {scheme} {words}"] = changed(
                stories, normalizer=None, pre_tokenizer=metaspace(scheme, words),
                decoder=decoders["Metaspace" if words else "Sequence"])
    result["stories no fallback"] = changed(stories, {"byte_fallback": False})
    result["stories single unknowns"] = changed(
        stories, {"byte_fallback": False, "fuse_unk": False})
    result["stories nothing unknown"] = changed(
        stories, {"byte_fallback": False, "unk_token": None}, decoder=None)
    result["stories lacks F0"] = renamed(stories, "<0xF0>", "<0xG0>")
    result["stories replace"] = changed(
        stories, normalizer=sequence(
            {"type": "Replace", "pattern": {"Regex": r"\s{2,}"}, "content": " "},
            {"type": "NFKC"}, {"type": "Replace", "pattern": {"String": " "},
                               "content": "▁"}, name="normalizers"),
        added_tokens=stories["added_tokens"] + added(512, ("x y", "normalized"),
                                                     ("▁▁▁", "normalized special")))
    return result


POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789",
    " ", "\t\n\r\v\f \u0085\u00a0\u1680\u2002\u2003\u2028\u2029\u202f\u205f\u3000",
    "\u180e\u200b\u200c\u200d\u2060\ufeff\u00ad", "'’‘\"`´", ".,;:!?-_/\\()[]{}<>|@#$%^&*+=~",
    "éèêëüößñçåæøÅÉØ", "\u0300\u0301\u0308\u0327\u0323\u0334\u0345\u05b0\u3099",
    "ſK\u0130\u0131ǅﬁﬆΣςϐ", "日本語中文字符漢字ひらがなカタカナ한국어조선말", "абвгдежзийклмн",
    "אבגדהוזחטיابتثجحخدذ٠١٢٣۴۵", "अआइईउकखगघङािीु्०१२", "กขคงจฉชซ่้๊๋๐๑",
    "½¼²³ⅣⅫ①⑳㊿〇", "😀😃👍🏽👩‍👩‍👧‍👦🇩🇪🏳️‍🌈", "\x00\x01\x02\x1b\x7f\x80\x9f",
    "\ufffd\ufffe\uffff\U0001fffe\U0010ffff", "▁ĠĊċģ<0x41>", "가각갂ㄱㅏㆍ각",
    "½ﬀＡ１ｱ㍿㌀ℵÅΩ", "\u0378\u0379\u05ff\u0870\u1c8a\u2e5d\u31e4\ua7dc\U00010d40\U00010d4a"
    "\U000105c0\U00011bf0\U0001ccd0\U0001cccd\U00011f50\U0001e4f0\U00031350\U0002ebf0",
]
WORDS = ("the The and of it's don't I'll we've they're I'm he'd IT'S DON'T 'S 's 'T "
         "'ſ hello world once upon a time 1234567 3.14159 2024-01-01 x=y+1; "
         "def f(x): return http://example.com/a?b=c&d=e naïve café straße "
         "word the end <mask> <0x41> <0xE4> <unk> ▁the x y").split(" ")


def character(rng):
    while True:
        kind = rng.random()
        if kind < 0.85:
            return rng.choice(rng.choice(POOLS))
        limit = 0x110000 if kind < 0.9 else 0x3000 if kind < 0.96 else 0x20000
        c = rng.randrange(limit)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def string(rng, specials):
    """A string of one of many kinds; short ones are the most frequent."""
    kind = rng.randrange(10)
    length = int(rng.expovariate(1 / 30)) + (rng.random() > 0.02)
    if kind == 0:
        return "".join(character(rng) for _ in range(length))
    if kind == 1:
        return character(rng) * int(rng.expovariate(1 / 200))
    if kind == 2:
        a, b = character(rng), character(rng)
        return "".join(rng.choice((a, b)) for _ in range(length))
    if kind == 3:
        pool = rng.sample(POOLS, 2)
        return "".join(rng.choice(rng.choice(pool)) for _ in range(length))
    if kind == 4:
        return "".join(rng.choice(POOLS[4] + "  ab'") for _ in range(length))
    parts = []
    for _ in range(length // 3 + 1):
        draw = rng.random()
        if draw < 0.6:
            parts.append(rng.choice(WORDS))
        elif draw < 0.7 and specials:
            token = rng.choice(specials)
            parts.append(token if rng.random() < 0.8 else token[:-1])
        elif draw < 0.8:
            parts.append(rng.choice(POOLS[8]) + rng.choice(POOLS[9]) * rng.randrange(4))
        else:
            parts.append(character(rng) * rng.randrange(1, 4))
        parts.append(rng.choice(("", " ", " ", " ", "  ", "\n", "\r\n", "\t", "   ")))
    return "".join(parts)


def strings(seed, count, description):
    """Strings for a tokenizer.json."""
    rng = random.Random(seed)
    specials = [t["content"] for t in description["added_tokens"]]
    fixed = ["", " ", "  ", "\n", "a", "\x00", "\ufeff", "'", "'s", " 's",
             "a" * 3000, " " * 3000, "\n" * 1000, "e\u0301" * 500, "\u0301" * 1000,
             "ab" * 1500, "1" * 1000] + specials
    result = fixed[:count]
    while len(result) < count:
        result.append(string(rng, specials))
    if "Digits" in json.dumps(description["pre_tokenizer"]):
        result = ["".join(c for c in s if ord(c) not in NEW_NUMBERS) for s in result]
    return result


def id_lists(seed, count, description):
    """Lists of ids to decode: random, runs of short tokens, byte tokens."""
    rng = random.Random(seed)
    vocab = description["model"]["vocab"]
    short = [i for t, i in vocab.items() if len(t) <= 2]
    short += [i for t, i in vocab.items() if t.startswith("<0x")]
    every = sorted(set(vocab.values()) | {t["id"] for t in description["added_tokens"]})
    result = [[]]
    while len(result) < count:
        pools = rng.choice(((every,), (short,), (every, short)))
        result.append([rng.choice(rng.choice(pools))
                       for _ in range(int(rng.expovariate(1 / 12)))])
    return result
