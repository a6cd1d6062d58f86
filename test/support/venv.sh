#!/bin/sh
# Makes .venv/NAME, an environment of Python 3.11 that holds exactly these packages, for tests that drive them:
#   venv.sh NAME PACKAGE==VERSION…
# PYTHON names another interpreter of that version. Running it again changes nothing.
set -eu

name=$1
shift
python=${PYTHON:-python3.11}
environment=$(cd "$(dirname "$0")/../.." && pwd)/.venv/$name
# The list of what is installed is written last, so an interrupted installation is done again.
if [ "$(cat "$environment/installed" 2>/dev/null)" = "$*" ]; then
  exit
fi
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { echo "venv.sh: $python is not Python 3.11; set PYTHON to one that is" >&2; exit 2; }
"$python" -m venv --clear "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$@"
echo "$*" > "$environment/installed"
