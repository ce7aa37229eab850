"""Weights in both directions, through the program itself: exchange.py CYCLEGAN [OUR_GENERATOR.safetensors]

1. State dicts of PyTorch generators, saved as bare safetensors, translate a picture here and there: at most one grey
   level apart.
2. A generator that this program trained (upsample: transpose or resize_conv) loads with a strict load_state_dict, and
   translates the same.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

import networks
import safetensors_io


def picture(side, seed):
    random = np.random.RandomState(seed)
    coarse = Image.fromarray(random.randint(0, 256, (8, 8, 3)).astype(np.uint8)).resize((side, side), Image.BICUBIC)
    noisy = np.asarray(coarse).astype(int) + random.randint(-20, 21, (side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def translate_there(network, image):
    x = torch.from_numpy(np.asarray(image).astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.no_grad():
        y = network(x)[0].permute(1, 2, 0).numpy()
    return np.clip(np.rint((y + 1) * 127.5), 0, 255).astype(np.uint8)


def translate_here(program, model, image, folder):
    image.save(folder / "in.png")
    subprocess.run([program, "translate", "--quiet", "--overwrite", "--model", str(model), str(folder / "in.png"), "-o",
                    str(folder / "out")], check=True)
    return np.asarray(Image.open(folder / "out" / "in.png"))


def compare(name, here, there):
    difference = np.abs(here.astype(int) - there.astype(int))
    print(f"{name}: at most {difference.max()} grey levels apart, {(difference > 0).mean():.2%} of values differ, "
          f"spread {there.std():.1f}")
    if difference.max() > 1 or there.std() < 5:
        sys.exit(f"{name}: not the same picture")


def main(program, ours=None):
    folder = pathlib.Path(tempfile.mkdtemp())
    random = np.random.RandomState(3)
    for kind, width, upsample, side in (("resnet_6blocks", 16, "transpose", 64), ("resnet_9blocks", 8, "transpose", 48),
                                        ("resnet_6blocks", 8, "resize_conv", 64), ("unet_128", 4, "transpose", 128),
                                        ("unet_256", 4, "transpose", 256)):
        network = networks.create(kind, width, upsample)
        networks.initialise(network, random)
        model = folder / "model.safetensors"
        safetensors_io.write(str(model), {k: v.numpy() for k, v in network.state_dict().items()}, {})
        image = picture(side, 1)
        compare(f"{kind} {upsample}", translate_here(program, model, image, folder), translate_there(network, image))
    if ours:
        tensors, metadata = safetensors_io.read(ours)
        kind = "resnet_9blocks" if any(name.startswith("model.18.conv_block") for name in tensors) else "resnet_6blocks"
        upsample = next(line.split(":")[1].strip() for line in metadata["config"].splitlines() if "upsample:" in line)
        network = networks.create(kind, tensors["model.1.weight"].shape[0], upsample)
        network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}, strict=True)
        image = picture(128, 2)
        compare(f"ours ({kind} {upsample})", translate_here(program, ours, image, folder),
                translate_there(network, image))


if __name__ == "__main__":
    main(*sys.argv[1:])
