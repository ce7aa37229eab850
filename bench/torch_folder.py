"""`cyclegan translate` in PyTorch: a folder through a ResNet generator with resize_conv, a PNG or JPEG for each picture.

  torch_folder.py --threads N --precision fp32|bf16 --model FILE.safetensors INPUT -o DIR --size N

As a short script would do it: pictures one after the other, by Pillow, without gradients.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools" / "oracle"))
import numpy as np
import torch
from PIL import Image

import networks
import safetensors_io


def main():
    parser = argparse.ArgumentParser()
    for name in ("--threads", "--precision", "--model", "input", "-o", "--size"):
        parser.add_argument(name)
    given = parser.parse_args()
    bf16, size = given.precision == "bf16", int(given.size)
    torch.set_num_threads(int(given.threads))
    tensors, metadata = safetensors_io.read(given.model)
    blocks = 6 if "model.20.weight" not in tensors else 9
    network = networks.create("resnet_6blocks" if blocks == 6 else "resnet_9blocks", tensors["model.1.weight"].shape[0],
                              "resize_conv").eval()
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    if bf16:
        network = network.to(memory_format=torch.channels_last)
    out = pathlib.Path(given.o)
    out.mkdir()
    for path in sorted(pathlib.Path(given.input).iterdir()):
        picture = Image.open(path).convert("RGB")
        scale = size / min(picture.size)
        width, height = (max(4, round(side * scale / 4) * 4) for side in picture.size)
        x = torch.from_numpy(np.asarray(picture.resize((width, height), Image.BICUBIC)).copy())
        x = x.permute(2, 0, 1).unsqueeze(0) / 127.5 - 1
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            y = network(x)
        y = ((y.float()[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        Image.fromarray(y).save(out / path.name, quality=95)


if __name__ == "__main__":
    main()
