"""The training step of airbench94 (graphs/airbench.ts; Jordan 2024) in PyTorch on the CPU, float32."""

import argparse

import torch
from protocol import Case, resident_bytes, serve
from torch import nn

library_bytes = resident_bytes()
parser = argparse.ArgumentParser()
parser.add_argument("--case", required=True)
parser.add_argument("--memory-format", choices=["contiguous", "channels_last"], required=True)
parser.add_argument("--compile", action="store_true")
options = parser.parse_args()

case = Case(options.case)
torch.set_num_threads(case.threads)
layout = torch.channels_last if options.memory_format == "channels_last" else torch.contiguous_format
MEAN = torch.tensor([0.49139968, 0.48215841, 0.44653091]).view(1, 3, 1, 1)
STD = torch.tensor([0.24703223, 0.24348513, 0.26158784]).view(1, 3, 1, 1)


def norm(channels: int) -> nn.BatchNorm2d:
    # Its average of the statistics keeps 0.6 of what it was.
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def group(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        *(conv(inputs, outputs), nn.MaxPool2d(2), norm(outputs), nn.GELU()),
        *(conv(outputs, outputs), norm(outputs), nn.GELU()),
    ]


whiten = nn.Conv2d(3, 24, 2)
whiten.weight.requires_grad = False
layers = [whiten, nn.GELU(), *group(24, 64), *group(64, 256), *group(256, 256)]
head = nn.Linear(256, 10, bias=False)
model = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), head)


def load() -> None:
    """The weights of the case, by the names that the layers have there."""
    weights = {name: torch.from_numpy(value) for name, value in case.weights().items()}
    convs = [f"block{block}.conv{i}" for block in (1, 2, 3) for i in (1, 2)]
    norms = [f"block{block}.norm{i}" for block in (1, 2, 3) for i in (1, 2)]
    with torch.no_grad():
        whiten.weight.copy_(weights["whiten.weight"])
        whiten.bias.copy_(weights["whiten.bias"])
        head.weight.copy_(weights["head.weight"])
        for name, layer in zip(convs, (each for each in layers[2:] if isinstance(each, nn.Conv2d)), strict=True):
            layer.weight.copy_(weights[f"{name}.weight"])
        for name, layer in zip(norms, (each for each in layers if isinstance(each, nn.BatchNorm2d)), strict=True):
            layer.bias.copy_(weights[f"{name}.shift"])


load()
model = model.to(memory_format=layout)
rate, decay = case.learning_rate, case.recipe["weightDecay"]
shifts = [layer.bias for layer in layers if isinstance(layer, nn.BatchNorm2d)]
others = [p for p in model.parameters() if p.requires_grad and all(p is not shift for shift in shifts)]
optimizer = torch.optim.SGD(
    [
        {"params": shifts, "lr": 64 * rate, "weight_decay": decay / 64},
        {"params": others, "lr": rate, "weight_decay": decay},
    ],
    lr=rate,
    momentum=case.recipe["momentum"],
    nesterov=case.recipe["nesterov"],
    fused=True,
)
average = {name: value.clone() for name, value in model.state_dict().items()}
images, labels = torch.from_numpy(case.images), torch.from_numpy(case.labels)
loss_of = nn.CrossEntropyLoss(label_smoothing=0.2)


def forward(pixels: torch.Tensor) -> torch.Tensor:
    x = ((pixels.float() / 255 - MEAN) / STD).contiguous(memory_format=layout)
    return loss_of(model(x) / 9, labels)


forward = torch.compile(forward) if options.compile else forward
steps = 0


def step() -> float:
    global steps
    loss = forward(images)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    steps += 1
    # Lookahead: every five steps training goes on from the average, which here takes nothing of what it was.
    if steps % 5 == 0:
        for mean, value in zip(average.values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1)
                value.copy_(mean)
    return loss.item()


serve(step, version=f"PyTorch {torch.__version__}", libraryBytes=library_bytes)
