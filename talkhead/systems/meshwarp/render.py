"""The meshwarp renderer: prepares one photo, then makes one frame per coefficient row.

Per frame: place the mesh, rasterise it to a backward map, sample the photo's foreground once, compose over the filled
background, paint eyes and mouth. Nothing outside the moving region is touched; zero motion copies the photo.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import InputError
from talkhead.face.framing import brought_to, cut_box, on_white
from talkhead.face.landmarks import Landmarks
from talkhead.face.mask import person_mask
from talkhead.face.topology import MIRROR, N_SKIN, OVAL
from talkhead.face3d.fit import PhotoFit, fit_photo
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.geometry import euler_to_matrix
from talkhead.protocols import Drive, Source
from talkhead.systems.meshwarp.config import (
    GRID_STEP,
    MARGIN,
    REGION_DOWN,
    REGION_SIDE,
    REGION_UP,
    RELIEF,
    RenderConfig,
)
from talkhead.systems.meshwarp.eyes import EYE_A, EYE_B, Eye, paint_eye, prepare_eye
from talkhead.systems.meshwarp.lens import box_around
from talkhead.systems.meshwarp.mesh import Box, HeadMesh, Pose, build_mesh, deepened
from talkhead.systems.meshwarp.motion import FrameMotion, MotionResolver
from talkhead.systems.meshwarp.mouth import Mouth, paint_mouth, prepare_mouth
from talkhead.systems.meshwarp.plates import background_plate, foreground_layer, settle_matte
from talkhead.systems.meshwarp.raster import composite, rasterize_map, soften_folds
from talkhead.systems.meshwarp.shading import Light, fit_light
from talkhead.systems.meshwarp.symmetry import Completion, blend_completion, plan_completion

log = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_MAX_TEXTURE_PIXELS = 6_000_000  # a region larger than this is sampled from the photo as it is
_SHARPEN = (0.4, 1.0)  # amount and sigma (pixels of the doubled texture): undoes the blur of bilinear sampling
_FOLD_JUMP = 1.3  # photo pixels by which a step of the map may differ from an even one
_TURNED_PHOTO = np.radians(25.0)  # from this yaw on the far ear is hidden, and nothing real is lost behind the cheek
_MIN_SIZE = 32  # a face needs some pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Framed:
    """The photo as it will be shown.

    Attributes:
        image: (H, W, 3) uint8. landmarks: in its pixels. aside: where the whole photo's middle is, from its middle, x
            and y in its pixels.
    """

    image: U8
    landmarks: Landmarks
    aside: tuple[float, float] = (0.0, 0.0)


class MeshwarpRenderer:
    """Renders one photo; see `talkhead.protocols.Renderer`.

    Args:
        source: photo and face. config: options. model: the face model that gives coefficients a meaning.
    Raises:
        InputError: the picture is too small.
    """

    def __init__(self, source: Source, config: RenderConfig, model: FaceModel | None = None) -> None:
        self.config = config
        self.model = model or load_builtin()
        framed = frame_source(source, config)
        self.image = framed.image
        height, width = self.image.shape[:2]
        if min(height, width) < _MIN_SIZE:
            raise InputError(
                f"{source.name} comes out at only {width}x{height} pixels",
                hint=f"the shorter side must have {_MIN_SIZE} pixels: use a larger picture, or a larger size",
            )
        self.landmarks, self._aside = framed.landmarks, framed.aside
        fit = fit_photo(framed.landmarks, (width, height), self.model)
        self.fit: PhotoFit = replace(fit, vertices=deepened(fit.vertices, pose_of(fit.coeffs), RELIEF))
        self._prepare()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.image.shape[1], self.image.shape[0]

    def render(self, drive: Drive) -> Iterator[U8]:
        """One (H, W, 3) uint8 frame per coefficient row that is to be drawn, each a fresh array."""
        resolver = MotionResolver(self.fit, self.landmarks, self.model, drive.coeffs, self._aside)
        for t in drive.frames:
            yield self.draw(resolver.at(t))

    @property
    def hears(self) -> tuple[str, ...]:
        """Nothing: the coefficients say all."""
        return ()

    def rest_coeffs(self) -> Coeffs:
        """The photo's own coefficients, one frame: rendering them gives the photo."""
        return self.fit.coeffs

    def draw(self, motion: FrameMotion) -> U8:
        """One frame of a resolved motion."""
        frame = self.image.copy()
        x0, y0, x1, y1 = self._box
        out = frame[y0:y1, x0:x1]
        vertices = self.mesh.deform(motion.skin, motion.pose, self.config.torso_follow)
        vertices[:, :2] -= (x0, y0)
        self._surface[:, 0] = self.light.gains(motion.skin, motion.pose)
        spans = row_spans(vertices[self._person], out.shape[1], out.shape[0], self._band)
        maps = (self._depth, self._map_xy, self._map_gain)
        rasterize_map(vertices, self.mesh.triangles, self._texture_xy, self._surface, spans, *maps)
        self._sample(self._map_xy, spans, self._warped)
        self._complete(vertices, motion, spans)
        composite(
            self.image[y0:y1, x0:x1], self._plate, self._warped, self._map_xy, self._map_gain, spans,
            float(self._pad), float(self._zoom), out,
        )  # fmt: skip
        self._soften(vertices, spans, out)
        target = motion.pose.place(motion.face, self.size)[:, :2]
        skin = motion.pose.place(motion.skin, self.size)[:, :2]
        rest = motion.pose.place(self.fit.vertices, self.size)[:, :2]
        for eye, closure in ((self._eyes[0], motion.closure[1]), (self._eyes[1], motion.closure[0])):
            paint_eye(out, eye, self._source_xy, rest, skin, target, float(closure), (x0, y0))
        paint_mouth(
            out, self._mouth, self._source_xy, rest, target, motion.face, self.fit.vertices, motion.pose,
            self.size, (x0, y0), motion.pursing, motion.tongue, motion.speaks, self.config.teeth,
        )  # fmt: skip
        return frame

    def _sample(self, xy: F32, spans: npt.NDArray[np.int32], warped: U8) -> None:
        """Sample the texture where the map says, band by band, so that empty background costs nothing; in place."""
        for top in range(0, len(spans), self._band):
            rows = spans[top : top + self._band]
            left, right = int(rows[:, 0].min()), int(rows[:, 1].max())
            if left < right:
                part = (slice(top, top + self._band), slice(left, right))
                warped[part] = cv2.remap(
                    self._texture, xy[part], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
                )

    def _soften(self, vertices: F32, spans: npt.NDArray[np.int32], out: U8) -> None:
        """Anti-alias the contours of the face where it hides parts of itself or of the head."""
        margin = 0.3 * self.mesh.eye_px
        face = vertices[:N_SKIN, :2].astype(np.float64)
        x0, y0, x1, y1 = box_around(face, margin, (out.shape[1], out.shape[0]))
        before, box = out[y0:y1, x0:x1].copy(), np.array([x0, y0, x1, y1])
        soften_folds(self._map_xy, float(self._zoom), _FOLD_JUMP, box, spans, before, out)

    def _complete(self, vertices: F32, motion: FrameMotion, spans: npt.NDArray[np.int32]) -> None:
        """Put skin of the near half where a turned photo shows none of the far half."""
        if not self._completion.is_needed:
            return
        surface = self._completion.surface(motion.skin, motion.pose)
        if surface[:, 0].max() < 0.01:
            return
        xy, mixed = np.empty_like(self._map_xy), np.zeros_like(self._map_gain)
        mirrored, other = self._texture_xy[MIRROR[:N_SKIN]], np.empty_like(self._warped)
        rasterize_map(vertices[:N_SKIN], self._skin_triangles, mirrored, surface, spans, self._depth, xy, mixed)
        self._sample(xy, spans, other)
        blend_completion(self._warped, other, xy, mixed, spans)

    def _prepare(self) -> None:
        """Everything that does not change from frame to frame."""
        image, points = self.image, self.landmarks.points
        pose = pose_of(self.fit.coeffs)
        eye_px = float(np.linalg.norm(points[33] - points[263]))
        region = _region(points, eye_px, self.size)
        pad = round(MARGIN * eye_px)
        reach = _extended(region, self.size, pad)
        self.mesh: HeadMesh = build_mesh(points, self.fit.vertices, pose, self.model.triangles, reach, self.size)
        x0, y0, x1, y1 = self._box = region
        matte = settle_matte(person_mask(image, self.landmarks), eye_px)
        alpha = matte[y0:y1, x0:x1]
        crop = np.ascontiguousarray(image[y0:y1, x0:x1])
        self._plate = background_plate(crop, alpha, eye_px)
        layer = foreground_layer(crop, alpha, self._plate, eye_px)
        self._pad = pad
        self._zoom, self._texture = _texture(layer, pad)
        self.light: Light = fit_light(image, self.mesh, points, self.model.triangles, self.config.shading)
        self._completion: Completion = plan_completion(crop, alpha, self.mesh, self.light, (x0, y0))
        self._skin_triangles = self.mesh.triangles[(self.mesh.triangles < N_SKIN).all(1)]
        self._source_xy: F64 = np.ascontiguousarray(points[:, :2])
        self._eyes: tuple[Eye, Eye] = (
            prepare_eye(image, points, EYE_A, eye_px),
            prepare_eye(image, points, EYE_B, eye_px),
        )
        self._mouth: Mouth = prepare_mouth(image, points, self.fit.vertices, eye_px, pose.scale)
        height, width = y1 - y0, x1 - x0
        texture_xy = (self.mesh.source - (x0, y0) + pad) * self._zoom - 0.5
        self._texture_xy = np.ascontiguousarray(texture_xy, np.float32)
        self._depth = np.empty((height, width), np.float32)
        self._map_xy = np.empty((height, width, 2), np.float32)
        self._map_gain = np.empty((height, width, 2), np.float32)
        self._surface = np.zeros((len(self.mesh.source), 2), np.float32)
        self._surface[:, 1] = vertex_solidity(self.mesh, self.model.triangles, matte)
        self._warped = np.empty((height, width, 4), np.uint8)
        self._person = person_vertices(self.mesh, matte)
        self._band = max(16, round(0.2 * eye_px))


