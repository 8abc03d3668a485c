"""Put moments of a video side by side: `contact_sheet.py VIDEO OUT.jpg 0.5 1.2 ...` (seconds).

The README's picture is made of `talkhead animate examples/face.jpg examples/speech.wav --framing crop`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from talkhead.media.video import open_clip


def contact_sheet(video: Path, times_s: list[float], size: int) -> Image.Image:
    """Frames of a video at these times in one row, each `size` pixels on its longer side."""
    with open_clip(video, max_size=size) as clip:
        wanted = {round(t * clip.fps) for t in times_s}
        frames = [frame for index, frame in enumerate(clip) if index in wanted]
    return Image.fromarray(np.concatenate(frames, axis=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("times_s", type=float, nargs="+")
    parser.add_argument("--size", type=int, default=180)
    options = parser.parse_args()
    contact_sheet(options.video, options.times_s, options.size).save(options.output, quality=88)
