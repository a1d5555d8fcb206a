#!/usr/bin/env python3
# suite: the k-th system call on a file fails, for every k or a sample of them.
"""Runs the tools while one call on a file fails (Inputs/fail_calls.c says which and how).

What has to hold, whatever fails (reliability.md, I1 to I3): either the run succeeds with the bytes of an undisturbed
run, or it ends with exit code 5 and one line that names the file, and leaves nothing behind; a failure after the
output is in its place leaves it whole. Running again gives the undisturbed bytes. Interrupted and short calls are no
failures at all.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tool_case import write_model

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("LOWBIT_BUILD", HERE.parents[1] / "build"))
passed, failed = 0, []


class Job:
    """A command that writes into `out` from files that it leaves alone."""

    def __init__(self, name, command, outputs, work, shim):
        self.name, self.command, self.outputs, self.work, self.shim = name, command, outputs, work, shim
        self.out, self.temporary = work / "out", work / "tmp"
        self.config, self.log, self.counter = work / "config", work / "failed", work / "counter"
        self.clean()
        done = self.run("eio", 0)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        self.whole = self.results(done)

    def clean(self):
        for folder in (self.out, self.temporary, self.config):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def run(self, mode, at):
        """One run; the calls that failed are in `failures` afterwards, the number of all in `calls`."""
        self.counter.write_bytes(bytes(8))
        self.log.write_bytes(b"")
        env = {**os.environ, "LD_PRELOAD": str(self.shim), "FAULT_ROOT": str(self.work / ""), "FAULT_MODE": mode,
               "FAULT_AT": str(at), "FAULT_COUNTER": str(self.counter), "FAULT_LOG": str(self.log),
               "TMPDIR": str(self.temporary), "XDG_CONFIG_HOME": str(self.config)}
        done = subprocess.run([str(c) for c in self.command], env=env, capture_output=True, text=True,
                              errors="replace", check=False)
        self.failures = self.log.read_text().splitlines()
        self.calls = int.from_bytes(self.counter.read_bytes(), "little")
        return done

    def results(self, done):
        """What an undisturbed run gives: its files, or what it prints."""
        files = {name: lasting((self.out / name).read_bytes()) for name in self.outputs if (self.out / name).exists()}
        return files if self.outputs else {"": done.stdout.encode()}

    def left(self):
        """Files that should not be there after a failure."""
        return sorted(str(p.relative_to(self.work)) for folder in (self.out, self.temporary)
                      for p in folder.rglob("*") if p.name not in self.outputs)


def lasting(data):
    """Content without the times that a ledger tells."""
    if b"solver" not in data[:4096]:
        return data
    return re.sub(rb'"seconds":[-+.e0-9]+| +\d+\.\d+$', b"", data, flags=re.M)


def expect(condition, what):
    global passed
    if condition:
        passed += 1
    else:
        failed.append(what)
        print("FAIL " + what, flush=True)


def named(failure, stderr):
    """Whether the message names the file whose call failed, or the folder that it is made in."""
    call, _, path = failure.partition(" ")
    path = pathlib.PurePath(path)
    names = [path.name, str(path.parent), path.name.removeprefix(".").removesuffix(".partial")]
    if path.name == "memory file" or path.name == "a mapped file":
        return ": " in stderr
    return any(name and name in stderr for name in names)


def inject(job, mode, at):
    job.clean()
    done = job.run(mode, at)
    failure = job.failures[0] if job.failures else "nothing"
    what = f"{job.name}, {mode} at {at} ({failure.replace(str(job.work), '')}): exit {done.returncode}: {done.stderr[-300:]}"
    if not job.failures:  # Threads made fewer calls this time.
        expect(done.returncode == 0, what)
        return
    complete = job.results(done) == job.whole
    if mode in ("eintr", "short") and not failure.startswith("close"):
        expect(done.returncode == 0 and complete and not job.left(), "not retried: " + what)
        return
    if done.returncode == 0:
        expect(complete and not job.left(), f"other bytes, or left behind {job.left()}: {what}")
        return
    expect(done.returncode == 5 and named(failure, done.stderr), what)
    published = {name: data for name, data in job.results(done).items() if name}
    expect(not job.left() and all(job.whole[name] == data for name, data in published.items()),
           f"left behind {job.left()}: {what}")
    again = subprocess.run([str(c) for c in [*job.command, *job_resume(job)]], capture_output=True, text=True,
                           env={**os.environ, "XDG_CONFIG_HOME": str(job.config)}, check=False)
    expect(again.returncode == 0 and job.results(again) == job.whole, f"again: {again.stderr[-300:]} after {what}")


def job_resume(job):
    """How the same is asked for again."""
    if not job.outputs:
        return []
    return ["--force", "--resume"] if "lowbit-compile" in str(job.command[0]) else ["--force"]


def sample(count, most):
    """1 … count, at most `most` (2 or more) of them: first and last, and evenly between."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})


def exercise(job, counts):
    for mode, most in counts.items():
        job.clean()
        job.run(mode, 0)
        calls = job.calls
        expect(calls > 0, f"{job.name}: no call is counted in mode {mode}")
        chosen = sample(calls, most)
        before = len(failed)
        for at in chosen:
            inject(job, mode, at)
        print(f"{job.name}: {mode}: {len(chosen)} of {calls} calls, {len(failed) - before} wrong", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every call, also where that takes hours")
    arguments = parser.parse_args()
    os.environ["PATH"] = f"{BUILD / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary).resolve()
        shim = root / "fail_calls.so"
        subprocess.run(["clang-22", "-O1", "-shared", "-fPIC", "-o", shim, HERE / "Inputs/fail_calls.c", "-ldl"],
                       check=True)
        work = root / "work"
        work.mkdir()
        model = write_model("llama1", work / "model")
        (work / "text").write_text("Nothing fails like success, and nothing is left behind." * 3)
        tools = {name: BUILD / "bin" / f"lowbit-{name}" for name in ("compile", "run", "calibrate")}
        many = 10**9 if arguments.all else None

        weights = Job("materialize", [tools["compile"], model, "-o", work / "out/w.mlir", "--recipe", "int2-g64",
                                      "--emit=materialized", "--jobs", "1"],
                      ["w.mlir", "w.mlir.safetensors", "w.mlir.ledger.json", "w.mlir.ledger.txt"], work, shim)
        exercise(weights, {"eio": many or 60, "enospc": many or 16, "eintr": many or 24, "short": many or 8})
        artifact = Job("artifact", [tools["compile"], model, "-o", work / "out/m.lowbit", "--recipe", "float",
                                    "--jobs", "1"],
                       ["m.lowbit", "m.lowbit.ledger.json", "m.lowbit.ledger.txt"], work, shim)
        shutil.copy(work / "out/m.lowbit", work / "m.lowbit")
        exercise(artifact, {"eio": many or 4, "enospc": many or 2, "short": many or 2})
        (work / "prompt").write_text("ab")
        run = Job("run", [tools["run"], work / "m.lowbit", "--trust", "-f", work / "prompt", "-n", "4", "--temp", "0"],
                  [], work, shim)
        exercise(run, {"eio": many or 60, "enospc": many or 10, "eintr": many or 20, "short": many or 10})
        profile = Job("calibrate", [tools["calibrate"], model, work / "text", "-o", work / "out/p.profile", "--jobs",
                                    "1"], ["p.profile"], work, shim)
        exercise(profile, {"eio": many or 2, "enospc": many or 2})
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
