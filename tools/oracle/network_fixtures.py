"""Whole networks: output y of a noise x, and the gradients of sum(y * r) for a noise r, in double precision.

x = noise(1, shape of x) and r = noise(2, shape of y), both (n, h, w, c), are made, not stored; y and x's gradient dx
are stored at every `sample`-th row and column. Weights are stored as BF16, which holds them exactly.
"""
import sys

import numpy as np
import torch

import networks
import safetensors_io

CASES = [
    ("resnet_6blocks_transpose", "resnet_6blocks", 4, 32, dict(upsample="transpose")),
    ("resnet_6blocks_resize_conv", "resnet_6blocks", 4, 32, dict(upsample="resize_conv")),
    ("resnet_9blocks", "resnet_9blocks", 2, 32, dict(upsample="transpose")),
    ("unet_128", "unet_128", 2, 128, {}),
    ("unet_256", "unet_256", 1, 256, {}),
    ("patchgan", "patchgan", 4, 64, {}),
    ("n_layers", "n_layers", 4, 32, dict(layers=2)),
    ("pixel", "pixel", 4, 16, {}),
]


def images_to_torch(array, dtype):
    return torch.from_numpy(np.array(array)).to(dtype).permute(0, 3, 1, 2).contiguous()


def to_images(tensor):
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def run(network, x, dtype):
    """y, dx and every parameter's gradient."""
    network = network.to(dtype)
    network.zero_grad()
    x = images_to_torch(x, dtype).requires_grad_()
    y = network(x)
    r = networks.noise(2, *to_images(y).shape)
    (y * images_to_torch(r, dtype)).sum().backward()
    gradients = {name: p.grad.numpy().copy() for name, p in network.named_parameters()}
    return to_images(y), to_images(x.grad), gradients


def distance(a, b):
    return np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b)


def fixture(folder, file, kind, width, side, options, seed):
    network = networks.create(kind, width, **options)
    networks.initialise(network, np.random.RandomState(seed), rounded=safetensors_io.round_bfloat16)
    x = networks.noise(1, 1, side, side, 3)
    state = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    y, dx, gradients = run(network, x, torch.float64)
    cancelled = networks.cancelled(network)
    y32, dx32, gradients32 = run(network, x, torch.float32)
    worst = max(distance(gradients32[name], gradients[name]) for name in gradients if name not in cancelled)
    print(f"{file}: output deviates by {y.std():.2g}; float32 is off by {distance(y32, y):.1e} in y, "
          f"{distance(dx32, dx):.1e} in dx, at most {worst:.1e} in a gradient")

    sample = 4 if side >= 128 else 1
    tensors = {f"state.{name}": value for name, value in state.items()}
    tensors.update({f"gradient.{name}": value for name, value in gradients.items() if name not in cancelled})
    tensors["y"] = y[:, ::sample, ::sample]
    tensors["dx"] = dx[:, ::sample, ::sample]
    metadata = {"network": kind, "width": width, "side": side, "sample": sample, "cancelled": " ".join(cancelled)}
    safetensors_io.write(f"{folder}/network_{file}.safetensors", tensors, {**metadata, **options},
                         bfloat16={f"state.{name}" for name in state})


def main(folder):
    for index, case in enumerate(CASES):
        fixture(folder, *case, seed=100 + index)


if __name__ == "__main__":
    main(sys.argv[1])
