"""What PyTorch makes of three training steps of each network, in float64: losses, and digests of the weights.

A file trains alike if what its exporter made of other things than parameters stays as it is: masks, zeros and ones of norms without
weights, frequencies of positions, 1/sqrt(d) of attention as a vector of one.
"""

import torch
from torch.fx.experimental.optimization import fuse
from torch.nn import functional as F

from .formulas import FORMULAS, SGD, STEPS, class_targets, digests, number_targets
from .pytorch import built
from .pytorch_networks import NETWORKS


def folded(network):
    """The network with the statistics of its batch norms frozen and folded into convolutions, as exporters have it."""
    model = built(network)
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()) and not network.training:
        model = fuse(model)
    # The biases that folding makes are frozen at first.
    return model.double().requires_grad_()


def targets(network, scores):
    if network.loss == "mse":
        return torch.tensor(number_targets(scores.shape))
    places = [size for axis, size in enumerate(scores.shape) if axis != network.classes % scores.dim()]
    return torch.tensor(class_targets(places, scores.shape[network.classes]))


def loss(network, scores, wanted):
    if network.loss == "mse":
        return F.mse_loss(scores, wanted)
    return F.cross_entropy(scores.movedim(network.classes, 1), wanted)


def weights(model):
    return {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}


def train(network):
    model = folded(network)
    given = [spec.wave(k, more=1) for k, spec in enumerate(network.inputs.values())]
    given = [value.double() if value.is_floating_point() else value for value in given]
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    initial = weights(model)
    losses = []
    for _ in range(STEPS):
        scores = model(*given)
        value = loss(network, scores, targets(network, scores))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    inputs = {
        name: {"shape": list(value.shape), "start": k, **({"range": list(spec.range)} if spec.range else {})}
        for k, ((name, spec), value) in enumerate(zip(network.inputs.items(), given))
    }
    is_last = network.loss == "cross-entropy" and network.classes % scores.dim() != 1
    return {
        "by": f"PyTorch {torch.__version__.split('+')[0]}, float64",
        "formulas": {"inputs": FORMULAS["inputs"], "targets": FORMULAS["numbers" if network.loss == "mse" else "classes"]},
        "inputs": inputs,
        "loss": "cross-entropy:axis=-1" if is_last else network.loss,
        "batchStatistics": network.training,
        "sgd": SGD,
        "losses": losses,
        "weights": digests(initial, weights(model)),
    }


TRAININGS = {name: lambda network=network: train(network) for name, network in NETWORKS.items()}
