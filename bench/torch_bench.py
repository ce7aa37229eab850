"""The jobs of bench.c in PyTorch, on the same networks (tools/oracle/networks.py), one line of JSON each.

  torch_bench.py step SIDE GENERATOR NGF NDF UPSAMPLE STEPS THREADS
  torch_bench.py translate SIDE GENERATOR NGF UPSAMPLE TIMES THREADS
  torch_bench.py gatys SIDE ITERATIONS THREADS

`--precision bf16` may follow the first two: autocast, and channels_last.
"""
import itertools
import json
import pathlib
import resource
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools" / "oracle"))
import torch
from torch.nn import functional as F

import networks
from pictures import picture


def laid_out(network, bf16):
    """In the memory format that is faster in bf16; in fp32 the reference's."""
    return network.to(memory_format=torch.channels_last) if bf16 else network


def step_function(side, kind, ngf, ndf, upsample, bf16):
    """The reference's optimize_parameters (models/cycle_gan_model.py), pools always passing the new image on."""
    g_a, g_b = (laid_out(networks.create(kind, ngf, upsample), bf16) for _ in range(2))
    d_a, d_b = (laid_out(networks.create("patchgan", ndf), bf16) for _ in range(2))
    adam = dict(lr=2e-4, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(itertools.chain(g_a.parameters(), g_b.parameters()), **adam)
    optimizer_d = torch.optim.Adam(itertools.chain(d_a.parameters(), d_b.parameters()), **adam)
    a, b = (torch.rand(1, 3, side, side) * 2 - 1 for _ in range(2))

    def gan(scores, real):
        return F.mse_loss(scores, torch.full_like(scores, float(real)))

    def judge(network, real, fake):
        ((gan(network(real), True) + gan(network(fake.detach()), False)) * 0.5).backward()

    def step():
        fake_b, fake_a = g_a(a), g_b(b)
        restored_a, restored_b = g_b(fake_b), g_a(fake_a)
        for network in (d_a, d_b):
            network.requires_grad_(False)
        optimizer_g.zero_grad()
        loss = F.l1_loss(g_a(b), b) * 5 + F.l1_loss(g_b(a), a) * 5
        loss = loss + gan(d_a(fake_b), True) + gan(d_b(fake_a), True)
        loss = loss + F.l1_loss(restored_a, a) * 10 + F.l1_loss(restored_b, b) * 10
        loss.backward()
        optimizer_g.step()
        for network in (d_a, d_b):
            network.requires_grad_(True)
        optimizer_d.zero_grad()
        judge(d_a, b, fake_b)
        judge(d_b, a, fake_a)
        optimizer_d.step()
        loss.item()

    return step


def translate_function(side, kind, ngf, upsample, bf16):
    network = laid_out(networks.create(kind, ngf, upsample), bf16).eval()
    x = torch.rand(1, 3, side, side) * 2 - 1

    def translate():
        with torch.no_grad():
            network(x)

    return translate


def gatys(side, iterations):
    """Seconds of one L-BFGS iteration of `cyclegan gatys` with its defaults: a VGG-19 of full width and random weights
    with average pooling, relative losses of content relu4_2 and style relu1_1 to relu5_1, strong Wolfe, history 20."""
    from style import WIDTHS, Vgg, content_loss, gram, style_loss  # needs NumPy and Pillow, as the other jobs do not

    layers = [f"relu{block}_1" for block in range(1, 6)]
    names, weights, index, channels = set(layers + ["relu4_2"]), {}, 0, 3
    for width, count in zip(WIDTHS, [2, 2, 4, 4, 1]):
        for _ in range(count):
            weights[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3) * (2 / (9 * channels)) ** 0.5
            weights[f"features.{index}.bias"] = torch.zeros(width)
            index, channels = index + 2, width
        index += 1
    vgg = Vgg(weights, "torchvision", "zero", "average", dtype=torch.float32)
    content, style = (torch.frombuffer(bytearray(picture(side, kind)), dtype=torch.uint8).view(1, side, side, 3)
                      .permute(0, 3, 1, 2).contiguous() / 127.5 - 1 for kind in range(2))
    with torch.no_grad():
        wanted = vgg.features(content, names)["relu4_2"]
        found = vgg.features(style, names)
        grams = {layer: gram(found[layer]) for layer in layers}
    del found
    x, evaluations = content.clone().requires_grad_(), 0
    optimiser = torch.optim.LBFGS([x], max_iter=iterations, max_eval=10**6, history_size=20, tolerance_grad=0,
                                  tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        nonlocal evaluations
        evaluations += 1
        optimiser.zero_grad()
        found = vgg.features(x, names)
        parts = [style_loss("relative", found[layer], grams[layer], side, side) for layer in layers]
        loss = content_loss("relative", found["relu4_2"], wanted) + 100 * sum(parts) / len(layers)
        loss.backward()
        return loss

    begin = time.perf_counter()
    optimiser.step(closure)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds / iterations, "evaluation": seconds / evaluations, "evaluations": evaluations}


def timed(function, count, bf16):
    seconds = []
    untimed = 2 if count > 2 else 1
    for _ in range(count + untimed):
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            function()
        seconds.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(seconds[untimed:]), "least": min(seconds[untimed:])}


def main(job, side, *rest):
    bf16 = rest[-2:] == ("--precision", "bf16")
    rest = rest[:-2] if bf16 else rest
    torch.set_num_threads(int(rest[-1]))
    if job == "gatys":
        result = gatys(int(side), int(rest[0]))
    else:
        kind, *numbers, upsample, count, _ = rest
        function = (step_function if job == "step" else translate_function)(int(side), kind, *map(int, numbers), upsample,
                                                                            bf16)
        result = timed(function, int(count), bf16)
    print(json.dumps({**result, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
