#!/bin/sh
# Installs ONNX's own Python package into .venv/onnx, and ONNX Runtime's, for the tests that ask its checker, its table of
# operators, and the runtime's adapters, which Node's has not (0.2 GB).
exec "$(dirname "$0")/venv.sh" onnx onnx==1.23.2 numpy==2.4.6 ml_dtypes==0.6.0 protobuf==7.36.2 onnxruntime==1.32.0
