"""Options of the meshwarp renderer, and the numbers that shape its head mesh; what one module alone uses stands there.

"eye distances" are distances of the outer eye corners in the photo, 90 mm on a face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from talkhead.face3d.eyes import UNITS_PER_EYE_DISTANCE as UNITS_PER_EYE_DISTANCE

Framing = Literal["full", "crop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderConfig:
    """Options of the renderer; the command line reads its defaults from here.

    Attributes:
        size: longer side of the output in pixels; None keeps the photo's own resolution.
        framing: the whole picture, or a square around the head.
        shading: how much of the estimated change of light with rotation and expression is applied, 0..1.
        torso_follow: share of the neck's motion that the shoulders take up, 0..1.
        teeth: paint teeth and tongue inside an opened mouth.
    """

    size: int | None = None
    framing: Framing = "full"
    shading: float = 0.85
    torso_follow: float = 0.35
    teeth: bool = True


# Region that can move, in eye distances from the face centre: sideways, up, down. Beyond it the photo is copied.
REGION_SIDE = 3.4
REGION_UP = 3.2
REGION_DOWN = 3.6
GRID_STEP = 0.16  # spacing of the outer vertices, eye distances
RINGS = (1.06, 1.15)  # vertex rings around the face oval: fine triangles where hair meets skin
MARGIN = 0.45  # the border pixels are continued this far so that a cut-off head can move inwards, eye distances

# Neck: rigid with the head above NECK_TOP, with the torso below NECK_BOTTOM (eye distances below the chin).
NECK_TOP = -0.15
NECK_BOTTOM = 1.0
SIDE_RIGID = 1.9  # sideways the head is rigid up to here, and lets go over the next 1.3 eye distances
SIDE_FREE = 3.2
EXPRESSION_REACH = 0.7  # how far the oval's expression drags the skin outside it, eye distances
DEPTH_SLOPE = 0.8  # how fast the head falls back outside the oval
DEPTH_LIMIT = 0.35  # and how far, behind the oval's deepest point, eye distances

# Depth of the detected face is multiplied by this: heads pitched by a measured driver read back weaker than the driver
# at 1.0 (2.0 degrees of 15 on one clip), stronger in yaw at 1.2; see docs/meshwarp.md.
RELIEF = 1.1

# A head that turns further than this from its photo shows parts no photo has; motion is compressed towards the limit.
YAW_LIMIT_DEG = 38.0
PITCH_LIMIT_DEG = 28.0
ROLL_LIMIT_DEG = 45.0
