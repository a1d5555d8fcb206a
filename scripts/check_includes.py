#!/usr/bin/env python3
"""Checks that every include of one room by another follows the table of docs/Architecture.md."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Room -> rooms that it may include. A path names one header of a room.
ALLOWED = {
    "Numerics": [],
    "Checkpoint": [],
    "Tokenizer": ["Checkpoint"],
    "Runtime": ["Checkpoint", "Tokenizer", "Numerics"],
    "IR": ["Numerics"],
    "Reference": ["IR", "Checkpoint"],
    "Import": ["IR", "Checkpoint"],
    "Analysis": ["IR", "Numerics", "Checkpoint", "Reference/ParameterBytes.h"],
    "Transforms": ["IR", "Analysis", "Numerics", "Reference", "Checkpoint"],
    "Conversion": ["IR", "Numerics", "Target/TargetInfo.h", "Runtime/Plan.h",
                   "Runtime/EmulatorAbi.h"],
    "Target": ["Checkpoint", "Numerics"],
    "Pipelines": ["IR", "Reference", "Numerics", "Checkpoint", "Import", "Analysis", "Transforms", "Conversion", "Target",
                  "Tokenizer", "Runtime"],
}
WITHOUT_LLVM = ["Numerics", "Checkpoint", "Tokenizer", "Runtime"]
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)


def check(path, room):
    """The complaints about one file."""
    for include in INCLUDE.findall(path.read_text(errors="replace")):
        if re.match(r"(llvm|mlir)(-c)?/", include):
            if room in WITHOUT_LLVM:
                yield f"{path.relative_to(ROOT)}: {room} must not include {include}"
        elif include.startswith("lowbit/"):
            other = include.split("/")[1]
            allowed = ALLOWED[room] + [room]
            if other not in allowed and include[len("lowbit/"):] not in allowed:
                yield f"{path.relative_to(ROOT)}: {room} must not include {include}"


def main():
    files, complaints = 0, []
    for room in ALLOWED:
        for base in ("include/lowbit", "lib"):
            for path in sorted((ROOT / base / room).rglob("*")):
                if path.suffix in (".h", ".cpp"):
                    files += 1
                    complaints += check(path, room)
    print("\n".join(complaints))
    failed = len({c.split(":")[0] for c in complaints})
    print(f"{files - failed} passed, {failed} failed")
    return 1 if complaints or not files else 0


if __name__ == "__main__":
    sys.exit(main())
