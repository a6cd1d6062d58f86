"""Times training steps of airbench94 in PyTorch on the CPU, eager: python airbench_step.py [steps [threads]]

The network and the step of graphs/airbench.ts (Jordan 2024), float32, 1024 drawn images. Prints the median of the seconds a
step, the first two left out.
"""

import statistics
import sys
import time

import torch
from torch import nn

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
torch.manual_seed(0)
BATCH = 1024
MOMENTUM = 0.85
RATE = 11.5 / (1 + 1 / (1 - MOMENTUM))
DECAY = 0.0153 / 11.5


def norm(channels):
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def group(inputs, outputs):
    return [
        *(conv(inputs, outputs), nn.MaxPool2d(2), norm(outputs), nn.GELU()),
        *(conv(outputs, outputs), norm(outputs), nn.GELU()),
    ]


whiten = nn.Conv2d(3, 24, 2)
whiten.weight.requires_grad = False
layers = [whiten, nn.GELU(), *group(24, 64), *group(64, 256), *group(256, 256)]
model = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False))
model = model.to(memory_format=torch.channels_last)
shifts = [layer.bias for layer in model if isinstance(layer, nn.BatchNorm2d)]
others = [p for p in model.parameters() if p.requires_grad and all(p is not shift for shift in shifts)]
optimizer = torch.optim.SGD(
    [
        {"params": shifts, "lr": 64 * RATE, "weight_decay": DECAY / 64},
        {"params": others, "lr": RATE, "weight_decay": DECAY},
    ],
    lr=RATE,
    momentum=MOMENTUM,
    nesterov=True,
)
average = {name: value.clone() for name, value in model.state_dict().items()}
images = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (BATCH,))
loss_of = nn.CrossEntropyLoss(label_smoothing=0.2)

seconds = []
for step in range(steps):
    begin = time.perf_counter()
    loss = loss_of(model(images) / 9, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        for mean, value in zip(average.values(), model.state_dict().values()):
            if mean.is_floating_point():
                mean.lerp_(value, 0.2)
                value.copy_(mean)
    seconds.append(time.perf_counter() - begin)
    print(f"step {step + 1}: loss {loss.item():.4f}, {seconds[-1]:.3f} s", flush=True)
print(f"PyTorch {torch.__version__}: {statistics.median(seconds[2:]):.3f} s a step")
