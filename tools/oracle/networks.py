"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix (models/networks.py), with the same modules in the same places,
so that their state dicts have the same keys. Norm is InstanceNorm2d without affine parameters or running statistics;
no dropout. `resize_conv` is this project's own up-sampling in the same nn.Sequential.
"""
import numpy as np
import torch
from torch import nn


def norm(channels):
    return nn.InstanceNorm2d(channels, affine=False, track_running_stats=False)


class ResnetBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels))

    def forward(self, x):
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    def __init__(self, ngf, blocks, upsample):
        super().__init__()
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), norm(ngf), nn.ReLU(True)]
        for c in (ngf, 2 * ngf):
            layers += [nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), norm(2 * c), nn.ReLU(True)]
        layers += [ResnetBlock(4 * ngf) for _ in range(blocks)]
        for c in (4 * ngf, 2 * ngf):
            if upsample == "transpose":
                layers += [nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1)]
            else:
                layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.ReflectionPad2d(1), nn.Conv2d(c, c // 2, 3)]
            layers += [norm(c // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class UnetBlock(nn.Module):
    """The activations work in place, on the tensor that the skip carries: it carries leaky_relu(x)."""

    def __init__(self, outer, inner, channels_in=None, submodule=None, outermost=False, innermost=False):
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(channels_in or outer, inner, 4, stride=2, padding=1)
        up = nn.ConvTranspose2d(inner if innermost else 2 * inner, outer, 4, stride=2, padding=1)
        before, after = nn.LeakyReLU(0.2, True), nn.ReLU(True)
        if outermost:
            layers = [down, submodule, after, up, nn.Tanh()]
        elif innermost:
            layers = [before, down, after, up, norm(outer)]
        else:
            layers = [before, down, norm(inner), submodule, after, up, norm(outer)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UnetGenerator(nn.Module):
    def __init__(self, ngf, downs):
        super().__init__()
        block = UnetBlock(8 * ngf, 8 * ngf, innermost=True)
        for _ in range(downs - 5):
            block = UnetBlock(8 * ngf, 8 * ngf, submodule=block)
        for c in (4 * ngf, 2 * ngf, ngf):
            block = UnetBlock(c, 2 * c, submodule=block)
        self.model = UnetBlock(3, ngf, channels_in=3, submodule=block, outermost=True)

    def forward(self, x):
        return self.model(x)


class PatchDiscriminator(nn.Module):
    def __init__(self, ndf, layers):
        super().__init__()
        widths = [ndf * min(2**n, 8) for n in range(layers + 1)]
        sequence = [nn.Conv2d(3, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
        for n in range(1, layers + 1):
            stride = 2 if n < layers else 1
            sequence += [nn.Conv2d(widths[n - 1], widths[n], 4, stride=stride, padding=1), norm(widths[n]),
                         nn.LeakyReLU(0.2, True)]
        self.model = nn.Sequential(*sequence, nn.Conv2d(widths[layers], 1, 4, stride=1, padding=1))

    def forward(self, x):
        return self.model(x)


class PixelDiscriminator(nn.Module):
    def __init__(self, ndf):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, ndf, 1), nn.LeakyReLU(0.2, True), nn.Conv2d(ndf, 2 * ndf, 1), norm(2 * ndf),
            nn.LeakyReLU(0.2, True), nn.Conv2d(2 * ndf, 1, 1))

    def forward(self, x):
        return self.net(x)


def create(kind, width, upsample="transpose", layers=3):
    """kind: the name that the project's configs use; width: ngf or ndf."""
    if kind in ("resnet_6blocks", "resnet_9blocks"):
        return ResnetGenerator(width, int(kind[7]), upsample)
    if kind in ("unet_128", "unet_256"):
        return UnetGenerator(width, 7 if kind == "unet_128" else 8)
    return PixelDiscriminator(width) if kind == "pixel" else PatchDiscriminator(width, layers)


def initialise(network, random, weight=None, rounded=lambda array: array):
    """Normal weights of deviation `weight` (default 1 / sqrt(fan-in)), biases of 0.1: larger than the reference's
    N(0, 0.02) and 0, under which a wrong term may hide. Every value is one that a float32 holds."""
    for name, parameter in network.state_dict().items():
        shape = tuple(parameter.shape)
        fan_in = int(np.prod(shape)) // shape[0]
        deviation = 0.1 if name.endswith("bias") else weight or fan_in**-0.5
        values = rounded((random.standard_normal(shape) * deviation).astype(np.float32))
        parameter.copy_(torch.from_numpy(np.array(values)))


def cancelled(network):
    """Names of biases that an instance norm directly behind subtracts again: their gradient is rounding noise."""
    found = []
    for prefix, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            names, children = zip(*module.named_children())
            for name, child, after in zip(names, children, children[1:]):
                if isinstance(after, nn.InstanceNorm2d) and child.bias is not None:
                    found.append(f"{prefix}.{name}.bias")
    return found


def noise(seed, *shape):
    """Reproducible bytes as multiples of 1/128 from -1 to 127/128 (Wellons' lowbias32 of seed * 0x9e3779b9 + index)."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint64)
    x = (index + seed * 0x9E3779B9) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * factor) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    return ((x >> np.uint64(24)).astype(np.float64) / 128 - 1).reshape(shape).astype(np.float32)
