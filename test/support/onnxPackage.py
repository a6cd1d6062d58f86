"""What ONNX's own Python package says: of its operators, and of files.

onnxPackage.py operators        every version of every operator of ONNX, as JSON
onnxPackage.py demanding        the operators of any domain that have to be given an attribute, one a line
onnxPackage.py schema           the fields of every message of its file format, as JSON: their numbers and types
onnxPackage.py adapt MODEL ADAPTER FEEDS   the first output of a model with an adapter of ONNX Runtime active, integers as JSON
onnxPackage.py check FILE...    what its checker and its strict inference of shapes refuse, one line a file
"""
import json
import sys

import onnx


def operator(schema: onnx.defs.OpSchema) -> dict:
    def attribute(spec: onnx.defs.OpSchema.Attribute) -> dict:
        default = onnx.helper.get_attribute_value(spec.default_value) if spec.default_value.type else None
        return {"type": spec.type.name, "default": default}

    types = {constraint.type_param_str: list(constraint.allowed_type_strs) for constraint in schema.type_constraints}
    return {
        "name": schema.name,
        "since": schema.since_version,
        "attributes": {name: attribute(spec) for name, spec in schema.attributes.items()},
        "inputs": [types.get(value.type_str, [value.type_str]) for value in schema.inputs],
        "fewest": schema.min_input,
        # Of a variadic operator it is the largest int32.
        "most": schema.max_input,
    }


def problem(path: str) -> str | None:
    try:
        onnx.checker.check_model(path, full_check=True)
        onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        return f"{path}: {error}"


def adapted(model: str, adapter: str, feeds: str) -> list:
    # Here, because nothing else needs it.
    import numpy as np
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    active = ort.LoraAdapter()
    active.Load(adapter)
    options = ort.RunOptions()
    options.add_active_adapter(active)
    given = {name: np.array(values, np.int64) for name, values in json.loads(feeds).items()}
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, given, options)[0].ravel().tolist()


def messages(descriptors) -> dict:
    """Fields as src/core/onnx/schema.ts has them."""
    scalars = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 9: "string", 12: "bytes", 14: "int32"}

    def kind(field) -> str:
        name = field.message_type.full_name.removeprefix("onnx.") if field.message_type else scalars[field.type]
        return f"packed {name}" if field.is_packed else f"{name}[]" if field.is_repeated else name

    def camel(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(word.capitalize() for word in rest)

    found = {}
    for descriptor in descriptors:
        fields = {camel(field.name): [field.number, kind(field)] for field in descriptor.fields}
        # Some messages only hold others.
        if fields:
            found[descriptor.full_name.removeprefix("onnx.")] = fields
        found |= messages(descriptor.nested_types)
    return found


command, *paths = sys.argv[1:]
if command == "operators":
    schemas = onnx.defs.get_all_schemas_with_history()
    print(json.dumps([operator(schema) for schema in schemas if schema.domain == ""], default=bytes.decode))
elif command == "demanding":
    schemas = onnx.defs.get_all_schemas_with_history()
    print(*sorted({schema.name for schema in schemas if any(spec.required for spec in schema.attributes.values())}), sep="\n")
elif command == "schema":
    print(json.dumps(messages(onnx.onnx_ml_pb2.DESCRIPTOR.message_types_by_name.values())))
elif command == "adapt":
    print(json.dumps(adapted(*paths)))
else:
    for path in paths:
        if (line := problem(path)) is not None:
            print(" ".join(line.split()))
