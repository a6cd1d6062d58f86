"""Writes small networks as others' exporters write them: test/fixtures/networks/NAME.onnx, and networks.json beside them,
which says what conformance/networks.mjs feeds each; and NAME.training.json, what three steps of training make of it in its own library.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 segmentation-models-pytorch==0.6.0 monai==1.6.1 \\
        transformers==5.24.0 onnx==1.23.2 onnxscript==0.7.2 onnx-ir==1.1.0 keras==3.15.1 tensorflow-cpu==2.21.0 \\
        tf2onnx==1.17.0 scikit-learn==1.9.1 skl2onnx==1.20.0 numpy==2.4.6 protobuf==7.36.2
    python exports.py [PATTERN]        only the files whose names match the regular expression

The weights are random; the files lie in the repository, and whoever tests needs none of this. PyTorch's and scikit-learn's come out
the same, byte by byte; tf2onnx names and orders what it makes anew each time.
"""

import importlib
import json
import re
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "test" / "fixtures" / "networks"
# WRITERS of each: by the name of a file what writes it, given the path, and returns the options of conformance/networks.mjs.
# TRAININGS: by the name of a network what trains it and returns what came of it.
FAMILIES = ("pytorch", "pytorch_training", "keras_tf", "scikit", "published")


def lines(entries, indent="  "):
    """JSON with an entry a line."""
    inner = ",\n".join(f"{indent}{json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
    return f"{{\n{inner}\n{indent[2:]}}}"


def written(family, pattern):
    """The options of what a family writes."""
    warnings.simplefilter("ignore")
    module = importlib.import_module(f"exporters.{family}")
    options = {}
    for name, write in getattr(module, "WRITERS", {}).items():
        if re.search(pattern, name):
            path = FOLDER / f"{name}.onnx"
            options[name] = write(str(path))
            print(f"{name}: {path.stat().st_size // 1024} KB", flush=True)
    for name, train in getattr(module, "TRAININGS", {}).items():
        if re.search(pattern, f"{name}.training"):
            trained = train()
            weights = lines(trained.pop("weights"), "    ")
            (FOLDER / f"{name}.training.json").write_text(lines(trained)[:-2] + f',\n  "weights": {weights}\n}}\n')
            print(f"{name}.training", flush=True)
    return options


def main(pattern=""):
    FOLDER.mkdir(parents=True, exist_ok=True)
    index = FOLDER / "networks.json"
    options = json.loads(index.read_text()) if index.exists() and pattern else {}
    # PyTorch and TensorFlow bring an LLVM each, and do not share a process.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for found in pool.map(written, FAMILIES, [pattern] * len(FAMILIES)):
            options |= found
    index.write_text(lines({name: options[name] for name in sorted(options)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
