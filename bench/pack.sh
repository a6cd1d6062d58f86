#!/usr/bin/env bash
# Packs the built project for a Linux x64 machine that has neither network nor compiler: bench/pack.sh OUT [MiB a part, 56]
#
# Writes OUT/project-00.part, … On the other machine:
#   cat project-*.part | tar xJ -C DIR      # -> DIR/project with bench/, dist/ and the production dependencies
# ONNX Runtime stays behind: DIR/node_modules/onnxruntime-node and onnxruntime-common are to be of the pinned release and have
# the CUDA provider beside them (docs/gpu.md). Then: DIR/project/bench/gpu.sh
# Where setup.sh has installed the libraries of pages, they go along with what bundles and opens a page; Chromium does not.
set -euo pipefail
[[ $# == 1 || $# == 2 ]] || { sed -n '2,8p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
project=$stage/project
mkdir "$project"

node "$root/tools/build.mjs"
cp -r "$root"/{bin,dist,examples,graphs,src,tools,package.json,package-lock.json,tsconfig.json,.npmrc} "$project/"
tar c -C "$root" --exclude='.venv-*' bench | tar x -C "$project"
npm ci --prefix "$project" --omit=dev --ignore-scripts --silent
rm -rf "$project"/node_modules/{onnxruntime-node,onnxruntime-common,adm-zip}
page=bench/peers/.venv-page
if [[ -d $root/$page ]]; then
  mkdir -p "$project/$page"
  cp -r "$root/node_modules"/{playwright-core,rolldown,@rolldown,@oxc-project,onnxruntime-web,echarts,zrender,tslib} "$project/node_modules/"
  (cd "$project/node_modules/onnxruntime-web/dist" && find . -type f ! -name 'ort.node.min.*js' ! -name 'ort.w*.bundle.min.mjs' ! -name '*threaded.wasm' ! -name '*asyncify.*' -delete)
  rm -r "$project"/node_modules/{echarts,zrender}/dist
  cp -r "$root/$page/node_modules" "$project/$page/"
  find "$project/$page" -type f \( -name '*.map' -o -name '*.min.js' -o -name '*.es2017.js' -o -path '*/miniprogram/*' -o -name '*.d.ts' -o -name '*.node' \) -delete
fi

rm -f "$out"/project-*.part
tar c -C "$stage" project | xz -T0 -6 | split -b "${2:-56}M" -d --additional-suffix=.part - "$out/project-"
ls -l "$out"/project-*.part
