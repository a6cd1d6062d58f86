"""airbench94 (Jordan 2024, arXiv 2404.00498) trained in PyTorch on CIFAR-10, as its paper has it: what `rdm-fit` has to come to.

    python airbench_train.py cifar-10-batches-bin --runs 3 --device cuda

A line for each run: the accuracy on the test set of one look at each image, and of six (mirrored, shifted).
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
BATCH, EPOCHS = 1024, 9.9
RATE, MOMENTUM, DECAY, SHIFTS = 11.5, 0.85, 0.0153, 64
WHITEN_EPOCHS, SMOOTHING = 3, 0.2


def read(folder: Path, names: list[str], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalized images and their labels."""
    records = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)).to(device).float() / 255
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std, torch.from_numpy(records[:, 0].astype(np.int64)).to(device)


def norm(channels: int) -> nn.BatchNorm2d:
    # Its average of the statistics keeps 0.6 of what it was.
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:inputs])
    return layer


def group(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        *(conv(inputs, outputs), nn.MaxPool2d(2), norm(outputs), nn.GELU()),
        *(conv(outputs, outputs), norm(outputs), nn.GELU()),
    ]


def whitening(images: torch.Tensor) -> nn.Conv2d:
    """Eigenvectors of the patches' covariance over the roots of their eigenvalues, and the same negated."""
    layer = nn.Conv2d(3, 24, 2)
    patches = images[:5000].unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / torch.sqrt(values + 5e-4)).T.flip(0).reshape(12, 3, 2, 2)
    layer.weight.data.copy_(torch.cat((filters, -filters)))
    layer.weight.requires_grad = False
    layer.bias.data.zero_()
    return layer


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 9


def build(images: torch.Tensor) -> nn.Sequential:
    layers = [whitening(images), nn.GELU(), *group(24, 64), *group(64, 256), *group(256, 256)]
    head = [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Scaled()]
    return nn.Sequential(*layers, *head).to(images.device, memory_format=torch.channels_last)


def cropped(padded: torch.Tensor) -> torch.Tensor:
    """Each image at a place of its own in its frame of two pixels."""
    result = torch.empty_like(padded[:, :, :32, :32])
    places = torch.randint(5, (2, len(padded)), device=padded.device)
    for top in range(5):
        for left in range(5):
            here = (places[0] == top) & (places[1] == left)
            result[here] = padded[here][:, :, top : top + 32, left : left + 32]
    return result


def rate_at(step: int, steps: int) -> float:
    return float(np.interp(step, [0, int(0.23 * steps), steps], [0.2, 1, 0.07]))


def train(images: torch.Tensor, labels: torch.Tensor, epochs: float, limit: int | None) -> nn.Sequential:
    model = build(images).train()
    # A step with momentum is so much longer than a gradient; gradients are of the sum over the batch.
    scale = 1024 * (1 + 1 / (1 - MOMENTUM))
    rate, decay = RATE / scale, DECAY * BATCH / scale
    shifts = [layer.bias for layer in model if isinstance(layer, nn.BatchNorm2d)]
    others = [p for p in model.parameters() if p.requires_grad and all(p is not shift for shift in shifts)]
    groups = [
        {"params": shifts, "lr": SHIFTS * rate, "weight_decay": decay / (SHIFTS * rate)},
        {"params": others, "lr": rate, "weight_decay": decay / rate},
    ]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, nesterov=True)
    usual = [each["lr"] for each in optimizer.param_groups]
    average = {name: value.clone() for name, value in model.state_dict().items()}

    def look_ahead(keeps: float) -> None:
        for mean, value in zip(average.values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - keeps)
                value.copy_(mean)

    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING, reduction="sum")
    mirrored = torch.rand(len(images), device=images.device) < 0.5
    padded = F.pad(torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images), (2, 2, 2, 2), "reflect")
    batches = len(images) // BATCH
    steps = math.ceil(epochs * batches)
    step = 0
    for epoch in range(math.ceil(epochs)):
        model[0].bias.requires_grad = epoch < WHITEN_EPOCHS
        shown = cropped(padded)
        if epoch % 2 == 1:
            shown = shown.flip(-1)
        order = torch.randperm(len(images), device=images.device)
        for batch in range(batches):
            for each, most in zip(optimizer.param_groups, usual, strict=True):
                each["lr"] = most * rate_at(step, steps)
            chosen = order[batch * BATCH : (batch + 1) * BATCH]
            loss = loss_of(model(shown[chosen].contiguous(memory_format=torch.channels_last)), labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            if step % 5 == 0:
                look_ahead(0.95**5 * (step / steps) ** 3)
            if step in (steps, limit):
                look_ahead(1)
                return model
    return model


def accuracies(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    model.eval()

    def both(x: torch.Tensor) -> torch.Tensor:
        return (model(x) + model(x.flip(-1))) / 2

    right = [0, 0]
    with torch.no_grad():
        for x, y in zip(images.split(1000), labels.split(1000), strict=True):
            padded = F.pad(x, (1, 1, 1, 1), "reflect")
            shifted = [both(padded[:, :, at : at + 32, at : at + 32]) for at in (0, 2)]
            six = both(x) / 2 + (shifted[0] + shifted[1]) / 4
            for i, logits in enumerate((model(x), six)):
                right[i] += (logits.argmax(1) == y).sum().item()
    return right[0] / len(labels), right[1] / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--steps", type=int, help="stop after so many")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    images, labels = read(options.data, [f"data_batch_{i}.bin" for i in range(1, 6)], options.device)
    test = read(options.data, ["test_batch.bin"], options.device)
    for seed in range(1, options.runs + 1):
        torch.manual_seed(seed)
        begun = time.perf_counter()
        model = train(images, labels, options.epochs, options.steps)
        seconds = time.perf_counter() - begun
        one, six = accuracies(model, *test)
        print(json.dumps({"seed": seed, "accuracy": one, "of six": six, "seconds": round(seconds, 1)}), flush=True)


main()
