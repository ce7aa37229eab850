#!/usr/bin/env python3
"""Converts networks of pytorch-CycleGAN-and-pix2pix (.pth) to .safetensors, for `translate --model` and
`train.init_from`.

    convert_pth.py latest_net_G_A.pth -o generator_a.safetensors
    convert_pth.py checkpoints/x/latest_net_{G_A,G_B,D_A,D_B}.pth -o start.safetensors

One file becomes a generator alone, with its direction from the name (G_A: a to b) or --direction. Several become one
file in which each network has its prefix, taken from the names; `train.init_from` starts from all of them. "module."
(saved from DataParallel) and the running statistics of old instance norms are dropped; batch norm is refused. Needs
PyTorch and NumPy.
"""
import argparse
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "oracle"))

NETWORKS = ("G_A", "G_B", "D_A", "D_B")
STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


class Refused(Exception):
    """One line for the user."""


def load(torch, path):
    """The state dict of a .pth: the networks of the reference are nothing but one."""
    try:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except TypeError as problem:
            if "weights_only" not in str(problem):
                raise
            print(f"{path}: this PyTorch cannot restrict what a .pth may run while loading; use files you trust",
                  file=sys.stderr)
            found = torch.load(path, map_location="cpu")
    except OSError as problem:
        raise Refused(f"{path}: cannot read: {problem.strerror or problem}") from None
    except Exception as problem:  # whatever the unpickler meets
        reason = str(problem).strip().splitlines() or [type(problem).__name__]
        raise Refused(f"{path}: not a state dict that PyTorch can load: {reason[0][:200]}") from None
    if not isinstance(found, dict) or not found:
        raise Refused(f"{path}: expected a state dict (names and tensors), found {type(found).__name__}")
    if hasattr(found, "_metadata"):
        found = dict(found)
    for name, value in found.items():
        if not isinstance(name, str) or not torch.is_tensor(value):
            raise Refused(f"{path}: expected a state dict (names and tensors), found {name!r}: {type(value).__name__}")
    return found


def clean(torch, path, state):
    """name -> array of float32, under the names that a network alone has."""
    state = {name[len("module."):] if name.startswith("module.") else name: value for name, value in state.items()}
    result = {}
    for name, value in state.items():
        suffix = next((s for s in STATISTICS if name.endswith(s)), None)
        if suffix:
            if name[: -len(suffix)] + ".weight" in state:
                raise Refused(f"{path}: batch norm is not supported: expected instance norm without weights, found "
                              f"{name} beside an affine weight (trained with --norm batch)")
            continue
        if not value.is_floating_point():
            raise Refused(f"{path}: {name}: expected floating-point numbers, found {value.dtype}")
        if not torch.isfinite(value).all():
            raise Refused(f"{path}: {name}: expected finite values, found NaN or infinity")
        result[name] = value.detach().float().contiguous().numpy()
    return result


def network_of(path):
    found = re.search(r"(?:^|_)(G_A|G_B|D_A|D_B)(?=[._]|$)", pathlib.Path(path).name)
    return found.group(1) if found else None


def gather(torch, paths, direction):
    """(tensors, metadata) of the file to write."""
    if len(paths) == 1:
        network = network_of(paths[0])
        if network and network.startswith("D"):
            raise Refused(f"{paths[0]}: a discriminator alone is of no use; give its generator too")
        if direction == "auto":
            direction = {"G_A": "a_to_b", "G_B": "b_to_a"}.get(network)
        metadata = {"cyclegan_format": "1", "kind": "generator", "direction": direction} if direction else {}
        return clean(torch, paths[0], load(torch, paths[0])), metadata
    tensors, seen = {}, {}
    for path in paths:
        network = network_of(path)
        if not network:
            raise Refused(f"{path}: expected a name with one of {', '.join(NETWORKS)}, as latest_net_G_A.pth, to know "
                          "which network it is")
        if network in seen:
            raise Refused(f"{path}: {network} was given already: {seen[network]}")
        seen[network] = path
        for name, array in clean(torch, path, load(torch, path)).items():
            tensors[f"{network}.{name}"] = array
    if "G_A" not in seen or "G_B" not in seen:
        raise Refused(f"expected both G_A and G_B among several files, found {', '.join(sorted(seen))}")
    return tensors, {}


def write(path, tensors, metadata):
    """Whole or not at all."""
    import safetensors_io

    try:
        folder = os.path.dirname(os.path.abspath(path))
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(path)[:64]}.", suffix=".part")
        os.close(handle)
        try:
            safetensors_io.write(temporary, tensors, metadata)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as problem:
        raise Refused(f"{path}: cannot write: {problem.strerror or problem}") from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pth", nargs="+", help="one network each")
    parser.add_argument("-o", "--out", required=True, help="the .safetensors to write")
    parser.add_argument("--direction", choices=("auto", "a_to_b", "b_to_a"), default="auto",
                        help="of a generator alone (auto: by its name)")
    given = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("convert_pth.py: PyTorch is missing: install python3-torch, or `pip install torch`")
    try:
        tensors, metadata = gather(torch, given.pth, given.direction)
        write(given.out, tensors, metadata)
    except Refused as problem:
        sys.exit(f"convert_pth.py: {problem}")
    values = sum(array.size for array in tensors.values())
    print(f"{given.out}: {len(tensors)} tensors, {values} values"
          + (f", {metadata['direction']}" if metadata else ""))


if __name__ == "__main__":
    main()
