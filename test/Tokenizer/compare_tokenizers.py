#!/usr/bin/env python3
"""Compares lowbit's tokenizer with the `tokenizers` package.

  compare_tokenizers.py --answers build/bin/lowbit-tokenizer-answers \\
      [--shared ../shared] [--count 20000] [--variant-count 2000] [--seed 1]

For each tokenizer.json of --shared (five), `count` random and adversarial
strings are encoded, special tokens parsed and not parsed, with and without the
post-processor, and `count` lists of ids are decoded, special tokens skipped and
not. Then the same for every variant of options, `variant-count` each. Needs the
packages `tokenizers`; a long lane. Exit 1 on any difference.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import tokenizers

import tokenizer_cases


def answers(binary, path, questions):
    """Asks the program; one answer for each question."""
    text = "".join(json.dumps(q, ensure_ascii=False) + "\n" for q in questions)
    done = subprocess.run([binary, path], input=text.encode(), check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = done.stdout.decode().split("\n")[:-1]
    if done.returncode != 0 or len(lines) != len(questions):
        sys.exit(f"{path}: exit {done.returncode}: {done.stderr.decode()}")
    return [json.loads(line) for line in lines]


def expected(tokenizer, question):
    if "ids" in question:
        return tokenizer.decode(question["ids"],
                                skip_special_tokens=question["skipSpecial"])
    tokenizer.encode_special_tokens = not question["parseSpecial"]
    return tokenizer.encode(question["text"],
                            add_special_tokens=question["addSpecial"]).ids


def questions_for(description, seed, count):
    texts = tokenizer_cases.strings(seed, count, description)
    lists = tokenizer_cases.id_lists(seed, count, description)
    return ([{"text": s, "addSpecial": bool(i % 2), "parseSpecial": bool(i // 2 % 2)}
             for i, s in enumerate(texts)] +
            [{"ids": ids, "skipSpecial": bool(i % 2)} for i, ids in enumerate(lists)])


def compare(binary, name, description, seed, count, folder):
    path = os.path.join(folder, "tokenizer.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(description, file, ensure_ascii=False)
    tokenizer = tokenizers.Tokenizer.from_file(path)
    questions = questions_for(description, seed, count)
    started = time.time()
    given = answers(binary, path, questions)
    ours = time.time() - started
    wrong = [(q, a, e) for q, a in zip(questions, given)
             for e in [expected(tokenizer, q)] if a != e]
    print(f"{name}: {len(questions)} compared, {len(wrong)} differ "
          f"({ours:.1f} s ours, {time.time() - started - ours:.1f} s theirs)", flush=True)
    for question, answer, want in wrong[:3]:
        print(f"  {question!a:.300}\n    ours   {answer!a:.300}\n    theirs {want!a:.300}")
    return len(wrong)


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--answers", required=True)
    parser.add_argument("--shared", default=os.path.join(os.path.dirname(root), "shared"))
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--variant-count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not os.path.isdir(arguments.shared):
        print(f"skipped: no folder {arguments.shared}")
        return 0
    print(f"tokenizers {tokenizers.__version__}, seed {arguments.seed}")
    work = [(n, d, arguments.count) for n, d in
            tokenizer_cases.shared_tokenizers(arguments.shared).items()]
    work += [(n, d, arguments.variant_count) for n, d in
             tokenizer_cases.variants(arguments.shared).items()]
    with tempfile.TemporaryDirectory() as folder:
        wrong = sum(compare(arguments.answers, name, description, arguments.seed,
                            count, folder)
                    for name, description, count in work if count)
    print(f"{len(work)} tokenizers, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
