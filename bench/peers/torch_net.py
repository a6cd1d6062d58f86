"""The networks of graphs/residual.ts in PyTorch, layer by layer, with the weights of the case.

Written with functions over the named weights, not with modules: the same kernels, and less Python between them.
"""

import torch
import torch.nn.functional as F
from protocol import Case
from torch import Tensor


class Net:
    """The network, its weights and its optimizer on a device, with activations and filters in one memory format."""

    def __init__(self, case: Case, layout: torch.memory_format, device: str = "cpu") -> None:
        self.layout, self.device = layout, device
        self.architecture = net = case.architecture
        # One multiplication and one addition normalise the pixels, as in our graph.
        mean, std = (torch.tensor(net["pixels"][key], device=device).view(1, 3, 1, 1) for key in ("mean", "std"))
        self.pixel_scale, self.pixel_shift = 1 / (255 * std), -mean / std
        self.state = {name: self.tensor(value) for name, value in case.weights().items()}
        trained = [value.requires_grad_() for name, value in self.state.items() if ".running_" not in name]
        recipe = case.recipe
        self.optimizer = torch.optim.SGD(
            trained,
            lr=case.learning_rate,
            momentum=recipe["momentum"],
            weight_decay=recipe["weightDecay"],
            nesterov=recipe["nesterov"],
            fused=True,
        )

    def tensor(self, value) -> Tensor:
        value = torch.from_numpy(value).to(self.device)
        return value.contiguous(memory_format=self.layout) if value.dim() == 4 else value

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=(weight.shape[2] - 1) // 2)

    def batch_norm(self, x: Tensor, name: str) -> Tensor:
        mean, variance, scale, shift = (
            self.state[f"{name}.{part}"] for part in ("running_mean", "running_variance", "scale", "shift")
        )
        return F.batch_norm(x, mean, variance, scale, shift, True, momentum=0.1, eps=1e-5)

    def residual_function(self, x: Tensor, name: str, mask: str, stride: int) -> Tensor:
        activation = self.architecture["activation"]
        for i, relu in enumerate(mask, 1):
            unit_stride = stride if i == 1 else 1
            if activation == "post":
                x = self.conv(x, f"{name}.conv{i}", unit_stride)
            x = self.batch_norm(x, f"{name}.bn{i}")
            if relu == "1":
                x = F.relu(x, inplace=True)
            if activation == "pre":
                x = self.conv(x, f"{name}.conv{i}", unit_stride)
        return x

    def shortcut(self, x: Tensor, name: str, channels: int, stride: int) -> Tensor:
        added = channels - x.shape[1]
        if added == 0 and stride == 1:
            return x
        if self.architecture["shortcut"] == "projection":
            return self.conv(x, f"{name}.shortcut", stride)
        return F.pad(F.avg_pool2d(x, stride), (0, 0, 0, 0, 0, added))

    def logits(self, x: Tensor) -> Tensor:
        net = self.architecture
        x = self.conv(x * self.pixel_scale + self.pixel_shift, "stem")
        x = F.relu(self.batch_norm(x, "stem.bn"), inplace=True)
        expansion = 1 if net["block"] == "basic" else 4
        for s, (width, blocks) in enumerate(zip(net["widths"], net["blocks"]), 1):
            for b in range(1, blocks + 1):
                name, stride = f"stage{s}.block{b}", 2 if s > 1 and b == 1 else 1
                parts = [
                    self.residual_function(x, f"{name}.f{i}", mask, stride) for i, mask in enumerate(net["functions"], 1)
                ]
                branch = parts[0]
                for part in parts[1:]:
                    branch = branch + part
                x = self.shortcut(x, name, width * expansion, stride) + branch
                if net["activation"] == "post":
                    x = F.relu(x, inplace=True)
        if net["activation"] == "pre":
            x = F.relu(self.batch_norm(x, "head.bn"), inplace=True)
        return F.linear(x.mean((2, 3)), self.state["classifier.weight"], self.state["classifier.bias"])

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of a batch of pixels 0–255."""
        return F.cross_entropy(self.logits(images.float()), labels)
