#!/usr/bin/env python3
"""Makes docs/generated from the .td files; --check fails where a page is stale."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TBLGEN = "/usr/lib/llvm-22/bin/mlir-tblgen"
INCLUDES = ["-I", str(ROOT / "include"), "-I", "/usr/lib/llvm-22/include"]
PAGES = {
    "Dialect.md": ["-gen-dialect-doc", "-dialect=lowbit", "include/lowbit/IR/LowbitOps.td"],
    "Transforms.md": ["-gen-pass-doc", "include/lowbit/Transforms/Passes.td"],
    "Conversion.md": ["-gen-pass-doc", "include/lowbit/Conversion/Passes.td"],
}


def main():
    stale = 0
    for name, arguments in PAGES.items():
        page = ROOT / "docs" / "generated" / name
        text = subprocess.run([TBLGEN, *INCLUDES, *arguments], cwd=ROOT, check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        if "--check" not in sys.argv:
            page.parent.mkdir(exist_ok=True)
            page.write_text(text)
        elif not page.exists() or page.read_text() != text:
            stale += 1
            print(f"docs/generated/{name} is stale: run scripts/make_docs.py")
    print(f"{len(PAGES) - stale} passed, {stale} failed")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
