"""Writes what PyTorch comes to when it trains some of the networks of exports.py: test/fixtures/networks/training.json.

    python training.py         needs what exports.py needs of PyTorch

In float64: SGD with momentum 0.9, the same batch at each of three steps, batch norms by their own statistics, dropout off. A
classifier is trained by cross-entropy on the labels 0, 1, 2, …, the others by the mean squared error to cos(0.5 i). Not networks whose
layers begin as copies of each other: exporters write equal weights once.
"""

import json
import math
from pathlib import Path

import torch
from torch.nn import functional as F

from exporters.pytorch import built
from exporters.pytorch_networks import NETWORKS

FILE = Path(__file__).parent.parent / "test" / "fixtures" / "networks" / "training.json"
RATE, MOMENTUM, STEPS = 0.02, 0.9, 3
CLASSIFIERS = ("vit_tiny", "bert")
REGRESSIONS = ("mlp", "gru", "autoencoder", "lstm_tagger")


def trained(name):
    network = NETWORKS[name]
    model = built(network).double().eval()
    inputs = [given.wave(k) for k, given in enumerate(network.inputs.values())]
    inputs = [value.double() if value.is_floating_point() else value for value in inputs]
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM)

    def loss():
        y = model(*inputs)
        if name in CLASSIFIERS:
            return F.cross_entropy(y, torch.arange(y.shape[0]) % y.shape[1])
        target = torch.tensor([math.cos(0.5 * i) for i in range(y.numel())], dtype=y.dtype).reshape(y.shape)
        return F.mse_loss(y, target)

    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    losses.append(loss().item())
    return {
        "kind": "classifier" if name in CLASSIFIERS else "regression",
        "losses": losses,
        # Each is sin(0.37 i + k), the k-th input, brought into the range where it has one.
        "inputs": {
            key: {"shape": given.sizes(), **({"range": list(given.range)} if given.range else {})}
            for key, given in network.inputs.items()
        },
        # Σ w and Σ w² of each weight, after the last step.
        "weights": {
            key: [weight.sum().item(), weight.square().sum().item()] for key, weight in model.named_parameters()
        },
    }


if __name__ == "__main__":
    found = {name: trained(name) for name in (*CLASSIFIERS, *REGRESSIONS)}
    FILE.write_text(json.dumps({"rate": RATE, "momentum": MOMENTUM, "networks": found}, indent=1) + "\n")
    for name, one in found.items():
        print(name, one["losses"])
