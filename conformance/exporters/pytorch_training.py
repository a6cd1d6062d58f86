"""What PyTorch makes of three training steps of each network, in float64: losses, and digests of the weights.

A file trains alike if what its exporter made of other things than parameters stays as it is: masks, zeros and ones of norms without
weights, frequencies of positions, 1/sqrt(d) of attention as a vector of one.
"""

import math

import torch
from torch.fx.experimental.optimization import fuse
from torch.nn import functional as F

from .pytorch import built
from .pytorch_networks import NETWORKS

STEPS = 3
SGD = {"lr": 0.01, "momentum": 0.9}
FORMULAS = {
    "inputs": "element i of the flat input is w = sin(0.37 i + start) in float32, or low + floor((high - low) (w + 1) / 2) with a range",
    "cross-entropy": "element i of the flat targets is the class (5 i + 2) mod classes; the mean over all targets",
    "mse": "element i of the flat targets is sin(0.53 i + 2); the mean over all elements",
}


def folded(network):
    """The network with the statistics of its batch norms frozen and folded into convolutions, as exporters have it."""
    model = built(network)
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()) and not network.training:
        model = fuse(model)
    # The biases that folding makes are frozen at first.
    return model.double().requires_grad_()


def targets(network, scores):
    if network.loss == "mse":
        return torch.tensor([math.sin(0.53 * i + 2) for i in range(scores.numel())]).double().reshape(scores.shape)
    places = [size for axis, size in enumerate(scores.shape) if axis != network.classes % scores.dim()]
    classes = scores.shape[network.classes]
    return torch.tensor([(5 * i + 2) % classes for i in range(math.prod(places))]).reshape(places)


def loss(network, scores, wanted):
    if network.loss == "mse":
        return F.mse_loss(scores, wanted)
    return F.cross_entropy(scores.movedim(network.classes, 1), wanted)


def digest(weight):
    numbers = weight.detach().flatten()
    return {
        "sum": numbers.sum().item(),
        "squares": numbers.square().sum().item(),
        "first": numbers[:4].tolist(),
    }


def train(network):
    model = folded(network)
    given = [spec.wave(k, more=1) for k, spec in enumerate(network.inputs.values())]
    given = [value.double() if value.is_floating_point() else value for value in given]
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    weights = {
        name: {"shape": list(weight.shape), "initial": digest(weight)} for name, weight in model.named_parameters()
    }
    losses = []
    for _ in range(STEPS):
        scores = model(*given)
        value = loss(network, scores, targets(network, scores))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    for name, weight in model.named_parameters():
        weights[name]["final"] = digest(weight)
    kind = {"loss": network.loss}
    if network.loss == "cross-entropy":
        kind["classAxis"] = network.classes % scores.dim()
    inputs = {
        name: {"shape": list(value.shape), "start": k, **({"range": list(spec.range)} if spec.range else {})}
        for k, ((name, spec), value) in enumerate(zip(network.inputs.items(), given))
    }
    formulas = {"inputs": FORMULAS["inputs"], "targets": FORMULAS[network.loss]}
    return {
        "torch": torch.__version__.split("+")[0],
        "formulas": formulas,
        "inputs": inputs,
        **kind,
        "batchStatistics": network.training,
        "sgd": SGD,
        "losses": losses,
        "weights": weights,
    }


TRAININGS = {name: lambda network=network: train(network) for name, network in NETWORKS.items()}
