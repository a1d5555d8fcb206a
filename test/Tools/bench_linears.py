"""lowbit-bench compares what kernels computed with plain sums; only that counts here.

Whether a kernel beats a measured limit depends on what else the machine does.
"""
import re
import subprocess

from tool_case import check

FORMATS = ("int4-g64-half", "trellis2", "trellis0.5")

if __name__ == "__main__":
    done = subprocess.run(["lowbit-bench", "--formats", ",".join(FORMATS), "--shapes", "272x256", "--rows", "1,33",
                           "--pages", "16", "--activations", "i8", "--benchmark_filter=linear",
                           "--benchmark_repetitions=1"], capture_output=True, text=True, check=False)
    check(not re.search(r"(?<!the limit is )wrong:", done.stderr), done.stderr)
    for name in FORMATS:
        for rows in (1, 33):
            check(re.search(rf"linear/{re.escape(name)}/272x256/rows:{rows}/i8/threads:\d+ \| [\d.]", done.stdout),
                  f"{name} with {rows} rows: {done.stdout}{done.stderr}")
