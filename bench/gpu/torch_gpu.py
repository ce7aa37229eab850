"""The jobs of bench/gpu/bench.c in PyTorch on the same networks (tools/oracle/networks.py), one line of JSON each.

  torch_gpu.py step SIDE GENERATOR NGF NDF UPSAMPLE BATCH VARIANT STEPS
  torch_gpu.py translate SIDE GENERATOR NGF UPSAMPLE BATCH VARIANT TIMES
  torch_gpu.py ceilings            seconds of a large copy and a large product: what the device can do
  torch_gpu.py --wait ...          says "ready" when all is loaded and compiled, and measures when a line comes

VARIANT:
  default         fp32, eager, as PyTorch comes (convolutions in TF32, which it allows by itself)
  graph           bf16 autocast, channels_last, fused Adam, the whole step one CUDA graph
  compiled_graph  the same with torch.compile

Those with graphs are measured without and with cudnn.benchmark, and the faster is told.

A repetition begins with the pictures in pinned memory and ends with its losses or pictures there. `default` moves floats,
as the reference does; the others bytes, which are made floats and back on the device. Times as in bench.c: "seconds" where
each repetition begins before the one before it ends, "alone" where not.
"""
import itertools
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "oracle"))
import torch
from torch.nn import functional as F

import networks

UNTIMED = 5


class Variant:
    def __init__(self, name):
        self.fast = name != "default"
        self.captured = name.endswith("graph")
        self.compiled = name == "compiled_graph"

    def network(self, kind, width, upsample="transpose"):
        network = networks.create(kind, width, upsample).cuda()
        if self.fast:
            network = network.to(memory_format=torch.channels_last)
        return network

    def callable(self, network):
        return torch.compile(network) if self.compiled else network

    def autocast(self):  # the cache of casts would point into the graph's memory
        return torch.autocast("cuda", torch.bfloat16, enabled=self.fast, cache_enabled=not self.captured)

    def pictures(self, batch, side):
        """On the host and on the device: (n, h, w, 3) bytes, or (n, 3, h, w) floats."""
        x = torch.rand(batch, 3, side, side) * 2 - 1
        if self.fast:
            x = pixels_of(x)
        return x.pin_memory(), x.cuda()

    def floats(self, x):
        """What networks take of pictures on the device."""
        return floats_of(x) if self.fast else x

    def adam(self, *nets):
        extra = dict(fused=True, capturable=self.captured) if self.fast else {}
        return torch.optim.Adam(itertools.chain(*(n.parameters() for n in nets)), lr=2e-4, betas=(0.5, 0.999), **extra)


def floats_of(pixels):
    """(n, h, w, 3) bytes -> (n, 3, h, w) floats in [-1, 1], channels last."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def pixels_of(floats):
    return ((floats.float() + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class Translation(torch.nn.Module):
    """From bytes to bytes, so that torch.compile sees all of it."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return pixels_of(self.network(floats_of(pixels)))


class Results:
    """What a repetition leaves on the host: as many repetitions may be open as there are places for."""

    PLACES = 2

    def __init__(self):
        self.places, self.begun, self.ended = [], 0, 0

    def begin(self, result):
        """Its copy is on its way."""
        if len(self.places) < self.PLACES:
            self.places.append((torch.empty_like(result, device="cpu").pin_memory(), torch.cuda.Event()))
        host, there = self.places[self.begun % self.PLACES]
        host.copy_(result, non_blocking=True)
        there.record()
        self.begun += 1

    def end(self):
        host, there = self.places[self.ended % self.PLACES]
        there.synchronize()
        self.ended += 1
        return host


