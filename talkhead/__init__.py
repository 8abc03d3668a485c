"""talkhead: a photo and a voice become a video of that person speaking."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
