#!/usr/bin/env bash
# Photo + speech -> video, in one command.
set -euo pipefail
cd "$(dirname "$0")"
out=../out/examples
mkdir -p "$out"

talkhead animate face.jpg speech.wav -o "$out/animate.mp4" --system meshwarp --overwrite
