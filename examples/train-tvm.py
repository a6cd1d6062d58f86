"""Trains and predicts with TVM.

python train-tvm.py MODELS data_batch_1.bin 10 TRAINED

MODELS has the parts of a network: `rdm-export --inline --portable-level basic --part init`, `train` and `infer` as init.onnx,
train.onnx and infer.onnx. Each of the ten steps takes the next 32 images; every weight becomes a file of float32 in the folder
TRAINED.
Needs apache-tvm, onnx and numpy.
"""

import sys
import time
import warnings

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

# It says of every dotted name that it has another for it.
warnings.simplefilter("ignore")
models, data, steps, trained = sys.argv[1:]
# CIFAR-10: records of a label and the pixels.
records = np.fromfile(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
images = records[:, 1:].reshape(-1, 3, 32, 32)
labels = records[:, 0].astype(np.int64)


def load(part):
    model = onnx.load(f"{models}/{part}.onnx")
    # An input that has a default, such as momentum, becomes a constant: from_onnx takes no value for it.
    defaults = {value.name for value in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in defaults]
    outputs = [value.name for value in model.graph.output]
    return inputs, outputs, relax.VirtualMachine(relax.build(from_onnx(model), "llvm"), tvm.cpu())


def run(loaded, feeds):
    inputs, names, machine = loaded
    outputs = machine["main"](*[tvm.runtime.tensor(feeds[name]) for name in inputs])
    return {name: output.numpy() for name, output in zip(names, outputs)}


def ending(suffix, tensors):
    return {name[: -len(suffix)]: value for name, value in tensors.items() if name.endswith(suffix)}


# The first value of NAME comes out as NAME.initial, the value after a step as NAME.next (metadata: rdm.initial, rdm.carried).
state = ending(".initial", run(load("init"), {}))
train = load("train")
for step in range(int(steps)):
    batch = np.arange(step * 32, step * 32 + 32) % len(images)
    feeds = {"images": images[batch], "labels": labels[batch], "learning_rate": np.array(0.05, np.float32)}
    begin = time.perf_counter()
    outputs = run(train, {**feeds, **state})
    seconds = time.perf_counter() - begin
    state = ending(".next", outputs)
    print(f"step {step + 1}: loss {outputs['loss']:.6f}, {outputs['correct']} of 32 right, {seconds:.4f} s", flush=True)

for name, value in state.items():
    value.tofile(f"{trained}/{name}")
probabilities = run(load("infer"), {"images": images[:32]})["probabilities"]
print(f"infer.onnx: {np.sum(probabilities.argmax(1) == labels[:32])} of 32 right")
probabilities.tofile(f"{trained}/probabilities")