def pose_of(coeffs: Coeffs, t: int = 0) -> Pose:
    """The pose of one frame of absolute coefficients."""
    assert coeffs.rot is not None and coeffs.trans is not None and coeffs.scale is not None
    return Pose(
        rotation=euler_to_matrix(coeffs.rot[t]), trans=coeffs.trans[t].astype(np.float64), scale=float(coeffs.scale[t])
    )


def person_vertices(mesh: HeadMesh, matte: F32) -> npt.NDArray[np.bool_]:
    """Vertices of all triangles that show something of the person, (V,) bool: the face, and outer ones near the matte.

    Args:
        mesh: of the photo. matte: (H, W) of the whole photo, 0..1.
    """
    reach = max(1, round(1.6 * GRID_STEP * mesh.eye_px))
    small = max(1, reach // 4)  # a coarse mask is enough, and cheap to widen
    coarse = cv2.resize(
        (matte > 0.01).astype(np.float32), None, fx=1 / small, fy=1 / small, interpolation=cv2.INTER_AREA
    )
    near = cv2.dilate((coarse > 0).astype(np.uint8), np.ones((2 * (reach // small) + 3,) * 2, np.uint8))
    inside = np.clip(np.floor(mesh.source / small).astype(int), 0, np.array(near.shape[::-1]) - 1)
    person: npt.NDArray[np.bool_] = near[inside[:, 1], inside[:, 0]] > 0
    person[:N_SKIN] = True
    return person


def row_spans(vertices: F32, width: int, height: int, band: int) -> npt.NDArray[np.int32]:
    """First and last + 1 column that the person can touch in each row, (H, 2).

    Args:
        vertices: (N, 2 or 3) pixels of the person's vertices. width, height: of the region. band: rows that share a
            span; triangles must not be taller than two bands.
    """
    n_bands = -(-height // band)
    which = np.clip(np.floor(vertices[:, 1] / band).astype(int), -3, n_bands + 2) + 3
    low, high = np.full(n_bands + 6, np.inf), np.full(n_bands + 6, -np.inf)
    np.minimum.at(low, which, vertices[:, 0])
    np.maximum.at(high, which, vertices[:, 0])
    low = np.min([low[i : i + n_bands] for i in range(1, 6)], 0)
    high = np.max([high[i : i + n_bands] for i in range(1, 6)], 0)
    empty = ~np.isfinite(low)
    left = np.clip(np.floor(np.where(empty, 0, low)), 0, width)
    right = np.clip(np.ceil(np.where(empty, -1, high)) + 1, 0, width)
    return np.repeat(np.stack([left, np.maximum(left, right)], 1).astype(np.int32), band, 0)[:height]


def vertex_solidity(mesh: HeadMesh, triangles: npt.NDArray[np.int32], matte: F32) -> F32:
    """How each vertex overrides the matte, (V,): 1 hides the background, 0 leaves the matte alone, -1 shows it.

    In a turned photo points of the far cheek lie on the background, and the face must not get holes there; outer
    vertices behind that cheek carry the cheek's own pixels, which must not appear a second time beside it.

    Args:
        mesh: of the photo. triangles: (F, 3) of the face. matte: (H, W) of the whole photo, 0..1.
    """
    solidity = np.zeros(len(mesh.source), np.float32)
    solidity[:N_SKIN] = 1
    solidity[list(OVAL)] = 0
    if np.abs(np.arcsin(np.clip(mesh.pose.rotation[0, 2], -1, 1))) < _TURNED_PHOTO:
        return solidity
    reach = max(2, round(0.10 * mesh.eye_px))
    corner = np.floor(mesh.source[:N_SKIN].min(0)) - 2 * reach
    extent = np.ceil(mesh.source[:N_SKIN].max(0) - corner).astype(int) + 2 * reach
    covered = np.zeros(extent[::-1], np.uint8)
    for triangle in mesh.source[triangles] - corner:
        cv2.fillConvexPoly(covered, np.round(triangle).astype(np.int32), 1)
    oval = mesh.source[list(OVAL)]
    inset = max(1, round(0.02 * mesh.eye_px))
    behind = _marked(cv2.erode(covered, np.ones((2 * inset + 1, 2 * inset + 1), np.uint8)), oval - corner)
    # Where hair goes on behind the cheek it may well appear; only an open background must not get cheek-coloured.
    centre = oval.mean(0)
    outwards = (oval - centre) / np.maximum(np.linalg.norm(oval - centre, axis=1, keepdims=True), 1e-6)
    behind &= ~_marked((matte > 0.5).astype(np.uint8), oval + 0.35 * mesh.eye_px * outwards)
    if not behind.any():
        return solidity
    behind |= np.roll(behind, 2) | np.roll(behind, 1) | np.roll(behind, -1) | np.roll(behind, -2)
    outer = mesh.source[N_SKIN:]
    near_hidden = behind[np.linalg.norm(outer[:, None] - oval[None], axis=2).argmin(1)]
    at_face = _marked(cv2.dilate(covered, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), outer - corner)
    solidity[N_SKIN:][near_hidden & at_face] = -1
    solidity[np.array(OVAL)[behind]] = -1
    return solidity


def _marked(mask: U8, points: F64) -> npt.NDArray[np.bool_]:
    """Which points (N, 2) lie on set pixels; outside the mask none does."""
    x, y = np.floor(points).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    marked = np.zeros(len(points), bool)
    marked[inside] = mask[y[inside], x[inside]] > 0
    return marked


def frame_source(source: Source, config: RenderConfig) -> Framed:
    """Compose alpha on white, cut to the framing asked for, resize; landmarks follow."""
    image, landmarks = on_white(source.image, source.alpha), source.landmarks
    height, width = image.shape[:2]
    aside = 0.0, 0.0
    if config.framing == "crop":
        x0, y0, x1, y1 = box = _head_square(landmarks.points, width, height)
        image, landmarks = cut_box(image, landmarks, box)
        aside = (width - x0 - x1) / 2, (height - y0 - y1) / 2
    shown, landmarks = brought_to(image, landmarks, config.size)
    factor = shown.shape[1] / image.shape[1]
    return Framed(image=np.ascontiguousarray(shown), landmarks=landmarks, aside=(factor * aside[0], factor * aside[1]))


def _head_square(points: F64, width: int, height: int) -> Box:
    """A square around head and shoulders, 4.2 eye distances wide, inside the picture."""
    eye_px = float(np.linalg.norm(points[33] - points[263]))
    centre = points[:N_SKIN, :2].mean(0) + (0, 0.10 * eye_px)
    side = int(min(4.2 * eye_px, width, height))
    x0 = int(np.clip(round(centre[0] - side / 2), 0, width - side))
    y0 = int(np.clip(round(centre[1] - side / 2), 0, height - side))
    return x0, y0, x0 + side, y0 + side


def _region(points: F64, eye_px: float, size: tuple[int, int]) -> Box:
    """The part of the picture that can move."""
    centre = points[:N_SKIN, :2].mean(0)
    return (
        int(np.clip(centre[0] - REGION_SIDE * eye_px, 0, size[0])),
        int(np.clip(centre[1] - REGION_UP * eye_px, 0, size[1])),
        int(np.clip(np.ceil(centre[0] + REGION_SIDE * eye_px), 0, size[0])),
        int(np.clip(np.ceil(centre[1] + REGION_DOWN * eye_px), 0, size[1])),
    )


def _extended(region: Box, size: tuple[int, int], pad: int) -> Box:
    """The region with its continued margin where it ends at the picture's border."""
    x0, y0, x1, y1 = region
    return (
        x0 - pad if x0 == 0 else x0,
        y0 - pad if y0 == 0 else y0,
        x1 + pad if x1 == size[0] else x1,
        y1 + pad if y1 == size[1] else y1,
    )


def _texture(layer: U8, pad: int) -> tuple[int, U8]:
    """Enlargement factor and texture: border pixels continued, doubled with Lanczos and sharpened.

    Bilinear samples of the doubled, sharpened texture are as crisp as bicubic ones of the photo, do not breathe with
    sub-pixel motion, and cost a quarter.
    """
    height, width = layer.shape[:2]
    bordered = cv2.copyMakeBorder(layer, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    if height * width > _MAX_TEXTURE_PIXELS:
        return 1, bordered
    size = (2 * bordered.shape[1], 2 * bordered.shape[0])
    doubled = cv2.resize(bordered, size, interpolation=cv2.INTER_LANCZOS4)
    amount, sigma = _SHARPEN
    blurred = cv2.GaussianBlur(doubled[..., :3], (0, 0), sigma)
    doubled[..., :3] = cv2.addWeighted(doubled[..., :3], 1 + amount, blurred, -amount, 0)
    return 2, doubled
