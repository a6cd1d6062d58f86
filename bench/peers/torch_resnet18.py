"""torchvision's resnet18 on images of 64 × 64: `torch_resnet18.py export FOLDER` and `torch_resnet18.py time FOLDER`.

`export` writes what a user has: FOLDER/resnet18.onnx, by PyTorch's exporter that traces, with the batch norms unfolded, and
FOLDER/images.npz, random pixels. `time` trains from the same weights on the same pixels, a batch that lies on the device, and
prints the milliseconds a step: float32 (TF32 allowed), and half precision in channels_last, by turns.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models import resnet18

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["export", "time"])
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--images", type=int, default=2560)
parser.add_argument("--seconds", type=float, default=4)
options = parser.parse_args()
CLASSES, SIZE, GROUP = 10, 64, 20


def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return resnet18(num_classes=CLASSES)


def export() -> None:
    options.folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (options.images, 3, SIZE, SIZE), dtype=np.uint8)
    np.savez(options.folder / "images.npz", images=images, labels=draw.integers(0, CLASSES, options.images))
    torch.onnx.export(
        network().eval(),
        torch.zeros(1, 3, SIZE, SIZE),
        options.folder / "resnet18.onnx",
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
    )


class Training:
    def __init__(self, half: bool) -> None:
        layout = torch.channels_last if half else torch.contiguous_format
        self.half = half
        self.net = network().train().to(options.device, memory_format=layout)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
        self.scaler = torch.amp.GradScaler(options.device, init_scale=1024.0, enabled=half)
        data = np.load(options.folder / "images.npz")
        pixels = torch.from_numpy(data["images"][: options.batch]).to(options.device)
        self.images = pixels.contiguous(memory_format=layout)
        self.labels = torch.from_numpy(data["labels"][: options.batch]).to(options.device)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(options.device, dtype=torch.float16, enabled=self.half):
            loss = F.cross_entropy(self.net(self.images.float() / 127.5 - 1), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def group(self) -> float:
        """Milliseconds a step of a group, from one synchronization to the next."""
        begun = time.perf_counter()
        for _ in range(GROUP):
            self.step()
        if options.device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begun) * 1000 / GROUP


def times() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    ways = {"fp32": Training(False)} | ({"autocast": Training(True)} if options.device == "cuda" else {})
    for training in ways.values():
        training.group()
    ms = {name: [] for name in ways}
    begun = time.perf_counter()
    while time.perf_counter() - begun < options.seconds:
        for name, training in ways.items():
            ms[name].append(training.group())
    print(json.dumps(ms))


{"export": export, "time": times}[options.what]()