def captured(function, stream):
    """function() as one CUDA graph; its result is in the same tensors after every replay."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = function()

    def replay():
        graph.replay()
        return result

    return replay


def repetition(run, copies):
    """Its beginning and its end: `copies` are (host, device) tensors, the pictures."""
    results = Results()

    def begin():
        for host, device in copies:
            device.copy_(host, non_blocking=True)
        results.begin(run())

    return begin, results.end


def step_function(v, side, kind, ngf, ndf, upsample, batch):
    """The reference's optimize_parameters (models/cycle_gan_model.py), pools always passing the new image on; and its copies."""
    nets_g = [v.network(kind, ngf, upsample) for _ in range(2)]
    nets_d = [v.network("patchgan", ndf) for _ in range(2)]
    optimizer_g, optimizer_d = v.adam(*nets_g), v.adam(*nets_d)
    g_a, g_b = map(v.callable, nets_g)
    d_a, d_b = map(v.callable, nets_d)
    (host_a, device_a), (host_b, device_b) = (v.pictures(batch, side) for _ in range(2))

    def gan(scores, real):
        scores = scores.float()
        return F.mse_loss(scores, torch.full_like(scores, float(real)))

    def train():
        a, b = v.floats(device_a), v.floats(device_b)
        with v.autocast():
            fake_b, fake_a = g_a(a), g_b(b)
            restored_a, restored_b = g_b(fake_b), g_a(fake_a)
            same_b, same_a = g_a(b), g_b(a)
        for network in nets_d:
            network.requires_grad_(False)
        optimizer_g.zero_grad(set_to_none=True)
        with v.autocast():
            scores_a, scores_b = d_a(fake_b), d_b(fake_a)
        loss = F.l1_loss(same_b.float(), b) * 5 + F.l1_loss(same_a.float(), a) * 5
        loss = loss + gan(scores_a, True) + gan(scores_b, True)
        loss = loss + F.l1_loss(restored_a.float(), a) * 10 + F.l1_loss(restored_b.float(), b) * 10
        loss.backward()
        optimizer_g.step()
        for network in nets_d:
            network.requires_grad_(True)
        optimizer_d.zero_grad(set_to_none=True)
        for network, real, fake in ((d_a, b, fake_b), (d_b, a, fake_a)):
            with v.autocast():
                on_real, on_fake = network(real), network(fake.detach())
            ((gan(on_real, True) + gan(on_fake, False)) * 0.5).backward()
        optimizer_d.step()
        return loss.detach()

    return train, [(host_a, device_a), (host_b, device_b)]


def translate_function(v, side, kind, ngf, upsample, batch):
    network = v.network(kind, ngf, upsample).eval()
    network = v.callable(Translation(network) if v.fast else network)
    host, x = v.pictures(batch, side)

    def forward():
        with torch.no_grad(), v.autocast():
            return network(x)

    return forward, [(host, x)]


def timed(begin, end, count):
    alone, seconds = [], []
    for _ in range(count + UNTIMED):
        began = time.perf_counter()
        begin()
        end()
        alone.append(time.perf_counter() - began)
    begin()
    before = time.perf_counter()
    for _ in range(count + UNTIMED):
        begin()
        end()
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
    end()
    seconds, alone = seconds[UNTIMED:], alone[UNTIMED:]
    return {"seconds": statistics.median(seconds), "least": min(seconds), "alone": statistics.median(alone)}


def event_seconds(function, count=20):
    for _ in range(3):
        function()
    times = []
    for _ in range(count):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        function()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return statistics.median(times)


def ceilings():
    n, count = 8192, 2**30
    found = {}
    for name, kind in (("bf16", torch.bfloat16), ("tf32", torch.float32)):
        torch.backends.cuda.matmul.allow_tf32 = True
        a, b = (torch.randn(n, n, device="cuda", dtype=kind) for _ in range(2))
        found[f"{name}_operations_per_second"] = 2 * n**3 / event_seconds(lambda: torch.mm(a, b))
    a = torch.randn(count, device="cuda")
    b = torch.empty_like(a)
    found["bytes_per_second"] = 8 * count / event_seconds(lambda: b.copy_(a))  # read and written
    return found


def prepared(v, make, stream, *arguments):
    """The function to measure, compiled, and its copies; what it took of the device's memory meanwhile is given back."""
    function, copies = make(v, *arguments)
    if v.compiled:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            function()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    return function, copies


def measured(v, function, copies, stream, count):
    found = []
    for benchmark in (False, True) if v.captured else (False,):
        torch.backends.cudnn.benchmark = benchmark
        run = captured(function, stream) if v.captured else function
        result = timed(*repetition(run, copies), count)
        free, _ = torch.cuda.mem_get_info()
        found.append(result | {"free": free, "cudnn_benchmark": benchmark})
        del run
        torch.cuda.empty_cache()
    return min(found, key=lambda f: f["seconds"])


def wait():
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit("torch_gpu.py: nobody waits for it any more")


def main(*words):
    if not torch.cuda.is_available():
        sys.exit("torch_gpu.py: this PyTorch sees no GPU")
    waits = words[0] == "--wait"
    job, *rest = words[waits:]
    torch.manual_seed(1)
    torch.cuda.init()
    if job == "ceilings":
        if waits:
            wait()
        result = ceilings()
    else:
        side, kind, *numbers, upsample, batch, variant, count = rest
        make = step_function if job == "step" else translate_function
        v, stream = Variant(variant), torch.cuda.Stream()
        function, copies = prepared(v, make, stream, int(side), kind, *map(int, numbers), upsample, int(batch))
        if waits:
            wait()
        result = measured(v, function, copies, stream, int(count))
    print(json.dumps({**result, "torch": torch.__version__, "device": torch.cuda.get_device_name()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
