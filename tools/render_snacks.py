#!/usr/bin/env python3
"""Renders the sample set of snack pictures from tools/scenes with POV-Ray 3.7.

    tools/render_snacks.py --out data/snacks            # all 80: train/snack_001..060, test/snack_061..080
    tools/render_snacks.py --out DIR --only 3 17 --size 143 --quality 0 --scenes DIR/scenes

Needs Python 3.8 or later and the povray command, nothing else. Every choice comes from --seed and the number of the
picture, so that one picture renders alone as it does in the set. POV-Ray renders linear light; this script exposes it as a
camera would (exposure, tone curve, vignette, grain); POV-Ray then writes the JPEG.
"""
import argparse
import concurrent.futures
import math
import os
import random
import subprocess
import sys
import tempfile

SCENES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenes")
TRAIN, TEST = 60, 20

# Kinds of snack: scene file, radius (cm), height (cm; None for things made around the origin), declarations, and four
# looks, one for each variant of the scene file. A look: arrangement, least and greatest number, dishes, table tops,
# least and greatest camera elevation (degrees), framing (camera distance relative to one that just shows the group).
BAKED_TABLES = ["boards", "paint", "marble", "linen", "stone", "plain"]
BOWLS = ["bowl", "wooden_bowl", "glass_bowl"]
KINDS = {
    "doughnut": ("doughnut", 4.4, 2.8, "", [
        ("scatter", 2, 4, ["plate"], ["checks", "boards"], 38, 60, 0.95),
        ("one", 1, 1, ["plate", "board"], ["linen", "stone"], 28, 40, 0.95),
        ("layers", 5, 7, ["plate", "board"], ["boards", "paint"], 30, 45, 1.0),
        ("scatter", 6, 9, ["none"], ["paper", "plain"], 66, 88, 0.82)]),
    "cookie": ("cookie", 3.7, 1.2, "", [
        ("layers", 6, 10, ["plate", "rack"], ["boards", "linen"], 35, 55, 0.95),
        ("stacks", 5, 8, ["none", "board"], ["paint", "stone"], 14, 28, 0.95),
        ("scatter", 5, 8, ["none"], ["paper", "tray"], 60, 88, 0.85),
        ("row", 4, 6, ["plate"], ["checks", "plain"], 30, 45, 0.95)]),
    "pretzel": ("pretzel", 3.2, 1.2, "", [
        ("scatter", 1, 3, ["board"], ["linen", "stone"], 40, 65, 0.95),
        ("pile", 20, 28, ["bowl", "wooden_bowl"], ["boards", "checks"], 35, 60, 0.85),
        ("scatter", 4, 6, ["rack", "none"], ["tray", "paper"], 50, 80, 0.88),
        ("layers", 9, 14, ["plate", "none"], ["marble", "plain"], 35, 60, 0.9)]),
    "cracker": ("cracker", 2.9, 0.75, "", [
        ("layers", 9, 15, ["plate"], ["boards", "marble"], 32, 55, 0.95),
        ("row", 8, 12, ["plate", "board"], ["checks", "linen"], 26, 42, 0.95),
        ("scatter", 5, 8, ["board", "plate"], ["stone", "paint"], 35, 60, 0.92),
        ("stacks", 12, 20, ["none"], ["plain", "linen"], 18, 32, 0.95)]),
    "popcorn": ("popcorn", 1.0, None, "", [
        ("pile", 85, 110, ["striped_bowl"], ["boards", "plain"], 25, 45, 0.95),
        ("pile", 80, 100, ["glass_bowl", "bowl"], ["linen", "stone"], 40, 65, 0.85),
        ("heap", 60, 80, ["none"], ["paper", "paint"], 35, 70, 0.8),
        ("pile", 80, 100, ["bowl"], ["checks", "marble"], 55, 88, 0.75)]),
    "macaron": ("macaron", 2.45, 3.05, "", [
        ("stacks", 5, 9, ["none", "plate"], ["marble", "plain"], 12, 26, 0.95),
        ("scatter", 7, 11, ["none"], ["plain", "paint"], 45, 85, 0.85),
        ("layers", 7, 12, ["plate"], ["linen", "stone"], 28, 45, 0.95),
        ("layers", 3, 6, ["board", "plate"], ["marble", "stripes"], 24, 40, 0.95)]),
    "muffin": ("muffin", 3.9, 6.3, "", [
        ("scatter", 2, 5, ["board", "rack"], ["linen", "boards"], 25, 42, 0.95),
        ("scatter", 1, 2, ["plate"], ["checks", "stone"], 18, 32, 0.95),
        ("scatter", 4, 7, ["none"], ["paint", "plain"], 38, 70, 0.85),
        ("scatter", 1, 3, ["plate", "none"], ["marble", "stripes"], 12, 28, 1.0)]),
    "sweets": ("sweets", 1.0, None, "", [
        ("pile", 80, 110, ["glass_bowl", "bowl"], ["marble", "linen"], 40, 65, 0.8),
        ("heap", 70, 100, ["none"], ["plain", "paint"], 45, 85, 0.75),
        ("heap", 26, 40, ["plate"], ["boards", "stone"], 35, 60, 0.85),
        ("pile", 45, 70, ["bowl", "wooden_bowl"], ["checks", "boards"], 35, 60, 0.85)]),
    "gummy": ("gummy", 1.15, None, "", [
        ("heap", 24, 40, ["none"], ["plain", "marble"], 40, 70, 0.8),
        ("pile", 40, 55, ["bowl", "glass_bowl"], ["boards", "stripes"], 35, 60, 0.85),
        ("pile", 50, 70, ["bowl"], ["linen", "paint"], 50, 80, 0.75),
        ("heap", 36, 50, ["plate"], ["stone", "checks"], 35, 60, 0.85)]),
    "crisps": ("crisps", 1.7, None, "", [
        ("pile", 45, 65, ["bowl", "wooden_bowl"], ["boards", "checks"], 35, 55, 0.9),
        ("pile", 45, 65, ["glass_bowl", "striped_bowl"], ["linen", "stone"], 45, 70, 0.8),
        ("heap", 26, 40, ["plate"], ["paint", "plain"], 30, 50, 0.9),
        ("heap", 40, 60, ["board", "none"], ["paper", "boards"], 45, 85, 0.75)]),
    "waffle": ("waffle", 5.3, 1.75, "", [
        ("layers", 2, 3, ["plate"], ["boards", "checks"], 32, 50, 0.95),
        ("one", 1, 2, ["plate"], ["marble", "linen"], 45, 85, 0.95),
        ("stacks", 4, 7, ["plate", "board"], ["stone", "paint"], 18, 32, 0.95),
        ("scatter", 2, 3, ["none", "rack"], ["paper", "plain"], 40, 65, 0.9)]),
    "citrus": ("fruit", 3.5, None, "", [
        ("pile", 14, 22, ["bowl", "wooden_bowl"], ["boards", "linen"], 25, 50, 0.92),
        ("heap", 5, 9, ["board", "plate"], ["marble", "stone"], 30, 55, 0.9),
        ("heap", 6, 10, ["none"], ["plain", "paint"], 40, 80, 0.8),
        ("pile", 50, 70, ["crate"], ["stone"], 35, 60, 0.68)]),
    "apple": ("fruit", 3.5, None, "", [
        ("pile", 40, 60, ["crate"], ["boards"], 35, 65, 0.68),
        ("loose", 2, 4, ["none"], ["linen", "checks"], 15, 35, 0.95),
        ("pile", 10, 16, ["wooden_bowl", "bowl"], ["marble", "paint"], 25, 50, 0.9),
        ("loose", 3, 6, ["board", "none"], ["plain", "boards"], 30, 60, 0.9)]),
    "orchard": ("fruit", 3.5, None, "", [
        ("loose", 3, 6, ["none", "plate"], ["linen", "stone"], 20, 42, 0.92),
        ("pile", 40, 60, ["crate"], ["boards"], 40, 65, 0.68),
        ("pile", 10, 16, ["bowl"], ["checks", "boards"], 28, 50, 0.92),
        ("heap", 6, 11, ["board", "none"], ["paint", "plain"], 35, 75, 0.88)]),
    "banana": ("banana", 8.4, 4.2, "", [
        ("one", 1, 1, ["none"], ["boards", "marble"], 35, 65, 0.9),
        ("one", 1, 1, ["board", "plate"], ["linen", "plain"], 52, 78, 0.95),
        ("scatter", 3, 4, ["none"], ["plain", "paint"], 55, 88, 0.85),
        ("layers", 5, 7, ["none"], ["stone", "boards"], 35, 60, 0.7)]),
    "grape": ("grape", 1.0, None, "", [
        ("heap", 60, 85, ["plate", "board"], ["boards", "linen"], 28, 50, 0.88),
        ("heap", 50, 75, ["none"], ["stone", "marble"], 32, 60, 0.85),
        ("pile", 85, 110, ["bowl"], ["paint", "checks"], 45, 80, 0.75),
        ("pile", 40, 60, ["bowl", "wooden_bowl", "glass_bowl"], ["linen", "plain"], 32, 55, 0.88)]),
    "berry": ("berry", 1.7, None, "", [
        ("pile", 26, 36, ["bowl", "glass_bowl"], ["boards", "marble"], 35, 60, 0.85),
        ("heap", 9, 16, ["plate", "none"], ["linen", "paint"], 30, 55, 0.88),
        ("pile", 36, 50, ["bowl"], ["stone", "checks"], 45, 75, 0.78),
        ("heap", 22, 36, ["none"], ["plain", "marble"], 40, 80, 0.8)]),
    "chocolate": ("chocolate", 3.0, 1.0, "", [
        ("bar", 4, 6, ["none", "board"], ["marble", "boards"], 38, 65, 0.88),
        ("layers", 9, 14, ["none", "board"], ["paper", "stone"], 30, 50, 0.9),
        ("grid", 9, 16, ["none", "plate"], ["linen", "paint"], 38, 75, 0.85),
        ("layers", 7, 11, ["plate"], ["checks", "plain"], 32, 55, 0.9)]),
    "nut": ("nut", 1.1, None, "", [
        ("pile", 80, 110, ["wooden_bowl", "bowl"], ["boards", "stone"], 40, 65, 0.8),
        ("heap", 40, 60, ["none"], ["linen", "checks"], 35, 65, 0.8),
        ("pile", 70, 90, ["glass_bowl", "bowl"], ["paint", "marble"], 35, 55, 0.88),
        ("heap", 70, 95, ["board", "plate"], ["plain", "boards"], 50, 88, 0.75)]),
    "slice": ("slice", 3.4, 2.6, "", [
        ("stacks", 4, 7, ["board", "plate"], ["linen", "stone"], 20, 38, 0.92),
        ("scatter", 1, 2, ["plate"], ["checks", "marble"], 16, 32, 0.98),
        ("grid", 6, 9, ["none", "board"], ["paint", "boards"], 32, 60, 0.88),
        ("scatter", 3, 5, ["rack", "none"], ["paper", "plain"], 35, 60, 0.9)]),
}
FRUITS = {"citrus": ["orange", "lemon", "lime", "orange"], "apple": ["apple", "green_apple", "apple", "green_apple"],
          "orchard": ["pear", "plum", "peach", "kiwi"]}
