"""Trains what `rdm-export --artifacts DIR` wrote by ONNX Runtime's training API for Python.

python artifacts.py DIR data_batch_1.bin

Needs onnxruntime-training-cpu 1.19.2 with onnx 1.16 and numpy 1.26, on Python 3.11: test/support/ortTraining.sh.
"""

import importlib.util
import sys
import types

import numpy as np
import onnxruntime

# The package around the training API imports PyTorch, which the API does not use: without PyTorch an empty one will do.
if importlib.util.find_spec("torch") is None:
    package = types.ModuleType("onnxruntime.training")
    package.__path__ = [f"{onnxruntime.__path__[0]}/training"]
    sys.modules[package.__name__] = package

from onnxruntime.training.api import CheckpointState, Module, Optimizer

folder, file = sys.argv[1:]
# CIFAR-10: records of a label and the pixels.
records = np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
images = records[:, 1:].reshape(-1, 3, 32, 32)
labels = records[:, 0].astype(np.int64)

state = CheckpointState.load_checkpoint(f"{folder}/checkpoint")
model = Module(f"{folder}/training_model.onnx", state, f"{folder}/eval_model.onnx")
optimizer = Optimizer(f"{folder}/optimizer_model.onnx", model)
for step in range(10):
    batch = np.arange(step * 25, step * 25 + 25) % len(images)
    loss, correct, _ = model(images[batch], labels[batch])
    optimizer.step()
    model.lazy_reset_grad()
    print(f"step {step + 1}: loss {loss:.4f}, {correct} of {len(batch)} right")

model.eval()
loss, correct, _ = model(images, labels)
print(f"trained: loss {loss:.4f}, {correct} of {len(images)} right")
CheckpointState.save_checkpoint(state, f"{folder}/trained", include_optimizer_state=True)
model.export_model_for_inferencing(f"{folder}/inference.onnx", ["logits"])
