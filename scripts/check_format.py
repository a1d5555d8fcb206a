#!/usr/bin/env python3
"""Checks (or with --fix, mends) the formatting of every C++ file with clang-format-22."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    files = sorted(path for base in ("include", "lib", "tools", "test") for path in (ROOT / base).rglob("*")
                   if path.suffix in (".h", ".cpp"))
    if "--fix" in sys.argv:
        return subprocess.run(["clang-format-22", "-i", *files]).returncode
    bad = []
    for path in files:
        formatted = subprocess.run(["clang-format-22", path], stdout=subprocess.PIPE, check=True).stdout
        if formatted != path.read_bytes():
            bad.append(path)
            print(f"{path.relative_to(ROOT)}: run scripts/check_format.py --fix")
    print(f"{len(files) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
