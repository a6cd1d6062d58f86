"""What ONNX's own library says of files: its checker with all checks, strict shape inference, and the bytes that it would write.

python check.py FILE.onnx...
"""

import sys

import onnx

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        content = file.read()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    declared = {value.name: value.type for value in model.graph.value_info}
    for value in inferred.graph.value_info:
        if value.name in declared and value.type.tensor_type.elem_type != declared[value.name].tensor_type.elem_type:
            sys.exit(f"{path}: {value.name} is declared as another type than is inferred")
    if model.SerializeToString() != content:
        sys.exit(f"{path}: ONNX's own library writes other bytes")
