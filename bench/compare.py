#!/usr/bin/env python3
"""`make bench`: training steps, translations and Gatys' iterations beside PyTorch running the same networks, in turn.

Prints a table and writes it with all figures to bench/results/DATE-COMMIT-cpu.json. Without a PyTorch (Debian:
python3-torch; or name another interpreter with TORCH_PYTHON) only this program's own figures appear.
"""
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

from pictures import picture, write_png

HERE = pathlib.Path(__file__).resolve().parent
JOBS = [
    ("step", "128", "resnet_6blocks", "32", "32", "transpose", "6"),
    ("step", "128", "resnet_6blocks", "32", "32", "resize_conv", "6"),
    ("step", "256", "resnet_9blocks", "64", "64", "transpose", "2"),
    ("step", "256", "resnet_9blocks", "64", "64", "resize_conv", "2"),
    ("translate", "256", "resnet_9blocks", "64", "transpose", "6"),
    ("translate", "256", "resnet_9blocks", "64", "resize_conv", "6"),
    ("gatys", "256", "20"),
]
ROUNDS = 2  # of each job, both programs in turn: the machine's speed drifts


def run(command, environment=None):
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: {result.stderr.strip()}")
    return json.loads(result.stdout.splitlines()[-1])


def run_gatys(program, side, iterations, threads):
    """A whole `cyclegan gatys` with its defaults; the random VGG-19 has the full width."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for kind, name in enumerate(("content.png", "style.png")):
            write_png(folder / name, int(side), picture(int(side), kind))
        command = [program, "gatys", "--content", folder / "content.png", "--style", folder / "style.png", "-o",
                   folder / "out.png", "--iterations", iterations, "--threads", threads]
        with open(folder / "said", "w+") as said:
            child = subprocess.Popen(command, stdout=said, stderr=said)
            _, status, usage = os.wait4(child.pid, 0)
            said.seek(0)
            text = said.read()
    found = re.search(r"(\d+) iterations of ([\d.e-]+) s \((\d+) evaluations of ([\d.e-]+) s\)", text)
    if status != 0 or not found:
        sys.exit(f"{' '.join(map(str, command))}: {text.strip()}")
    return {"seconds": float(found[2]), "evaluation": float(found[4]), "evaluations": int(found[3]),
            "bytes": usage.ru_maxrss * 1024}


def run_ours(binary, job, threads):
    if job[0] == "gatys":
        return run_gatys(pathlib.Path(binary).parent.parent / "cyclegan", *job[1:], threads)
    return run([binary, *job, threads], {"GOMP_SPINCOUNT": "1000"})  # as src/cli/main.c sets it


def has_torch(python):
    return subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def best(rounds):
    return min(rounds, key=lambda r: r["seconds"])


def main(binary, *only):
    python = os.environ.get("TORCH_PYTHON", "/usr/bin/python3")
    torch = has_torch(python)
    threads = str(os.cpu_count())
    commit = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    record = {"date": datetime.date.today().isoformat(), "commit": commit.stdout.strip(), "processor": processor(),
              "threads": int(threads), "rows": []}
    print(f"{'':58}{'ours':>10}{'PyTorch':>10}{'ratio':>7}{'memory':>9}{'PyTorch':>9}{'ratio':>7}")
    for job in JOBS:
        name = " ".join(job[:-1])
        if only and not any(part in name for part in only):
            continue
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(run_ours(binary, job, threads))
            if torch:
                theirs.append(run([python, str(HERE / "torch_bench.py"), *job, threads]))
        row = {"job": name, "ours": ours, "torch": theirs}
        record["rows"].append(row)
        o = best(ours)
        line = f"{name:58}{o['seconds']:8.3f} s"
        if torch:
            t = best(theirs)
            memory = o["bytes"] / 2**20, t["bytes"] / 2**20
            line += f"{t['seconds']:8.3f} s{t['seconds'] / o['seconds']:7.2f}"
            line += f"{memory[0]:5.0f} MiB{memory[1]:5.0f} MiB{memory[0] / memory[1]:7.2f}"
        print(line, flush=True)
    path = HERE / "results" / f"{record['date']}-{record['commit']}-cpu.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
