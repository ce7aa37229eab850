"""Single operations: inputs, outputs and the gradients of sum(y * r), by PyTorch in double precision.

Names are OPERATION.CASE.TENSOR; the metadata of OPERATION.CASE holds its attributes as "key=value" words.
Activations are stored (n, h, w, c), weights in PyTorch's order, per-channel vectors (c,).
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

import augment
import safetensors_io

random = np.random.RandomState(20)
tensors, attributes = {}, {}


def normal(*shape, scale=1.0, offset=0.0):
    return (random.standard_normal(shape) * scale + offset).astype(np.float32)


def to_torch(array, images):
    """Double precision; images go from (n, h, w, c) to PyTorch's (n, c, h, w)."""
    value = torch.from_numpy(np.array(array, np.float64))
    value = value.permute(0, 3, 1, 2).contiguous() if images else value
    return value.requires_grad_()


def to_array(value, images):
    return (value.permute(0, 2, 3, 1) if images else value).detach().numpy()


def case(name, function, inputs, **words):
    """inputs: name -> array; "w" and "b" keep their order, others of rank 4 are images."""
    assert name not in attributes, name
    images = {key: array.ndim == 4 and key not in "wb" for key, array in inputs.items()}
    values = {key: to_torch(array, images[key]) for key, array in inputs.items()}
    y = function(*values.values())
    y_images = y.dim() == 4
    r = safetensors_io.round_bfloat16(normal(*to_array(y, y_images).shape))
    (y * to_torch(r, y_images).detach()).sum().backward()
    for key, array in inputs.items():
        tensors[f"{name}.{key}"] = array
    tensors[f"{name}.y"] = to_array(y, y_images)
    tensors[f"{name}.r"] = r
    for key, value in values.items():
        tensors[f"{name}.d{key}"] = to_array(value.grad, images[key])
    attributes[name] = " ".join(f"{key}={value}" for key, value in words.items())


def convolutions():
    for shape, out, k, s, p in [((2, 6, 7, 3), 5, 3, 1, 1), ((2, 9, 7, 3), 4, 3, 2, 1), ((1, 9, 8, 3), 4, 7, 1, 0),
                                ((2, 8, 6, 3), 8, 4, 2, 1), ((1, 7, 7, 4), 1, 4, 1, 1), ((2, 5, 4, 6), 3, 1, 1, 0),
                                ((1, 6, 6, 16), 16, 3, 1, 0), ((1, 5, 5, 9), 17, 3, 1, 1)]:
        w = normal(out, shape[3], k, k, scale=0.3)
        case(f"conv2d.k{k}s{s}p{p}c{shape[3]}", lambda x, w: F.conv2d(x, w, stride=s, padding=p),
             {"x": normal(*shape), "w": w}, stride=s, padding=p)
    for shape, out, k, s, p, o in [((2, 4, 5, 6), 3, 3, 2, 1, 1), ((2, 3, 5, 6), 4, 4, 2, 1, 0),
                                   ((1, 1, 1, 8), 8, 4, 2, 1, 0), ((1, 4, 4, 16), 8, 3, 2, 1, 1),
                                   ((1, 4, 3, 2), 3, 3, 1, 1, 0)]:
        w = normal(shape[3], out, k, k, scale=0.3)
        case(f"conv2d_transpose.k{k}s{s}p{p}o{o}c{shape[3]}",
             lambda x, w: F.conv_transpose2d(x, w, stride=s, padding=p, output_padding=o),
             {"x": normal(*shape), "w": w}, stride=s, padding=p, output_padding=o)
    case("bias.plain", lambda x, b: x + b.view(1, -1, 1, 1), {"x": normal(2, 5, 3, 7), "b": normal(7)})


def normalisations():
    for name, x in [("plain", normal(2, 8, 6, 5)), ("wide", normal(1, 3, 4, 33, scale=3)),
                    ("far_mean", normal(1, 8, 8, 3, offset=100)), ("small_variance", normal(1, 6, 6, 4, scale=3e-3)),
                    ("two_pixels", normal(2, 1, 2, 3)), ("one_row", normal(1, 1, 9, 4))]:
        case(f"instance_norm.{name}", lambda x: F.instance_norm(x, eps=1e-5), {"x": x}, epsilon=1e-5)


