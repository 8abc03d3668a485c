"""meshwarp: the built-in system. One photo, a textured face mesh, no network weights, any CPU."""

from __future__ import annotations

from talkhead.protocols import SystemInfo

SYSTEM = SystemInfo(
    name="meshwarp",
    paper="built in: textured 3-D face mesh over a filled background (docs/meshwarp.md)",
    licence="Apache-2.0, no weights needed",
    stages=("extract", "audio2coeff", "pose", "render", "reenact", "frontalize"),
    spaces=("meshwarp",),
    styles=("still", "calm", "natural", "lively", "presenter"),
    understands=frozenset({"preprocess", "phonemes", "articulation", "manner"}),
    module="talkhead.systems.meshwarp.run",
)
