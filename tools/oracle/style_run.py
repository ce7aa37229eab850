"""A whole run of Gatys' method by torch.optim.LBFGS, to set beside `cyclegan gatys` with the same pictures:

    style_run.py VGG.safetensors CONTENT STYLE [ITERATIONS] [HISTORY]

The pictures are taken at the size they have; the network as its file says (input unit, padding reflect, pooling rounding
up, as of vgg19_16x). Losses are those of the program's defaults with style.weight 10: relative forms, content relu4_2,
style relu1_1 to relu5_1 by a fifth each. In float32; the line search is strong Wolfe, early-stop tolerances are 0.
"""
import sys
import time

import numpy as np
import torch
from PIL import Image

import safetensors_io
from style import Vgg, content_loss, gram, style_loss, to_torch

LAYERS = [f"relu{block}_1" for block in range(1, 6)]


def main(path, content, painting, iterations=200, history=20):
    torch.set_num_threads(2)
    vgg = Vgg(safetensors_io.read(path)[0], "unit", "reflect", ceil=True, dtype=torch.float32)
    content, painting = (to_torch(np.asarray(Image.open(name).convert("RGB")), torch.float32) for name in (content, painting))
    names = set(LAYERS + ["relu4_2"])
    with torch.no_grad():
        wanted = vgg.features(content, names)["relu4_2"]
        found = vgg.features(painting, names)
        grams = {layer: gram(found[layer]) for layer in LAYERS}
    x, evaluations = content.clone().requires_grad_(), 0
    optimiser = torch.optim.LBFGS([x], max_iter=int(iterations), max_eval=10**6, history_size=int(history),
                                  tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe")

    def loss_of(x):
        found = vgg.features(x, names)
        parts = [style_loss("relative", found[layer], grams[layer], *x.shape[2:]) for layer in LAYERS]
        return content_loss("relative", found["relu4_2"], wanted) + 10 * sum(parts) / len(LAYERS)

    def closure():
        nonlocal evaluations
        evaluations += 1
        optimiser.zero_grad()
        loss = loss_of(x)
        loss.backward()
        return loss

    begin = time.time()
    optimiser.step(closure)
    seconds = time.time() - begin
    with torch.no_grad():
        end = float(loss_of(x))
    print(f"{tuple(x.shape)}: loss {end:.6g} after {iterations} iterations, history {history}, {evaluations} evaluations, "
          f"{seconds:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