def elementwise():
    x = normal(2, 5, 4, 7, scale=2)
    x[0, 0, 0, :] = [0, -0.0, 20, -20, 100, -100, 1e-3]
    case("relu.plain", F.relu, {"x": x})
    case("leaky_relu.plain", lambda x: F.leaky_relu(x, 0.2), {"x": x}, slope=0.2)
    case("tanh.plain", torch.tanh, {"x": x})
    case("sigmoid.plain", torch.sigmoid, {"x": x})
    case("multiply.plain", torch.mul, {"x": normal(2, 3, 4, 5), "x2": normal(2, 3, 4, 5)})
    case("add.plain", torch.add, {"x": normal(2, 3, 4, 5), "x2": normal(2, 3, 4, 5)})
    case("scale.plain", lambda x: -1.5 * x, {"x": normal(1, 3, 4, 5)}, scale=-1.5)


def mirror(x, top, bottom, left, right):
    """Reflection repeated as often as the padding asks for."""
    rows = np.pad(np.arange(x.shape[2]), (top, bottom), mode="reflect")
    columns = np.pad(np.arange(x.shape[3]), (left, right), mode="reflect")
    return x[:, :, rows][:, :, :, columns]


def moves():
    for name, top, bottom, left, right in [("three", 3, 3, 3, 3), ("one", 1, 1, 1, 1), ("uneven", 1, 0, 2, 3)]:
        for mode, theirs in [("zero", "constant"), ("reflect", "reflect"), ("edge", "replicate")]:
            case(f"pad.{mode}_{name}", lambda x: F.pad(x, (left, right, top, bottom), mode=theirs),
                 {"x": normal(2, 4, 5, 3)}, mode=mode, top=top, bottom=bottom, left=left, right=right)
    case("pad.reflect_repeated", lambda x: mirror(x, 7, 5, 3, 6), {"x": normal(1, 3, 2, 2)}, mode="reflect", top=7,
         bottom=5, left=3, right=6)
    parts = [normal(2, 3, 4, c) for c in (3, 1, 8)]
    case("concat.channels", lambda *x: torch.cat(x, 1), dict(zip(("x", "x2", "x3"), parts)), axis="c")
    parts = [normal(n, 3, 4, 5) for n in (1, 2)]
    case("concat.images", lambda *x: torch.cat(x, 0), dict(zip(("x", "x2"), parts)), axis="n")
    case("slice.channels", lambda x: x[:, 2:5], {"x": normal(2, 3, 4, 7)}, axis="c", begin=2, extent=3)
    case("slice.images", lambda x: x[1:3], {"x": normal(3, 3, 4, 2)}, axis="n", begin=1, extent=2)


def resampling():
    for factor in (2, 3):
        case(f"resize_nearest.x{factor}", lambda x: F.interpolate(x, scale_factor=factor, mode="nearest"),
             {"x": normal(2, 3, 2, 5)}, factor=factor)
    for name, shape, size in [("up", (2, 5, 6, 3), (9, 13)), ("double", (1, 4, 3, 4), (8, 6)),
                              ("down", (2, 12, 10, 3), (5, 4)), ("half", (1, 8, 6, 2), (4, 3)),
                              ("mixed", (1, 4, 9, 2), (7, 5)), ("one", (1, 1, 1, 3), (3, 4))]:
        case(f"resize_bilinear.{name}", lambda x: F.interpolate(x, size=size, mode="bilinear", align_corners=False),
             {"x": normal(*shape)}, height=size[0], width=size[1])
    for k, s, side in [(2, 2, 7), (3, 2, 8), (2, 3, 6)]:
        for ceil in (False, True):
            case(f"max_pool.k{k}s{s}{'ceil' if ceil else 'floor'}", lambda x: F.max_pool2d(x, k, s, ceil_mode=ceil),
                 {"x": normal(2, side, side + 1, 3)}, kernel=k, stride=s, ceil=int(ceil))
    ties = random.randint(0, 3, (1, 9, 9, 4)).astype(np.float32)
    case("max_pool.ties", lambda x: F.max_pool2d(x, 3, 2), {"x": ties}, kernel=3, stride=2, ceil=0)
    for k, s in [(2, 2), (3, 2), (3, 1)]:
        case(f"average_pool.k{k}s{s}", lambda x: F.avg_pool2d(x, k, s), {"x": normal(2, 7, 8, 3)}, kernel=k, stride=s)


