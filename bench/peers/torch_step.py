"""The training step in PyTorch, eager mode on the CPU: the network of graphs/residual.ts, layer by layer.

Written with functions over the named weights, not with modules: the same kernels, and less Python between them.
"""

import argparse

import torch
import torch.nn.functional as F
from protocol import Case, resident_bytes, serve
from torch import Tensor

library_bytes = resident_bytes()

parser = argparse.ArgumentParser()
parser.add_argument("--case", required=True)
parser.add_argument("--memory-format", choices=["contiguous", "channels_last"], required=True)
options = parser.parse_args()

case = Case(options.case)
net = case.architecture
torch.set_num_threads(case.threads)
layout = torch.channels_last if options.memory_format == "channels_last" else torch.contiguous_format


def tensor(value) -> Tensor:
    value = torch.from_numpy(value)
    return value.contiguous(memory_format=layout) if value.dim() == 4 else value


# One multiplication and one addition normalise the pixels, as in our graph.
mean, std = (torch.tensor(net["pixels"][key]).view(1, 3, 1, 1) for key in ("mean", "std"))
pixel_scale, pixel_shift = 1 / (255 * std), -mean / std
images, labels = tensor(case.images), tensor(case.labels)
state = {name: tensor(value) for name, value in case.weights().items()}
trained = [value.requires_grad_() for name, value in state.items() if ".running_" not in name]
recipe = case.recipe
optimizer = torch.optim.SGD(
    trained,
    lr=case.learning_rate,
    momentum=recipe["momentum"],
    weight_decay=recipe["weightDecay"],
    nesterov=recipe["nesterov"],
    fused=True,
)


def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, stride=stride, padding=(weight.shape[2] - 1) // 2)


def batch_norm(x: Tensor, name: str) -> Tensor:
    running = (state[f"{name}.running_mean"], state[f"{name}.running_variance"])
    return F.batch_norm(x, *running, state[f"{name}.scale"], state[f"{name}.shift"], True, momentum=0.1, eps=1e-5)


def residual_function(x: Tensor, name: str, mask: str, stride: int) -> Tensor:
    for i, relu in enumerate(mask, 1):
        unit_stride = stride if i == 1 else 1
        if net["activation"] == "post":
            x = conv(x, f"{name}.conv{i}", unit_stride)
        x = batch_norm(x, f"{name}.bn{i}")
        if relu == "1":
            x = F.relu(x, inplace=True)
        if net["activation"] == "pre":
            x = conv(x, f"{name}.conv{i}", unit_stride)
    return x


def shortcut(x: Tensor, name: str, channels: int, stride: int) -> Tensor:
    added = channels - x.shape[1]
    if added == 0 and stride == 1:
        return x
    if net["shortcut"] == "projection":
        return conv(x, f"{name}.shortcut", stride)
    return F.pad(F.avg_pool2d(x, stride), (0, 0, 0, 0, 0, added))


def logits(x: Tensor) -> Tensor:
    x = conv(x * pixel_scale + pixel_shift, "stem")
    x = F.relu(batch_norm(x, "stem.bn"), inplace=True)
    expansion = 1 if net["block"] == "basic" else 4
    for s, (width, blocks) in enumerate(zip(net["widths"], net["blocks"]), 1):
        for b in range(1, blocks + 1):
            name, stride = f"stage{s}.block{b}", 2 if s > 1 and b == 1 else 1
            parts = [residual_function(x, f"{name}.f{i}", mask, stride) for i, mask in enumerate(net["functions"], 1)]
            branch = parts[0]
            for part in parts[1:]:
                branch = branch + part
            x = shortcut(x, name, width * expansion, stride) + branch
            if net["activation"] == "post":
                x = F.relu(x, inplace=True)
    if net["activation"] == "pre":
        x = F.relu(batch_norm(x, "head.bn"), inplace=True)
    return F.linear(x.mean((2, 3)), state["classifier.weight"], state["classifier.bias"])


def step() -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(logits(images.float()), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


serve(step, version=f"PyTorch {torch.__version__}", libraryBytes=library_bytes)
