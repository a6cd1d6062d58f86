#!/bin/sh
# Installs the last training build of ONNX Runtime for Python into .venv/ort-training, for the tests that compare with it
# (0.3 GB). Needs Python 3.11, the newest that it supports; PYTHON names another interpreter. Running it again changes nothing.
set -eu

python=${PYTHON:-python3.11}
environment=$(cd "$(dirname "$0")/../.." && pwd)/.venv/ort-training
# It predates NumPy 2, and its gradient builder predates later versions of onnx.
packages='onnxruntime-training-cpu==1.19.2 onnx==1.16.2 numpy==1.26.4 protobuf==5.29.5'

# The list of what is installed is written last, so an interrupted installation is done again.
if [ "$(cat "$environment/installed" 2>/dev/null)" = "$packages" ]; then
  exit
fi
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { echo "ortTraining.sh: $python is not Python 3.11; set PYTHON to one that is" >&2; exit 2; }
"$python" -m venv "$environment"
# shellcheck disable=SC2086
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: $packages
echo "$packages" > "$environment/installed"
