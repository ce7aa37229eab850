#!/usr/bin/env python3
"""Writes tests/fixtures/codecs.bin: small PNG and JPEG files with the pixels that they hold (python3-pil).

Little-endian records up to the end of the file: u32 length, name; u32 length, the file; u32 width, height; then
either width * height * 3 RGB bytes, or, when the width is 0, u32 length and a part of the error message to expect.
PNGs are put together here from plain samples, so that every colour type, depth and interlacing occurs; JPEGs are
Pillow's, decoded by Pillow.
"""
import io
import os
import struct
import zlib

import numpy
from PIL import Image, ImageOps

WIDTH, HEIGHT = 13, 7
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """samples: (height, width, channels); rows with filter type 0."""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(numpy.uint8).tobytes()
        else:
            bits = "".join(format(int(v), "0%db" % depth) for v in row)
            bits += "0" * (-len(bits) % 8)
            data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        rows += b"\0" + data
    return rows


def png(samples, colour, depth, interlaced=False, chunks=b""):
    height, width = samples.shape[:2]
    parts = [samples]
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    data = b"".join(pack_rows(p, depth) for p in parts if p.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(data))
            + chunk(b"IEND", b""))


def record(out, name, data, pixels=None, problem=None):
    out.write(struct.pack("<I", len(name)) + name.encode())
    out.write(struct.pack("<I", len(data)) + data)
    if pixels is None:
        out.write(struct.pack("<III", 0, 0, len(problem)) + problem.encode())
    else:
        out.write(struct.pack("<II", pixels.shape[1], pixels.shape[0]) + pixels.astype(numpy.uint8).tobytes())


def write_pngs(out, random):
    palette = random.integers(0, 256, (256, 3))
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))  # linear light: must not change a pixel
    for colour, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            samples = random.integers(0, 1 << depth, (HEIGHT, WIDTH, CHANNELS[colour]))
            chunks = gamma
            if colour == 3:
                pixels = palette[samples[..., 0]]
                chunks += chunk(b"PLTE", palette[:1 << depth].astype(numpy.uint8).tobytes()) + chunk(b"tRNS", b"\0\x80")
            else:
                colours = samples[..., :3] if colour in (2, 6) else samples[..., :1].repeat(3, axis=-1)
                pixels = (colours * 255 * 2 + (1 << depth) - 1) // (2 * ((1 << depth) - 1))  # rounded
            if colour == 0:
                chunks += chunk(b"tRNS", struct.pack(">H", int(samples[0, 0, 0])))
            for interlaced in (False, True):
                name = "type %d, %d bits%s" % (colour, depth, ", interlaced" if interlaced else "")
                record(out, name, png(samples, colour, depth, interlaced, chunks), pixels)


def jpeg(picture, **options):
    data = io.BytesIO()
    picture.save(data, "JPEG", **options)
    return data.getvalue()


def write_jpegs(out, random):
    y, x = numpy.mgrid[0:19, 0:22]
    smooth = numpy.stack([x * 11, y * 13, (x + y) * 6], axis=-1).astype(numpy.uint8)
    rgb = Image.fromarray(smooth)
    inks = numpy.concatenate([smooth, (255 - x[..., None] * 5).astype(numpy.uint8)], axis=-1)
    for name, picture, options in (
        ("RGB", rgb, {}),
        ("RGB, 4:4:4", rgb, {"subsampling": 0, "quality": 95}),
        ("progressive", rgb, {"progressive": True}),
        ("grey", rgb.convert("L"), {}),
    ):
        data = jpeg(picture, **options)
        record(out, name, data, numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    data = jpeg(Image.fromarray(inks, "CMYK"))
    stored = numpy.asarray(Image.open(io.BytesIO(data))).astype(int)  # Pillow has undone the inversion
    record(out, "CMYK", data, ((255 - stored[..., :3]) * (255 - stored[..., 3:]) + 127) // 255)
    for value in range(1, 9):
        order, mark = (">", b"MM\0*") if value % 2 else ("<", b"II*\0")
        entries = struct.pack(order + "HHI4s", 0x0100, 3, 1, b"") + struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)
        tiff = mark + struct.pack(order + "IH", 8, 2) + entries + struct.pack(order + "I", 0)
        data = jpeg(rgb, exif=b"Exif\0\0" + tiff)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        record(out, "orientation %d" % value, data, numpy.asarray(upright))
    return jpeg(rgb)


def write_refused(out, jpeg_data):
    huge = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    record(out, "60000x60000 PNG", data, problem="60000x60000 is over the limit of 256000000 pixels")
    frame = jpeg_data.index(b"\xff\xc0")
    data = jpeg_data[:frame + 5] + struct.pack(">HH", 60000, 60000) + jpeg_data[frame + 9:]
    record(out, "60000x60000 JPEG", data, problem="60000x60000 is over the limit of 256000000 pixels")
    good = png(numpy.zeros((4, 4, 3), int), 2, 8)
    wrong = good[:-13] + bytes([good[-13] ^ 1]) + good[-12:]  # the last byte before IEND
    record(out, "PNG with a wrong checksum", wrong, problem="PNG: IDAT: CRC error")
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(b"\0" * 13)) + chunk(b"IEND", b"")
    record(out, "PNG with one row of four", data, problem="PNG: Not enough image data")
    record(out, "empty", b"", problem="expected a PNG or JPEG picture, found an empty file")
    record(out, "GIF", b"GIF89a" + bytes(20), problem="found a GIF")
    record(out, "WebP", b"RIFF\0\0\0\0WEBPVP8 ", problem="found a WebP")
    record(out, "text", b"hello", problem="found something else")


def main():
    random = numpy.random.default_rng(11)
    with open(os.path.join(os.path.dirname(__file__), "../../tests/fixtures/codecs.bin"), "wb") as out:
        write_pngs(out, random)
        write_refused(out, write_jpegs(out, random))


if __name__ == "__main__":
    main()
