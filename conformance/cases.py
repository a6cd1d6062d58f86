"""Writes ONNX's own tests of tensors as files: OUT/SUITE/NAME/model.onnx and OUT/SUITE/NAME/test_data_set_K/{input,output}_J.pb.

python cases.py OUT        needs the packages onnx and numpy

The suite `node` is made by the package; the older ones lie in it.
"""

import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

out = pathlib.Path(sys.argv[1])
for case in collect_testcases(None):
    graph = case.model.graph
    infos = [*graph.input, *graph.output]
    if not all(info.type.HasField("tensor_type") for info in infos):
        continue
    folder = out / "node" / case.name
    for k, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{k}"
        data.mkdir(parents=True, exist_ok=True)
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for j, (value, info) in enumerate(zip(values, infos)):
                proto = value if isinstance(value, TensorProto) else numpy_helper.from_array(value, info.name)
                (data / f"{kind}_{j}.pb").write_bytes(proto.SerializeToString())
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
older = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
for path in sorted((older / "light").glob("light_*.onnx")):
    folder = out / "light" / path.stem.removeprefix("light_")
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder / "model.onnx")
    shutil.copy(path.with_name(f"{path.stem}_output_0.pb"), data / "output_0.pb")
    graph = onnx.load(path).graph
    weights = {initializer.name for initializer in graph.initializer}
    (info,) = (info for info in graph.input if info.name not in weights)
    # What onnx.backend.test.runner feeds them.
    shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
    count = np.prod(shape)
    value = (np.arange(count).reshape(shape) / count).astype(np.float32)
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(value, info.name).SerializeToString())
for suite in ("simple", "pytorch-operator", "pytorch-converted"):
    shutil.copytree(older / suite, out / suite, dirs_exist_ok=True)
