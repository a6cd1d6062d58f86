#!/bin/sh
# Installs the last training build of ONNX Runtime for Python into .venv/ort-training, for the tests that compare with it
# (0.3 GB); Python 3.11 is the newest that it supports. It predates NumPy 2, and its gradient builder later versions of onnx.
exec "$(dirname "$0")/venv.sh" ort-training \
  onnxruntime-training-cpu==1.19.2 onnx==1.16.2 numpy==1.26.4 protobuf==5.29.5
