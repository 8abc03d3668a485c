#!/usr/bin/env bash
# Build the wheel and use it as a stranger would: try_wheel.sh PYTHON (one that has `build`).
# Everything happens under build/; the second environment (some GB) is removed at the end.
set -euo pipefail
python=$(realpath --no-symlinks "$1")
cd "$(dirname "$0")/.."
checkout=$PWD
trial=$checkout/build/trial
limit_mb=15

rm -rf "$trial" build/wheel
mkdir -p "$trial"
trap 'rm -rf "$trial"' EXIT
"$python" -m build --wheel --outdir build/wheel . >build/wheel.log 2>&1 || { cat build/wheel.log >&2; exit 1; }
wheel=$(echo build/wheel/talkhead-*.whl)
bytes=$(stat -c %s "$wheel")
echo "wheel: $(basename "$wheel"), $((bytes / 1024)) KiB"
[ "$bytes" -le $((limit_mb * 1024 * 1024)) ] || { echo "the wheel is larger than $limit_mb MiB" >&2; exit 1; }

bash scripts/install.sh "$python" "$trial/venv" "$checkout/$wheel" >build/install.log 2>&1 ||
    { tail -50 build/install.log >&2; exit 1; }

mkdir "$trial/elsewhere"
cd "$trial/elsewhere"
export PATH="$trial/venv/bin:$PATH"
home=$(python -c 'import talkhead; print(talkhead.__file__)')
case $home in
    "$trial"/venv/*) ;;
    *) echo "the wheel was to be tried, but Python found $home" >&2; exit 1 ;;
esac
python -c 'from talkhead.weights.manifest import load_manifest
for entry in load_manifest().bundled: entry.verify()'
talkhead --help >help.txt
grep -q animate help.txt
talkhead systems
talkhead doctor
cp "$checkout/examples/face.jpg" .
python - "$checkout/examples/speech.wav" <<'PY'
import sys, wave

with wave.open(sys.argv[1]) as sound, wave.open("short.wav", "wb") as short:
    short.setparams(sound.getparams())
    short.writeframes(sound.readframes(2 * sound.getframerate()))
PY
talkhead animate face.jpg short.wav -o trial.mp4
[ -s trial.mp4 ]
echo "the wheel works from outside the checkout"
