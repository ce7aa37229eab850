#!/usr/bin/env python3
"""Writes tests/compare/expected.h: the measures of src/compare/metrics by NumPy, SciPy and scikit-image.

    python3 metrics.py > ../../tests/compare/expected.h        (pip install numpy scipy scikit-image)

Nothing is shared with the C code but the definitions (docs/metrics.md), the counter-based random numbers and the
integer formulas of the inputs, which tests/compare/inputs.h repeats. Leaving a picture out is done by computing the
whole measure again without it.
"""
import math
import os
import textwrap

import numpy as np
from scipy import ndimage, stats
from skimage.metrics import structural_similarity

import safetensors_io

SIDE, PICTURES = 32, (6, 5)
ROWS, DIMENSION = (7, 5), 12
PATCHES, DIRECTIONS, SEED = 20, 24, 5
RNG_METRICS = 11


def picture(s, i):
    y, x, c = np.mgrid[0:SIDE, 0:SIDE, 0:3]
    noise = (x * 7919 + y * 104729 + i * 31 + c * 17 + s * 1299709) % 61
    return ((x * (3 + i) + y * (5 + 2 * s) + ((x * y * (i + 1)) >> (2 + s)) + c * 40 + noise) & 255).astype(np.uint8)


def vectors(s):
    i, j = np.mgrid[0:ROWS[s], 0:DIMENSION]
    return ((i * 7919 + j * 104729 + s * 15485863 + i * i * j * 31) % 1021 - 400) / 256


# Intervals

def student(degrees):
    return stats.t.ppf(0.975, degrees)


def jackknife(measure, *sets):
    """Variance of measure(*sets), by leaving out each row of each set."""
    variance = 0
    for k, rows in enumerate(sets):
        without = [measure(*sets[:k], np.delete(rows, i, axis=0), *sets[k + 1:]) for i in range(len(rows))]
        variance += (len(rows) - 1) / len(rows) * np.sum((np.array(without) - np.mean(without)) ** 2)
    return variance


def interval(value, variance, fewest, positive):
    half = student(fewest - 1) * math.sqrt(variance)
    return value, max(value - half, 0) if positive else value - half, value + half


def mean_interval(values, least=0, most=np.inf):
    value, low, high = interval(np.mean(values), np.var(values, ddof=1) / len(values), len(values), False)
    return value, max(low, least), min(high, most)


def wilson(k, n):
    z = stats.norm.ppf(0.975)
    # The roots of (p - k/n)^2 = z^2 p (1 - p) / n.
    roots = np.roots([1 + z * z / n, -(2 * k / n + z * z / n), (k / n) ** 2])
    return k / n, max(min(roots.real), 0), min(max(roots.real), 1)


# Pairs

def pair_part(matrix, within):
    """Variance of one pair's own part: U-centring (Szekely and Rizzo 2014) within a set, double centring between."""
    n, m = matrix.shape
    if within:
        a = matrix - np.diag(np.diag(matrix))
        a = a - a.sum(0) / (n - 2) - a.sum(1)[:, None] / (n - 2) + a.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(a, 0)
        return (a ** 2).sum() / (n * (n - 3))
    a = matrix - matrix.mean(0) - matrix.mean(1)[:, None] + matrix.mean()
    return (a ** 2).sum() / ((n - 1) * (m - 1))


def mean_off_diagonal(matrix):
    n = len(matrix)
    return (matrix.sum() - np.trace(matrix)) / (n * (n - 1))


def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def kid(x, y):
    return mean_off_diagonal(kernel(x, x)) + mean_off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()


def kid_interval(x, y):
    n, m = len(x), len(y)
    xx, yy, xy = pair_part(kernel(x, x), True), pair_part(kernel(y, y), True), pair_part(kernel(x, y), False)
    pairs = 2 * xx / (n * (n - 1)) + 2 * yy / (m * (m - 1)) + 4 * xy / (n * m)
    excess = 2 * xx / ((n - 1) * (n - 2)) + 2 * yy / ((m - 1) * (m - 2)) + 4 * xy / (n * m)
    return interval(kid(x, y), max(jackknife(kid, x, y) - excess, pairs), min(n, m), False)


