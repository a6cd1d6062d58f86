# Sourced by bench/gpu.sh and bench/gpu-train.sh: finds Node, the Python that has PyTorch, and the libraries of CUDA and cuDNN
# that came with it. Sets `here`, PYTHON and LD_LIBRARY_PATH.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The caller's, or one that has PyTorch: that of the environment beside the peers, then the usual one.
find_python() {
  local candidate
  for candidate in "$here/peers/.venv-torch/bin/python" python3; do
    if "$candidate" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo python3
}

# Folders with libraries of NVIDIA's Python packages (nvidia/cudnn/lib, nvidia/cu13/lib, …), joined by colons.
nvidia_libraries() {
  "$PYTHON" - <<'PYTHON' 2>/dev/null || true
import glob, os, site, sys
roots = [*site.getsitepackages(), site.getusersitepackages(), *sys.path]
folders = dict.fromkeys(f for root in roots if root for f in sorted(glob.glob(os.path.join(root, "nvidia", "*", "lib"))))
print(":".join(folders))
PYTHON
}

command -v node >/dev/null || { echo "${0##*/}: there is no node on the PATH" >&2; exit 2; }
PYTHON=${PYTHON:-$(find_python)}
libraries=$(nvidia_libraries)
LD_LIBRARY_PATH=${libraries}${libraries:+${LD_LIBRARY_PATH:+:}}${LD_LIBRARY_PATH:-}
export PYTHON LD_LIBRARY_PATH

# A copy that was built elsewhere is run as it is: there may be no compiler, and times of files may have changed.
[[ -e $here/../dist/src/index.js ]] || node "$here/../tools/build.mjs"
