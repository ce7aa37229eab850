#!/usr/bin/env python3
"""Losses of trainings side by side: a record and a plot of their running means.

  loss_curves.py OUT NAME=RUN [NAME=RUN]...

RUN is a run's folder (its log.jsonl and config.yaml are read). Writes OUT.json and OUT.svg: for each loss the mean over
every WINDOW steps. Trainings of GANs drift apart whatever the difference at their beginning, so a pair to judge by belongs beside
the one that is judged: the same training with another seed.
"""
import html
import json
import pathlib
import sys

WINDOW = 50
COLOURS = ["#1f77b4", "#d62728", "#999999", "#2ca02c", "#9467bd"]
WIDTH, HEIGHT, LEFT, TOP, ROOM = 330, 200, 46, 34, 30  # of one plot


def read(folder):
    """{loss: [[last step of a window, mean], ...]}"""
    windows = {}
    for line in (pathlib.Path(folder) / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        for name, value in entry["loss"].items():
            windows.setdefault(name, {}).setdefault((entry["step"] - 1) // WINDOW, []).append(value)
    return {name: [[(number + 1) * WINDOW, round(sum(values) / len(values), 5)] for number, values in sorted(of.items())]
            for name, of in windows.items() if any(value for values in of.values() for value in values)}


def plot(name, runs, left, top):
    curves = [(run, losses[name]) for run, losses in runs.items() if name in losses]
    last = max(points[-1][0] for _, points in curves)
    most = max(value for _, points in curves for _, value in points) * 1.08

    def place(step, value):
        return f"{left + LEFT + step / last * (WIDTH - LEFT - ROOM / 2):.1f},{top + TOP + (1 - value / most) * (HEIGHT - TOP - ROOM):.1f}"

    corner, floor, end = place(0, most), place(0, 0), place(last, 0)
    out = [f'<polyline class="axis" points="{corner} {floor} {end}"/>',
           f'<text x="{left + LEFT}" y="{top + 22}" class="title">{html.escape(name)}</text>']
    for value in (0, most / 2, most):
        x, y = place(0, value).split(",")
        out.append(f'<text x="{float(x) - 6:.1f}" y="{float(y) + 4:.1f}" text-anchor="end">{value:.2g}</text>')
    x, y = end.split(",")
    out.append(f'<text x="{x}" y="{float(y) + 16:.1f}" text-anchor="end">{last} steps</text>')
    for number, (_, points) in enumerate(curves):
        line = " ".join(place(*point) for point in points)
        out.append(f'<polyline class="curve" stroke="{COLOURS[number % len(COLOURS)]}" points="{line}"/>')
    return out


def svg(runs):
    names = list(next(iter(runs.values())))
    columns = 3
    rows = -(-len(names) // columns)
    width, height = columns * WIDTH, rows * HEIGHT + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
           'font-family="sans-serif" font-size="11">',
           "<style>.axis{fill:none;stroke:#888}.curve{fill:none;stroke-width:1.5}.title{font-size:13px}</style>",
           f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for number, name in enumerate(names):
        out += plot(name, runs, number % columns * WIDTH, number // columns * HEIGHT)
    for number, run in enumerate(runs):
        x = LEFT + number * 200
        out.append(f'<path d="M{x} {height - 16}h24" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="3"/>'
                   f'<text x="{x + 30}" y="{height - 12}">{html.escape(run)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main(out, *named):
    runs, configs = {}, {}
    for word in named:
        name, _, folder = word.partition("=")
        runs[name] = read(folder)
        configs[name] = (pathlib.Path(folder) / "config.yaml").read_text()
    record = {"window": WINDOW, "runs": runs, "configs": configs}
    pathlib.Path(out + ".json").write_text(json.dumps(record) + "\n")
    pathlib.Path(out + ".svg").write_text(svg(runs))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
