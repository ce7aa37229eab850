"""Two pictures that every program can be given without a decoder in common: smooth waves, and a finer texture."""
import math
import struct
import zlib


def picture(side, kind):
    """RGB bytes, row by row. kind 0: a few slow waves, as a content; 1: faster, crossed ones, as a style."""
    speed = (3, 17)[kind]
    out = bytearray()
    for y in range(side):
        for x in range(side):
            for c in range(3):
                u, v = x / side, y / side
                wave = math.sin(speed * (u + (c + 1) * v * v) * 2) + math.sin(speed * (v - c * u * u) * 3 + c)
                out.append(int(127.5 + 60 * wave))
    return bytes(out)


def write_png(path, side, rgb):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[y * side * 3:(y + 1) * side * 3] for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
                     chunk(b"IEND", b""))
