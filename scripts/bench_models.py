#!/usr/bin/env python3
"""Measures whole models against the machine's limits, and against llama.cpp where it is given.

    make_shape_checkpoint.py 1B /tmp/shape-1b
    bench_models.py --bin build/bin --model int4=/tmp/int4.lowbit --model int2=/tmp/int2.lowbit \\
        --llama-bench llama.cpp/build/bin/llama-bench --peer q4_0=/tmp/q4_0.gguf --peer q2_K=/tmp/q2_K.gguf

Rounds: in each, the limits of this minute (lowbit-bench), then every model once, ours and the peers'
in turn: a prompt of 512 tokens, then 128 tokens of text. Printed are medians over the rounds, and
medians of ratios within a round:

  of read   bytes that a token must read (linears, head, half of the KV cache that is written) times
            tokens per second, over what memory delivers
  of peak   2 x weights of linears (head not counted) x tokens of the prompt per second, over the
            integer peak
  xNAME     tokens per second over the peer NAME

Needs nothing but Python; `make_shape_gguf.py` writes what the peer reads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

PROMPT, TEXT = 512, 128


def run_json(command):
    """What a program prints, parsed; ends with its message where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def measure_limits(options):
    """Bytes per second, and integer operations per second by kind of loop."""
    threads = options.threads
    result = run_json([os.path.join(options.bin, "lowbit-bench"), f"--threads={threads}", "--benchmark_format=json",
                       "--benchmark_repetitions=3", "--benchmark_filter=^limit/(read|integer|integer_chain)/"])
    best = {}
    for run in result["benchmarks"]:
        if run["run_type"] == "iteration":
            name = run["name"].split("/")[1]
            best[name] = max(best.get(name, 0), run.get("gb_per_s", 0), run.get("gops", 0))
    return {"read": best["read"] * 1e9, "peak": best["integer"] * 1e9, "chain": best["integer_chain"] * 1e9}


def measure_ours(options, path):
    rows = run_json([os.path.join(options.bin, "lowbit-run"), path, "--bench", f"--pp={PROMPT}", f"--tg={TEXT}",
                     "-r", "1", "-t", str(options.threads), "-o", "json"])
    return {row["test"][:2]: row["avg_ts"] for row in rows}


def measure_peer(options, path):
    rows = run_json([options.llama_bench, "-m", path, "-p", str(PROMPT), "-n", str(TEXT), "-r", "1",
                     "-t", str(options.threads), "-o", "json"])
    return {"pp" if row["n_prompt"] else "tg": row["avg_ts"] for row in rows}


def read_facts(options, path):
    """What a token of this artifact must read, and what a token of a prompt must multiply."""
    manifest = run_json([os.path.join(options.bin, "lowbit-run"), path, "--inspect", "-o", "json"])["manifest"]
    model = manifest["model"]
    matrices = [t for t in manifest["tensors"] if t["columns"] > 1 and t["role"] not in ("embedding", "norm")]
    linears = [t for t in matrices if "head" not in t["role"]]
    elements = 2 * model["layers"] * model["kv_heads"] * model["head_dim"]
    position = int(elements * model["cache_bits"] / 8)
    return {
        "bytes": sum(t["bytes"] for t in matrices) + position * TEXT // 2,
        "operations": 2 * sum(t["rows"] * t["columns"] for t in linears),
        "file": os.path.getsize(path),
        "bits": manifest["bits"],
    }


def measure_rounds(options, models, peers):
    rounds = []
    for number in range(options.rounds):
        round_ = {"load": os.getloadavg()[0], "limits": measure_limits(options), "results": {}}
        for i in range(max(len(models), len(peers))):
            for named, measure in ((models, measure_ours), (peers, measure_peer)):
                if i < len(named):
                    name, path = named[i]
                    round_["results"][name] = measure(options, path)
        rounds.append(round_)
        print(f"round {number + 1} of {options.rounds}: {json.dumps(round_)}", file=sys.stderr)
    return rounds


def summarize(rounds, models, peers, facts):
    """One dictionary for each model and peer."""
    def middle(value):
        return statistics.median(value(r) for r in rounds)

    rows = []
    for name, path in models + peers:
        row = {"name": name, "file_bytes": os.path.getsize(path),
               "pp": middle(lambda r: r["results"][name]["pp"]), "tg": middle(lambda r: r["results"][name]["tg"])}
        if name in facts:
            fact = facts[name]
            row["token_bytes"] = fact["bytes"]
            row["of_read"] = middle(lambda r: r["results"][name]["tg"] * fact["bytes"] / r["limits"]["read"])
            for limit in ("peak", "chain"):
                row["of_" + limit] = middle(
                    lambda r: r["results"][name]["pp"] * fact["operations"] / r["limits"][limit])
            for peer, _ in peers:
                for test in ("pp", "tg"):
                    row[f"{test}_over_{peer}"] = middle(
                        lambda r: r["results"][name][test] / r["results"][peer][test])
        rows.append(row)
    return rows


def print_table(rows, rounds, peers, threads):
    limits = {key: statistics.median(r["limits"][key] for r in rounds) / 1e9 for key in rounds[0]["limits"]}
    print(f"read {limits['read']:.1f} GB/s, integer peak {limits['peak']:.0f} GOPS, chain {limits['chain']:.0f} GOPS "
          f"(medians of {len(rounds)} rounds), {threads} threads, load before {rounds[0]['load']:.2f}\n")
    titles = ["model", "MB", "pp512 t/s", "tg128 t/s", "tg of read", "pp of peak", "pp of chain"]
    titles += [f"{test} x{name}" for name, _ in peers for test in ("pp", "tg")]
    print("| " + " | ".join(titles) + " |\n|---|" + "---:|" * (len(titles) - 1))
    for row in rows:
        cells = [row["name"], f"{row['file_bytes'] / 1e6:.0f}", f"{row['pp']:.1f}", f"{row['tg']:.2f}"]
        for key in ["of_read", "of_peak", "of_chain"] + [f"{test}_over_{name}" for name, _ in peers
                                                         for test in ("pp", "tg")]:
            cells.append(f"{row[key]:.2f}" if key in row else "")
        print("| " + " | ".join(cells) + " |")


def named_path(text):
    name, separator, path = text.partition("=")
    if not separator or not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE with a file that exists")
    return name, path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of lowbit-run and lowbit-bench")
    parser.add_argument("--model", type=named_path, action="append", required=True, metavar="NAME=FILE.lowbit")
    parser.add_argument("--peer", type=named_path, action="append", default=[], metavar="NAME=FILE.gguf")
    parser.add_argument("--llama-bench", help="llama.cpp's llama-bench")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", choices=["md", "json"], default="md")
    options = parser.parse_args()
    if options.peer and not options.llama_bench:
        parser.error("--peer needs --llama-bench")
    facts = {name: read_facts(options, path) for name, path in options.model}
    rounds = measure_rounds(options, options.model, options.peer)
    rows = summarize(rounds, options.model, options.peer, facts)
    if options.output == "json":
        print(json.dumps({"rounds": rounds, "facts": facts, "summary": rows}, indent=1))
    else:
        print_table(rows, rounds, options.peer, options.threads)


if __name__ == "__main__":
    main()
