#!/usr/bin/env bash
# A new expression and head pose for a photo, and the face turned to the front.
set -euo pipefail
cd "$(dirname "$0")"
out=../out/examples
mkdir -p "$out"

talkhead edit face.jpg --lip-close 1 --yaw+=8 --blink-left 0.9 -o "$out/wink.png" --overwrite
talkhead frontalize face.jpg -o "$out/frontal.png" --overwrite
