#!/bin/sh
# Installs what the step benchmark compares with, each peer into a virtual environment of its own beside this file:
# PyTorch (5.4 GB on disk: the wheel of PyPI does not load without its CUDA libraries, though only its CPU side is used),
# the last training build of ONNX Runtime for CPUs (0.3 GB), PyTorch with networks that others wrote, onnxsim, OpenVINO, and from
# npm the libraries that train in a page. Needs Python 3.11, the newest that all support;
# PYTHON names another interpreter. Running it again changes nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3.11}

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { echo "setup.sh: $python is not Python 3.11; set PYTHON to one that is" >&2; exit 2; }

# install NAME PACKAGE...: the environment .venv-NAME with these packages
install() {
  name=$1
  shift
  environment=$here/.venv-$name
  # The list of what is installed is written last, so an interrupted installation is done again.
  if [ "$(cat "$environment/installed" 2>/dev/null)" = "$*" ]; then
    echo "$name: is installed"
    return
  fi
  echo "$name: installing $*"
  "$python" -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$@"
  echo "$*" > "$environment/installed"
}

install torch torch==2.15.0 numpy==2.4.6
install networks torch==2.15.0 torchvision==0.29.2 transformers==5.24.0 safetensors==0.8.0 onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
install onnxsim onnxsim==0.8.1 onnxruntime==1.32.0 numpy==2.4.6
# The last training release predates NumPy 2, and its gradient builder predates later versions of onnx.
install ort-training onnxruntime-training-cpu==1.19.2 onnx==1.16.2 numpy==1.26.4 protobuf==5.29.5
install openvino openvino==2026.4.0 numpy==2.4.6

# Apart from the project's own packages, and without their scripts.
page=$here/.venv-page
libraries='@tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-webgpu@4.22.0 @jax-js/jax@0.1.25'
if [ "$(cat "$page/installed" 2>/dev/null)" = "$libraries" ]; then
  echo "page: is installed"
else
  echo "page: installing $libraries"
  mkdir -p "$page"
  # shellcheck disable=SC2086
  npm install --silent --ignore-scripts --no-save --prefix "$page" $libraries
  echo "$libraries" > "$page/installed"
fi
