"""What only a set of clips has: FID and FVD over all frames, action units counted over all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from talkhead.evaluation.action_units import PresenceCounts, ZeroDivision
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
class FeatureSums:
    """Moments of features of the generated and of the real frames of some clips.

    Attributes:
        n_clips, n_frames: that they are of; frames on either side.
    """

    generated: FeatureStatistics = field(default_factory=FeatureStatistics)
    real: FeatureStatistics = field(default_factory=FeatureStatistics)
    n_clips: int = 0
    n_frames: int = 0

    def merge(self, clip: FeatureSums, n_frames: int) -> None:
        """Take in those of one clip."""
        self.generated.merge(clip.generated)
        self.real.merge(clip.real)
        self.n_clips += 1
        self.n_frames += n_frames


@dataclass(kw_only=True)
class FramePool:
    """FID of all frames of all clips.

    Args:
        tool: Inception-v3. every: one frame of so many.
    """

    tool: Instrument
    every: int = 1
    sums: FeatureSums = field(default_factory=FeatureSums)

    def begin_clip(self) -> None:
        """A clip begins; what came of one that was not ended is let go."""
        self._clip = FeatureSums()
        self._sides = [FrameFeatures(self.tool.network, side.add) for side in (self._clip.generated, self._clip.real)]

    def add(self, view: View) -> None:
        """Take a frame of both clips, if it is due."""
        if view.real is not None and view.number % self.every == 0:
            self._sides[0].add(view.frame)
            self._sides[1].add(view.real)

    def end_clip(self) -> None:
        """The clip is over and counts."""
        for side in self._sides:
            side.flush()
        self.sums.merge(self._clip, self._clip.generated.n)

    def measurements(self) -> list[Measurement]:
        """`fid`."""
        row = frechet_measurement(
            self.sums.generated, self.sums.real, name="fid", definition=FID_DEFINITION, grade=self.tool.grade,
            n_clips=self.sums.n_clips, n_frames=self.sums.n_frames,
            params={**self.tool.params, "every": self.every},
        )  # fmt: skip
        return [_warned(row, rank_warning(self.sums.generated.n, self.sums.real.n, LEAST_FRAMES, "frames"))]


@dataclass(kw_only=True)
class WindowPool:
    """FVD of windows of 16 frames of all clips.

    Args:
        tool: I3D.
    """

    tool: Instrument
    sums: FeatureSums = field(default_factory=FeatureSums)

    def begin_clip(self) -> None:
        """A clip begins; what came of one that was not ended is let go."""
        self._clip = FeatureSums()
        self._sides = [VideoFeatures(self.tool.network, side.add) for side in (self._clip.generated, self._clip.real)]
        self._n_seen = 0

    def add(self, view: View) -> None:
        """Take a frame of both clips."""
        if view.real is not None:
            self._sides[0].add(view.frame)
            self._sides[1].add(view.real)
            self._n_seen += 1

    def end_clip(self) -> None:
        """The clip is over and counts; frames that fill no window are left out."""
        left_out, _ = (side.end_clip() for side in self._sides)
        self.sums.merge(self._clip, self._n_seen - left_out)

    def measurements(self) -> list[Measurement]:
        """`fvd`."""
        row = frechet_measurement(
            self.sums.generated, self.sums.real, name="fvd", definition=FVD_DEFINITION, grade=self.tool.grade,
            n_clips=self.sums.n_clips, n_frames=self.sums.n_frames, params=dict(self.tool.params),
        )  # fmt: skip
        return [_warned(row, rank_warning(self.sums.generated.n, self.sums.real.n, LEAST_WINDOWS, "windows"))]


@dataclass(kw_only=True)
class Pools:
    """Everything that is gathered over the clips of a set.

    Attributes:
        missing: rows of what cannot be. last_share: what the clip that ended last gave beside features.
    """

    frames: FramePool | None = None
    windows: WindowPool | None = None
    units: PresenceCounts | None = None
    lags: list[Lag] | None = None
    missing: list[Measurement] = field(default_factory=list)
    zero_division: ZeroDivision = "leave out"
    last_share: tuple[list[Lag], PresenceCounts | None] = field(default_factory=lambda: ([], None))

    def begin_clip(self) -> None:
        """A clip begins; what came of one that was not ended is let go."""
        for pool in self.networks.values():
            pool.begin_clip()

    def add(self, view: View) -> None:
        """Take one moment of a clip."""
        for pool in self.networks.values():
            pool.add(view)

    def end_clip(self, lags: Sequence[Lag] = (), units: PresenceCounts | None = None) -> None:
        """The clip is over and counts, with its lag, if it has one, and its action units, if they are known."""
        self.add_share(lags, units)
        for pool in self.networks.values():
            pool.end_clip()

    def add_share(self, lags: Sequence[Lag] = (), units: PresenceCounts | None = None) -> None:
        """Take in what a clip has beside features.

        Raises:
            CoeffFileError: its action units are others than those of the clips before.
        """
        if self.units is not None and units is not None:
            self.units.merge(units)
        if self.lags is not None:
            self.lags += lags
        self.last_share = (list(lags), units)

    @property
    def networks(self) -> dict[str, FramePool | WindowPool]:
        """Those that look at frames, by the name of their row."""
        named = {"fid": self.frames, "fvd": self.windows}
        return {name: pool for name, pool in named.items() if pool is not None}

    def measurements(self) -> list[Measurement]:
        """Rows of the set."""
        rows = list(self.missing)
        for pool in self.networks.values():
            rows += pool.measurements() if pool.sums.n_clips else []
        if self.units is not None and self.units.n_clips:
            units = self.units.measurements(zero_division=self.zero_division)
            rows += [replace(row, params={**row.params, "pool": "frames"}) for row in units]
        if self.lags is not None:
            rows.append(set_lag_measurement(self.lags))
        return rows


def pools_of(
    families: tuple[str, ...],
    inception: Instrument,
    i3d: Instrument,
    *,
    every: int,
    has_real: bool,
    zero_division: ZeroDivision = "leave out",
) -> Pools:
    """The pools of a set.

    Args:
        families: what is wanted. inception, i3d: networks. every: one frame of so many. has_real: whether any clip has
            a real one. zero_division: as in `PresenceCounts.measurements`.
    """
    pools = Pools(
        units=PresenceCounts() if "au" in families else None,
        lags=[] if "lag" in families else None,
        zero_division=zero_division,
    )
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
