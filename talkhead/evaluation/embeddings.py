"""Frames of a clip through a network, some at a time: add one frame after the other, then ask for what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.errors import ShapeError
from talkhead.evaluation.columns import Columns
from talkhead.evaluation.measurement import Grade, Measurement
from talkhead.face.landmarks import Landmarks

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Sink = Callable[[F32], Any]
"""Takes features (n, D): `FeatureStatistics.add`, say."""

BATCH = 16
"""Frames per pass."""
WINDOW = 16
"""Frames of one window of video; windows do not overlap."""


class FaceEmbedder(Protocol):
    """A network that looks at faces: see `talkhead.evaluation.networks.arcface.IdentityEmbedder`."""

    def prepare(self, frame: U8, landmarks: Landmarks) -> U8:
        """(H, W, 3) uint8 RGB -> what the network sees of it."""
        ...

    def run(self, faces: U8) -> F32:
        """(B, ...) of these -> (B, D)."""
        ...


class FrameEmbedder(Protocol):
    """A network that looks at whole frames, or windows of them."""

    def run(self, frames: U8) -> F32:
        """(B, H, W, 3) or (B, T, H, W, 3) uint8 RGB -> (B, D)."""
        ...


class HeadPoses(Protocol):
    """What a network says of heads: see `talkhead.evaluation.networks.hopenet.HeadPoses`."""

    @property
    def features(self) -> F32:
        """(B, D)."""
        ...

    @property
    def yaw_pitch_roll_deg(self) -> F32:
        """(B, 3)."""
        ...


class HeadPoseEmbedder(Protocol):
    """A network that tells how heads are turned."""

    def prepare(self, frame: U8, landmarks: Landmarks) -> U8:
        """(H, W, 3) uint8 RGB -> what the network sees of it."""
        ...

    def run(self, faces: U8) -> HeadPoses:
        """(B, ...) of these -> their poses."""
        ...


class FaceFeatures:
    """Features of the face in every frame of a clip, taken away some frames at a time.

    Args:
        embedder: what looks. batch: faces per pass.
    """

    def __init__(self, embedder: FaceEmbedder, *, batch: int = BATCH) -> None:
        self._embedder, self._batch = embedder, batch
        self._waiting: list[U8] = []
        self._made: list[F32] = []
        self._found: list[bool] = []
        self._width = 0

    @property
    def n_held(self) -> int:
        """Frames that were added and not taken."""
        return len(self._found)

    def add(self, frame: U8, landmarks: Landmarks | None) -> None:
        """Take the next frame, (H, W, 3) uint8 RGB, and the face in it; None: there is none."""
        self._found.append(landmarks is not None)
        if landmarks is None:
            return
        self._waiting.append(self._embedder.prepare(frame, landmarks))
        if len(self._waiting) == self._batch:
            self._flush()

    def take(self) -> F32:
        """(n, D) float32 of the frames since the last call; NaN for frames without a face.

        (n, 0) if no face was seen so far.
        """
        self._flush()
        found = np.array(self._found, bool)
        out = np.full((len(found), self._width), np.nan, np.float32)
        if self._made:
            out[found] = np.concatenate(self._made)
        self._made, self._found = [], []
        return out

    def _flush(self) -> None:
        if self._waiting:
            self._made.append(self._embedder.run(np.stack(self._waiting)))
            self._width = self._made[-1].shape[1]
            self._waiting = []


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadMotion:
    """How a head moves in a clip, by a network.

    Attributes:
        yaw_pitch_roll_deg: (T, 3) float32, NaN for frames without a face. spread: standard deviation over frames of
            each feature (population), mean over the features; NaN without a face.
    """

    yaw_pitch_roll_deg: F32
    spread: float

    @property
    def n_found(self) -> int:
        """Frames with a face."""
        return int(np.isfinite(self.yaw_pitch_roll_deg[:, 0]).sum())


class HeadMotionMeter:
    """Head poses of every frame of a clip, and how much their features spread; holds 12 bytes a frame.

    Args:
        embedder: what looks. batch: faces per pass.
    """

    def __init__(self, embedder: HeadPoseEmbedder, *, batch: int = BATCH) -> None:
        self._faces = FaceFeatures(_Angles(embedder, self._spread), batch=batch)
        self._batch = batch
        self._angles = Columns(3)
        self._n = 0
        self._mean: F64 = np.zeros(0)
        self._scatter: F64 = np.zeros(0)

    def add(self, frame: U8, landmarks: Landmarks | None) -> None:
        """Take the next frame, (H, W, 3) uint8 RGB, and the face in it; None: there is none."""
        self._faces.add(frame, landmarks)
        if self._faces.n_held >= self._batch:
            self._take()

    def finish(self) -> HeadMotion:
        """What was seen."""
        self._take()
        spread = float(np.sqrt(self._scatter / self._n).mean()) if self._n else float("nan")
        return HeadMotion(yaw_pitch_roll_deg=self._angles.table(), spread=spread)

    def _take(self) -> None:
        angles = self._faces.take()
        self._angles.add_rows(angles if angles.shape[1] else np.full((len(angles), 3), np.nan, np.float32))

    def _spread(self, features: F32) -> None:
        batch = features.astype(np.float64)
        if not self._n:
            self._mean, self._scatter = np.zeros(batch.shape[1]), np.zeros(batch.shape[1])
        apart, total = batch.mean(0) - self._mean, self._n + len(batch)
        self._scatter += ((batch - batch.mean(0)) ** 2).sum(0) + apart**2 * self._n * len(batch) / total
        self._mean += apart * len(batch) / total
        self._n = total


class FrameFeatures:
    """Features of whole frames of any number of clips, handed on batch by batch and not held.

    Args:
        embedder: what looks. sink: takes the features. batch: frames per pass.
    """

    def __init__(self, embedder: FrameEmbedder, sink: Sink, *, batch: int = BATCH) -> None:
        self._embedder, self._sink, self._batch = embedder, sink, batch
        self._waiting: list[U8] = []

    def add(self, frame: U8) -> None:
        """Take the next frame, (H, W, 3) uint8 RGB; sizes may change."""
        if self._waiting and frame.shape != self._waiting[0].shape:
            self.flush()
        self._waiting.append(frame)
        if len(self._waiting) == self._batch:
            self.flush()

    def flush(self) -> None:
        """Hand on what is left; call it after the last frame."""
        if self._waiting:
            self._sink(self._embedder.run(np.stack(self._waiting)))
            self._waiting = []


class VideoFeatures:
    """Features of windows of consecutive frames of any number of clips; 16 frames are held.

    Args:
        embedder: what looks. sink: takes the features. window: frames; windows do not overlap, and frames at the end of
            a clip that fill none are left out.
    """

    def __init__(self, embedder: FrameEmbedder, sink: Sink, *, window: int = WINDOW) -> None:
        self._embedder, self._sink, self._window = embedder, sink, window
        self._held: list[U8] = []

    def add(self, frame: U8) -> None:
        """Take the clip's next frame, (H, W, 3) uint8 RGB.

        Raises:
            ShapeError: it has another size than the ones before.
        """
        if self._held and frame.shape != self._held[0].shape:
            raise ShapeError("frame", frame.shape, f"{self._held[0].shape} as the ones before")
        self._held.append(frame)
        if len(self._held) == self._window:
            self._sink(self._embedder.run(np.stack(self._held)[None]))
            self._held = []

    def end_clip(self) -> int:
        """The clip is over; how many of its frames were left out."""
        left, self._held = len(self._held), []
        return left


def diversity_measurement(motion: HeadMotion, *, grade: Grade) -> Measurement:
    """SadTalker's Diversity of one clip as its text is read here; its code was never published.

    The paper says: standard deviation of head motion features by Hopenet. Taken: the 2048 pooled features.

    Args:
        motion: of a clip. grade: of the network's weights.
    """
    has_face = motion.n_found > 0
    return Measurement(
        name="diversity",
        definition="diversity/hopenet_pool2048",
        grade=grade,
        value=motion.spread if has_face else None,
        reason="" if has_face else "no face in any frame",
        n_frames=motion.n_found,
        frames_dropped=len(motion.yaw_pitch_roll_deg) - motion.n_found,
        params={"definition_certain": "no", "box": "mesh-brows-to-chin", "ddof": 0},
    )


@dataclass(frozen=True, slots=True)
class _Angles:
    """A head pose network that hands on its features and gives its angles."""

    embedder: HeadPoseEmbedder
    sink: Sink

    def prepare(self, frame: U8, landmarks: Landmarks) -> U8:
        return self.embedder.prepare(frame, landmarks)

    def run(self, faces: U8) -> F32:
        poses = self.embedder.run(faces)
        self.sink(poses.features)
        return poses.yaw_pitch_roll_deg