def losses():
    pair = {"x": normal(2, 5, 4, 3), "x2": normal(2, 5, 4, 3)}
    case("mean_abs.pair", lambda a, b: F.l1_loss(a, b).view(1), pair)
    case("mean_square.pair", lambda a, b: F.mse_loss(a, b).view(1), pair)
    for target in (0.0, 1.0):
        x = normal(2, 5, 4, 1, scale=3)
        x[0, 0, :, 0] = [40, -40, 100, -100]
        name = f"target{target:.0f}"
        filled = lambda x: torch.full_like(x, target)
        case(f"mean_abs.{name}", lambda x: F.l1_loss(x, filled(x)).view(1), {"x": x}, target=target)
        case(f"mean_square.{name}", lambda x: F.mse_loss(x, filled(x)).view(1), {"x": x}, target=target)
        case(f"bce_logits.{name}", lambda x: F.binary_cross_entropy_with_logits(x, filled(x)).view(1), {"x": x},
             target=target)
    for scale in (1.0, 0.01):
        case(f"gram.scale{scale:g}", lambda x: gram(x) * scale, {"x": normal(2, 5, 6, 7)}, scale=scale)
    for exponent, epsilon in [(2.0, 0.0), (1.0, 1e-4), (2.5, 0.0)]:
        case(f"total_variation.exponent{exponent:g}", lambda x: total_variation(x, 0.05, exponent, epsilon).view(1),
             {"x": normal(2, 5, 6, 3)}, scale=0.05, exponent=exponent, epsilon=epsilon)


def gram(x):
    """(n, c, c) as an image of one row, so that it is stored (n, 1, c, c) after the permutation."""
    products = torch.einsum("nihw,njhw->nij", x, x)
    return products[:, :, None, :].permute(0, 3, 2, 1)


def total_variation(x, scale, exponent, epsilon):
    down = x[:, :, 1:, :-1] - x[:, :, :-1, :-1]
    right = x[:, :, :-1, 1:] - x[:, :, :-1, :-1]
    return scale * ((down**2 + right**2 + epsilon) ** (exponent / 2)).sum()


def augmentations():
    """Colours alone; shifts both ways; a hole in the middle and over a corner."""
    for name, shape, hole, draws in [
            ("colour", (2, 5, 4, 3), 0, [[0.3, 1.7, 0.6, 0, 0, 0, 0, 0], [-0.4, 0.2, 1.4, 0, 0, 0, 0, 0]]),
            ("shift", (3, 6, 5, 3), 0, [[0, 1, 1, 2, -1, 0, 0, 0], [0, 1, 1, -3, 4, 0, 0, 0], [0, 1, 1, 0, 5, 0, 0, 0]]),
            ("all", (2, 7, 8, 3), 4, [[0.3, 0.5, 1.2, 1, 2, 2, 3, 0], [-0.2, 1.5, 0.7, -2, 1, -2, 6, 0]]),
            ("four", (1, 4, 4, 4), 2, [[0.1, 0.5, 2, 1, 0, 1, 1, 0]])]:
        case(f"augment.{name}", lambda x: augment.augment(x, draws, hole), {"x": normal(*shape)}, hole=hole)
        tensors[f"augment.{name}.draws"] = np.array(draws, np.float32)[:, None, None, :]


def main(folder):
    for group in (convolutions, normalisations, elementwise, moves, resampling, losses, augmentations):
        group()
    safetensors_io.write(f"{folder}/ops.safetensors", tensors, attributes,
                         bfloat16={name for name in tensors if name.endswith(".r")})
    print(f"ops.safetensors: {len(attributes)} cases")


if __name__ == "__main__":
    main(sys.argv[1])
