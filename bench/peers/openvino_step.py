"""Our portable step, at level basic, in OpenVINO: a runtime that takes the step as it is.

The batch is written into the step, so that it plans for one size.
"""

import argparse
from pathlib import Path

from openvino import Core
from openvino import __version__ as version
from protocol import Case, resident_bytes, serve
import numpy as np

library_bytes = resident_bytes()
parser = argparse.ArgumentParser()
parser.add_argument("--case", required=True)
case = Case(parser.parse_args().case)
core = Core()
model = core.read_model(Path(case.folder) / "basic.onnx")
model.reshape({"images": list(case.images.shape), "labels": list(case.labels.shape)})
# Left to itself it computes in half precision on processors that have it.
settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": case.threads, "PERFORMANCE_HINT": "LATENCY"}
compiled = core.compile_model(model, "CPU", settings)
request = compiled.create_infer_request()
state = dict(case.weights())
for name in [i.any_name for i in compiled.inputs]:
    if name.endswith(".momentum"):
        state[name] = np.zeros_like(state[name.removesuffix(".momentum")])
feeds = {"images": case.images, "labels": case.labels, "learning_rate": np.array(case.learning_rate, np.float32)}


def step() -> float:
    outputs = request.infer({**feeds, **state}, share_inputs=True)
    for output, value in outputs.items():
        name = output.any_name
        if name.endswith(".next"):
            state[name.removesuffix(".next")] = value
    return float(outputs["loss"])


serve(step, version=f"OpenVINO {version}", libraryBytes=library_bytes)
