#!/usr/bin/env python3
"""Converts a VGG-16 or VGG-19 (.pth) to .safetensors, for `gatys --features` and all else that has a perceptual network.

    convert_vgg.py vgg19-dcbb9e9d.pth -o vgg19.safetensors                     torchvision's
    convert_vgg.py vgg_conv.pth -o vgg19_caffe.safetensors                     Gatys' (conv1_1.weight, ...): Caffe's weights
    convert_vgg.py vgg19-d01eb7cb.pth --input caffe -o vgg19_caffe.safetensors Caffe's weights under torchvision's keys

Kept are the convolutions; --last leaves those out that lie behind it. Needs PyTorch and NumPy. A VGG-19 that needs no
converting: model.safetensors of timm/vgg19.tv_in1k on Hugging Face.
"""
import argparse
import re
import sys

import convert_pth
from convert_pth import Refused

BLOCKS = {16: [2, 2, 3, 3, 3], 19: [2, 2, 4, 4, 4]}


def names_of(depth):
    """conv4_2 -> its index in torchvision's `features`"""
    names, index = {}, 0
    for block, count in enumerate(BLOCKS[depth], 1):
        for number in range(1, count + 1):
            names[f"conv{block}_{number}"] = index
            index += 2
        index += 1
    return names


def convolutions(path, state):
    """(depth, index -> {"weight": array, "bias": array}, whether the keys are Caffe's)"""
    caffe = {}
    for key in state:
        found = re.fullmatch(r"(conv\d_\d)\.(weight|bias)", key)
        if found:
            caffe.setdefault(found.group(1), {})[found.group(2)] = state[key]
    if caffe:
        depth = 19 if "conv3_4" in caffe else 16
        names = names_of(depth)
        unknown = sorted(set(caffe) - set(names))
        if unknown:
            raise Refused(f"{path}: {unknown[0]}: VGG-{depth} has no such convolution")
        return depth, {names[name]: parts for name, parts in caffe.items()}, True
    layers = {}
    for key in state:
        found = re.fullmatch(r"features\.(\d+)\.(weight|bias)", key)
        if found:
            layers.setdefault(int(found.group(1)), {})[found.group(2)] = state[key]
    if not layers:
        raise Refused(f"{path}: not a VGG: expected features.0.weight or conv1_1.weight among its {len(state)} tensors")
    depth = 19 if set(layers) & {16, 23, 25, 30, 32, 34} else 16 if set(layers) & {17, 24, 26} else 19
    return depth, layers, False


def check(path, depth, layers):
    channels = 3
    places = sorted(names_of(depth).values())
    if 1 in layers:
        raise Refused(f"{path}: a VGG with batch norm is not supported: found features.1")
    for index in layers:
        if index not in places:
            raise Refused(f"{path}: features.{index}: VGG-{depth} has no convolution there")
    for index in places[: places.index(max(layers)) + 1]:
        for part in ("weight", "bias"):
            if part not in layers.get(index, {}):
                raise Refused(f"{path}: features.{index}.{part} is missing")
        shape = tuple(layers[index]["weight"].shape)
        if len(shape) != 4 or shape[1:] != (channels, 3, 3):
            raise Refused(f"{path}: features.{index}.weight: expected Nx{channels}x3x3, found {'x'.join(map(str, shape))}")
        channels = shape[0]


def gather(torch, path, given):
    depth, layers, caffe = convolutions(path, convert_pth.clean(torch, path, convert_pth.load(torch, path)))
    if given.last:
        names = names_of(depth)
        if given.last not in names:
            raise Refused(f"--last {given.last}: expected one of {', '.join(names)}")
        layers = {index: parts for index, parts in layers.items() if index <= names[given.last]}
    check(path, depth, layers)
    tensors = {f"features.{index}.{part}": layers[index][part] for index in sorted(layers) for part in ("weight", "bias")}
    convention = given.input or ("caffe" if caffe else "torchvision")
    return tensors, {"input": convention, "padding": "zero", "pool": "max"}, depth


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pth")
    parser.add_argument("-o", "--out", required=True, help="the .safetensors to write")
    parser.add_argument("--input", choices=("torchvision", "caffe", "unit", "signed"),
                        help="what the network takes (torchvision; caffe where the keys are Caffe's)")
    parser.add_argument("--last", help="the last convolution to keep, as conv5_1")
    given = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("convert_vgg.py: PyTorch is missing: install python3-torch, or `pip install torch`")
    try:
        tensors, metadata, depth = gather(torch, given.pth, given)
        convert_pth.write(given.out, tensors, metadata)
    except Refused as problem:
        sys.exit(f"convert_vgg.py: {problem}")
    values = sum(array.size for array in tensors.values())
    print(f"{given.out}: VGG-{depth}, {len(tensors) // 2} convolutions, {values} values, input {metadata['input']}")


if __name__ == "__main__":
    main()
