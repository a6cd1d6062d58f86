"""The training step by ONNX Runtime's own training build: its gradient builder on our inference graph.

Its optimizers have no SGD with momentum, so the update is appended as ordinary nodes, and its training API is left aside
for a session that gives its outputs back as inputs.
"""

import argparse

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

# `onnxruntime.training` wants PyTorch when imported; what it calls to build gradients does not.
from onnxruntime.capi._pybind_state import GradientGraphBuilder, get_optimized_model
from protocol import Case, resident_bytes, serve

library_bytes = resident_bytes()

parser = argparse.ArgumentParser()
parser.add_argument("--case", required=True)
case = Case(parser.parse_args().case)

FLOAT = TensorProto.FLOAT
weights = case.weights()
trained = sorted(name for name in weights if ".running_" not in name)


def info(name: str, shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def forward() -> onnx.ModelProto:
    """The inference graph with batch statistics, the loss as its output and the weights as inputs; fixed batch."""
    model = onnx.load(case.folder / "infer.onnx")
    graph = model.graph
    images = graph.input[0]
    images.type.tensor_type.shape.dim[0].dim_value = len(case.labels)
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            node.attribute.append(helper.make_attribute("training_mode", 1))
            node.output.extend(f"{name}.next" for name in node.input[3:5])
    # The loss has a softmax of its own.
    graph.node.remove(next(node for node in graph.node if "probabilities" in node.output))
    graph.node.append(helper.make_node("SoftmaxCrossEntropyLoss", ["logits", "labels"], ["loss"], reduction="mean"))
    graph.input.append(helper.make_tensor_value_info("labels", TensorProto.INT64, case.labels.shape))
    graph.input.extend(info(name, value.shape) for name, value in weights.items())
    constants = [tensor for tensor in graph.initializer if tensor.name not in weights]
    statistics = [info(f"{name}.next", weights[name].shape) for name in weights if name not in trained]
    del graph.initializer[:], graph.output[:], graph.value_info[:]
    graph.initializer.extend(constants)
    graph.output.extend([info("loss", []), *statistics])
    return model


def with_gradients(model: onnx.ModelProto) -> onnx.ModelProto:
    """As onnxruntime.training.onnxblock does it: training rewrites, then the backward pass; outputs NAME_grad."""
    options = ort.SessionOptions()
    rewritten = get_optimized_model(model.SerializeToString(), set(trained), options)
    builder = GradientGraphBuilder(rewritten, {"loss"}, set(trained), "loss", options)
    builder.build()
    return onnx.load_from_string(builder.get_model())


def with_update(model: onnx.ModelProto) -> onnx.ModelProto:
    """Appends g ← g + decay·w, v ← momentum·v + g, w ← w − rate·v for each weight, and makes them the outputs."""
    graph = model.graph
    recipe = case.recipe
    assert not recipe["nesterov"], "only plain momentum is written here"
    scalars = {"sgd.decay": recipe["weightDecay"], "sgd.momentum": recipe["momentum"], "sgd.rate": case.learning_rate}
    graph.initializer.extend(helper.make_tensor(name, FLOAT, [], [value]) for name, value in scalars.items())
    outputs = [output for output in graph.output if not output.name.endswith("_grad")]
    for w in trained:
        update = [
            ("Mul", [w, "sgd.decay"], f"{w}.decay"),
            ("Add", [f"{w}_grad", f"{w}.decay"], f"{w}.decayed"),
            ("Mul", [f"{w}.velocity", "sgd.momentum"], f"{w}.kept"),
            ("Add", [f"{w}.kept", f"{w}.decayed"], f"{w}.velocity.next"),
            ("Mul", [f"{w}.velocity.next", "sgd.rate"], f"{w}.change"),
            ("Sub", [w, f"{w}.change"], f"{w}.next"),
        ]
        graph.node.extend(helper.make_node(operator, inputs, [output]) for operator, inputs, output in update)
        graph.input.append(info(f"{w}.velocity", weights[w].shape))
        outputs += [info(f"{name}.next", weights[w].shape) for name in (w, f"{w}.velocity")]
    del graph.output[:]
    graph.output.extend(outputs)
    return model


options = ort.SessionOptions()
options.intra_op_num_threads = case.threads
session = ort.InferenceSession(
    with_update(with_gradients(forward())).SerializeToString(), options, providers=["CPUExecutionProvider"]
)

state = {**weights, **{f"{w}.velocity": np.zeros_like(weights[w]) for w in trained}}
batch = {"images": case.images, "labels": case.labels}
loss = ort.OrtValue.ortvalue_from_numpy(np.zeros((), np.float32))
# A step reads one set of the state and writes the other.
sets = [{name: ort.OrtValue.ortvalue_from_numpy(v.copy()) for name, v in state.items()} for _ in range(2)]


def bind(source: dict, target: dict) -> ort.IOBinding:
    binding = session.io_binding()
    for name, value in batch.items():
        binding.bind_cpu_input(name, value)
    for name, value in source.items():
        binding.bind_ortvalue_input(name, value)
        binding.bind_ortvalue_output(f"{name}.next", target[name])
    binding.bind_ortvalue_output("loss", loss)
    return binding


bindings = [bind(*sets), bind(*reversed(sets))]


def step() -> float:
    session.run_with_iobinding(bindings[0])
    bindings.reverse()
    return float(loss.numpy())


serve(step, version=f"onnxruntime-training-cpu {ort.__version__}", libraryBytes=library_bytes)
