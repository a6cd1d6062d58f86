"""The training step in PyTorch on a GPU: `torch_gpu.py --case FOLDER [--autocast] [--compile default]`.

The batches lie on the device, taken in turn; nothing is gathered or augmented. Steps follow each other without waiting for
their losses; times are those of groups of steps, each from one synchronization to the next.

Answers a line of JSON by a line of JSON: {"steps": k} by the losses of k steps; {"seconds": s} by the milliseconds a step
of every group within that time; {"profile": k} by how long kernels ran in k steps, and how many.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from protocol import Case, read_safetensors
from torch import Tensor
from torch_net import Net

# Keeps the first steps of half precision from being skipped, as a larger scale does now and then.
LOSS_SCALE = 1024.0

parser = argparse.ArgumentParser()
parser.add_argument("--case", required=True)
parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
parser.add_argument("--autocast", action="store_true", help="half precision, channels_last; float32 (TF32) without")
parser.add_argument("--group", type=int, default=20, help="steps from one synchronization to the next")
parser.add_argument("--compile", choices=["default", "reduce-overhead"])
options = parser.parse_args()
device = options.device
on_gpu = device == "cuda"
if on_gpu and not torch.cuda.is_available():
    sys.exit("PyTorch finds no GPU")

torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True
torch.backends.cudnn.benchmark = True
case = Case(options.case)
if not on_gpu:
    torch.set_num_threads(case.threads)
net = Net(case, torch.channels_last if options.autocast else torch.contiguous_format, device)
file = read_safetensors(case.folder / "batches.safetensors")
batches = [(net.tensor(x), net.tensor(t)) for x, t in zip(file["images"], file["labels"])]
scaler = torch.amp.GradScaler(device, init_scale=LOSS_SCALE, enabled=options.autocast)


def autocast_loss(images: Tensor, labels: Tensor) -> Tensor:
    with torch.autocast(device, dtype=torch.float16, enabled=options.autocast):
        return net.loss(images, labels)


loss_of = autocast_loss
if options.compile:
    # Parameters stay where they are, which a module would say of its own: captured graphs may then write to them.
    for value in net.state.values():
        torch._dynamo.mark_static_address(value)
    loss_of = torch.compile(autocast_loss, mode=options.compile)

done = 0


def step() -> Tensor:
    global done
    images, labels = batches[done % len(batches)]
    done += 1
    if options.compile == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()
    net.optimizer.zero_grad(set_to_none=True)
    loss = loss_of(images, labels)
    scaler.scale(loss).backward()
    scaler.step(net.optimizer)
    scaler.update()
    return loss.detach()


def synchronize() -> None:
    if on_gpu:
        torch.cuda.synchronize()


def losses(steps: int) -> dict:
    return {"loss": [step().item() for _ in range(steps)]}


def times(seconds: float) -> dict:
    synchronize()
    begun = started = time.perf_counter()
    ms = []
    while time.perf_counter() - begun < seconds:
        for _ in range(options.group):
            step()
        synchronize()
        ended = time.perf_counter()
        ms.append((ended - started) * 1000 / options.group)
        started = ended
    return {"ms": ms, "steps": options.group * len(ms), "seconds": started - begun}


def profile(steps: int) -> dict:
    """How long kernels ran, by CUPTI; while it looks on, the host is slower, so the wall time is not the usual one."""
    if not on_gpu:
        return {}
    activities = [torch.profiler.ProfilerActivity.CUDA]
    synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(steps):
            step()
        synchronize()
    kernels = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    spans = np.array(sorted((event.time_range.start, event.time_range.end) for event in kernels))
    # Kernels of several streams may run at once: the time in which any ran.
    ends = np.maximum.accumulate(spans[:, 1])
    busy = np.sum(np.maximum(0, spans[:, 1] - np.maximum(spans[:, 0], np.concatenate(([0], ends[:-1])))))
    return {"kernelMs": float(busy) / 1000 / steps, "kernels": len(kernels) / steps}


answers = {"steps": losses, "seconds": times, "profile": profile}
name = torch.cuda.get_device_name() if on_gpu else "cpu"
print(json.dumps({"ready": True, "version": f"PyTorch {torch.__version__}", "device": name}), flush=True)
for line in sys.stdin:
    [(request, amount)] = json.loads(line).items()
    print(json.dumps(answers[request](amount)), flush=True)