def distances(x, y):
    return np.sqrt(((x[:, None] - y[None]) ** 2).mean(-1))


def diversity(x):
    return mean_off_diagonal(distances(x, x))


def diversity_interval(x):
    n, part = len(x), pair_part(distances(x, x), True)
    variance = max(jackknife(diversity, x) - 2 * part / ((n - 1) * (n - 2)), 2 * part / (n * (n - 1)))
    return interval(diversity(x), variance, n, True)


def to_mean(outputs, targets):
    return np.sqrt(((outputs - targets.mean(0)) ** 2).mean(-1)).mean()


def memorised(outputs, training):
    own = distances(training, training)
    np.fill_diagonal(own, np.inf)
    nearest = own.min(1)
    table = distances(outputs, training)
    return np.quantile(nearest[nearest > 0], 0.05), table.argmin(1), table.min(1)


# Sliced Wasserstein distance

def philox(seed, stream, step, index):
    key = [seed & 0xffffffff, seed >> 32]
    c = [index, step & 0xffffffff, step >> 32, stream]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ key[0], q & 0xffffffff, (p >> 32) ^ c[3] ^ key[1], p & 0xffffffff]
        key = [(key[0] + 0x9E3779B9) & 0xffffffff, (key[1] + 0xBB67AE85) & 0xffffffff]
    return c


def below(step, index, n):
    return philox(SEED, RNG_METRICS, step, index)[0] * n >> 32


def normal(step, index):
    words = philox(SEED, RNG_METRICS, step, index)
    return math.sqrt(-2 * math.log((words[0] + 1) / 2 ** 32)) * math.cos(2 * math.pi * words[1] / 2 ** 32)


def laplacian(pixels):
    """Levels of (side, side, 3), finest first, as sliced_wasserstein.py of Karras et al. does it."""
    taps = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[:, :, None] / 256
    levels = [pixels.astype(np.float64)]
    while levels[-1].shape[0] > 16:
        levels.append(ndimage.convolve(levels[-1], taps, mode="mirror")[::2, ::2])
    for i in range(len(levels) - 1):
        spread = np.zeros_like(levels[i])
        spread[::2, ::2] = levels[i + 1]
        levels[i] = levels[i] - ndimage.convolve(spread, taps * 4, mode="mirror")
    return levels


def patches(s, level):
    """(pictures, patches, 7, 7, 3)"""
    found = []
    for i in range(PICTURES[s]):
        pixels = laplacian(picture(s, i))[level]
        places = [[below(s * 8 + level, 2 * (i * PATCHES + p) + axis, pixels.shape[0] - 6) for axis in (0, 1)]
                  for p in range(PATCHES)]
        found.append([pixels[y:y + 7, x:x + 7] for y, x in places])
    return np.array(found)


def normalised(p):
    p = p.reshape(-1, 7, 7, 3)
    p = (p - p.mean((0, 1, 2))) / p.std((0, 1, 2))
    return p.reshape(len(p), -1)


def sliced(directions):
    def measure(x, y):
        x, y = normalised(x) @ directions, normalised(y) @ directions
        return 1000 * np.mean([stats.wasserstein_distance(a, b) for a, b in zip(x.T, y.T)])
    return measure


def directions_of(level):
    w = np.array([[normal(16 + level, d * 147 + k) for k in range(147)] for d in range(DIRECTIONS)])
    return (w / np.sqrt((w ** 2).sum(1, keepdims=True))).T


def wasserstein():
    measures = [sliced(directions_of(level)) for level in (0, 1)]
    sets = [[patches(s, level) for s in (0, 1)] for level in (0, 1)]

    def of_levels(x, y):  # rows are pictures, by number
        return np.mean([m(a[x], b[y]) for m, (a, b) in zip(measures, sets)])

    for level in (0, 1):
        yield interval(measures[level](*sets[level]), jackknife(measures[level], *sets[level]), 5, True)
    numbers = np.arange(PICTURES[0]), np.arange(PICTURES[1])
    yield interval(of_levels(*numbers), jackknife(of_levels, *numbers), 5, True)


# A small VGG, and measures of its features