SPACING = {"crisps": 0.62, "pretzel": 0.62, "gummy": 0.92, "nut": 0.82}  # flat things lie closer than balls of their radius

# Light: name, colour, lamp size (cm), lamp power, fill colour, fill power, elevation range.
LIGHTS = [
    ((1.0, 0.97, 0.92), (30, 60), 0.62, (0.86, 0.92, 1.0), 0.42, (28, 55)),  # daylight from a window
    ((0.96, 0.98, 1.0), (60, 90), 0.40, (0.93, 0.96, 1.0), 0.62, (45, 75)),  # overcast
    ((1.0, 0.86, 0.66), (12, 30), 0.66, (1.0, 0.88, 0.74), 0.36, (40, 70)),  # lamp in the evening
    ((1.0, 0.82, 0.58), (8, 16), 0.85, (0.75, 0.83, 1.0), 0.36, (16, 30)),   # low sun
    ((1.0, 0.98, 0.94), (5, 10), 0.80, (0.88, 0.93, 1.0), 0.34, (40, 65)),   # hard sun
    ((0.97, 1.0, 0.95), (40, 70), 0.50, (0.97, 1.0, 0.96), 0.50, (60, 82)),  # kitchen tubes
]


def vector(values):
    return "<%s>" % ", ".join("%.5g" % value for value in values)


