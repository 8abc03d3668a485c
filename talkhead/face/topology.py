"""Vertex numbers of the 478-point face mesh: loops, rigid points, the 68-point view, and the mesh's mirror map.

Numbers are those of the published Face Mesh topology (468 skin points, then 5 per iris). "Eye A" is the eye at image
left (the subject's right), "eye B" the one at image right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

N_POINTS = 478
N_SKIN = 468

INNER_LIP_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LIP_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_LIP_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LIP_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
INNER_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))  # upper, lower, at and beside the middle
MOUTH_CORNERS = (61, 291)
CHIN = 152

EYE_A_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
EYE_A_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
EYE_B_UPPER = (263, 466, 388, 387, 386, 385, 384, 398, 362)
EYE_B_LOWER = (263, 249, 390, 373, 374, 380, 381, 382, 362)
CREASE_A = (247, 30, 29, 27, 28, 56, 190)
CREASE_B = (467, 260, 259, 257, 258, 286, 414)
IRIS_A = (468, 469, 470, 471, 472)
IRIS_B = (473, 474, 475, 476, 477)

# fmt: off
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
BROW_A = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_B = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
# Points that move little with expression: the oval above the ears, forehead, nose, eye corners, cheek sides.
RIGID = (10, 338, 297, 332, 284, 251, 389, 356, 454, 127, 234, 162, 21, 54, 103, 67, 109,
         151, 9, 8, 68, 298, 104, 333, 69, 299, 108, 337, 168, 6, 197, 195, 5, 4, 1, 19, 94, 48, 278, 64, 294,
         33, 133, 362, 263, 34, 264, 143, 372, 93, 323, 227, 447)
# iBUG order: jaw from image left to right (at even steps from ear to chin), brows, nose, eyes, outer and inner lips.
LANDMARKS_68 = (127, 234, 93, 132, 172, 136, 149, 148, 152, 377, 378, 365, 397, 361, 323, 454, 356,
                70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
                168, 197, 5, 4, 98, 97, 2, 326, 327,
                33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
                61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178)
# fmt: on
OUTER_EYE_CORNERS = (33, 263)


def _stored(name: str) -> npt.NDArray[np.int32]:
    table: npt.NDArray[np.int32] = np.load(Path(__file__).with_name(name)).astype(np.int32)
    table.setflags(write=False)
    return table


TRIANGLES = _stored("mesh_triangles.npy")
"""(852, 3) int32: the skin, counter-clockwise as the camera sees it (x right, y up); mouth and eyes are open.

The 3-cycles of the published tesselation edges without the two whose edges all belong to other triangles too: a
manifold with four boundary loops (oval 36, inner lips 20, each eye 16 edges).
"""

MIRROR = _stored("mesh_mirror.npy")
"""(478,) int32: the point that takes each point's place when the face is mirrored; an involution."""
