"""Writes ONNX's own tests of tensors as files: OUT/SUITE/NAME/model.onnx and OUT/SUITE/NAME/test_data_set_K/{input,output}_J.pb.

python cases.py OUT        needs the packages onnx and numpy

The suite `node` is made by the package; the older ones lie in it.
"""

import pathlib
import shutil
import sys

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
for suite in ("simple", "pytorch-operator", "pytorch-converted"):
    shutil.copytree(older / suite, out / suite, dirs_exist_ok=True)
