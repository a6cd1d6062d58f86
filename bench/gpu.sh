#!/usr/bin/env bash
# Measures everything that wants an NVIDIA GPU, in nine minutes at most, and prints tables: bench/gpu.sh [options].
#
#   --parts LIST    of machine,correctness,step-rdm56,step-rdm83,seeds,accuracy,resnet18,profile,lowerings
#   --seconds N     for all parts together (530)
#   --ep cpu --small   that everything runs, at small size on a machine without a GPU; EP=cpu SMALL=1 say the same
#   --target portable  the step that has no Loop, in place of ort-cuda
#   --contestants LIST   of the step parts: 'ours fp32,ours fp16,ours webgpu fp32,torch eager fp32,torch channels_last autocast,…'
#   --steps-per-run K, --batch N, --precision fp16|fp32 and --seeds-arch NAME (of the seeds side by side and the profile)
#
# Needs Node, a built copy of the project with its dependencies, ONNX Runtime's CUDA provider, and Python with PyTorch; no
# network. DATA names the folder of CIFAR-10's binary version (else ../shared/cifar-10-batches-bin), PYTHON the Python, RESULTS
# the folder for the gpu-*.json files (else bench/results; small figures are kept only there).
set -euo pipefail
# shellcheck source=bench/gpuEnvironment.sh
source "$(dirname "${BASH_SOURCE[0]}")/gpuEnvironment.sh"

arguments=()
[[ -z ${EP:-} ]] || arguments+=(--ep "$EP")
[[ -z ${SMALL:-} || ${SMALL:-} == 0 ]] || arguments+=(--small)
exec node "$here/gpu.mjs" "${arguments[@]}" "$@"
