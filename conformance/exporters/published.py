"""Networks taken as published, of which there is no source here: PyTorch runs their files, a function for each operator, and trains them.

The files are those of test/support/realModels.sh.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

from .formulas import FORMULAS, STEPS, class_targets, digests, wave

FOLDER = Path(__file__).parent.parent.parent / ".venv" / "networks"


def tensor(proto):
    value = torch.tensor(numpy_helper.to_array(proto))
    return value.double() if value.is_floating_point() else value


def ints(value):
    return [int(part) for part in value.reshape(-1)]


def reduced(f):
    def run(a, x, axes=None):
        axes = a.get("axes", ints(axes) if axes is not None else None)
        return f(x, axes, bool(a.get("keepdims", 1)))

    return run


def conv(a, x, w, b=None):
    half = a.get("pads", [0] * (2 * (x.dim() - 2)))
    begin, end = half[: len(half) // 2], half[len(half) // 2 :]
    padding = [size for pair in zip(reversed(begin), reversed(end)) for size in pair]
    f = F.conv1d if x.dim() == 3 else F.conv2d
    return f(F.pad(x, padding), w, b, a.get("strides", 1), 0, a.get("dilations", 1), a.get("group", 1))


def batch_norm(a, x, scale, shift, mean, variance):
    along = lambda value: value.view(1, -1, *[1] * (x.dim() - 2))
    return (x - along(mean)) / torch.sqrt(along(variance) + a.get("epsilon", 1e-5)) * along(scale) + along(shift)


def pad(a, x, pads):
    pads = ints(pads)
    begin, end = pads[: x.dim()], pads[x.dim() :]
    last = max((i for i in range(x.dim()) if begin[i] or end[i]), default=0)
    # Only the last axis is padded, by what is there.
    assert last == x.dim() - 1 and not any(begin[:last]) and a["mode"] == b"reflect"
    return F.pad(x.unsqueeze(0), [begin[last], end[last]], mode="reflect").squeeze(0)


def sliced(a, x, starts, ends, axes=None, steps=None):
    axes = ints(axes) if axes is not None else range(len(starts))
    for axis, start, end, step in zip(axes, ints(starts), ints(ends), ints(steps) if steps is not None else [1] * len(starts)):
        places = list(range(x.shape[axis]))[slice(start, None if step < 0 and end < -(2**31) else end, step)]
        x = x.index_select(axis, torch.tensor(places, dtype=torch.long))
    return x


def lstm(a, x, w, r, b=None, lengths=None, h=None, c=None):
    assert a.get("direction", b"forward") == b"forward" and lengths is None
    h, c = h[0], c[0]
    bias = b[0].view(2, -1).sum(0)
    steps = []
    for step in x:
        i, o, f, g = (step @ w[0].T + h @ r[0].T + bias).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        steps.append(h)
    return torch.stack(steps).unsqueeze(1), h.unsqueeze(0), c.unsqueeze(0)


def reshape(a, x, shape):
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(ints(shape))])


def gather(a, x, places):
    axis = a.get("axis", 0)
    found = x.index_select(axis, places.reshape(-1) % x.shape[axis])
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def cast(a, x):
    kind = {1: torch.float64, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}[a["to"]]
    return x.to(kind)


def squeeze(a, x, axes=None):
    axes = a.get("axes", ints(axes) if axes is not None else None)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def unsqueeze(a, x, axes=None):
    for axis in sorted(a.get("axes") or ints(axes)):
        x = x.unsqueeze(axis)
    return x


def clip(a, x, low=None, high=None):
    return torch.clamp(x, low if low is not None else a.get("min"), high if high is not None else a.get("max"))


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Clip": clip,
    "Concat": lambda a, *parts: torch.cat(parts, a["axis"]),
    "Constant": lambda a: tensor(a["value"]),
    "ConstantOfShape": lambda a, shape: tensor(a["value"]).expand(ints(shape)),
    "Conv": conv,
    "Div": lambda a, x, y: x / y,
    "Equal": lambda a, x, y: x == y,
    "Exp": lambda a, x: torch.exp(x),
    "Expand": lambda a, x, shape: torch.broadcast_to(x, torch.broadcast_shapes(x.shape, tuple(ints(shape)))),
    "Gather": gather,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda a, x: x.flatten(2).amax(2).view(*x.shape[:2], *[1] * (x.dim() - 2)),
    "HardSigmoid": lambda a, x: torch.clamp(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "Identity": lambda a, x: x,
    "LSTM": lstm,
    "MatMul": lambda a, x, y: x @ y,
    "Max": lambda a, x, y: torch.maximum(x, y),
    "MaxPool": lambda a, x: F.max_pool2d(x, a["kernel_shape"], a["strides"]),
    "Mul": lambda a, x, y: x * y,
    "Not": lambda a, x: ~x,
    "Pad": pad,
    "Pow": lambda a, x, y: x**y,
    "Reciprocal": lambda a, x: 1 / x,
    "ReduceMax": reduced(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMean": reduced(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceSum": reduced(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "Relu": lambda a, x: torch.relu(x),
    "Reshape": reshape,
    "Shape": lambda a, x: torch.tensor(x.shape),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Size": lambda a, x: torch.tensor(x.numel()),
    "Slice": sliced,
    "Softmax": lambda a, x: torch.softmax(x, a["axis"]),
    "Sqrt": lambda a, x: torch.sqrt(x),
    "Squeeze": squeeze,
    "Sub": lambda a, x, y: x - y,
    "Tanh": lambda a, x: torch.tanh(x),
    "Transpose": lambda a, x: x.permute(a["perm"]),
    "Unsqueeze": unsqueeze,
}


def run(graph, values, weights):
    """The values of a graph by name; a constant that is a weight is that weight."""
    values |= {proto.name: weights[proto.name] if proto.name in weights else tensor(proto) for proto in graph.initializer}
    for node in graph.node:
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        inputs = [values[name] if name else None for name in node.input]
        if node.op_type == "If":
            branch = attributes["then_branch" if inputs[0].all() else "else_branch"]
            inner = run(branch, dict(values), weights)
            results = [inner[info.name] for info in branch.output]
        elif node.op_type == "Constant" and node.output[0] in weights:
            results = [weights[node.output[0]]]
        else:
            results = OPERATORS[node.op_type](attributes, *inputs)
            results = results if isinstance(results, tuple) else (results,)
        values |= dict(zip(node.output, results))
    return values


def constants(graph):
    """The float constants of a graph and of the branches in it, by name, but for statistics."""
    statistics = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:]}
    found = {proto.name: proto for proto in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= constants(attribute.g)
            elif node.op_type == "Constant":
                found[node.output[0]] = attribute.t
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return {name: proto for name, proto in found.items() if proto.data_type in floats and name not in statistics}


def train(file, inputs, output, loss, fixed, weight_names, lr):
    graph = onnx.load(FOLDER / file).graph
    weights = {
        name: tensor(proto).requires_grad_()
        for name, proto in constants(graph).items()
        if np.prod(proto.dims) > 1 and weight_names(name)
    }
    given = {
        name: torch.tensor(wave(spec["shape"], spec["start"], spec.get("range"))) for name, spec in inputs.items()
    }
    given = {name: value.double() if value.is_floating_point() else value for name, value in given.items()}
    evaluate = lambda: run(graph, {**given, **fixed}, weights)[output]
    rows = evaluate().shape
    if loss == "binary-cross-entropy":
        wanted = torch.tensor(np.arange(np.prod(rows)) % 2).double().reshape(rows)
        measure = lambda y: F.binary_cross_entropy(y, wanted)
    else:
        wanted = torch.tensor(class_targets(rows[:1], rows[1]))
        is_softmax = next(node for node in graph.node if output in node.output).op_type in ("Softmax", "Identity")
        measure = lambda y: F.nll_loss(torch.log(y), wanted) if is_softmax else F.cross_entropy(y, wanted)
    sgd = {"lr": lr, "momentum": 0.9}
    copies = lambda: {name: weight.detach().numpy().copy() for name, weight in weights.items()}
    # What the output does not depend on has no gradient and stays.
    measure(evaluate()).backward()
    weights = {name: weight for name, weight in weights.items() if weight.grad is not None}
    optimizer = torch.optim.SGD(weights.values(), **sgd)
    initial = copies()
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = measure(evaluate())
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return {
        "by": f"PyTorch {torch.__version__.split('+')[0]}, float64, operator by operator",
        "formulas": {
            "inputs": FORMULAS["inputs"],
            "targets": "element i is i mod 2" if "binary" in loss else FORMULAS["classes"],
        },
        "inputs": inputs,
        "loss": loss,
        "batchStatistics": False,
        "sgd": sgd,
        "losses": losses,
        "weights": digests(initial, copies()),
    }


def rapidocr():
    inputs = {"x": {"shape": [2, 3, 48, 96], "start": 0}}
    file = "rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx"
    return train(file, inputs, "save_infer_model/scale_0.tmp_1", "cross-entropy", {}, lambda name: True, 0.01)


def magika():
    inputs = {"bytes": {"shape": [2, 2048], "start": 0, "range": [0, 257]}}
    output = "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/Dense_1/AddV2:0"
    return train("magika/model.onnx", inputs, output, "cross-entropy", {}, lambda name: True, 0.001)


def silero():
    inputs = {"input": {"shape": [3, 576], "start": 0}}
    fixed = {"sr": torch.tensor(16000), "state": torch.zeros(2, 3, 128).double()}
    is_weight = lambda name: "forward_basis" not in name
    return train("silero-vad/silero_vad.onnx", inputs, "output", "binary-cross-entropy", fixed, is_weight, 0.01)


# Those that were not fetched keep their numbers.
TRAININGS = {"rapidocr_cls": rapidocr, "magika": magika, "silero_vad": silero} if FOLDER.exists() else {}
