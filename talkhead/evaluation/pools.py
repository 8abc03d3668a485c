"""What only a set of clips has: FID and FVD over all frames, action units counted over all frames."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from talkhead.evaluation.action_units import PresenceCounts
from talkhead.evaluation.embeddings import FrameFeatures, VideoFeatures
from talkhead.evaluation.frechet import (
    LEAST_FRAMES,
    LEAST_WINDOWS,
    FeatureStatistics,
    frechet_measurement,
    rank_warning,
)
from talkhead.evaluation.instruments import Instrument
from talkhead.evaluation.lag import Lag, set_lag_measurement
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.meters import NO_REAL, View, absent
from talkhead.evaluation.perceptual import FID_DEFINITION, FVD_DEFINITION


@dataclass(kw_only=True)
class FramePool:
    """FID of all frames of all clips.

    Args:
        tool: Inception-v3. every: one frame of so many.
    """

    tool: Instrument
    every: int = 1
    generated: FeatureStatistics = field(default_factory=FeatureStatistics)
    real: FeatureStatistics = field(default_factory=FeatureStatistics)
    n_clips: int = 0

    def __post_init__(self) -> None:
        self._sides = [FrameFeatures(self.tool.network, side.add) for side in (self.generated, self.real)]

    def add(self, view: View) -> None:
        """Take a frame of both clips, if it is due."""
        if view.real is not None and view.number % self.every == 0:
            self._sides[0].add(view.frame)
            self._sides[1].add(view.real)

    def end_clip(self) -> None:
        """A clip is over."""
        for side in self._sides:
            side.flush()
        self.n_clips += 1

    def measurements(self) -> list[Measurement]:
        """`fid`."""
        row = frechet_measurement(
            self.generated, self.real, name="fid", definition=FID_DEFINITION, grade=self.tool.grade,
            n_clips=self.n_clips, n_frames=self.generated.n, params={**self.tool.params, "every": self.every},
        )  # fmt: skip
        return [_warned(row, rank_warning(self.generated.n, self.real.n, LEAST_FRAMES, "frames"))]


@dataclass(kw_only=True)
class WindowPool:
    """FVD of windows of 16 frames of all clips.

    Args:
        tool: I3D.
    """

    tool: Instrument
    generated: FeatureStatistics = field(default_factory=FeatureStatistics)
    real: FeatureStatistics = field(default_factory=FeatureStatistics)
    n_clips: int = 0
    n_frames: int = 0

    def __post_init__(self) -> None:
        self._sides = [VideoFeatures(self.tool.network, side.add) for side in (self.generated, self.real)]

    def add(self, view: View) -> None:
        """Take a frame of both clips."""
        if view.real is not None:
            self._sides[0].add(view.frame)
            self._sides[1].add(view.real)
            self.n_frames += 1

    def end_clip(self) -> None:
        """A clip is over; frames that fill no window are left out."""
        self.n_frames -= self._sides[0].end_clip()
        self._sides[1].end_clip()
        self.n_clips += 1

    def measurements(self) -> list[Measurement]:
        """`fvd`."""
        row = frechet_measurement(
            self.generated, self.real, name="fvd", definition=FVD_DEFINITION, grade=self.tool.grade,
            n_clips=self.n_clips, n_frames=self.n_frames, params=dict(self.tool.params),
        )  # fmt: skip
        return [_warned(row, rank_warning(self.generated.n, self.real.n, LEAST_WINDOWS, "windows"))]


@dataclass(kw_only=True)
class Pools:
    """Everything that is gathered over the clips of a set; `missing` are rows of what cannot be."""

    frames: FramePool | None = None
    windows: WindowPool | None = None
    units: PresenceCounts | None = None
    lags: list[Lag] | None = None
    missing: list[Measurement] = field(default_factory=list)

    def add(self, view: View) -> None:
        """Take one moment of a clip."""
        for pool in (self.frames, self.windows):
            if pool is not None:
                pool.add(view)

    def end_clip(self) -> None:
        """A clip is over."""
        for pool in (self.frames, self.windows):
            if pool is not None:
                pool.end_clip()

    def measurements(self) -> list[Measurement]:
        """Rows of the set."""
        rows = list(self.missing)
        for pool in (self.frames, self.windows):
            if pool is not None:
                rows += pool.measurements() if pool.n_clips else []
        if self.units is not None and self.units.n_clips:
            rows += [replace(row, params={**row.params, "pool": "frames"}) for row in self.units.measurements()]
        if self.lags is not None:
            rows.append(set_lag_measurement(self.lags))
        return rows


def pools_of(families: tuple[str, ...], inception: Instrument, i3d: Instrument, *, every: int, has_real: bool) -> Pools:
    """The pools of a set.

    Args:
        families: what is wanted. inception, i3d: networks. every: one frame of so many. has_real: whether any clip has
            a real one.
    """
    pools = Pools(units=PresenceCounts() if "au" in families else None, lags=[] if "lag" in families else None)
    for name, definition, tool in (("fid", FID_DEFINITION, inception), ("fvd", FVD_DEFINITION, i3d)):
        if name not in families:
            continue
        if tool.network is None or not has_real:
            pools.missing.append(absent(name, definition, tool.reason if has_real else NO_REAL))
        elif name == "fid":
            pools.frames = FramePool(tool=tool, every=every)
        else:
            pools.windows = WindowPool(tool=tool)
    return pools


def _warned(row: Measurement, warning: str) -> Measurement:
    return replace(row, params={**row.params, "warning": warning}) if warning else row