class Container:
    """What a pile rests in: a floor, a bowl or a crate. Pushes a ball of radius r back inside."""

    def __init__(self, shape, radius, depth, floor):
        self.shape, self.radius, self.depth, self.floor = shape, radius, depth, floor

    def confine(self, point, last, r):
        x, y, z = point
        if self.shape == "bowl":
            distance = math.hypot(x, z)
            share = min(distance / self.radius, 1.3)
            height = self.floor + self.depth * share ** 2.6
            slope = self.depth * 2.6 * share ** 1.6 / self.radius
            gap = (y - height) / math.sqrt(1 + slope * slope) - r
            if gap < 0:
                scale = 1 / math.sqrt(1 + slope * slope)
                outward = slope * scale / max(distance, 1e-6)
                x, y, z = x + gap * outward * x, y - gap * scale, z + gap * outward * z
        else:
            if y < self.floor + r:
                y = self.floor + r
                if self.shape == "floor":  # friction keeps a heap on a table from running flat
                    x, z = last[0] + 0.35 * (x - last[0]), last[2] + 0.35 * (z - last[2])
            if self.shape == "crate":
                wide, deep = self.radius - r, self.radius * 0.8 - r
                x, z = max(-wide, min(wide, x)), max(-deep, min(deep, z))
        return [x, y, z]


