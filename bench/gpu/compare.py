#!/usr/bin/env python3
"""`make bench-cuda`: training steps and translations on this machine's GPU, beside PyTorch running the same networks.

  compare.py BENCH_GPU [PART OF A JOB'S NAME]...

PyTorch's jobs are loaded and compiled at once, which takes minutes; then all are measured, one after the other, while the
others wait. Prints a table and writes it with all figures to BENCH_OUT (bench/results)/DATE-COMMIT-DEVICE.json, after every
figure, so that what has been measured is kept when it is stopped. Without a PyTorch that sees the GPU (TORCH_PYTHON names
another interpreter) only this program's figures appear.

BENCH_SECONDS           once measuring has begun, no job is begun after so many (none: no limit); what was left out is said
BENCH_BEGIN             a file: measuring begins when it exists, so that other work can go on while PyTorch compiles
BENCH_PREPARE_SECONDS   how long that may take from then on (600)
"""
import ctypes
import datetime
import itertools
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
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
ALL_PRECISIONS = JOBS[:4]  # the other jobs are measured in bf16 alone
PRECISIONS = ("bf16", "tf32", "fp32")
PREPARED = ("default", "compiled_graph")
VARIANTS = (*PREPARED, "graph")  # the last where compiling fails, with the others and alone
JOB_SECONDS = 120
STEP_OPERATIONS = {"transpose": 1.88e12, "resize_conv": 2.15e12}  # of one picture, by the definition of convolutions


class Process:
    """One measurement: a command that ends with a line of JSON; one told to --wait says "ready" first."""

    def __init__(self, command, environment=None):
        self.errors = tempfile.TemporaryFile("w+", errors="replace")
        self.lines = queue.Queue()
        self.late = False
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=os.environ | (environment or {}))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, seconds):
        """The next one; None where none comes in time, or none comes any more."""
        try:
            line = self.lines.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            return None
        if line is None:
            self.lines.put(None)  # for who asks again
        return line

    def is_ready(self, seconds):
        """Whether it says so in time. Else it is ended."""
        end = time.monotonic() + seconds
        line = ""
        while line is not None and line != "ready\n":
            line = self.line(end - time.monotonic())
        if line is None:
            self.late = self.process.poll() is None
            self.end()
        return line is not None

    def go(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended; its output tells

    def result(self, seconds):
        """Its figures, or {"error": ...}. The process is gone then."""
        end = time.monotonic() + seconds
        line = ""
        while line is not None and not line.startswith("{"):
            line = self.line(end - time.monotonic())
        self.late = self.late or (line is None and self.process.poll() is None)
        self.end()
        if line is not None:
            return json.loads(line)
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        return {"error": "not done in time" if self.late else (said or ["no output"])[-1][:300]}

    def end(self):
        self.process.kill()
        self.process.wait()


class Memory:
    """The device's free memory as its driver tells it, asked without a context of one's own: where there is one device, so
    that it is the one that is measured."""

    class Info(ctypes.Structure):
        _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]

    def __init__(self):
        self.device, count = ctypes.c_void_p(), ctypes.c_uint()
        try:
            self.library = ctypes.CDLL("libnvidia-ml.so.1")
            good = self.library.nvmlInit_v2() == 0 and self.library.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0
            good = good and count.value == 1
            good = good and self.library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.device)) == 0
        except (OSError, AttributeError):
            good = False
        if not good:
            self.library = None

    def free(self):
        """Bytes; None where the driver does not tell."""
        info = self.Info()
        if self.library is None or self.library.nvmlDeviceGetMemoryInfo(self.device, ctypes.byref(info)) != 0:
            return None
        return info.free


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
            f"{operations / f['seconds'] / 1e12:8.0f} TFLOP/s" + (f"{f['bytes'] / 2**30:7.1f} GiB" if "bytes" in f else ""))
    (ours, o), (theirs, t) = best(found, PRECISIONS), best(found, VARIANTS)
    if o and t:
        say(f"    {ours} against {theirs}: {t['seconds'] / o['seconds']:.2f} times as fast, "
            f"alone {t['alone'] / o['alone']:.2f} times")


