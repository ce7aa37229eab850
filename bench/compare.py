#!/usr/bin/env python3
"""`make bench`: training steps, translations and Gatys' iterations beside PyTorch running the same networks, in turn.

    compare.py build/bench/bench [PART OF A JOB'S NAME]...

PyTorch: /usr/bin/python3's (Debian: python3-torch), and those of the interpreters that TORCH_PYTHON names, separated by
colons; each in fp32, and one of version 2 or later in bf16 too (autocast, channels_last). Where the processor has
AVX512-BF16, this program's bf16 stands beside. Prints a table, and writes all figures to
bench/results/DATE-COMMIT-cpu.json (cpu-part.json when only some rows are asked for) after every row. The limit is the arithmetic of the convolutions, as they are defined,
over the multiply-adds that the cores were measured to do in fp32: Winograd does less than is defined, so that more than
1 is possible.
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
import time

from pictures import picture, write_png

HERE = pathlib.Path(__file__).resolve().parent
JOBS = [  # the last number: repetitions
    ("step", "128", "resnet_6blocks", "32", "32", "transpose", "6"),
    ("step", "128", "resnet_6blocks", "32", "32", "resize_conv", "6"),
    ("step", "256", "resnet_9blocks", "64", "64", "transpose", "2"),
    ("step", "256", "resnet_9blocks", "64", "64", "resize_conv", "2"),
    ("translate", "256", "resnet_9blocks", "64", "transpose", "6"),
    ("translate", "256", "resnet_9blocks", "64", "resize_conv", "6"),
    ("gatys", "256", "10"),
    ("folder", "256", "60"),
    ("folder", "256", "1"),
]
MODEL = HERE.parent / "checkpoints" / "snacks2fractals.safetensors"
PHOTOGRAPHS = HERE.parent / "data" / "snacks" / "train"


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


def measured(command):
    """Seconds from the start of a process to its end, and its greatest resident set."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}: {said.strip()}")
    return {"seconds": time.perf_counter() - begin, "bytes": usage.ru_maxrss * 1024}


def run_folder(command, side, count):
    """Photographs of the sample set through the shipped generator, from the start of the process to the last file."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "in").mkdir()
        for path in sorted(PHOTOGRAPHS.iterdir())[:int(count)]:
            (folder / "in" / path.name).symlink_to(path)
        return measured([*command, "--model", str(MODEL), str(folder / "in"), "-o", str(folder / "out"), "--size", side])


def run_ours(binary, job, threads, precision):
    program, options = pathlib.Path(binary).parent.parent / "cyclegan", ["--precision", precision]
    if job[0] == "gatys":
        return run_gatys(program, *job[1:], threads)
    if job[0] == "folder":
        return run_folder([program, "translate", "--threads", threads, *options], *job[1:])
    return run([binary, *job, threads, *options], {"GOMP_SPINCOUNT": "1000"})  # as src/cli/main.c sets it


def run_torch(python, job, threads, precision):
    command = [python, str(HERE / "torch_bench.py")]
    if job[0] == "folder":
        return run_folder([python, str(HERE / "torch_folder.py"), "--threads", threads, "--precision", precision], *job[1:])
    return run([*command, *job, threads, *(["--precision", precision] if precision != "fp32" else [])])


def torch_version(python):
    found = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def has_bf16():
    try:
        return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def contenders(binary):
    """(name, how to run a job) of all that compete; this program's fp32 first."""
    found = [("ours", lambda job, threads: run_ours(binary, job, threads, "fp32"))]
    if has_bf16():
        found.append(("ours bf16", lambda job, threads: run_ours(binary, job, threads, "bf16")))
    pythons = ["/usr/bin/python3", *filter(None, os.environ.get("TORCH_PYTHON", "").split(":"))]
    for python in pythons:
        version = torch_version(python)
        if not version:
            continue
        short = "PyTorch " + ".".join(version.split(".")[:2])
        found.append((short, lambda job, threads, python=python: run_torch(python, job, threads, "fp32")))
        if int(version.split(".")[0]) >= 2:
            found.append((short + " bf16", lambda job, threads, python=python: run_torch(python, job, threads, "bf16")))
    return found


def applies(name, job):
    return not (name.endswith("bf16") and job[0] == "gatys")  # style losses live on small differences


def line_of(row, results, peak):
    fp32 = [r for n, r in results.items() if n.startswith("PyTorch") and not n.endswith("bf16")]
    bf16 = [r for n, r in results.items() if n.startswith("PyTorch") and n.endswith("bf16")]
    ours, half = results["ours"], results.get("ours bf16")
    parts = [f"{row['job']:46}", " ".join(f"{n} {r['seconds']:.3f} s {r['bytes'] / 2**20:.0f} MiB;" for n, r in results.items())]
    if fp32:
        fastest = min(fp32, key=lambda r: r["seconds"])
        row["times_faster"] = fastest["seconds"] / ours["seconds"]
        row["memory_share"] = ours["bytes"] / fastest["bytes"]
        parts.append(f"{row['times_faster']:.2f} times faster, {row['memory_share']:.2f} of the memory;")
    if bf16 and half:
        row["times_faster_bf16"] = min(r["seconds"] for r in bf16) / half["seconds"]
        parts.append(f"bf16 {row['times_faster_bf16']:.2f} times;")
    if "operations" in ours and peak:
        row["of_limit"] = ours["operations"] / ours["seconds"] / peak
        parts.append(f"{row['of_limit']:.2f} of the limit")
    return " ".join(parts)


def main(binary, *only):
    threads, competing = str(os.cpu_count()), contenders(binary)
    commit = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    peak = run([binary, "peak", threads])["operations_per_second"]
    record = {"date": datetime.date.today().isoformat(), "commit": commit.stdout.strip(), "processor": processor(),
              "threads": int(threads), "peak": peak, "load_before": os.getloadavg(), "rows": []}
    part = "-part" if only else ""  # must not take the place of a whole record
    path = HERE / "results" / f"{record['date']}-{record['commit']}-cpu{part}.json"
    print(f"{', '.join(name for name, _ in competing)}; {peak / 1e9:.0f} GFLOP/s of multiply-adds in fp32", flush=True)
    for job in JOBS:
        name = " ".join(job if job[0] == "folder" else job[:-1])
        if only and not any(part in name for part in only):
            continue
        rounds = 1 if name.startswith("step 256") else 2  # in turn: the machine's speed drifts
        runs = {n: [] for n, _ in competing if applies(n, job)}
        for _ in range(rounds):
            for contender, go in competing:
                if contender in runs:
                    runs[contender].append(go(job, threads))
        row = {"job": name, "runs": runs}
        record["rows"].append(row)
        print(line_of(row, {n: min(r, key=lambda r: r["seconds"]) for n, r in runs.items()}, peak), flush=True)
        record["load_after"] = os.getloadavg()
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(record, indent=1) + "\n")
        fresh.replace(path)
    print(f"written: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