def layers(weights, pixels):
    """relu1_1, relu2_1 and relu3_1 as (h, w, channels): inputs in [0, 1], zero padding, max pooling."""
    x, found = pixels / 255, []
    for index in (0, 2, 5, 7, 10):
        w, b = weights["features.%d.weight" % index], weights["features.%d.bias" % index]
        if index in (5, 10):
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max((1, 3))
        wide = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        x = b + sum(wide[dy:dy + x.shape[0], dx:dx + x.shape[1]] @ w[:, :, dy, dx].T
                    for dy in range(3) for dx in range(3))
        x = np.maximum(x, 0)
        if index in (0, 5, 10):
            found.append(x)
    return found


def gram(x):
    x = x.reshape(-1, x.shape[-1])
    return x.T @ x / len(x)


def evaluation():
    """Real: set 0; outputs: set 1, whose inputs are the first of set 0; training pictures: set 0."""
    fixture = os.path.join(os.path.dirname(__file__), "../../tests/fixtures/vgg_tiny.safetensors")
    weights = {name: values.astype(np.float64) for name, values in safetensors_io.read(fixture)[0].items()}
    seen = [[layers(weights, picture(s, i)) for i in range(PICTURES[s])] for s in (0, 1)]
    x, y = (np.array([levels[2].mean((0, 1)) for levels in s]) for s in seen)
    content = [np.linalg.norm(b[2] - a[2]) / np.linalg.norm(a[2]) for a, b in zip(*seen)]
    norms = [np.linalg.norm(np.mean([gram(levels[k]) for levels in seen[0]], axis=0)) for k in range(3)]
    styles = [np.array([np.concatenate([gram(levels[k]).ravel() / norms[k] for k in range(3)]) for levels in s])
              for s in seen]
    size = styles[0].shape[1]
    real, fake = (style * math.sqrt(size / 3) for style in styles)  # distances() divides by the size
    write("evaluation_kid", kid_interval(x, y))
    write("evaluation_content", mean_interval(content))
    write("evaluation_style_nearest", mean_interval(distances(fake, real).min(1)))
    write("evaluation_style_mean", interval(to_mean(fake, real), jackknife(to_mean, fake, real), 5, True))
    write("evaluation_diversity", diversity_interval(y))
    write("evaluation_diversity_real", diversity_interval(x))
    write("evaluation_nearest", mean_interval(distances(y, x).min(1)))
    write("evaluation_ssim", mean_interval([ssim(picture(0, i), picture(1, i)) for i in range(5)], -1, 1))


# Output

def ssim(a, b):
    a, b = (p.astype(np.float64) @ [0.299, 0.587, 0.114] for p in (a, b))
    return structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)


def write(name, values):
    lines = textwrap.fill(", ".join("%.17g" % v for v in values), 112, initial_indent="    ", subsequent_indent="    ")
    print("static const double expected_%s[] = {\n%s};" % (name, lines))


def main():
    x, y = vectors(0), vectors(1)
    threshold, nearest, distance = memorised(y, x)
    print("/* Made by tools/oracle/metrics.py. Three values are an estimate and its interval. */")
    write("student", [student(d) for d in (1, 2, 3, 10, 59, 1000, 20000)])
    write("wilson", [*wilson(0, 60), *wilson(3, 60), *wilson(60, 60)])
    write("kid", [*kid_interval(x, y), *kid_interval(x, y + 2), *kid_interval(x, x)])
    write("diversity", diversity_interval(x))
    write("nearest", mean_interval(distances(y, x).min(1)))
    write("to_mean", interval(to_mean(y, x), jackknife(to_mean, y, x), 5, True))
    write("threshold", [threshold])
    write("neighbours", nearest)
    write("neighbour_distances", distance)
    write("relative", [np.linalg.norm(x[i] - y[i]) / np.linalg.norm(x[i]) for i in range(3)])
    write("ssim", [ssim(picture(0, i), picture(1, i)) for i in range(3)] + [ssim(picture(0, 0), picture(0, 1))])
    places = (0, 0, 0), (-1, -1, 2), (5, 9, 1)
    write("pyramid", [level[place] for level in laplacian(picture(0, 2)) for place in places])
    write("wasserstein", [v for e in wasserstein() for v in e])
    evaluation()


if __name__ == "__main__":
    main()
