#!/usr/bin/env python3
"""Adds the checksum of docs/formats.md (data_xxh64: xxHash64, seed 0, of all bytes after the header) to .safetensors
files that have none, in place; tensors keep their bytes and their order. For maintainers: files that this program
writes have one.

    add_checksum.py checkpoints/*.safetensors

A file whose checksum is there is compared with it. Needs nothing but Python.
"""
import json
import os
import struct
import sys
import tempfile

KEY = "data_xxh64"
MASK = (1 << 64) - 1
PRIMES = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def rotate(value, bits):
    return (value << bits | value >> 64 - bits) & MASK


def take(lane, value):
    return rotate((lane + value * PRIMES[1]) & MASK, 31) * PRIMES[0] & MASK


def xxh64(data):
    """After xxHash's doc/xxhash_spec.md, with seed 0."""
    p1, p2, p3, p4, p5 = PRIMES
    at = len(data) // 32 * 32
    if at:
        lanes = [(p1 + p2) & MASK, p2, 0, -p1 & MASK]
        for stripe in struct.iter_unpack("<4Q", data[:at]):
            lanes = [take(lane, value) for lane, value in zip(lanes, stripe)]
        h = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            h = ((h ^ take(0, lane)) * p1 + p4) & MASK
    else:
        h = p5
    h = (h + len(data)) & MASK
    while at + 8 <= len(data):
        h = (rotate(h ^ take(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & MASK
        at += 8
    if at + 4 <= len(data):
        h = (rotate(h ^ struct.unpack_from("<I", data, at)[0] * p1 & MASK, 23) * p2 + p3) & MASK
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ byte * p5 & MASK, 11) * p1 & MASK
    h = (h ^ h >> 33) * p2 & MASK
    h = (h ^ h >> 29) * p3 & MASK
    return h ^ h >> 32


def replace(path, content):
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def add(path):
    """What was done, in words."""
    with open(path, "rb") as file:
        content = file.read()
    length = struct.unpack_from("<Q", content)[0]
    header, data = json.loads(content[8:8 + length]), content[8 + length:]
    found, checksum = header.setdefault("__metadata__", {}).get(KEY), f"{xxh64(data):016x}"
    if found is not None:
        if found != checksum:
            sys.exit(f"{path}: damaged: its checksum is {found}, its data have {checksum}")
        return "has its checksum already"
    header["__metadata__"][KEY] = checksum
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    replace(path, struct.pack("<Q", len(text)) + text + data)
    return f"{KEY} {checksum}"


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        print(f"{name}: {add(name)}")
