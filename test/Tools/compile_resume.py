"""Kills, stops and full disks: an output is whole or is not there."""
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

from tool_case import big_model, check, digest, fresh, left_behind, run, start, write_model


ARGUMENTS = ["--recipe", "int2-g64", "--emit=materialized"]
WEIGHTS = "out.mlir.safetensors"


def killed_at_random(model, folder):
    """Any number of kills, then a run to the end: the same bytes."""
    out = folder / "out.mlir"
    began = time.monotonic()
    run(model, "-o", folder / "whole.mlir", "--jobs", 2, *ARGUMENTS)
    duration = time.monotonic() - began
    whole = digest(folder / "whole.mlir.safetensors")
    generator = random.Random(11)
    for round_number in range(6):
        for kill in range(3):
            child = start(model, "-o", out, "--resume", "--force",
                          "--jobs", generator.choice((1, 2, 3)), *ARGUMENTS)
            time.sleep(generator.uniform(0, duration))
            child.kill()
            child.communicate()
            check(not (folder / WEIGHTS).exists() or digest(folder / WEIGHTS) == whole,
                  "half an output is at its path")
        _, log = run(model, "-o", out, "--resume", "--force", *ARGUMENTS)
        check(digest(folder / WEIGHTS) == whole, f"round {round_number}: other bytes after kills")
        check(not any(name.startswith(".") for name in left_behind(folder)), "something is left")
        for name in (WEIGHTS, "out.mlir"):
            (folder / name).unlink()


def stopped_and_resumed(model, folder):
    """SIGINT: exit 75, and the next run takes up what is done."""
    out = folder / "out.mlir"
    resumed = 0
    for attempt in range(20):
        child = start(model, "-o", out, "--jobs", 1, *ARGUMENTS)
        journal = folder / f".{WEIGHTS}.journal"
        while child.poll() is None and not (
                journal.exists() and journal.read_bytes().count(b"\n") > 2):
            time.sleep(0.001)
        child.send_signal(signal.SIGINT)
        child.communicate()
        if child.returncode == 0:  # It was faster.
            for name in (WEIGHTS, "out.mlir"):
                (folder / name).unlink()
            continue
        check(child.returncode == 75, f"exit {child.returncode} after SIGINT")
        check(not (folder / WEIGHTS).exists(), "published although stopped")
        # Another job does not take up the partial, and does not harm it.
        _, error = run(model, "-o", out, "--resume", "--recipe", "int4-g64",
                       "--emit=materialized", expect=7)
        check('different in recipe ("int2-g64' in error and 'now "int4-g64' in error, error)
        check(", module" in error and "inputs" not in error, error)
        _, log = run(model, "-o", out, "--resume", *ARGUMENTS)
        resumed += "resumed:" in log
        check(digest(folder / WEIGHTS) == digest(folder / "whole.mlir.safetensors"), "bytes")
        for name in (WEIGHTS, "out.mlir"):
            (folder / name).unlink()
        if resumed == 2:
            return
    raise SystemExit("failed: never stopped in the middle")


def other_job_is_refused_early(folder):
    """Before code is generated, and what the other job left stays."""
    model = write_model("llama1", folder / "small")
    partial, journal = folder / ".a.lowbit.partial", folder / ".a.lowbit.journal"
    partial.write_bytes(b"x")
    partial.chmod(0o600)
    journal.write_text('{"tool":"lowbit 0.0.0"}\n')
    _, error = run(model, "-o", folder / "a.lowbit", "--recipe", "int4-g64", "--resume",
                   "--log-jsonl", expect=7)
    check('tool ("lowbit 0.0.0", now' in error, error)
    check("generating code" not in error, error)
    check(partial.exists() and journal.exists(), "the other job's files are gone")
    partial.unlink()
    journal.unlink()


def damaged_partial(model, folder):
    """Bytes that were lost after the journal's line are made again."""
    out = folder / "out.mlir"
    child = start(model, "-o", out, "--jobs", 1, *ARGUMENTS)
    journal, partial = folder / f".{WEIGHTS}.journal", folder / f".{WEIGHTS}.partial"
    while child.poll() is None and not (
            journal.exists() and journal.read_bytes().count(b"\n") > 3):
        time.sleep(0.001)
    child.kill()
    child.communicate()
    if not journal.exists():
        return
    with open(partial, "r+b") as file:
        file.seek(partial.stat().st_size // 50)
        file.write(bytes(100000))
    with open(journal, "ab") as file:
        file.write(b'{"tensor":5,"dig')
    run(model, "-o", out, "--resume", *ARGUMENTS)
    check(digest(folder / WEIGHTS) == digest(folder / "whole.mlir.safetensors"), "damage")
    for name in (WEIGHTS, "out.mlir"):
        (folder / name).unlink()


def no_room(model, folder):
    """A limit on the size of files: exit 5, the old output stays."""
    out = folder / "out.mlir"
    (folder / WEIGHTS).write_text("old")
    limit = 1 << 20
    done = subprocess.run(
        ["lowbit-compile", str(model), "-o", str(out), "--force", *ARGUMENTS],
        capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    check(done.returncode == 5, f"exit {done.returncode}: {done.stderr}")
    check((folder / WEIGHTS).read_text() == "old", "the old output is gone")
    check(not any(name.startswith(".") for name in left_behind(folder)), "something is left")
    (folder / WEIGHTS).unlink()


def full_disk(model, folder):
    """A small tmpfs, where one may be mounted."""
    small = folder / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)],
            capture_output=True).returncode != 0:
        print("skipped: a tmpfs cannot be mounted here")
        return
    try:
        _, error = run(model, "-o", small / "out.mlir", *ARGUMENTS, expect=5)
        check("bytes" in error, error)
        check(left_behind(small) == [], "something is left on the full disk")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def memory_is_bounded(model, folder):
    """Anonymous memory does not grow with the tensors: a limit far below them."""
    # 1 GiB of address space would hold neither LLVM nor the mapped files, so
    # look at what the ledger's run needed on the heap instead.
    child = start(model, "-o", folder / "memory.mlir", "--jobs", 2, *ARGUMENTS)
    peak = 0
    while child.poll() is None:
        try:
            for line in open(f"/proc/{child.pid}/status"):
                if line.startswith("RssAnon:"):
                    peak = max(peak, int(line.split()[1]))
        except OSError:
            break
        time.sleep(0.002)
    child.communicate()
    check(child.returncode == 0, "run")
    check(0 < peak < 150_000, f"RssAnon reached {peak} kB")


if __name__ == "__main__":
    root = fresh(sys.argv[1])
    big = big_model(root / "model")
    work = root / "work"
    work.mkdir()
    killed_at_random(big, work)
    stopped_and_resumed(big, work)
    other_job_is_refused_early(work)
    damaged_partial(big, work)
    no_room(big, work)
    full_disk(big, work)
    memory_is_bounded(big, work)
