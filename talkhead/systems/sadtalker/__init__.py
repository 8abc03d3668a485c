"""SadTalker (Zhang et al., CVPR 2023): speech to 3DMM coefficients, a 3-D-aware face renderer."""

from __future__ import annotations

from talkhead.protocols import SystemInfo

SYSTEM = SystemInfo(
    name="sadtalker",
    paper="Zhang et al., SadTalker: Learning Realistic 3D Motion Coefficients (CVPR 2023)",
    licence="code Apache-2.0; weights labelled Apache-2.0 by their authors, parts disputed",
    stages=("extract", "audio2coeff", "pose", "render", "reenact"),
    spaces=("bfm",),
    weights=("sadtalker-256", "sadtalker-mapping-crop"),
    sizes=(256, 512),
    styles=("natural", "still"),
    understands=frozenset({"preprocess", "blend", "yaw", "pitch", "roll", "face", "ref_eyeblink", "ref_pose"}),
    is_aligned=True,
    module="talkhead.systems.sadtalker.run",
)
