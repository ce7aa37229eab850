"""Names and shapes of the tensors of the networks in networks.py, in the order of their state dicts, as text.

    /usr/bin/python3 tools/oracle/keys.py tests/fixtures

Each network is a line "network KIND WIDTH EXTRA" (WIDTH: ngf or ndf; EXTRA: the upsampling, or the number of layers)
and a line "NAME SHAPE..." for each tensor.
"""
import sys

import networks

CASES = [("resnet_6blocks", 4, "transpose"), ("resnet_6blocks", 4, "resize_conv"), ("resnet_9blocks", 4, "transpose"),
         ("resnet_9blocks", 4, "resize_conv"), ("unet_128", 2, "transpose"), ("unet_256", 2, "transpose"),
         ("patchgan", 4, 3), *(("n_layers", 2, layers) for layers in range(1, 7)), ("pixel", 4, 0)]


def main(folder):
    with open(f"{folder}/reference_keys.txt", "w") as file:
        for kind, width, extra in CASES:
            options = dict(upsample=extra) if isinstance(extra, str) else dict(layers=extra)
            print("network", kind, width, extra, file=file)
            for name, tensor in networks.create(kind, width, **options).state_dict().items():
                print(name, *tensor.shape, file=file)


if __name__ == "__main__":
    main(sys.argv[1])
