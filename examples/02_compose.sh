#!/usr/bin/env bash
# The same in stages: speech -> motion of the mouth, edited on the way; head motion of its own; both onto the photo.
set -euo pipefail
cd "$(dirname "$0")"
out=../out/examples
mkdir -p "$out"

talkhead pose speech.wav -o "$out/pose.safetensors" --seed 7 --overwrite
talkhead audio2coeff speech.wav -o - |
    talkhead edit --smile 0:0,3:0.6,6:0.2 --exp-scale 1.1 |
    talkhead render face.jpg - "$out/pose.safetensors" --audio speech.wav -o "$out/compose.mp4" --overwrite
talkhead inspect "$out/pose.safetensors"
