#!/usr/bin/env python3
"""Writes tests/fixtures/codecs.bin: small PNG, JPEG and WebP files with what they hold (python3-pil).

Little-endian records up to the end of the file: u32 length, name; u32 length, the file; u32 width, height; then
either width * height * 3 RGB bytes, u32 length and alpha, u32 length and ICC profile, u32 orientation that was
applied (0: none told), or, when the width is 0, u32 length and a part of the error message to expect.
PNGs are put together here from plain samples, so that every colour type, depth and interlacing occurs; JPEGs and
WebPs are Pillow's, decoded by Pillow.
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


def block(data):
    return struct.pack("<I", len(data)) + data


def record(out, name, data, pixels=None, problem=None, alpha=None, profile=b"", orientation=0):
    out.write(block(name.encode()) + block(data))
    if pixels is None:
        out.write(struct.pack("<II", 0, 0) + block(problem.encode()))
        return
    out.write(struct.pack("<II", pixels.shape[1], pixels.shape[0]) + pixels.astype(numpy.uint8).tobytes())
    opaque = alpha is None or (alpha == 255).all()
    out.write(block(b"" if opaque else alpha.astype(numpy.uint8).tobytes()) + block(profile))
    out.write(struct.pack("<I", orientation))


def icc(space):
    """A profile of a header and one tag: enough for those who only carry it."""
    header = struct.pack(">II4s4s4s4s", 252, 0, b"\x02\x40\0\0", b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2020, 1, 2, 3, 4, 5, b"acsp") + bytes(28)
    header += struct.pack(">III", 0xf6d6, 0x10000, 0xd32d)  # D50
    return header.ljust(128, b"\0") + struct.pack(">I4sII4sI", 1, b"cprt", 144, 108, b"text", 0) + bytes(range(33, 133))


def tiff(value):
    order, mark = (">", b"MM\0*") if value % 2 else ("<", b"II*\0")
    entries = struct.pack(order + "HHI4s", 0x0100, 3, 1, b"") + struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)
    return mark + struct.pack(order + "IH", 8, 2) + entries + struct.pack(order + "I", 0)


def to_8_bits(samples, depth):
    return (samples * 255 * 2 + (1 << depth) - 1) // (2 * ((1 << depth) - 1))  # rounded


def write_pngs(out, random):
    palette = random.integers(0, 256, (256, 3))
    for colour, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            samples = random.integers(0, 1 << depth, (HEIGHT, WIDTH, CHANNELS[colour]))
            alpha, transparency = None, b""
            if colour == 3:
                pixels = palette[samples[..., 0]]
                transparency = chunk(b"tRNS", b"\0\x80")
                alpha = numpy.array([0, 128] + [255] * 254)[samples[..., 0]]
                transparency = chunk(b"PLTE", palette[:1 << depth].astype(numpy.uint8).tobytes()) + transparency
            else:
                colours = samples[..., :3] if colour in (2, 6) else samples[..., :1].repeat(3, axis=-1)
                pixels = to_8_bits(colours, depth)
            if colour in (4, 6):
                alpha = to_8_bits(samples[..., -1], depth)
            if colour in (0, 2):
                clear = samples[2, 3]
                transparency = chunk(b"tRNS", clear.astype(">u2").tobytes())
                alpha = numpy.where((samples == clear).all(axis=-1), 0, 255)
            for interlaced in (False, True):
                name = "type %d, %d bits%s" % (colour, depth, ", interlaced" if interlaced else "")
                record(out, name, png(samples, colour, depth, interlaced, transparency), pixels, alpha=alpha)
                if colour in (0, 2):
                    record(out, name + ", opaque", png(samples, colour, depth, interlaced), pixels)


def write_png_extras(out, random):
    samples = random.integers(0, 65536, (HEIGHT, WIDTH, 4))
    samples[:2] //= 256  # darks, where gamma is steep
    samples[-1, :, 3] = 65535
    for size in ((1, 1), (2, 3), (5, 9)):  # some passes are empty
        part = samples[:size[1], :size[0]]
        record(out, "%dx%d, interlaced" % size, png(part, 6, 16, True), to_8_bits(part[..., :3], 16),
               alpha=to_8_bits(part[..., 3], 16))
    for depth in (8, 16):
        values, top = samples >> (16 - depth), (1 << depth) - 1
        plain, alpha = to_8_bits(values[..., :3], depth), to_8_bits(values[..., 3], depth)
        for gamma, others, applied in ((100000, b"", True), (45455, b"", False), (47000, b"", False),
                                       (100000, chunk(b"sRGB", b"\0"), False), (55556, b"", True)):
            chunks = others + chunk(b"gAMA", struct.pack(">I", gamma))
            bent = numpy.floor(255 * (values[..., :3] / top) ** (1 / (2.2 * gamma / 100000)) + 0.5)
            record(out, "%d bits, gamma %d%s" % (depth, gamma, ", sRGB" if others else ""),
                   png(values, 6, depth, gamma == 55556, chunks), bent if applied else plain, alpha=alpha)
    rgb, grey = samples[..., :3] >> 8, samples[..., :1] >> 8
    packed = chunk(b"iCCP", b"a name\0\0" + zlib.compress(icc(b"RGB ")))
    linear = chunk(b"gAMA", struct.pack(">I", 100000))
    record(out, "profile and gamma", png(rgb, 2, 8, False, packed + linear), rgb, profile=icc(b"RGB "))
    packed = chunk(b"iCCP", b"a name\0\0" + zlib.compress(icc(b"GRAY")))
    record(out, "grey profile", png(grey, 0, 8, False, packed), grey.repeat(3, axis=-1))
    packed = chunk(b"iCCP", b"a name\0\0" + zlib.compress(icc(b"CMYK")))
    record(out, "CMYK profile in RGB", png(rgb, 2, 8, False, packed), rgb)
    packed = chunk(b"iCCP", b"a name\0\0" + zlib.compress(icc(b"RGB ")[:-1]))
    record(out, "profile that ends early", png(rgb, 2, 8, False, packed), rgb)
    huge = struct.pack(">I", 17 << 20) + icc(b"RGB ")[4:] + bytes((17 << 20) - 252)
    packed = chunk(b"iCCP", b"a name\0\0" + zlib.compress(huge, 9))
    record(out, "profile of 17 MiB", png(rgb, 2, 8, False, packed), rgb)
    packed = chunk(b"zTXt", b"a name\0\0" + zlib.compress(bytes(17 << 20), 9))
    record(out, "text of 17 MiB", png(rgb, 2, 8, False, packed), rgb)
    for value in range(1, 9):
        turned = Image.fromarray((samples >> 8).astype(numpy.uint8))
        turned.getexif()[0x0112] = value
        turned = numpy.asarray(ImageOps.exif_transpose(turned))
        record(out, "PNG, orientation %d" % value, png(samples >> 8, 6, 8, False, chunk(b"eXIf", tiff(value))),
               turned[..., :3], alpha=turned[..., 3], orientation=value)


def saved(picture, kind, **options):
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def jpeg(picture, **options):
    return saved(picture, "JPEG", **options)


def smooth_picture():
    y, x = numpy.mgrid[0:19, 0:22]
    smooth = numpy.stack([x * 11, y * 13, (x + y) * 6], axis=-1).astype(numpy.uint8)
    inks = numpy.concatenate([smooth, (255 - x[..., None] * 5).astype(numpy.uint8)], axis=-1)
    return Image.fromarray(smooth), Image.fromarray(inks, "CMYK")


def write_jpegs(out):
    rgb, inks = smooth_picture()
    for name, picture, options, profile in (
        ("RGB", rgb, {}, b""),
        ("RGB, 4:4:4", rgb, {"subsampling": 0, "quality": 95}, b""),
        ("RGB, 4:2:2", rgb, {"subsampling": 1}, b""),
        ("progressive", rgb, {"progressive": True}, b""),
        ("grey", rgb.convert("L"), {}, b""),
        ("RGB, profile", rgb, {"icc_profile": icc(b"RGB ")}, icc(b"RGB ")),
        ("grey, profile", rgb.convert("L"), {"icc_profile": icc(b"GRAY")}, b""),
    ):
        data = jpeg(picture, **options)
        record(out, name, data, numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB")), profile=profile)
    for name, options in (("CMYK", {}), ("CMYK, progressive, profile",
                                         {"progressive": True, "icc_profile": icc(b"CMYK")})):
        data = jpeg(inks, **options)
        stored = numpy.asarray(Image.open(io.BytesIO(data))).astype(int)  # Pillow has undone the inversion
        record(out, name, data, ((255 - stored[..., :3]) * (255 - stored[..., 3:]) + 127) // 255)
    # YCCK: the same samples, said to be one; YCbCr's conversion then gives what Adobe inverted.
    data = jpeg(inks)
    adobe = data.index(b"Adobe") + 11
    data = data[:adobe] + b"\2" + data[adobe + 1:]
    stored = numpy.asarray(Image.open(io.BytesIO(data))).astype(int)
    record(out, "YCCK", data, ((255 - stored[..., :3]) * (255 - stored[..., 3:]) + 127) // 255)
    for value in range(1, 9):
        data = jpeg(rgb, exif=b"Exif\0\0" + tiff(value))
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        record(out, "orientation %d" % value, data, numpy.asarray(upright), orientation=value)


def write_webps(out, random):
    rgb, _ = smooth_picture()
    alpha = random.integers(0, 256, (19, 22)).astype(numpy.uint8)
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(alpha))
    clear = rgb.convert("RGBA")  # opaque, and saved as such
    for name, picture, options in (
        ("lossy", rgb, {}),
        ("lossy, alpha", rgba, {}),
        ("lossless", rgb, {"lossless": True}),
        ("lossless, alpha", rgba, {"lossless": True, "exact": True}),
        ("opaque alpha", clear, {"lossless": True}),
        ("profile", rgb, {"icc_profile": icc(b"RGB ")}),
        ("profile, alpha", rgba, {"icc_profile": icc(b"RGB ")}),
        ("grey profile", rgb, {"icc_profile": icc(b"GRAY")}),
    ):
        data = saved(picture, "WEBP", **options)
        pixels = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        profile = options.get("icc_profile", b"")
        record(out, "WebP, " + name, data, pixels[..., :3], alpha=pixels[..., 3],
               profile=profile if b"RGB " in profile else b"")
    for value in range(1, 9):
        mark = b"Exif\0\0" if value > 4 else b""
        data = saved(rgba, "WEBP", lossless=True, exact=True, exif=mark + tiff(value))
        upright = Image.open(io.BytesIO(data))
        upright.getexif()[0x0112] = value
        upright = numpy.asarray(ImageOps.exif_transpose(upright))
        record(out, "WebP, orientation %d" % value, data, upright[..., :3], alpha=upright[..., 3], orientation=value)


def write_refused_pngs(out):
    def claiming(width, height, data=b""):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data))
                + chunk(b"IEND", b""))
    record(out, "60000x60000 PNG", claiming(60000, 60000),
           problem="60000x60000 is over the limit of 256000000 pixels")
    record(out, "empty PNG of 16000x16000", claiming(16000, 16000), problem="PNG: the file is too short")
    good = png(numpy.zeros((4, 4, 3), int), 2, 8)
    wrong = good[:-13] + bytes([good[-13] ^ 1]) + good[-12:]  # the last byte before IEND
    record(out, "PNG with a wrong checksum", wrong, problem="PNG: IDAT: CRC error")
    samples = numpy.zeros((4, 4, 3), int)
    mark = chunk(b"tRNS", bytes(6))
    wrong = png(samples, 2, 8, False, mark[:-1] + bytes([mark[-1] ^ 1]))
    record(out, "PNG with a wrong checksum of alpha", wrong, problem="PNG: tRNS: CRC error")
    record(out, "PNG with one row of four", claiming(4, 4, b"\0" * 13), problem="PNG: Not enough image data")


def write_refused(out):
    rgb, _ = smooth_picture()
    write_refused_pngs(out)
    for options, frame in (({}, b"\xff\xc0"), ({"progressive": True}, b"\xff\xc2")):
        data = jpeg(rgb, **options)
        at = data.index(frame)
        for side, problem in ((60000, "60000x60000 is over the limit of 256000000 pixels"),
                              (16000, "JPEG: the file is too short for its 16000x16000 pixels")):
            claiming = data[:at + 5] + struct.pack(">HH", side, side) + data[at + 9:]
            record(out, "JPEG of %dx%d" % (side, side), claiming, problem=problem)
    data = saved(rgb, "WEBP")
    frame = data.index(b"\x9d\x01\x2a") + 3
    data = data[:frame] + struct.pack("<HH", 16000, 16000) + data[frame + 4:]
    record(out, "WebP of 16000x16000", data, problem="WebP: the file is truncated")
    data = saved(rgb, "WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    largest = struct.pack("<I", struct.unpack("<I", data[at:at + 4])[0] | 0xfffffff)
    record(out, "WebP of 16384x16384", data[:at] + largest + data[at + 4:],
           problem="16384x16384 is over the limit of 256000000 pixels")
    moving = saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)])
    record(out, "animated WebP", moving, problem="expected a still picture, found an animated WebP")
    record(out, "WebP's first bytes", b"RIFF\0\0\0\0WEBPVP8 ", problem="WebP: the file is damaged")
    record(out, "empty", b"", problem="expected a PNG, JPEG or WebP picture, found an empty file")
    record(out, "GIF", b"GIF89a" + bytes(20), problem="found a GIF")
    record(out, "text", b"hello", problem="found something else")


def main():
    random = numpy.random.default_rng(11)
    with open(os.path.join(os.path.dirname(__file__), "../../tests/fixtures/codecs.bin"), "wb") as out:
        write_pngs(out, random)
        write_png_extras(out, random)
        write_jpegs(out)
        write_webps(out, random)
        write_refused(out)


if __name__ == "__main__":
    main()
