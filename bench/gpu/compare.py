#!/usr/bin/env python3
"""`make bench-cuda`: training steps and translations on this machine's GPU, beside PyTorch running the same networks.

  compare.py BENCH_GPU [PART OF A JOB'S NAME]...
  compare.py --compile        fills torch.compile's caches for all jobs at once, which takes minutes, and measures nothing

Prints a table and writes it with all figures to BENCH_OUT (bench/results)/DATE-COMMIT-DEVICE.json, after every figure,
so that what has been measured is kept when it is stopped. BENCH_SECONDS: no job is begun after so many (none: no limit);
what was left out is said. Without a PyTorch that sees the GPU (TORCH_PYTHON names another interpreter) only this
program's figures appear.
"""
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
NETWORK = ("256", "resnet_9blocks", "64")
# The first rows are the most wanted ones, should the time not suffice.
JOBS = (
    [("step", *NETWORK, "64", "transpose", "1", "20")]
    + [("translate", *NETWORK, "transpose", batch, "30") for batch in ("1", "8", "32")]
    + [("step", *NETWORK, "64", "transpose", batch, count) for batch, count in (("4", "10"), ("16", "5"))]
    + [("step", *NETWORK, "64", "resize_conv", batch, count) for batch, count in (("1", "20"), ("4", "10"), ("16", "5"))]
    + [("translate", *NETWORK, "resize_conv", batch, "30") for batch in ("1", "8", "32")]
)
PRECISIONS = ("bf16", "tf32", "fp32")
VARIANTS = ("default", "graph", "compiled", "compiled_graph")


def variants_of(job):
    """All for the first job; of the compiled ones, which take long to begin, one or none for the others."""
    if job is JOBS[0]:
        return VARIANTS
    return ("default", "graph", "compiled_graph") if "transpose" in job else ("default", "graph")


JOB_SECONDS = 240  # torch.compile takes its time
STEP_OPERATIONS = {"transpose": 1.88e12, "resize_conv": 2.15e12}  # of one picture, by the definition of convolutions


def run(command, limit):
    """Its line of JSON; or {"error": ...}."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except (subprocess.TimeoutExpired, OSError) as problem:
        return {"error": str(problem)[:300]}
    try:
        return json.loads(result.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": (result.stderr.strip().splitlines() or ["no output"])[-1][:300]}


def best(found, names):
    """The name and figures of the fastest that worked, or (None, None)."""
    good = [(found[n]["seconds"], n) for n in names if "seconds" in found.get(n, {})]
    return (min(good)[1], found[min(good)[1]]) if good else (None, None)


def say(text):
    print(text, flush=True)


def show(row):
    job, found = row["job"], row["found"]
    batch, upsample = int(job[-2]), job[-3]
    for name in PRECISIONS + VARIANTS:
        f = found.get(name)
        if f is None:
            continue
        who = ("ours " if name in PRECISIONS else "PyTorch ") + name
        if "seconds" not in f:
            say(f"    {who:24} {f['error']}")
            continue
        operations = batch * STEP_OPERATIONS[upsample] if job[0] == "step" else found.get("bf16", {}).get("operations", 0)
        say(f"    {who:24}{1000 * f['seconds']:10.2f} ms ({1000 * f['alone']:.2f} alone){batch / f['seconds']:10.1f} pictures/s"
            f"{operations / f['seconds'] / 1e12:8.0f} TFLOP/s{f['bytes'] / 2**30:7.1f} GiB")
    (ours, o), (theirs, t) = best(found, PRECISIONS), best(found, VARIANTS)
    if o and t:
        say(f"    {ours} against {theirs}: {t['seconds'] / o['seconds']:.2f} times as fast")


def measure(binary, torch, job, left, keep):
    """A row of the record, which `keep` is called with after each figure."""
    row = {"job": job, "found": {}}
    *fixed, count = job
    commands = {name: [binary] for name in PRECISIONS}
    if torch:
        commands |= {name: [torch, str(HERE / "torch_gpu.py")] for name in variants_of(job)}
    for name, command in commands.items():
        if left() > 0:
            row["found"][name] = run([*command, *fixed, name, count], min(JOB_SECONDS, left() + 30))
            keep(row)
    return row


def fill_caches(torch):
    """Everything compiled, in processes of its own beside one another."""
    commands = [[torch, str(HERE / "torch_gpu.py"), *job[:-1], name, "1"]
                for job in JOBS for name in variants_of(job) if name.startswith("compiled")]
    running = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in commands]
    for process, command in zip(running, commands):
        say(f"{' '.join(command[2:])}: {'compiled' if process.wait() == 0 else 'failed'}")


def write(record, device):
    """To BENCH_OUT; its path."""
    slug = re.sub(r"[^a-z0-9]+", "-", record.setdefault("device", device).lower()).strip("-")
    folder = pathlib.Path(os.environ.get("BENCH_OUT", HERE.parent / "results"))
    path = folder / f"{record['date']}-{record['commit'] or 'nocommit'}-{slug}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def sees_gpu(python):
    test = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([python, "-c", test], capture_output=True).returncode == 0


def main(binary, *only):
    python = os.environ.get("TORCH_PYTHON", "python3")
    torch = python if sees_gpu(python) else None
    if binary == "--compile":
        if torch:
            fill_caches(torch)
        return
    limit = float(os.environ.get("BENCH_SECONDS", "inf"))
    begin = time.monotonic()
    commit = os.environ.get("BENCH_COMMIT") or subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    record = {"date": datetime.date.today().isoformat(), "commit": commit, "rows": []}
    if torch:
        record["ceilings"] = run([torch, str(HERE / "torch_gpu.py"), "ceilings"], JOB_SECONDS)
        say(f"ceilings: {json.dumps(record['ceilings'])}")
    rows, path = record["rows"], None

    def keep(row):
        nonlocal path
        record["rows"] = [*rows, row]
        device = next((f["device"] for f in row["found"].values() if "device" in f), None)
        path = write(record, device) if device else path

    for job in JOBS:
        name = " ".join(job[:-1])
        if only and not any(part in name for part in only):
            continue
        if time.monotonic() - begin > limit:
            say(f"{name}: left out, the time is over")
            continue
        row = measure(binary, torch, job, lambda: limit - (time.monotonic() - begin), keep)
        rows.append(row)
        say(name)
        show(row)
        if path is None:
            sys.exit("compare.py: nothing ran; a GPU is needed")
    if path:
        say(f"written: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
