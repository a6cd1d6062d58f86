"""What trainings are fed and told of, whatever the library: the same formulas everywhere, and digests of weights."""

import math

import numpy as np

STEPS = 3
SGD = {"lr": 0.01, "momentum": 0.9}
FORMULAS = {
    "inputs": "element i of the flat input is w = sin(0.37 i + start) in float32, or low + floor((high - low) (w + 1) / 2) with a range",
    "classes": "element i of the flat targets is the class (5 i + 2) mod classes; the mean over all targets",
    "numbers": "element i of the flat targets is sin(0.53 i + 2); the mean over all elements",
}


def wave(sizes, start=0.0, range=None):
    values = [math.sin(0.37 * i + start) for i in np.arange(math.prod(sizes)).tolist()]
    if range is None:
        return np.array(values, np.float32).reshape(sizes)
    low, high = range
    return np.array([low + math.floor((high - low) * (value + 1) / 2) for value in values]).reshape(sizes)


def class_targets(shape, classes):
    return np.array([(5 * i + 2) % classes for i in range(math.prod(shape))]).reshape(shape)


def number_targets(shape):
    return np.array([math.sin(0.53 * i + 2) for i in range(math.prod(shape))]).reshape(shape)


def digest(weight):
    numbers = np.asarray(weight, np.float64)
    return {"sum": numbers.sum().item(), "squares": np.square(numbers).sum().item()}


def digests(initial, final):
    """By the name of a weight: what it was and became, in numbers that no transposition changes."""
    return {
        name: {
            "shape": list(np.shape(before)),
            "initial": digest(before),
            "final": digest(final[name]),
            # How far it went: the sum of the squares of all differences.
            "moved": digest(final[name] - before)["squares"],
        }
        for name, before in initial.items()
    }
