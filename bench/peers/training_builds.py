"""Steps of several models by turns, in ONNX Runtime's training build for Python: JSON on both standard streams."""

import json
import sys
import time

import numpy as np
import onnxruntime

job = json.load(sys.stdin)
feeds = {name: np.fromfile(path, dtype).reshape(shape) for name, dtype, shape, path in job["feeds"]}
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = job["threads"]
options.enable_mem_pattern = False
# The threads of one model would spin into the run of the next.
options.add_session_config_entry("session.intra_op.allow_spinning", "0")


def open_model(name, path):
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return {"name": name, "session": session, "ms": [], "cpu": []}


models = [open_model(*model) for model in job["models"]]
for round in range(-1, job["rounds"]):
    for i in range(len(models)):
        model = models[(round + 1 + i) % len(models)]
        session = model["session"]
        names = [output.name for output in session.get_outputs()]
        begun, used = time.perf_counter(), time.process_time()
        outputs = session.run(names, feeds)
        model["loss"] = float(outputs[names.index(job["loss"])])
        if round >= 0:
            model["ms"].append((time.perf_counter() - begun) * 1000)
            model["cpu"].append((time.process_time() - used) * 1000)
json.dump([{key: model[key] for key in ("name", "loss", "ms", "cpu")} for model in models], sys.stdout)
