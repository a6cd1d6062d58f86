"""The training step that onnxsim derives from the exported file (compile_training_loop), in ONNX Runtime.

It wants sizes that are numbers, an inference batch norm, and the loss in the file: cross-entropy is appended in the operators that it
differentiates, with the labels as rows of zeros and a one, Constant is written as an initializer, Flatten as Reshape.
"""

import argparse
import json
import os
from pathlib import Path

from protocol import read_safetensors, resident_bytes, serve

parser = argparse.ArgumentParser()
parser.add_argument("--case", type=Path, required=True)
options = parser.parse_args()
settings = json.loads((options.case / "case.json").read_text())
# ONNX Runtime has no option of onnxsim's; its threads are bound to cores by how many there are.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings["threads"]])

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import onnxsim  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

library_bytes = resident_bytes()
data = read_safetensors(options.case / "batch.safetensors")
labels = data.pop("labels")
model, _ = onnxsim.simplify(
    onnx.load(options.case / "network.onnx"),
    overwrite_input_shapes={name: list(value.shape) for name, value in data.items()},
)
graph = model.graph
for node in list(graph.node):
    # It has no rules for Constant, which is an initializer, and for Flatten, which is a Reshape of two sizes here.
    if node.op_type == "Constant":
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(node.attribute[0].t), node.output[0]))
        graph.node.remove(node)
    elif node.op_type == "Flatten":
        node.op_type = "Reshape"
        del node.attribute[:]
        node.input.append("flatten.shape")
        graph.initializer.append(numpy_helper.from_array(np.array([labels.shape[0], -1]), "flatten.shape"))
statistics = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:]}
floats = [t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) > 0]
params = [name for name in floats if name not in statistics and not name.endswith("Constant_output_0")]
(logits,) = graph.output
shape = [dim.dim_value for dim in logits.type.tensor_type.shape.dim]
hot = np.eye(shape[1], dtype=np.float32)[labels]
hot = np.moveaxis(hot, -1, 1)
graph.input.append(helper.make_tensor_value_info("hot", TensorProto.FLOAT, hot.shape))
graph.initializer.append(numpy_helper.from_array(np.float32(-1 / labels.size), "loss.factor"))
graph.initializer.append(numpy_helper.from_array(np.arange(hot.ndim), "loss.axes"))
graph.node.extend(
    [
        helper.make_node("Softmax", [logits.name], ["loss.probabilities"], axis=1),
        helper.make_node("Log", ["loss.probabilities"], ["loss.logs"]),
        helper.make_node("Mul", ["loss.logs", "hot"], ["loss.picked"]),
        helper.make_node("ReduceSum", ["loss.picked", "loss.axes"], ["loss.sum"], keepdims=0),
        helper.make_node("Mul", ["loss.sum", "loss.factor"], ["loss"]),
    ]
)
graph.output.append(helper.make_tensor_value_info("loss", TensorProto.FLOAT, []))
loop = onnxsim.compile_training_loop(model, "loss", params, optimizer="sgd_momentum")
feeds = {**data, "hot": hot}
serve(
    lambda: float(loop(feeds, settings["learningRate"])),
    version=f"onnxsim {onnxsim.__version__}, onnxruntime {onnxruntime.__version__}",
    libraryBytes=library_bytes,
)
