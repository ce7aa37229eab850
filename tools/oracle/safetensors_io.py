"""Reading and writing .safetensors in plain Python: 8 bytes of header length, a JSON header, the tensors' bytes."""
import json
import struct

import numpy as np


def _to_bfloat16(array):
    """Bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(array, "<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def round_bfloat16(array):
    """The values that a bfloat16 holds, as float32."""
    return (_to_bfloat16(array).astype("<u4") << 16).view("<f4")


def write(path, tensors, metadata, bfloat16=()):
    """tensors: name -> array, written as F32, or as BF16 (rounded) where the name is in `bfloat16`."""
    header = {"__metadata__": {key: str(value) for key, value in metadata.items()}}
    chunks, end = [], 0
    for name, array in tensors.items():
        array = np.asarray(array)
        assert np.isfinite(array).all(), name
        half = name in bfloat16
        data = (_to_bfloat16(array) if half else np.ascontiguousarray(array, "<f4")).tobytes()
        header[name] = {
            "dtype": "BF16" if half else "F32",
            "shape": list(array.shape),
            "data_offsets": [end, end + len(data)],
        }
        chunks.append(data)
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def read(path):
    """(name -> float32 array, metadata)"""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(data[begin:end], "<u2").astype("<u4") << 16).view("<f4")
        else:
            assert entry["dtype"] == "F32", entry
            array = np.frombuffer(data[begin:end], "<f4")
        tensors[name] = array.reshape(entry["shape"])
    return tensors, metadata
