"""The jobs of bench.c in PyTorch, on the same networks (tools/oracle/networks.py), one line of JSON each.

  torch_bench.py step SIDE GENERATOR NGF NDF UPSAMPLE STEPS THREADS
  torch_bench.py translate SIDE GENERATOR NGF UPSAMPLE TIMES THREADS
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


def step_function(side, kind, ngf, ndf, upsample):
    """The reference's optimize_parameters (models/cycle_gan_model.py), pools always passing the new image on."""
    g_a, g_b = (networks.create(kind, ngf, upsample) for _ in range(2))
    d_a, d_b = (networks.create("patchgan", ndf) for _ in range(2))
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


def translate_function(side, kind, ngf, upsample):
    network = networks.create(kind, ngf, upsample).eval()
    x = torch.rand(1, 3, side, side) * 2 - 1

    def translate():
        with torch.no_grad():
            network(x)

    return translate


def main(job, side, kind, *rest):
    *numbers, upsample, count, threads = rest
    torch.set_num_threads(int(threads))
    function = (step_function if job == "step" else translate_function)(int(side), kind, *map(int, numbers), upsample)
    seconds = []
    for i in range(int(count) + 2):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"seconds": statistics.median(seconds[2:]), "least": min(seconds[2:]),
                      "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