def settle(rng, count, r, container, spread):
    """Drops balls of radius r and lets them come to rest; returns their centres."""
    points = []
    for i in range(count):
        turn, far = rng.uniform(0, 2 * math.pi), spread * math.sqrt(rng.random())
        points.append([far * math.cos(turn), container.floor + r * 1.5 + container.depth * 0.5 + i * r * 9 / count ** 0.6 * 0.6,
                       far * math.sin(turn)])
    speed = [[0.0, 0.0, 0.0] for _ in points]
    for step in range(130):
        last = [list(point) for point in points]
        for point, v in zip(points, speed):
            v[1] -= 0.06 * r
            for axis in range(3):
                point[axis] += v[axis]
        if step % 3 == 0:
            near = [(i, j) for i in range(count) for j in range(i)
                    if sum((a - b) ** 2 for a, b in zip(points[i], points[j])) < (3.2 * r) ** 2]
        for _ in range(4):
            for i, j in near:
                a, b = points[i], points[j]
                d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
                length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]) or 1e-6
                push = 2 * r - length
                if push > 0:
                    push *= 0.5 / length
                    for axis in range(3):
                        a[axis] += push * d[axis]
                        b[axis] -= push * d[axis]
            for i in range(count):
                points[i] = container.confine(points[i], last[i], r)
        for i in range(count):
            speed[i] = [0.8 * max(-r, min(r, points[i][axis] - last[i][axis])) for axis in range(3)]
    return points


def spread_flat(rng, count, r):
    """Places discs of radius r near each other without overlap; returns (x, z)."""
    points = []
    reach = 0.0
    while len(points) < count:
        for _ in range(60):
            turn, far = rng.uniform(0, 2 * math.pi), reach * math.sqrt(rng.random())
            point = (far * math.cos(turn), far * math.sin(turn))
            if all(math.hypot(point[0] - x, point[1] - z) > 2 * r * rng.uniform(1.0, 1.12) for x, z in points):
                points.append(point)
                break
        else:
            reach += 0.3 * r
    middle = [sum(p[axis] for p in points) / count for axis in (0, 1)]
    return [(x - middle[0], z - middle[1]) for x, z in points]


