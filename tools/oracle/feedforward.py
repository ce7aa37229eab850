"""One step's losses and gradients of a feed-forward style network (Johnson, Alahi, Fei-Fei 2016), by PyTorch in double
precision, as src/style/feedforward.h defines them. Needs vgg_tiny.safetensors (style.py); writes feedforward.safetensors
beside it:

    feedforward.py FIXTURES
"""
import sys

import numpy as np
import torch

import networks
import safetensors_io
from style import Vgg, gram

SIDE = 32
CONTENT = {"relu2_1": 0.75, "relu2_2": 1.5}
STYLE = {"relu1_2": 0.5, "relu2_2": 1.0, "relu3_1": 0.25}
CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT, EXPONENT = 2.0, 3.0, 0.5, 1.5


def smooth(random, count):
    """Pictures of bytes with structure: coarse noise, enlarged, and fine noise on it."""
    coarse = random.rand(count, 4, 4, 3).repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    return (255 * (0.8 * coarse + 0.2 * random.rand(count, SIDE, SIDE, 3))).astype(np.uint8)


def to_torch(pixels, dtype):
    return torch.from_numpy(pixels.astype(np.float64) / 127.5 - 1).to(dtype).permute(0, 3, 1, 2).contiguous()


def variation(x):
    down = x[:, :, 1:, :-1] - x[:, :, :-1, :-1]
    right = x[:, :, :-1, 1:] - x[:, :, :-1, :-1]
    return ((down**2 + right**2 + 1e-6) ** (EXPONENT / 2)).sum() / x.numel()


def losses(vgg, x, y, styles):
    layers = set(CONTENT) | set(STYLE)
    with torch.no_grad():
        of_x, of_styles = vgg.features(x, layers), vgg.features(styles, layers)
        grams = {layer: sum(gram(one[None]) for one in of_styles[layer]) / len(styles) for layer in STYLE}
    of_y = vgg.features(y, layers)
    content = sum(w * ((of_y[layer] - of_x[layer]) ** 2).mean() / (of_x[layer] ** 2).mean() for layer, w in CONTENT.items())
    style = sum(w * ((gram(one[None]) - grams[layer]) ** 2).mean() / (grams[layer] ** 2).mean() / len(y)
                for layer, w in STYLE.items() for one in of_y[layer])
    return [CONTENT_WEIGHT * content, STYLE_WEIGHT * style, TV_WEIGHT * variation(y)]


def run(folder, network, x, styles, dtype):
    vgg = Vgg(safetensors_io.read(f"{folder}/vgg_tiny.safetensors")[0], "unit", dtype=dtype)
    network = network.to(dtype)
    network.zero_grad()
    parts = losses(vgg, to_torch(x, dtype), network(to_torch(x, dtype)), to_torch(styles, dtype))
    sum(parts).backward()
    return [float(part) for part in parts], {key: p.grad.double().numpy() for key, p in network.named_parameters()}


def main(folder):
    random = np.random.RandomState(8)
    network = networks.create("resnet_6blocks", 2, "resize_conv")
    networks.initialise(network, random, rounded=safetensors_io.round_bfloat16)
    x, styles = smooth(random, 2), smooth(random, 2)
    tensors = {"x": x.astype(np.float32), "styles": styles.astype(np.float32)}
    tensors |= {f"G_A.{key}": value.numpy() for key, value in network.state_dict().items()}
    exact = set(tensors)
    parts, gradients = run(folder, network, x, styles, torch.float64)
    single, of_single = run(folder, network, x, styles, torch.float32)
    cancelled = networks.cancelled(network)
    for key, gradient in gradients.items():
        if key in cancelled:
            continue
        tensors[f"gradient.{key}"] = gradient
        print(key, np.linalg.norm(of_single[key] - gradient) / np.linalg.norm(gradient))
    tensors["losses"] = np.array(parts)
    print(parts, single)
    safetensors_io.write(f"{folder}/feedforward.safetensors", tensors, {}, exact)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(*sys.argv[1:])
