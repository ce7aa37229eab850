#!/usr/bin/env python3
"""Writes tests/fixtures/resize.bin: Pillow's bicubic resize of small pictures (python3-pil).

Little-endian: u32 count, then for each case u32 width, height, new width, new height, u32 channels, and the RGB or
RGBA bytes of the picture and of the result. Half of each picture is smooth and half is black and white noise, which drives sums past 0 and 255.
"""
import os
import struct

import numpy
from PIL import Image

CASES = [  # (width, height), (new width, new height)
    ((33, 27), (33, 27)),
    ((33, 27), (16, 13)),
    ((33, 27), (15, 31)),
    ((33, 27), (47, 11)),
    ((33, 27), (66, 54)),
    ((33, 27), (33, 7)),
    ((33, 27), (9, 27)),
    ((33, 27), (1, 1)),
    ((5, 3), (40, 31)),
    ((2, 2), (7, 5)),
    ((1, 1), (4, 3)),
    ((64, 48), (61, 47)),
    ((101, 3), (13, 17)),
    ((3, 101), (17, 13)),
    ((7, 9), (286 // 4, 286 // 4)),
]


def picture(width, height, random):
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [127.5 + 127.5 * numpy.sin(x * a + y * b) for a, b in ((0.3, 0.1), (0.05, 0.4), (0.7, -0.5))]
    pixels = numpy.stack(waves, axis=-1).round().astype(numpy.uint8)
    noise = random.integers(0, 2, pixels.shape) * 255
    return numpy.where((x + y)[..., None] * 2 < width + height, pixels, noise).astype(numpy.uint8)


def write_case(out, pixels, new_size):
    height, width, channels = pixels.shape
    out.write(struct.pack("<5I", width, height, *new_size, channels))
    out.write(pixels.tobytes())
    out.write(numpy.asarray(Image.fromarray(pixels).resize(new_size, Image.BICUBIC)).tobytes())


def main():
    random = numpy.random.default_rng(7)
    path = os.path.join(os.path.dirname(__file__), "../../tests/fixtures/resize.bin")
    with open(path, "wb") as out:
        out.write(struct.pack("<I", 2 * len(CASES)))
        for size, new_size in CASES:
            write_case(out, picture(*size, random), new_size)
        for size, new_size in CASES:
            # Upside down, so that noise meets smooth alpha and the other way round.
            alpha = picture(size[0], size[1], random)[::-1, :, 1:2]
            write_case(out, numpy.concatenate([picture(*size, random), alpha], axis=-1), new_size)


if __name__ == "__main__":
    main()
