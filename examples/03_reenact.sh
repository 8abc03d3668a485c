#!/usr/bin/env bash
# A photo follows the face of a video. The driving video here is one we make ourselves, of half the size.
set -euo pipefail
cd "$(dirname "$0")"
out=../out/examples
mkdir -p "$out"

talkhead animate face.jpg speech.wav -o "$out/driving.mp4" --size 256 --yaw=-8 --seed 3 --overwrite
talkhead reenact face.jpg "$out/driving.mp4" -o "$out/reenact.mp4" --fps source --overwrite
talkhead extract "$out/driving.mp4" -o "$out/driving.safetensors" --overwrite
