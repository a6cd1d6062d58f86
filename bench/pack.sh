#!/usr/bin/env bash
# Packs the built project for a Linux x64 machine that has neither network nor compiler: bench/pack.sh OUT [MiB a part, 56]
#
# Writes OUT/project-00.part, … On the other machine:
#   cat project-*.part | tar xJ -C DIR      # -> DIR/project with bench/, dist/ and the production dependencies
# ONNX Runtime stays behind: DIR/node_modules/onnxruntime-node and onnxruntime-common are to be of the pinned release and have
# the CUDA provider beside them (README, "Training on an NVIDIA GPU"). Then: DIR/project/bench/gpu.sh
set -euo pipefail
[[ $# == 1 || $# == 2 ]] || { sed -n '2,8p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
project=$stage/project
mkdir "$project"

node "$root/tools/build.mjs"
cp -r "$root"/{bin,bench,dist,graphs,tools,package.json,package-lock.json,.npmrc} "$project/"
rm -rf "$project"/bench/peers/.venv-*
npm ci --prefix "$project" --omit=dev --ignore-scripts --silent
rm -rf "$project"/node_modules/{onnxruntime-node,onnxruntime-common,adm-zip}

rm -f "$out"/project-*.part
tar c -C "$stage" project | xz -T0 -6 | split -b "${2:-56}M" -d --additional-suffix=.part - "$out/project-"
ls -l "$out"/project-*.part
