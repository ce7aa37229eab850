#!/usr/bin/env python3
"""`make bench-scaling`: what this program costs as the work grows, on this machine.

    scaling.py build/bench/bench

Translation by side (64 to 2048, one thread and all), a training step by batch (1 to 16), and the time to the end of a
training's first step by files in the data set (60 to 60,000, hard links of the sample set's). Writes
bench/results/DATE-COMMIT-scaling.json and, beside it, .svg.
"""
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from compare import HERE, PHOTOGRAPHS, measured, processor, run

SIDES = [64, 128, 256, 512, 1024, 2048]
BATCHES = [1, 2, 4, 8, 16]
FILES = [60, 600, 6000, 60000]


def translations(binary, threads):
    rows = []
    for side in SIDES:
        times = "3" if side <= 512 else "1"
        result = run([binary, "translate", str(side), "resnet_9blocks", "64", "resize_conv", times, threads])
        rows.append({"side": side, "threads": int(threads), **result})
        print(f"translate {side}, {threads} threads: {result['seconds']:.3f} s, {result['bytes'] / 2**20:.0f} MiB", flush=True)
    return rows


def steps(binary, threads):
    rows = []
    for batch in BATCHES:
        result = run([binary, "step", "128", "resnet_6blocks", "32", "32", "resize_conv", "3", threads, "--batch",
                      str(batch)])
        rows.append({"batch": batch, "threads": int(threads), **result})
        print(f"step 128, batch {batch}: {result['seconds']:.3f} s, {result['bytes'] / 2**20:.0f} MiB", flush=True)
    return rows


def data_sets(binary):
    """Of the program as a whole, whose list of files this is."""
    program, rows = pathlib.Path(binary).parent.parent / "cyclegan", []
    source = sorted(PHOTOGRAPHS.iterdir())
    with tempfile.TemporaryDirectory(dir=HERE.parent / "build") as folder:
        folder = pathlib.Path(folder)
        (folder / "a").mkdir()
        made = 0
        for count in FILES:
            for i in range(made, count):
                os.link(source[i % len(source)], folder / "a" / f"{i:06}.jpg")
            made = count
            result = measured([program, "train", str(HERE.parent / "configs" / "quick.yaml"), "--quiet", "--out",
                               str(folder / f"run{count}"), "--set", f"domains.a.train={folder}/a",
                               "--set", "train.steps=1", "--set", "train.decay_steps=0"])
            listing = measured(["find", str(folder / "a"), "-type", "f", "-size", "+0"])
            rows.append({"files": count, **result, "listing_seconds": listing["seconds"]})
            print(f"{count} files: first step done after {result['seconds']:.2f} s, {result['bytes'] / 2**20:.0f} MiB; "
                  f"listing them takes find {listing['seconds']:.2f} s", flush=True)
    return rows


def plot(title, unit, series, left):
    """A log-log plot, 300 x 240, of [(name, [(x, seconds)])], as SVG at x = left."""
    import math

    points = [p for _, line in series for p in line]
    span = [(min(math.log10(p[i]) for p in points), max(math.log10(p[i]) for p in points)) for i in range(2)]

    def place(p):
        x, y = ((math.log10(p[i]) - span[i][0]) / ((span[i][1] - span[i][0]) or 1) for i in range(2))
        return left + 50 + 220 * x, 200 - 150 * y

    parts = [f'<text x="{left + 160}" y="20" text-anchor="middle">{title}</text>']
    for k, (name, line) in enumerate(series):
        colour = ("#0b62a4", "#b35806", "#3c7d3c")[k]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{left + 55}" y="{44 + 14 * k}" fill="{colour}">{name}</text>')
        for p in line:
            x, y = place(p)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            if k == 0:
                parts.append(f'<text x="{x:.1f}" y="218" text-anchor="middle">{p[0]}</text>')
                parts.append(f'<text x="{x:.1f}" y="{y - 6:.1f}" text-anchor="middle" fill="{colour}">{p[1]:.2g} s</text>')
    parts.append(f'<text x="{left + 160}" y="234" text-anchor="middle">{unit}</text>')
    return "\n".join(parts)


def main(binary):
    threads = str(os.cpu_count())
    commit = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    record = {"date": datetime.date.today().isoformat(), "commit": commit.stdout.strip(), "processor": processor(),
              "load_before": os.getloadavg()}
    record["translate"] = translations(binary, threads) + (translations(binary, "1") if threads != "1" else [])
    record["step"] = steps(binary, threads)
    record["data_set"] = data_sets(binary)
    record["load_after"] = os.getloadavg()
    by = lambda n: [(r["side"], r["seconds"]) for r in record["translate"] if r["threads"] == n]
    plots = [plot("translation", "side", [(f"{threads} threads", by(int(threads))), ("1 thread", by(1))], 0),
             plot("training step, 128", "batch", [("", [(r["batch"], r["seconds"]) for r in record["step"]])], 310),
             plot("start to first step", "files", [("", [(r["files"], r["seconds"]) for r in record["data_set"]]),
                                                   ("listing alone", [(r["files"], r["listing_seconds"])
                                                                      for r in record["data_set"]])], 620)]
    path = HERE / "results" / f"{record['date']}-{record['commit']}-scaling.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="930" height="245" font-family='
                                        '"sans-serif" font-size="11"><rect width="930" height="245" fill="white"/>\n' +
                                        "\n".join(plots) + "\n</svg>\n")
    print(f"written: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
