"""Predicts with PyTorch, by onnx2torch: the network becomes a torch.nn.Module.

python predict-onnx2torch.py MODELS data_batch_1.bin PREDICTED

MODELS has the network: `rdm-export --part infer` as infer.onnx. PREDICTED gets a file of float32.
Needs onnx2torch and torch.
"""

import sys

import numpy as np
import torch
from onnx2torch import convert

models, data, predicted = sys.argv[1:]
# CIFAR-10: records of a label and the pixels.
records = np.fromfile(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
images = records[:, 1:].reshape(-1, 3, 32, 32)
labels = records[:, 0]

network = convert(f"{models}/infer.onnx").eval()
with torch.no_grad():
    logits, probabilities = network(torch.from_numpy(images[:32]))
print(f"infer.onnx: {np.sum(probabilities.numpy().argmax(1) == labels[:32])} of 32 right")
probabilities.numpy().tofile(f"{predicted}/probabilities")
