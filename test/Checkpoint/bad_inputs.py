#!/usr/bin/env python3
"""Runs lowbit-check-folder on every case of test/Inputs/make_bad_inputs.py.

    bad_inputs.py LOWBIT_CHECK_FOLDER [--no-limits] [ROW or ROW-name ...]

Each case must end with its exit code, have its words in the output, never die
of a signal, leave its folder as it was, and keep the promised time and memory
(reliability.md 2.3; --no-limits for sanitizer builds). Prints
`N passed, N failed, N skipped`; no case at all is a failure.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "Inputs"))
from make_bad_inputs import CASES  # noqa: E402

CPU_SECONDS, BYTES = 5, 600 << 20
# Nothing may block; generous, since the machine may be busy.
WALL_SECONDS = 300
REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:",
           "UndefinedBehavior")
NOBODY = 65534


def listing(folder):
    """Names and sizes of all that is in a folder."""
    found = []
    for base, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            status = os.lstat(os.path.join(base, name))
            found.append((os.path.join(base, name), status.st_size,
                          status.st_mtime_ns))
    return sorted(found)


def command_of(case, program, folder):
    target = case.extra.get("target", "")
    return [program] + case.args + [os.path.join(folder, target)
                                    if target else folder]


def run(case, command):
    """Exit code, output, seconds of CPU and peak bytes."""
    def before_start():
        if "noFiles" in case.extra:
            count = case.extra["noFiles"]
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        if case.extra.get("unprivileged") and os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT,
                                   preexec_fn=before_start)
        watchdog = threading.Timer(WALL_SECONDS, process.kill)
        watchdog.start()
        _, status, usage = os.wait4(process.pid, 0)
        watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return (process.returncode, text, usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss * 1024)


def faults(case, code, text, seconds, peak, limits):
    """What is wrong with an outcome."""
    if code != case.code:
        yield f"exit {code}, not {case.code}"
    for word in case.words:
        if word not in text:
            yield f"no {word!r} in the output"
    for word in case.extra.get("notWords", []):
        if word in text:
            yield f"{word!r} in the output"
    for word in REPORTS:
        if word in text:
            yield word
    if case.code and len(text.strip().splitlines()) != 1 and \
            "note:" not in text:
        yield "not one line"
    if any(ord(c) < 32 and c != "\n" for c in text):
        yield "control characters in the output"
    if len(text) > 16384:
        yield f"{len(text)} characters of output"
    if limits and (seconds > CPU_SECONDS or peak > BYTES):
        yield f"{seconds:.1f} s, {peak >> 20} MiB"


def check(case, program, limits):
    """None, or what went wrong. OSError where the case cannot be made."""
    base = tempfile.mkdtemp(prefix="lowbit-bad-")
    os.chmod(base, 0o755)
    folder = os.path.join(base, case.id)
    os.mkdir(folder)
    try:
        case.build(folder)
        before = listing(folder)
        command = command_of(case, program, folder)
        result = run(case, command)
        wrong = list(faults(case, *result, limits))
        if listing(folder) != before:
            wrong.append("the folder was changed")
        return "; ".join(wrong) + "\n  " + result[1][:2000] if wrong else None
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(base, ignore_errors=True)


def main():
    arguments = sys.argv[1:]
    limits = "--no-limits" not in arguments
    arguments = [a for a in arguments if a != "--no-limits"]
    if not arguments:
        sys.exit(__doc__)
    program, chosen = os.path.abspath(arguments[0]), set(arguments[1:])
    passed = failed = skipped = 0
    for case in CASES:
        if chosen and case.row not in chosen and case.id not in chosen:
            continue
        try:
            wrong = check(case, program, limits)
        except OSError as error:
            skipped += 1
            print(f"SKIP {case.id}: {error}", flush=True)
            continue
        if wrong is None:
            passed += 1
        else:
            failed += 1
            print(f"FAIL {case.id}: {wrong}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or passed == 0 else 0)


if __name__ == "__main__":
    main()