def arrange_flat(rng, arrangement, count, r, height):
    """Returns [(lean about x, turn about y, lean about z, x, y, z)], y being that of the middle."""
    if arrangement in ("one", "bar"):
        places = [(0, rng.uniform(0, 360), 0, 0, height / 2, 0)]
        if arrangement == "bar":  # loose pieces beside a bar 13 cm long
            turn = math.radians(places[0][1])
            for i in range(1, count):
                along, aside = (i - count / 2) * 4.4 + rng.uniform(-0.5, 0.5), 6.3 + rng.uniform(0, 2.6)
                places.append((0, rng.uniform(0, 360), 0, along * math.cos(turn) + aside * math.sin(turn), height / 2,
                               -along * math.sin(turn) + aside * math.cos(turn)))
        elif count == 2:
            places.append((0, rng.uniform(0, 360), 0, rng.uniform(-1, 1), height * 1.5, rng.uniform(-1, 1)))
        return places
    if arrangement == "scatter":
        return [(0, rng.uniform(0, 360), 0, x, height / 2, z) for x, z in spread_flat(rng, count, r)]
    if arrangement == "grid":
        columns = max(2, round(math.sqrt(count)))
        step = r * 2.02 if height > 2 else r * 1.25
        return [(0, rng.uniform(-6, 6) + 90 * rng.randrange(4), 0, (i % columns - (columns - 1) / 2) * step + rng.uniform(-0.2, 0.2),
                 height / 2, (i // columns - (columns - 1) / 2) * step + rng.uniform(-0.2, 0.2)) for i in range(count)]
    if arrangement == "row":
        lean = rng.uniform(48, 66)
        step = height / math.sin(math.radians(lean)) * 1.12
        middle = r * math.sin(math.radians(lean)) + height / 2 * math.cos(math.radians(lean))
        bend = rng.uniform(-0.03, 0.03)
        return [(0, rng.choice([0, 180]) + rng.uniform(-5, 5), lean + rng.uniform(-2, 2), (i - count / 2) * step, middle,
                 bend * ((i - count / 2) * step) ** 2) for i in range(count)]
    if arrangement == "stacks":
        tall = max(2, min(count, 6 if height < 1 else 4))
        piles = spread_flat(rng, max(1, round(count / tall)) + (1 if count % tall else 0), r * 1.02)
        places = []
        for i in range(count):
            x, z = piles[i // tall % len(piles)]
            level = i % tall
            places.append((rng.uniform(-1.5, 1.5), rng.uniform(0, 360), rng.uniform(-1.5, 1.5), x + rng.uniform(-0.1, 0.1) * r,
                           height * (level * 0.99 + 0.5), z + rng.uniform(-0.1, 0.1) * r))
        return places
    if arrangement == "layers":  # a heap of flat things: every layer is smaller, and leans on the one below
        places, level, left = [], 0, count
        while left:
            share = min(left, max(1, math.ceil(left * 0.62))) if left > 2 else left
            for x, z in spread_flat(rng, share, r * (0.97 if level == 0 else 0.85)):
                tilt = 0 if level == 0 else rng.uniform(3, 10)
                turn = rng.uniform(0, 2 * math.pi)
                places.append((tilt * math.cos(turn), rng.uniform(0, 360), tilt * math.sin(turn), x + level * rng.uniform(-0.3, 0.3) * r,
                               height * (0.5 + level * 1.02) + (0.035 * r if level else 0), z + level * rng.uniform(-0.3, 0.3) * r))
            left -= share
            level += 1
        return places
    raise ValueError("no arrangement named " + arrangement)


def compose(seed, number):
    """Returns the scene of one picture as POV-Ray source, without its quality settings, and the kind's name."""
    kind, variant = plan(seed)[number]
    rng = random.Random("%d/%d" % (seed, number))
    scene, radius, height, _, looks = KINDS[kind]
    arrangement, least, most, dishes, tables, low, high, framing = looks[variant]
    count = rng.randint(least, most)
    dish, table = rng.choice(dishes), rng.choice(tables)
    floor = {"none": 0, "plate": 0.55, "board": 1.6, "rack": 1.5}.get(dish, 0.5) + (0.2 if table in ("paper", "checks", "stripes", "linen") and dish == "none" else 0)
    dish_radius = depth = 0.0
    piled = height is None or arrangement == "pile"
    if piled:
        r = radius * SPACING.get(kind, 0.97)
        if dish == "crate":
            dish_radius, depth = r * math.sqrt(count) * 0.92, r * 2.6
            shape = Container("crate", dish_radius, depth, floor)
            spread = dish_radius * 0.7
        elif arrangement == "pile":
            dish_radius = r * (count ** (1 / 3)) * 1.62 + r * 0.5
            depth = dish_radius * rng.uniform(0.5, 0.72)
            shape = Container("bowl", dish_radius, depth, floor)
            spread = dish_radius * 0.5
        else:
            spread = r * math.sqrt(count) * (1.15 if arrangement == "loose" else 0.62)
            shape = Container("floor", spread, 0.0, floor)
        if arrangement == "loose":
            points = [(x, floor + r * 0.93, z) for x, z in spread_flat(rng, count, r * 1.02)]
        else:
            points = settle(rng, count, r, shape, spread)
        lying = kind in ("pretzel", "crisps")
        places = [(rng.uniform(-40, 40) if lying else 0, rng.uniform(0, 360), rng.uniform(-40, 40) if lying else 0, x, y, z) for x, y, z in points]
        middle_height = 0 if height is None else height / 2
    else:
        places = [(a, b, c, x, y + floor, z) for a, b, c, x, y, z in arrange_flat(rng, arrangement, count, radius, height)]
        middle_height = height / 2
    distances = sorted(math.hypot(p[3], p[5]) for p in places)
    reach = distances[int(0.97 * (len(distances) - 1))] + radius
    if kind == "chocolate" and arrangement == "bar":
        reach = 9
    top = max(p[4] for p in places) + (height / 2 if height else radius)
    if dish in ("plate", "board", "rack"):
        dish_radius = reach * {"plate": 1.3, "board": 1.3, "rack": 1.1}[dish]
        if dish == "plate":
            dish_radius = max(dish_radius, reach + 2.5) if reach < 10 else reach * 1.2
    show = max(reach, dish_radius * rng.uniform(0.75, 1.0)) if dish != "none" else reach
    show = max(show, top * 0.62)

    azimuth, elevation = rng.uniform(0, 360), rng.uniform(low, high)
    angle = rng.uniform(27, 42)
    distance = show * framing * rng.uniform(0.92, 1.12) / math.tan(math.radians(angle / 2)) * (1.0 if elevation > 35 else 0.97)
    aim = [rng.uniform(-0.12, 0.12) * show, (top * 0.5 if elevation < 60 else top * 0.4), rng.uniform(-0.12, 0.12) * show]
    sine, cosine = math.sin(math.radians(elevation)), math.cos(math.radians(elevation))
    out = (-math.sin(math.radians(azimuth)), -math.cos(math.radians(azimuth)))
    at = [aim[0] + distance * cosine * out[0], aim[1] + distance * sine, aim[2] + distance * cosine * out[1]]
    tilt = rng.gauss(0, 0.035)
    side = (-out[1], 0, out[0])
    sky = [-sine * out[0] + tilt * side[0], cosine, -sine * out[1] + tilt * side[2]]
    focus = [aim[0] + out[0] * show * 0.3 * cosine, top * 0.55, aim[2] + out[1] * show * 0.3 * cosine]
    colour, size, power, fill, fill_power, rise = rng.choice(LIGHTS)
    warmth = rng.uniform(-0.05, 0.05)
    light = [colour[0] * (1 + warmth), colour[1], colour[2] * (1 - warmth)]
    # Side and back light show shape best; the camera's own side is left out.
    light_azimuth = azimuth + rng.choice([-1, 1]) * rng.uniform(45, 160)

    fruit = FRUITS[kind][variant] if kind in FRUITS else ""
    lines = [
        "// %s, variant %d, %s of %d on %s, %s" % (kind, variant, arrangement, count, dish, table),
        "#declare Picture_Seed = %d;" % rng.randrange(1, 100000),
        "#declare Variant = %d;" % variant,
        "#declare Last_Snack = %d;" % (count - 1),
        '#declare Fruit = "%s";' % fruit,
        "#declare Cut = %g;" % (0.45 if arrangement == "heap" else 0),
        "#declare Piled = %d;" % (arrangement in ("pile", "heap")),
        "#declare Light_Azimuth = %.4g;" % light_azimuth,
        "#declare Light_Elevation = %.4g;" % rng.uniform(*rise),
        "#declare Light_Size = %.4g;" % rng.uniform(*size),
        "#declare Light_Colour = %s;" % vector(light),
        "#declare Light_Power = %.4g;" % (power * rng.uniform(0.9, 1.15)),
        "#declare Fill_Colour = %s;" % vector(fill),
        "#declare Fill_Power = %.4g;" % (fill_power * rng.uniform(0.85, 1.2)),
        "#declare Camera_At = %s;" % vector(at),
        "#declare Camera_To = %s;" % vector(aim),
        "#declare Camera_Sky = %s;" % vector(sky),
        "#declare Camera_Focus = %s;" % vector(focus),
        "#declare Camera_Angle = %.4g;" % angle,
        "#declare Camera_Aperture = %.4g;" % (distance * rng.uniform(0.006, 0.022)),
        "#declare Wall = %d;" % (elevation < 38),
        '#include "common.inc"', '#include "light.inc"', '#include "tables.inc"', '#include "dishes.inc"',
        '#include "%s.inc"' % scene,
        'Table_Top("%s")' % table,
    ]
    if dish in ("plate", "bowl", "wooden_bowl") and table not in ("checks", "stripes", "paper") and rng.random() < 0.4:
        lines.append("object { Napkin(%.4g) }" % (show * rng.uniform(0.9, 1.2)))
    lines.append('Dish("%s", %.5g, %.5g)' % (dish, dish_radius, depth))
    for i, (a, b, c, x, y, z) in enumerate(places):
        lines.append("object { Snack(%d) translate -y * %.4g rotate y * %.4g rotate <%.4g, 0, %.4g> translate %s }"
                     % (i, middle_height, b, a, c, vector((x, y, z))))
    return "\n".join(lines) + "\n", kind


def plan(seed):
    """Returns {number: (kind, variant)}: each kind three times in the training part, once in the test part."""
    rng = random.Random("%d/plan" % seed)
    train, test = [], []
    for i, kind in enumerate(KINDS):
        held_out = (i + rng.randrange(2)) % 4
        for variant in range(4):
            (test if variant == held_out else train).append((kind, variant))
    rng.shuffle(train)
    rng.shuffle(test)
    return dict(enumerate(train + test, start=1))


def run_povray(arguments, folder):
    done = subprocess.run(["povray", "-D", "+L" + SCENES] + arguments, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        problems = [line for line in done.stdout.splitlines() if "rror:" in line]
        raise RuntimeError("povray failed: " + ("; ".join(problems[:3]) or done.stdout[-400:]))


def read_linear(path):
    """Reads a 16-bit binary PPM; returns its width, height and values in [0, 1]."""
    with open(path, "rb") as file:
        data = file.read()
    fields, at = [], 0
    while len(fields) < 4:
        end = data.index(b"\n", at)
        fields += data[at:end].split(b"#")[0].split()
        at = end + 1
    width, height, greatest = (int(field) for field in fields[1:])
    if greatest != 65535:
        raise RuntimeError("%s: expected 16-bit values, found a greatest value of %d" % (path, greatest))
    return width, height, [(data[i] << 8 | data[i + 1]) / 65535 for i in range(at, at + 6 * width * height, 2)]


def develop(rng, width, height, light):
    """Exposure, tone curve, white balance, vignette and grain; returns 8-bit sRGB bytes."""
    brightness = sorted(0.21 * light[i] + 0.72 * light[i + 1] + 0.07 * light[i + 2] for i in range(0, len(light), 3))
    middle = sum(brightness) / len(brightness)
    bright = brightness[int(0.97 * len(brightness))]
    gain = min(rng.uniform(0.24, 0.36) / max(middle, 1e-3), rng.uniform(0.9, 1.25) / max(bright, 1e-3))
    balance = [gain * (1 + rng.gauss(0, 0.02)), gain, gain * (1 + rng.gauss(0, 0.03))]
    dark_corner, grain, contrast = rng.uniform(0.05, 0.28), rng.uniform(0.003, 0.011), rng.uniform(0.1, 0.35)
    centre = (width / 2 + rng.gauss(0, width / 30), height / 2 + rng.gauss(0, height / 30))
    result = bytearray(len(light))
    coarse = [rng.gauss(0, 1) for _ in range((width // 2 + 1) * (height // 2 + 1))]
    for row in range(height):
        for column in range(width):
            far = ((column - centre[0]) ** 2 + (row - centre[1]) ** 2) / (width * width / 2)
            shade = 1 - dark_corner * far * 1.2
            speck = 0.75 * rng.gauss(0, 1) + 0.45 * coarse[row // 2 * (width // 2 + 1) + column // 2]
            index = 3 * (row * width + column)
            for channel in range(3):
                value = max(0.0, light[index + channel] * balance[channel] * shade)
                if value > 0.6:  # a shoulder, so that highlights do not clip hard
                    value = 0.6 + 0.4 * (1 - math.exp(-(value - 0.6) / 0.4))
                value = 12.92 * value if value < 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
                value += contrast * value * (1 - value) * (2 * value - 1)
                value += grain * (speck + 0.35 * rng.gauss(0, 1)) * (1.1 - 0.6 * value)
                result[index + channel] = max(0, min(255, round(255 * value)))
    return bytes(result)


def render(number, options):
    source, kind = compose(options.seed, number)
    part = "train" if number <= TRAIN else "test"
    folder = os.path.join(options.out, part)
    os.makedirs(folder, exist_ok=True)
    target = os.path.abspath(os.path.join(folder, "snack_%03d.jpg" % number))
    source = "#version 3.7;\n#declare Quality = %d;\n" % options.quality + source
    if options.scenes:
        os.makedirs(options.scenes, exist_ok=True)
        with open(os.path.join(options.scenes, "snack_%03d.pov" % number), "w", encoding="utf-8") as file:
            file.write(source)
    with tempfile.TemporaryDirectory() as work:
        with open(os.path.join(work, "scene.pov"), "w", encoding="utf-8") as file:
            file.write(source)
        # One thread: radiosity then gathers its samples in the same order every time.
        run_povray(["+Iscene.pov", "+Olinear.ppm", "+FP16", "File_Gamma=1.0", "+W%d" % options.size, "+H%d" % options.size,
                    "+WT1"] + (["+A0.3", "+AM2", "+R2"] if options.quality == 0 else ["-A"]), work)
        width, height, light = read_linear(os.path.join(work, "linear.ppm"))
        pixels = develop(random.Random("%d/%d/film" % (options.seed, number)), width, height, light)
        with open(os.path.join(work, "film.ppm"), "wb") as file:
            file.write(b"P6\n%d %d\n255\n" % (width, height) + pixels)
        with open(os.path.join(work, "film.pov"), "w", encoding="utf-8") as file:
            file.write('#version 3.7; global_settings { assumed_gamma 1.0 } camera { orthographic location <0.5, 0.5, -1> '
                       'right x up y direction z } plane { z, 0 pigment { image_map { ppm "film.ppm" gamma srgb once } } '
                       'finish { ambient 0 diffuse 0 emission 1 } }\n')
        run_povray(["+Ifilm.pov", "+O" + target, "+FJ", "Compression=90", "File_Gamma=sRGB", "-A", "+WT1", "+W%d" % width,
                    "+H%d" % height], work)
    return kind


def main():
    parser = argparse.ArgumentParser(description="Render the sample set of snack pictures with POV-Ray.")
    parser.add_argument("--out", default="data/snacks", help="folder for train/ and test/ (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=286, help="side in pixels (default %(default)s)")
    parser.add_argument("--quality", type=int, choices=[0, 1, 2], default=2, help="0: sharp draft, 1: draft, 2: final")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the pictures to render (1 to %d)" % (TRAIN + TEST))
    parser.add_argument("--kind", choices=list(KINDS), nargs="+", help="render these kinds only")
    parser.add_argument("--jobs", type=int, default=2, help="pictures rendered at once (default %(default)s)")
    parser.add_argument("--scenes", help="folder to keep the generated scenes in")
    options = parser.parse_args()
    planned = plan(options.seed)
    numbers = options.only or [n for n in planned if not options.kind or planned[n][0] in options.kind]
    if not set(numbers) <= set(planned):
        parser.error("--only: numbers are 1 to %d" % len(planned))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(render, number, options): number for number in numbers}
        for done in concurrent.futures.as_completed(waiting):
            try:
                print("snack_%03d %s" % (waiting[done], done.result()), flush=True)
            except (RuntimeError, OSError) as problem:
                failed += 1
                print("snack_%03d: %s" % (waiting[done], problem), file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
