#!/usr/bin/env bash
# The full training recipe in slices: bench/gpu-train.sh STATE_FOLDER SECONDS [network or model.onnx]
#
# Starts the run in STATE_FOLDER (rdm83 unless named, 165 epochs) or goes on with it, stops it with a checkpoint before
# SECONDS are over, and says where it stands and what remains. Call it until it prints `finished: test error …`; between two
# calls the folder, which holds all that is needed (at most 60 MB), may move to another machine. Exit code 0 while there is
# more to do and when finished; 130 when a signal ended the slice; else that of rdm-fit.
#
# Set when a run begins: EP (cuda; or cpu), TARGET (ort-cuda; or portable), PRECISION (fp32; or fp16), SEED (1), THREADS,
# EPOCHS, BATCH, LR, STEPS_PER_RUN. Later only EPOCHS counts. DATA names the folder of CIFAR-10's binary version (else
# ../shared/cifar-10-batches-bin), PYTHON the Python whose packages bring CUDA's libraries. Needs no network.
set -euo pipefail
# shellcheck source=bench/gpuEnvironment.sh
source "$(dirname "${BASH_SOURCE[0]}")/gpuEnvironment.sh"

exec node "$here/gpuTrain.mjs" "$@"
