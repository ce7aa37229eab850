"""Differentiable augmentation (Zhao et al. 2020) for given draws, and the draws of a training step.

As the paper's code (mit-han-lab/data-efficient-gans) does it, but for the contrast, which is about 0 and not about the
picture's mean. Draws of a picture: brightness, saturation, contrast, shift down and right, top and left of the hole, 0.
"""
import torch
from torch.nn import functional as F

JUDGE = 13  # the stream of random numbers, RNG_JUDGE of base/rng.h


def augment(x, draws, hole):
    """x: (n, c, h, w); draws: a row of 8 numbers for each picture; hole: its side."""
    return torch.stack([augment_one(picture, [float(d) for d in row], hole) for picture, row in zip(x, draws)])


def augment_one(x, draws, hole):
    brightness, saturation, contrast = draws[:3]
    down, right, top, left = (int(d) for d in draws[3:7])
    x = x + brightness
    mean = x.mean(dim=0, keepdim=True)
    x = ((x - mean) * saturation + mean) * contrast
    height, width = x.shape[1:]
    room = max(abs(down), abs(right))
    padded = F.pad(x, (room, room, room, room))
    x = padded[:, room - down : room - down + height, room - right : room - right + width]
    mask = torch.ones(height, width, dtype=x.dtype)
    mask[max(top, 0) : max(top + hole, 0), max(left, 0) : max(left + hole, 0)] = 0
    return x * mask


def philox(seed, stream, step, index):
    """Philox4x32-10 (Salmon et al. 2011) of the counter (index, step, stream)."""
    key = [seed & 0xFFFFFFFF, seed >> 32]
    c = [index, step & 0xFFFFFFFF, step >> 32, stream]
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(second >> 32) ^ c[1] ^ key[0], second & 0xFFFFFFFF, (first >> 32) ^ c[3] ^ key[1], first & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def hole_of(side):
    return int(side * 0.5 + 0.5)


def draws_of(seed, step, number, side):
    """Of the picture with this number among those that discriminators see in a step."""
    colour, place = (philox(seed, JUDGE, step, 2 * number + i) for i in range(2))
    u = [(word >> 8) / 2**24 for word in colour]
    shift, hole = int(side / 8 + 0.5), hole_of(side)
    places = side + 1 - hole % 2
    return [u[0] - 0.5, 2 * u[1], u[2] + 0.5] + [(word * (2 * shift + 1) >> 32) - shift for word in place[:2]] + [
        (word * places >> 32) - hole // 2 for word in place[2:]] + [0]
