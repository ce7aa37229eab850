"""Training steps of a tiny CycleGAN as the reference takes them (models/cycle_gan_model.py, optimize_parameters), in
double precision: generators first, then discriminators on the image pools, Adam with betas 0.5 and 0.999.

G_A maps a to b and D_A judges images of b. Pools hold two images; pool_b holds fakes of b (for D_A). A decision is 0:
pass the new fake on; k+1: store it at k and pass it on; -(k+1): pass the stored k on and store the new one there.
"""
import itertools
import sys

import numpy as np
import torch
from torch.nn import functional as F

import augment
import networks
import safetensors_io
from network_fixtures import distance, images_to_torch, to_images

NAMES = ("G_A", "G_B", "D_A", "D_B")
LOSSES = ("gan_a", "gan_b", "cycle_a", "cycle_b", "identity_a", "identity_b", "d_a", "d_b")
DECISIONS_A, DECISIONS_B = (1, 2, 0, -2, -1), (1, 2, -1, 0, -2)
SIDE, LAMBDA_CYCLE, LAMBDA_IDENTITY = 32, 10.0, 0.5
SEED = 1  # of what is drawn in a step


class Training:
    def __init__(self, dtype, epsilon, rate=2e-4, gan="lsgan", upsample="transpose", augments=False, seed=7):
        self.dtype, self.gan, self.upsample, self.augments = dtype, gan, upsample, augments
        self.steps = 0
        random = np.random.RandomState(seed)
        self.networks = {}
        for name in NAMES:
            generator = name[0] == "G"
            network = networks.create("resnet_6blocks", 2, upsample) if generator else networks.create("patchgan", 2)
            networks.initialise(network, random, rounded=safetensors_io.round_bfloat16)
            self.networks[name] = network.to(dtype)
        self.optimizer_g, self.optimizer_d = (
            torch.optim.Adam(itertools.chain(*(self.networks[name].parameters() for name in names)), lr=rate,
                             betas=(0.5, 0.999), eps=epsilon)
            for names in (NAMES[:2], NAMES[2:]))
        self.pools = {"a": [], "b": []}
        self.gradients = {}

    def parameters(self):
        for name in NAMES:
            for key, parameter in self.networks[name].named_parameters():
                yield f"{name}.{key}", parameter

    def cancelled(self):
        return [f"{name}.{key}" for name in NAMES for key in networks.cancelled(self.networks[name])]

    def gan_loss(self, scores, real):
        target = torch.full_like(scores, float(real))
        return (F.mse_loss if self.gan == "lsgan" else F.binary_cross_entropy_with_logits)(scores, target)

    def query(self, domain, image, decision):
        pool, image = self.pools[domain], image.detach()
        if decision == 0:
            return image
        if decision > 0:
            assert len(pool) == decision - 1
            pool.append(image)
            return image
        stored, pool[-decision - 1] = pool[-decision - 1], image
        return stored

    def seen(self, images, number):
        """What a discriminator sees; number: in the order that fake_b and fake_a teach the generators, and then real and
        fake teach D_A and D_B."""
        if not self.augments:
            return images
        draws = augment.draws_of(SEED, self.steps, number, SIDE)
        return augment.augment(images, [draws], augment.hole_of(SIDE))

    def discriminator_loss(self, network, real, fake, number):
        loss = (self.gan_loss(network(self.seen(real, number)), True)
                + self.gan_loss(network(self.seen(fake.detach(), number + 1)), False)) * 0.5
        loss.backward()
        return loss

    def step(self, a, b, decision_a, decision_b):
        """a, b: (1, h, w, 3). Returns the losses, leaves all gradients in self.gradients."""
        a, b = images_to_torch(a, self.dtype), images_to_torch(b, self.dtype)
        g_a, g_b, d_a, d_b = (self.networks[name] for name in NAMES)
        fake_b = g_a(a)
        restored_a = g_b(fake_b)
        fake_a = g_b(b)
        restored_b = g_a(fake_a)

        for network in (d_a, d_b):
            network.requires_grad_(False)
        self.optimizer_g.zero_grad()
        loss = {
            "identity_a": F.l1_loss(g_a(b), b) * LAMBDA_CYCLE * LAMBDA_IDENTITY,
            "identity_b": F.l1_loss(g_b(a), a) * LAMBDA_CYCLE * LAMBDA_IDENTITY,
            "gan_a": self.gan_loss(d_a(self.seen(fake_b, 0)), True),
            "gan_b": self.gan_loss(d_b(self.seen(fake_a, 1)), True),
            "cycle_a": F.l1_loss(restored_a, a) * LAMBDA_CYCLE,
            "cycle_b": F.l1_loss(restored_b, b) * LAMBDA_CYCLE,
        }
        sum(loss.values()).backward()
        self.optimizer_g.step()

        for network in (d_a, d_b):
            network.requires_grad_(True)
        self.optimizer_d.zero_grad()
        loss["d_a"] = self.discriminator_loss(d_a, b, self.query("b", fake_b, decision_b), 2)
        loss["d_b"] = self.discriminator_loss(d_b, a, self.query("a", fake_a, decision_a), 4)
        self.gradients = {name: p.grad.numpy().copy() for name, p in self.parameters()}
        self.optimizer_d.step()
        self.steps += 1
        return {name: loss[name].item() for name in LOSSES}

    def moments(self):
        """name -> (first, second), empty before the first step."""
        states = {**self.optimizer_g.state, **self.optimizer_d.state}
        return {name: (states[p]["exp_avg"], states[p]["exp_avg_sq"]) for name, p in self.parameters() if p in states}

    def round_state(self):
        """Weights, moments and pools become what a bfloat16 holds, so that they can be stored exactly and small."""
        tensors = [p.data for _, p in self.parameters()] + list(itertools.chain(*self.moments().values()))
        tensors += self.pools["a"] + self.pools["b"]
        for tensor in tensors:
            tensor.copy_(torch.from_numpy(safetensors_io.round_bfloat16(tensor.numpy()).astype(np.float64)))

    def weights(self):
        return {name: p.detach().numpy().copy() for name, p in self.parameters()}


