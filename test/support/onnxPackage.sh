#!/bin/sh
# Installs ONNX's own Python package into .venv/onnx, for the tests that ask its checker and its table of operators (0.1 GB).
exec "$(dirname "$0")/venv.sh" onnx onnx==1.23.2 numpy==2.4.6 ml_dtypes==0.6.0 protobuf==7.36.2
