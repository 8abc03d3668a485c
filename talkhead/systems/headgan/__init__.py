"""HeadGAN (Doukas et al., ICCV 2021): one photo, moved by the drawing of a 3-D face, and by what is heard."""

from __future__ import annotations

from talkhead.protocols import SystemInfo

SYSTEM = SystemInfo(
    name="headgan",
    paper="Doukas et al., HeadGAN: One-shot Neural Head Synthesis and Editing (ICCV 2021)",
    licence="code Apache-2.0; weights are your own, or the authors', which are for non-commercial use",
    stages=("listen", "render", "reenact", "frontalize", "train"),
    spaces=("meshwarp",),
    weights=("headgan-vox",),
    understands=frozenset({"checkpoint"}),
    by_name=True,
    transfer="adapted",
    module="talkhead.systems.headgan.run",
)