def pictures(count, seed):
    """Smooth shapes with noise, multiples of 1/128, which a bfloat16 holds: (count, h, w, 3)."""
    random = np.random.RandomState(seed)
    coarse = random.uniform(-1, 1, (count, 4, 4, 3)).repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    fine = random.uniform(-1, 1, (count, SIDE, SIDE, 3))
    return (np.round((0.7 * coarse + 0.3 * fine) * 127) / 128).astype(np.float32)


def describe(epsilon, rate, training):
    return {"network": "resnet_6blocks", "ngf": 2, "discriminator": "patchgan", "ndf": 2, "upsample": training.upsample,
            "side": SIDE, "gan": training.gan, "lambda_cycle": LAMBDA_CYCLE, "lambda_identity": LAMBDA_IDENTITY,
            "learning_rate": rate, "beta1": 0.5, "beta2": 0.999, "adam_eps": epsilon, "pool": 2,
            "cancelled": " ".join(training.cancelled()), **({"augment": 1} if training.augments else {})}


def free_run(folder, steps=5, epsilon=1e-3, rate=2e-4):
    a, b = pictures(steps, 1), pictures(steps, 2)
    results = []
    for dtype in (torch.float32, torch.float64):
        training = Training(dtype, epsilon, rate, seed=8)
        before = training.weights()
        losses = [training.step(a[i : i + 1], b[i : i + 1], DECISIONS_A[i], DECISIONS_B[i]) for i in range(steps)]
        results.append((losses, training.weights()))
    (losses32, after32), (losses, after) = results
    kept = [name for name in after if name not in training.cancelled()]
    print(f"training_free_run: float32 is off by at most "
          f"{max(abs(x[k] - y[k]) / abs(y[k]) for x, y in zip(losses32, losses) for k in LOSSES):.1e} in a loss, "
          f"{max(distance(after32[name], after[name]) for name in kept):.1e} in a tensor, "
          f"{max(distance(after32[n] - before[n], after[n] - before[n]) for n in kept):.1e} in its change")
    tensors = {f"before.{name}": value for name, value in before.items()}
    tensors.update({f"after.{name}": value for name, value in after.items()})
    tensors.update({"a": a, "b": b, "decision_a": np.array(DECISIONS_A), "decision_b": np.array(DECISIONS_B)})
    tensors.update({f"loss.{name}": np.array([step[name] for step in losses]) for name in LOSSES})
    exact = {"a", "b"} | {name for name in tensors if name.startswith("before.")}
    safetensors_io.write(f"{folder}/training_free_run.safetensors", tensors, describe(epsilon, rate, training), exact)


def one_step(folder, file, training, training32, metadata, index, a, b):
    """Takes step `index` and writes the state before it, its losses and its gradients."""
    tensors, exact = {}, {"a", "b", "pool_a", "pool_b"}
    for name, value in training.weights().items():
        tensors[name] = value
    for name, (first, second) in training.moments().items():
        tensors[f"adam_m.{name}"], tensors[f"adam_v.{name}"] = first.numpy().copy(), second.numpy().copy()
    exact.update(tensors)
    for domain, pool in training.pools.items():
        if pool:
            tensors[f"pool_{domain}"] = np.concatenate([to_images(image) for image in pool])
    for theirs, ours in zip(training32.parameters(), training.parameters()):
        theirs[1].data.copy_(ours[1].data)
    training32.pools = {key: [image.float() for image in pool] for key, pool in training.pools.items()}
    inputs = a[index : index + 1], b[index : index + 1], DECISIONS_A[index], DECISIONS_B[index]
    losses32, losses = training32.step(*inputs), training.step(*inputs)
    kept = [name for name in training.gradients if name not in training.cancelled()]
    print(f"{file}: float32 is off by at most {max(abs(losses32[k] - losses[k]) / abs(losses[k]) for k in LOSSES):.1e} "
          f"in a loss, {max(distance(training32.gradients[k], training.gradients[k]) for k in kept):.1e} in a gradient")
    tensors.update({"a": inputs[0], "b": inputs[1], "decision_a": np.array(inputs[2:3]),
                    "decision_b": np.array(inputs[3:4])})
    tensors.update({f"loss.{name}": np.array([value]) for name, value in losses.items()})
    tensors.update({f"gradient.{name}": training.gradients[name] for name in kept})
    safetensors_io.write(f"{folder}/{file}.safetensors", tensors, {**metadata, "step": index}, exact)


def main(folder):
    free_run(folder)
    a, b = pictures(3, 3), pictures(3, 4)
    training, training32 = Training(torch.float64, 1e-8), Training(torch.float32, 1e-8)
    for index in range(3):
        training.round_state()
        one_step(folder, f"training_step_{index}", training, training32, describe(1e-8, 2e-4, training), index, a, b)
    for file, options in (("training_vanilla", dict(gan="vanilla")),
                          ("training_resize_conv", dict(upsample="resize_conv")),
                          ("training_augment", dict(augments=True))):
        training, training32 = (Training(dtype, 1e-8, seed=8, **options) for dtype in (torch.float64, torch.float32))
        one_step(folder, file, training, training32, describe(1e-8, 2e-4, training), 0, a, b)


if __name__ == "__main__":
    main(sys.argv[1])