class Torch:
    """PyTorch's jobs, each a process that waits for its turn."""

    def __init__(self, python):
        self.python, self.waiting = python, {}

    def prepare(self, jobs):
        if self.python:
            self.waiting["ceilings",] = self.start("--wait", "ceilings")
            for job, name in itertools.product(jobs, PREPARED):
                self.waiting[job, name] = self.start("--wait", *job[:-1], name, job[-1])

    def start(self, *words):
        return Process([self.python, str(HERE / "torch_gpu.py"), *words], {"TORCHINDUCTOR_COMPILE_THREADS": "1"})

    def settle(self, seconds):
        """Waits until all are ready. Those that are not in time are ended."""
        begin = time.monotonic()
        for process in self.waiting.values():
            if not process.is_ready(seconds - (time.monotonic() - begin)):
                say(f"not ready: {' '.join(process.process.args[2:])}")
        if self.waiting:
            say(f"PyTorch loaded and compiled: {time.monotonic() - begin:.0f} s since it was waited for")

    def measure(self, *key):
        process = self.waiting.pop(key)
        process.go()
        return process.result(JOB_SECONDS)

    def end(self):
        for process in self.waiting.values():
            process.process.kill()
        for process in self.waiting.values():
            process.end()


class Bench:
    def __init__(self, binary, torch):
        self.binary, self.torch, self.memory = binary, torch, Memory()
        self.record = {"date": datetime.date.today().isoformat(), "commit": commit(), "rows": []}
        self.path = None

    def own_share(self, found):
        """With "bytes", what the process alone had, which is gone now, in place of "free"; without where that cannot be told."""
        now, least = self.memory.free(), found.pop("free", None)
        if now is not None and least is not None:
            found["bytes"] = now - least
        return found

    def keep(self, row, name, found):
        row["found"][name] = self.own_share(found)
        if "device" in found:
            self.record.setdefault("device", found["device"])
        if "device" in self.record:
            self.path = write(self.record)

    def ceilings(self):
        if self.torch.python:
            self.record["ceilings"] = self.torch.measure("ceilings")
            say(f"ceilings: {json.dumps(self.record['ceilings'])}")

    def measure(self, job):
        row = {"job": job, "found": {}}
        self.record["rows"].append(row)
        *fixed, count = job
        for name in PRECISIONS if job in ALL_PRECISIONS else PRECISIONS[:1]:
            self.keep(row, name, Process([self.binary, *fixed, name, count]).result(JOB_SECONDS))
        for name in PREPARED if self.torch.python else ():
            self.keep(row, name, self.torch.measure(job, name))
        for name in ("compiled_graph", "graph"):  # alone: with the others its memory or its time may not have sufficed
            if "error" in row["found"].get("compiled_graph", {}):
                say(f"{' '.join(fixed)} compiled_graph: {row['found']['compiled_graph']['error']}; {name} alone")
                self.keep(row, name, self.torch.start(*fixed, name, count).result(JOB_SECONDS))
        say(" ".join(fixed))
        show(row)


def commit():
    return os.environ.get("BENCH_COMMIT") or subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()


def write(record):
    """To BENCH_OUT; its path."""
    slug = re.sub(r"[^a-z0-9]+", "-", record["device"].lower()).strip("-")
    folder = pathlib.Path(os.environ.get("BENCH_OUT", HERE.parent / "results"))
    path = folder / f"{record['date']}-{record['commit'] or 'nocommit'}-{slug}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def sees_gpu(python):
    test = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([python, "-c", test], capture_output=True).returncode == 0


def main(binary, *only):
    jobs = [job for job in JOBS if not only or any(part in " ".join(job[:-1]) for part in only)]
    if not jobs or not os.access(binary, os.X_OK):
        sys.exit(f"compare.py: {'no such job' if not jobs else f'{binary} is not there'}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what waits is ended
    python = os.environ.get("TORCH_PYTHON", "python3")
    torch = Torch(python if sees_gpu(python) else None)
    try:
        torch.prepare(jobs)
        begin_file = os.environ.get("BENCH_BEGIN")
        while begin_file and not os.path.exists(begin_file):
            time.sleep(0.2)
        torch.settle(float(os.environ.get("BENCH_PREPARE_SECONDS", "600")))
        bench = Bench(binary, torch)
        limit, begin = float(os.environ.get("BENCH_SECONDS", "inf")), time.monotonic()
        bench.ceilings()
        for job in jobs:
            if time.monotonic() - begin > limit:
                say(f"{' '.join(job[:-1])}: left out, the time is over")
                continue
            bench.measure(job)
            if bench.path is None:
                sys.exit("compare.py: nothing ran; a GPU is needed")
        say(f"written: {bench.path or 'nothing'}, {time.monotonic() - begin:.0f} s of measuring")
    finally:
        torch.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
