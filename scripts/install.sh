#!/usr/bin/env bash
# Install the checkout into a virtual environment: install.sh PYTHON VENV REQUIREMENT
# REQUIREMENT is `.` or `.[dev]` (installed so that changes in the checkout count at once), or a wheel.
set -euo pipefail
python=$1 venv=$2 requirement=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "talkhead needs Python 3.10 or newer; $python is $("$python" --version 2>&1). Try: make PYTHON=python3.12 ..." >&2
    exit 5
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
    echo "note: mediapipe for $("$python" --version) comes without its face models; talkhead will ask for a model file." >&2
    echo "      With Python 3.10, 3.11 or 3.12 everything is inside: make PYTHON=python3.12 ..." >&2
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
case $requirement in
    .*) set -- --editable "$requirement" ;;
    *) set -- "$requirement" ;;
esac
"$venv/bin/python" -m pip install --disable-pip-version-check "$@"

# mediapipe asks for the OpenCV with windows, which needs the system's libGL. A machine without a desktop has none:
# there the same OpenCV without windows takes its place.
if ! "$venv/bin/python" -c 'import cv2' 2>/dev/null; then
    version=$("$venv/bin/python" -c '
import importlib.metadata as m
print(max({d.version for d in m.distributions() if d.name in ("opencv-contrib-python", "opencv-python")}))')
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --force-reinstall \
        "opencv-contrib-python-headless==$version"
    "$venv/bin/python" -c 'import cv2'
fi
