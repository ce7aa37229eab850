"""Perceptual networks and Gatys' losses, by PyTorch in double precision.

Writes vgg_tiny.safetensors (a VGG-19 up to conv3_1 of a few channels, in torchvision's keys), vgg.safetensors (features
of a photograph) and style.safetensors (losses, their gradients, ends of L-BFGS runs) into the folder named first. The
second argument is a folder with weights/vgg19_16x.safetensors and gatys/Tuebingen_Neckarfront.jpg.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import safetensors_io

WIDTHS = [64, 128, 256, 512, 512]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CAFFE = [103.939, 116.779, 123.68]


def philox(seed, stream, step, indices):
    """Two 32-bit words for each index: src/base/rng.c, Philox4x32-10."""
    mask, u64 = np.uint64(0xFFFFFFFF), np.uint64
    c = [indices.astype(u64)] + [np.full(indices.shape, value, u64) for value in (step & 0xFFFFFFFF, step >> 32, stream)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        product0, product1 = c[0] * u64(0xD2511F53), c[2] * u64(0xCD9E8D57)
        c = [(product1 >> u64(32)) ^ c[1] ^ u64(key[0]), product1 & mask, (product0 >> u64(32)) ^ c[3] ^ u64(key[1]),
             product0 & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0], c[1]


def normal(seed, stream, step, count):
    u, v = philox(seed, stream, step, np.arange(count))
    u = (u.astype(np.float64) + 1) / 2.0**32
    v = v.astype(np.float64) / 2.0**32
    return (np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)).astype(np.float32)


class Vgg:
    """Features by name; x: (1, 3, h, w) in [-1, 1]."""

    def __init__(self, weights, convention, padding="zero", pool="max", ceil=False, dtype=torch.float64):
        self.weights = {key: torch.from_numpy(np.array(value)).to(dtype) for key, value in weights.items()}
        self.convention, self.padding, self.pool, self.ceil, self.dtype = convention, padding, pool, ceil, dtype

    def prepare(self, x):
        row = lambda values: torch.tensor(values, dtype=self.dtype).view(1, 3, 1, 1)
        if self.convention == "torchvision":
            return ((x + 1) / 2 - row(MEAN)) / row(STD)
        if self.convention == "caffe":
            return (x.flip(1) + 1) * 127.5 - row(CAFFE)
        return (x + 1) / 2 if self.convention == "unit" else x

    def features(self, x, names):
        found, index, x = {}, 0, self.prepare(x)
        for block, count in enumerate([2, 2, 4, 4, 4], 1):
            for number in range(1, count + 1):
                if f"features.{index}.weight" not in self.weights:
                    return found
                w, b = (self.weights[f"features.{index}.{kind}"] for kind in ("weight", "bias"))
                if self.padding == "reflect":
                    x = F.pad(x, (1, 1, 1, 1), mode="reflect")
                x = F.conv2d(x, w, b, padding=1 if self.padding == "zero" else 0)
                found[f"conv{block}_{number}"] = x
                x = F.relu(x)
                found[f"relu{block}_{number}"] = x
                index += 2
                if names <= found.keys():
                    return found
            x = F.max_pool2d(x, 2, 2, ceil_mode=self.ceil) if self.pool == "max" else F.avg_pool2d(x, 2, 2)
            found[f"pool{block}"] = x
            index += 1
        return found


def he_normal(seed):
    """RNG_FEATURES of src/base/rng.h is stream 9; the step is the number of the convolution."""
    weights, index, number, channels = {}, 0, 0, 3
    for block, count in enumerate([2, 2, 4, 4, 4]):
        for _ in range(count):
            out = WIDTHS[block]
            values = normal(seed, 9, number, out * channels * 9).astype(np.float64) * np.sqrt(2 / (9 * channels))
            weights[f"features.{index}.weight"] = values.astype(np.float32).reshape(out, channels, 3, 3)
            weights[f"features.{index}.bias"] = np.zeros(out, np.float32)
            index, number, channels = index + 2, number + 1, out
        index += 1
    return weights


def tiny():
    random, weights, channels = np.random.RandomState(6), {}, 3
    for index, out in [(0, 6), (2, 7), (5, 8), (7, 8), (10, 9)]:
        w = random.standard_normal((out, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        weights[f"features.{index}.weight"] = safetensors_io.round_bfloat16(w.astype(np.float32))
        weights[f"features.{index}.bias"] = safetensors_io.round_bfloat16(random.standard_normal(out).astype(np.float32) * 0.1)
        channels = out
    return weights


def photograph(path, width, height):
    return np.asarray(Image.open(path).convert("RGB").resize((width, height), Image.BICUBIC))


def to_torch(pixels, dtype=torch.float64):
    """(h, w, 3) bytes -> (1, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(pixels.astype(np.float64) / 127.5 - 1).to(dtype).permute(2, 0, 1)[None].contiguous()


def corners(side):
    """Four places along a side, both ends among them."""
    return [i * (side - 1) // 3 for i in range(4)]


def add_features(tensors, name, vgg, pixels, layers):
    """Of each layer: 16 places with all channels, and over all places the mean and the root mean square of channels."""
    found = vgg.features(to_torch(pixels), set(layers))
    for layer in layers:
        y = found[layer][0].permute(1, 2, 0).numpy()
        tensors[f"{name}.{layer}.places"] = y[corners(y.shape[0])][:, corners(y.shape[1])]
        tensors[f"{name}.{layer}.mean"] = y.mean((0, 1))
        tensors[f"{name}.{layer}.rms"] = np.sqrt((y**2).mean((0, 1)))


def features(folder, data):
    photo = photograph(f"{data}/gatys/Tuebingen_Neckarfront.jpg", 64, 46)
    small = tiny()
    safetensors_io.write(f"{folder}/vgg_tiny.safetensors", small, {"input": "unit", "padding": "zero"}, set(small))
    tensors = {"photo": photo.astype(np.float32)}
    pruned, _ = safetensors_io.read(f"{data}/weights/vgg19_16x.safetensors")
    add_features(tensors, "pruned", Vgg(pruned, "unit", "reflect", ceil=True), photo,
                 ["relu1_1", "pool1", "relu4_2", "conv5_1", "relu5_1"])
    add_features(tensors, "random", Vgg(he_normal(3), "torchvision", pool="average"), photo,
                 ["relu1_2", "pool2", "conv3_4", "relu4_2", "relu5_4"])
    for convention in ("torchvision", "caffe", "unit", "signed"):
        for padding in ("zero", "reflect", "none"):
            add_features(tensors, f"{convention}.{padding}", Vgg(small, convention, padding), photo, ["relu3_1"])
    safetensors_io.write(f"{folder}/vgg.safetensors", tensors, {}, {"photo"})


def gram(x):
    """Of the channels, over the pixels' number: (c, c)."""
    c = x.shape[1]
    rows = x[0].reshape(c, -1)
    return rows @ rows.t() / rows.shape[1]


def content_loss(form, x, y):
    square = (x - y) ** 2
    return {"mean": square.mean, "half_sum": lambda: square.sum() / 2, "sum": square.sum,
            "relative": lambda: square.sum() / (y**2).sum()}[form]()


def style_loss(form, x, target, height, width):
    """As written in the literature, from the products' sums. target: the style's Gram matrix over its pixels' number;
    height and width: of the picture, for Keras' form."""
    c, pixels = x.shape[1], x.shape[2] * x.shape[3]
    rows = x[0].reshape(c, -1)
    products, wanted = rows @ rows.t(), target * pixels
    if form == "gatys":  # Gatys, Ecker, Bethge 2016, equation 4
        return ((products - wanted) ** 2).sum() / (4 * c**2 * pixels**2)
    if form == "element":
        return (((products - wanted) / (c * pixels)) ** 2).mean()
    if form == "keras":
        return ((products - wanted) ** 2).sum() / (4 * 9 * (height * width) ** 2)
    return ((products - wanted) ** 2).sum() / (wanted**2).sum()


def total_variation(x, exponent):
    """x: in [-1, 1]; of grey levels."""
    x = x * 127.5
    down = x[:, :, 1:, :-1] - x[:, :, :-1, :-1]
    right = x[:, :, :-1, 1:] - x[:, :, :-1, :-1]
    return ((down**2 + right**2) ** (exponent / 2)).sum()


STYLE_LAYERS = ["relu1_1", "relu2_1", "conv3_1"]
STYLE_WEIGHTS = [0.5, 1.0, 0.25]
CONTENT_LAYERS = ["relu2_2"]
CASES = {  # content form, style form, content weight, style weight, total variation's weight and exponent
    "gatys": ("half_sum", "gatys", 1.0, 1000.0, 0.0, 2.5),
    "element": ("mean", "element", 1.0, 5000.0, 1e-8, 2.0),
    "keras": ("sum", "keras", 0.025, 1000.0, 1e-9, 2.5),
    "relative": ("relative", "relative", 1.0, 0.1, 1e-9, 2.5),
}


def losses(vgg, case, x, content, grams):
    content_form, style_form, content_weight, style_weight, tv_weight, exponent = CASES[case]
    found = vgg.features(x, set(STYLE_LAYERS + CONTENT_LAYERS))
    height, width = x.shape[2:]
    parts = [content_weight * sum(content_loss(content_form, found[layer], content[layer]) for layer in CONTENT_LAYERS),
             style_weight * sum(weight * style_loss(style_form, found[layer], grams[layer], height, width)
                                for layer, weight in zip(STYLE_LAYERS, STYLE_WEIGHTS)),
             tv_weight * total_variation(x, exponent)]
    return parts


def targets(vgg, content, style):
    layers = set(STYLE_LAYERS + CONTENT_LAYERS)
    content, style = vgg.features(to_torch(content), layers), vgg.features(to_torch(style), layers)
    return content, {layer: gram(style[layer]) for layer in STYLE_LAYERS}


def optimised(vgg, case, start, content, grams, iterations, history=20):
    """The loss that torch.optim.LBFGS reaches from `start`."""
    x = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([x], max_iter=iterations, max_eval=10**6, history_size=history, tolerance_grad=0,
                                  tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = sum(losses(vgg, case, x, content, grams))
        loss.backward()
        return loss

    optimiser.step(closure)
    return float(sum(losses(vgg, case, x.detach(), content, grams)))


def style(folder, data):
    content = photograph(f"{data}/gatys/Tuebingen_Neckarfront.jpg", 48, 36)
    painting = photograph(f"{data}/gatys/vangogh_starry_night.jpg", 44, 40)
    start = np.random.RandomState(7).randint(0, 256, content.shape).astype(np.uint8)
    tensors = {"content": content.astype(np.float32), "style": painting.astype(np.float32),
               "start": start.astype(np.float32)}
    vgg = Vgg(tiny(), "unit")
    features_of_content, grams = targets(vgg, content, painting)
    about = {"content_layers": " ".join(CONTENT_LAYERS), "style_layers": " ".join(STYLE_LAYERS),
             "style_weights": " ".join(map(str, STYLE_WEIGHTS))}
    for layer in STYLE_LAYERS:
        tensors[f"gram.{layer}"] = grams[layer].numpy()
    for case in CASES:
        x = to_torch(start).requires_grad_()
        parts = losses(vgg, case, x, features_of_content, grams)
        sum(parts).backward()
        tensors[f"{case}.losses"] = np.array([float(part) for part in parts])
        tensors[f"{case}.gradient"] = x.grad[0].permute(1, 2, 0).numpy()
        about[case] = " ".join(map(str, CASES[case]))
        end = optimised(vgg, case, to_torch(content), features_of_content, grams, 30)
        about[f"{case}.lbfgs30"] = repr(end)
        print(case, [float(part) for part in parts], "after 30 iterations", end)
    safetensors_io.write(f"{folder}/style.safetensors", tensors, about, {"content", "style", "start"})


if __name__ == "__main__":
    torch.set_num_threads(2)
    features(*sys.argv[1:3])
    style(*sys.argv[1:3])
