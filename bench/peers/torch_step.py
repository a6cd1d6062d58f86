"""The training step in PyTorch on the CPU: eager, or compiled by torch.compile."""

import argparse

import torch
from protocol import Case, resident_bytes, serve
from torch_net import Net

library_bytes = resident_bytes()

parser = argparse.ArgumentParser()
parser.add_argument("--case", required=True)
parser.add_argument("--memory-format", choices=["contiguous", "channels_last"], required=True)
parser.add_argument("--compile", action="store_true")
options = parser.parse_args()

case = Case(options.case)
torch.set_num_threads(case.threads)
net = Net(case, torch.channels_last if options.memory_format == "channels_last" else torch.contiguous_format)
loss_of = torch.compile(net.loss) if options.compile else net.loss
images, labels = net.tensor(case.images), net.tensor(case.labels)


def step() -> float:
    net.optimizer.zero_grad(set_to_none=True)
    loss = loss_of(images, labels)
    loss.backward()
    net.optimizer.step()
    return loss.item()


serve(step, version=f"PyTorch {torch.__version__}", libraryBytes=library_bytes)
