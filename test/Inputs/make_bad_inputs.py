#!/usr/bin/env python3
"""Makes every bad input of the safetensors, shard and configuration tables.

Rows A1-A29 (safetensors), B1-B15 (shards, index, paths) and C1-C23
(config.json and JSON at large). Each case is a model folder that was valid
before one thing in it was broken, with the exit code and the words that the
error must have. Cases with exit 0 are the lawful neighbours.

    make_bad_inputs.py OUT          makes all of them, and OUT/manifest.json
    make_bad_inputs.py OUT A12 B7   only those rows

The standard library suffices. test/Checkpoint/bad_inputs.py runs them.
"""

import json
import os
import sys

import bad_configs  # noqa: F401  Importing registers the cases.
import bad_safetensors  # noqa: F401
import bad_shards  # noqa: F401
from bad_input_case import CASES, write

CASES.sort(key=lambda case: (case.row[0], int(case.row[1:])))


def main():
    out = sys.argv[1]
    rows = set(sys.argv[2:])
    manifest = {}
    for one in CASES:
        if rows and one.row not in rows:
            continue
        folder = os.path.join(out, one.id)
        os.makedirs(folder)
        one.build(folder)
        manifest[one.id] = one.manifest()
    write(os.path.join(out, "manifest.json"), json.dumps(manifest, indent=1))
    print(f"{len(manifest)} cases in {out}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
