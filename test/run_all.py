#!/usr/bin/env python3
"""Runs every suite of the project and counts what passed, failed and was skipped.

Suites: the include-direction and formatting checks, generated documents, unit
tests, the lit suite, scripts that print their own counts, and the sanitizer
build of the rooms that link no MLIR.

The last line is `lowbit: N passed, N failed, N skipped`; the exit status is 0
only where nothing failed and something passed.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
LLVM = pathlib.Path("/usr/lib/llvm-22/bin")
COUNTS = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")


class Tally:
    """What has been counted so far."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, name, passed, failed, skipped, seconds):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        print(f"  {name}: {passed} passed, {failed} failed, {skipped} skipped "
              f"({seconds:.1f} s)", flush=True)


def run(command, **options):
    return subprocess.run([str(c) for c in command], cwd=ROOT, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def script(tally, name, command, env=None):
    """A program that prints its counts (or is one check by its exit status)."""
    start = time.time()
    result = run(command, env={**os.environ, **(env or {})})
    found = COUNTS.findall(result.stdout)
    if found:
        passed, failed, skipped = (int(n or 0) for n in found[-1])
    else:
        passed, failed, skipped = int(result.returncode == 0), 0, 0
    if result.returncode != 0 and failed == 0:
        failed = 1
    for line in result.stdout.splitlines():
        if "skipped" in line.lower() and not COUNTS.search(line):
            print("    " + line)
    if failed:
        print(result.stdout[-8000:])
    tally.add(name, passed, failed, skipped, time.time() - start)


def gtest(tally, binary, env=None):
    start = time.time()
    report = binary.with_suffix(".xml")
    report.unlink(missing_ok=True)
    result = run([binary, f"--gtest_output=xml:{report}"], env={**os.environ, **(env or {})})
    if not report.exists():
        print(result.stdout[-8000:])
        tally.add(binary.name, 0, 1, 0, time.time() - start)
        return
    root = xml.parse(report).getroot()
    total, failed = int(root.get("tests")), int(root.get("failures"))
    skipped = sum(1 for case in root.iter("testcase") if case.find("skipped") is not None)
    for case in root.iter("testcase"):
        reason = case.find("skipped")
        if reason is not None:
            print(f"    skipped: {case.get('classname')}.{case.get('name')}: "
                  f"{(reason.get('message') or '').strip()}")
    if result.returncode != 0:
        failed = max(failed, 1)
        print(result.stdout[-8000:])
    tally.add(binary.name, total - failed - skipped, failed, skipped, time.time() - start)


def lit(tally, build):
    start = time.time()
    result = run([LLVM / "lit", "-v", build / "test"])
    def count(label):
        found = re.search(rf"^\s*{label}\s*:\s*(\d+)", result.stdout, re.M)
        return int(found.group(1)) if found else 0
    failed = count("Failed") + count("Unresolved") + count("Timed Out") + count("Unexpectedly Passed")
    skipped = count("Unsupported") + count("Skipped") + count("Excluded")
    for line in result.stdout.splitlines():
        if line.startswith("UNSUPPORTED"):
            print("    skipped: " + line)
    passed = count("Passed")
    if result.returncode != 0 or failed or not passed:
        failed = max(failed, 1)
        print(result.stdout[-12000:])
    tally.add("lit", passed, failed, skipped, time.time() - start)


def sanitizers(tally, build):
    """Unit tests of the rooms without MLIR under ASan and UBSan."""
    folder = build / "sanitized"
    start = time.time()
    configure = run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DLOWBIT_COMPILER=OFF",
                     "-DLOWBIT_SANITIZE=address,undefined"])
    made = configure if configure.returncode else run(["cmake", "--build", folder])
    if made.returncode != 0:
        print(made.stdout[-8000:])
        tally.add("sanitizer build", 0, 1, 0, time.time() - start)
        return
    tally.add("sanitizer build", 1, 0, 0, time.time() - start)
    env = {"ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
           "UBSAN_OPTIONS": "print_stacktrace=1", "LOWBIT_SANITIZED": "1"}
    for binary in sorted((folder / "bin").glob("Lowbit*Tests")):
        gtest(tally, binary, env)
    driver = folder / "bin" / "lowbit-check-folder"
    if driver.exists():
        script(tally, "bad inputs, sanitized",
               [sys.executable, "test/Checkpoint/bad_inputs.py", driver, "--no-limits"], env)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--fast", action="store_true", help="leave out the sanitizer build")
    arguments = parser.parse_args()
    build, tally = arguments.build.resolve(), Tally()

    print("rules", flush=True)
    script(tally, "include directions", [sys.executable, "scripts/check_includes.py"])
    script(tally, "formatting", [sys.executable, "scripts/check_format.py"])
    script(tally, "generated documents", [sys.executable, "scripts/make_docs.py", "--check"])
    print("unit tests", flush=True)
    for binary in sorted((build / "bin").glob("Lowbit*Tests")):
        gtest(tally, binary)
    print("lit", flush=True)
    lit(tally, build)
    print("scripts", flush=True)
    env = {"LOWBIT_BUILD": str(build), "PATH": f"{build / 'bin'}:{LLVM}:{os.environ['PATH']}"}
    script(tally, "test/Checkpoint/bad_inputs.py",
           [sys.executable, "test/Checkpoint/bad_inputs.py", build / "bin" / "lowbit-check-folder"])
    for path in sorted((ROOT / "test").glob("*/*.py")):
        first = path.read_text().splitlines()[1:4]
        if any(line.startswith("# suite") for line in first):
            script(tally, str(path.relative_to(ROOT)), [sys.executable, path], env)
    if not arguments.fast:
        print("sanitizers", flush=True)
        sanitizers(tally, build)

    print(f"lowbit: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 0 if tally.passed and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(main())
