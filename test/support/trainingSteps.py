"""Models in ONNX Runtime's training build for Python, each run batch by batch on the state that the run before it left: JSON on
both standard streams."""

import json
import sys

import numpy as np
import onnxruntime


def array(tensor):
    return np.array(tensor["data"], tensor["dtype"]).reshape(tensor["shape"])


def arrays(tensors):
    return {name: array(tensor) for name, tensor in tensors.items()}


def run(job):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    state = arrays(job["state"])
    for batch in job["batches"]:
        results = dict(zip(names, session.run(names, {**state, **arrays(batch)})))
        state |= {name: results[output] for output, name in job["carried"].items()}
        yield {
            name: {"dtype": value.dtype.name, "shape": value.shape, "data": value.flatten().tolist()}
            for name, value in results.items()
        }


json.dump([list(run(job)) for job in json.load(sys.stdin)], sys.stdout)
