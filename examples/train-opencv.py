"""Trains and predicts with OpenCV.

python train-opencv.py MODELS data_batch_1.bin 10 TRAINED

MODELS has the parts of a network: `rdm-export --inline --portable-level basic --part init`, `train` and `infer` as init.onnx,
train.onnx and infer.onnx. Each of the ten steps takes the next 32 images; every weight becomes a file of float32 in the folder
TRAINED. Needs opencv-python-headless and numpy.
"""

import sys
import time

import cv2
import numpy as np

models, data, steps, trained = sys.argv[1:]
# CIFAR-10: records of a label and the pixels.
records = np.fromfile(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
images = records[:, 1:].reshape(-1, 3, 32, 32)
labels = records[:, 0].astype(np.int64)


def load(part):
    return cv2.dnn.readNetFromONNX(f"{models}/{part}.onnx")


def run(net, feeds):
    for name, value in feeds.items():
        net.setInput(value, name)
    names = net.getUnconnectedOutLayersNames()
    return dict(zip(names, net.forward(names)))


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
    loss, correct = outputs["loss"].item(), outputs["correct"].item()
    print(f"step {step + 1}: loss {loss:.6f}, {correct} of 32 right, {seconds:.4f} s", flush=True)

for name, value in state.items():
    value.tofile(f"{trained}/{name}")
probabilities = run(load("infer"), {"images": images[:32]})["probabilities"]
print(f"infer.onnx: {np.sum(probabilities.argmax(1) == labels[:32])} of 32 right")
probabilities.tofile(f"{trained}/probabilities")
