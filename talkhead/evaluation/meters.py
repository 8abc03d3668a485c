"""Meters: each takes the frames of a clip one after the other and gives rows in the end; what needs nothing is first.

A meter without what it needs (no real clip, no sound, no weights) is replaced by rows without value that say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.evaluation.cpbd import CpbdScores
from talkhead.evaluation.embeddings import FaceFeatures, HeadMotionMeter, diversity_measurement
from talkhead.evaluation.head_pose import diversity_measurement as angle_diversity
from talkhead.evaluation.head_pose import pose_measurements
from talkhead.evaluation.identity import IdentityShape, csim_measurements, drift_measurements
from talkhead.evaluation.instruments import Instrument, Instruments
from talkhead.evaluation.landmark_distance import LandmarkDistances
from talkhead.evaluation.measurement import Measurement, measurement_of
from talkhead.evaluation.mesh_readings import MeshReader, MeshReadings
from talkhead.evaluation.perceptual import LpipsMeter, lpips_measurement
from talkhead.evaluation.pixels import PixelScores
from talkhead.evaluation.protocol import Protocol
from talkhead.evaluation.steadiness import FrozenFrames, Jitter, face_measurements
from talkhead.face.landmarks import Landmarks

if TYPE_CHECKING:
    from talkhead.evaluation.lag import Lag

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

NO_REAL = "needs a real clip to compare with"


@dataclass(frozen=True, slots=True)
class View:
    """One moment: the frame that is judged, the real one, and the faces in them; `number` counts from 0."""

    number: int
    frame: U8
    face: Landmarks | None
    real: U8 | None
    real_face: Landmarks | None


class Meter(Interface):
    """Takes frames, gives rows."""

    def add(self, view: View) -> None:
        """Take the next moment."""
        ...

    def measurements(self) -> list[Measurement]:
        """Rows of the clip; called once, after the last moment."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the meters of one clip may use.

    Attributes:
        protocol: how clips are judged. size, fps: of the frames. instruments: networks. has_real: whether there is a
            real clip. speech: the sound; None: none. no_speech: why. source: the photo, and the face in it.
    """

    protocol: Protocol
    size: tuple[int, int]
    fps: float
    instruments: Instruments
    has_real: bool = False
    speech: Speech | None = None
    no_speech: str = ""
    source: tuple[U8, Landmarks | None] | None = None

    @cached_property
    def onsets_s(self) -> F64:
        """When onsets are heard, seconds; read once for the clip and its real one."""
        from talkhead.evaluation.onsets import onset_times

        assert self.speech is not None
        return onset_times(self.speech)


def absent(name: str, definition: str, reason: str) -> Measurement:
    """A row without value."""
    return Measurement(
        name=name,
        definition=definition,
        grade="proxy" if "~" in name else "unverified",
        value=None,
        reason=reason,
        n_frames=0,
    )


class PixelMeter:
    """L1, PSNR, SSIM."""

    def __init__(self, setting: Setting, families: Sequence[str]) -> None:
        self._every = setting.protocol.every
        self._has_real = setting.has_real
        self._families = families
        self._variants = (setting.protocol.ssim,) if "ssim" in families else ()
        self.scores = PixelScores(self._variants)

    def add(self, view: View) -> None:
        """Compare, if this frame is due."""
        if view.real is not None and view.number % self._every == 0:
            self.scores.add(view.frame, view.real)

    def measurements(self) -> list[Measurement]:
        """The families that were asked for."""
        rows = self.scores.measurements()
        if not self._has_real:
            rows = [replace(row, value=None, reason=NO_REAL) for row in rows]
        wanted = [row for row in rows if row.name.split("_")[0] in self._families]
        return [replace(row, params={**row.params, "every": self._every}) for row in wanted]


class SharpnessMeter:
    """CPBD."""

    def __init__(self, setting: Setting) -> None:
        self._scores = CpbdScores(every=setting.protocol.every)

    def add(self, view: View) -> None:
        """Score the frame, if it is due."""
        self._scores.add(view.frame)

    def measurements(self) -> list[Measurement]:
        """One row."""
        return [self._scores.measurement()]


class PerceptualMeter:
    """LPIPS."""

    def __init__(self, setting: Setting, tool: Instrument) -> None:
        self._tool, self._setting = tool, setting
        self._meter = LpipsMeter(tool.network)

    def add(self, view: View) -> None:
        """Compare, if this frame is due."""
        if view.real is not None and view.number % self._setting.protocol.every == 0:
            self._meter.add(view.frame, view.real)

    def measurements(self) -> list[Measurement]:
        """One row."""
        row = lpips_measurement(
            self._meter.finish(),
            backbone=self._tool.network.backbone,
            grade=self._tool.grade,
            size=self._setting.size,
        )
        return [replace(row, params={**row.params, **self._tool.params, "every": self._setting.protocol.every})]


class IdentityMeter:
    """CSIM and drift of the identity."""

    def __init__(self, setting: Setting, tool: Instrument) -> None:
        self._tool, self._setting = tool, setting
        self._judged, self._real = FaceFeatures(tool.network), FaceFeatures(tool.network)
        self._is_real_itself = False

    def add(self, view: View) -> None:
        """Look at both faces."""
        self._judged.add(view.frame, view.face)
        self._is_real_itself = view.frame is view.real
        if view.real is not None and not self._is_real_itself:
            self._real.add(view.real, view.real_face)

    def measurements(self) -> list[Measurement]:
        """Cosines in every reading that is possible."""
        grade, params, network = self._tool.grade, dict(self._tool.params), self._tool.network
        judged = self._judged.finish()
        if not judged.shape[1]:
            judged = np.full((len(judged), 1), np.nan, np.float32)
        real: F32 | None = None
        if self._setting.has_real:
            real = judged if self._is_real_itself else self._real.finish()
            if real.shape[1] != judged.shape[1]:
                real = np.full_like(judged, np.nan)
        source = None
        if self._setting.source is not None and self._setting.source[1] is not None:
            picture, face = self._setting.source
            source = network.run(network.prepare(picture, face)[None])[0]
        if source is not None and judged.shape[1] != len(source):
            source = np.full(judged.shape[1], np.nan, np.float32)
        return [
            *csim_measurements(judged, real=real, source=source, grade=grade, params=params),
            *drift_measurements(judged, self._setting.fps, grade=grade, params=params),
        ]


class MotionMeter:
    """Diversity by Hopenet."""

    def __init__(self, tool: Instrument) -> None:
        self._tool = tool
        self._meter = HeadMotionMeter(tool.network)

    def add(self, view: View) -> None:
        """Look at the head."""
        self._meter.add(view.frame, view.face)

    def measurements(self) -> list[Measurement]:
        """One row."""
        row = diversity_measurement(self._meter.finish(), grade=self._tool.grade)
        return [replace(row, params={**row.params, **self._tool.params})]


class LandmarkMeter:
    """LMD on the 68-point view of our mesh."""

    def __init__(self, setting: Setting) -> None:
        self.scores = LandmarkDistances(setting.size)
        self._has_real = setting.has_real

    def add(self, view: View) -> None:
        """Compare the landmarks."""
        if view.real is not None:
            self.scores.add(*(None if face is None else face.view68()[:, :2] for face in (view.face, view.real_face)))

    def measurements(self) -> list[Measurement]:
        """Four rows."""
        rows = self.scores.measurements()
        return rows if self._has_real else [replace(row, value=None, reason=NO_REAL) for row in rows]


class ShapeMeter:
    """The shape of the rigid part of the face against the photo's, or the first frame's."""

    def __init__(self, setting: Setting) -> None:
        self._scores: IdentityShape | None = None
        self._reference = "first frame" if setting.source is None else "photo"
        self._n_waited = 0
        if setting.source is not None and setting.source[1] is not None:
            self._scores = IdentityShape(setting.source[1].points)

    def add(self, view: View) -> None:
        """Compare the mesh."""
        if self._scores is None and view.face is not None:
            self._scores = IdentityShape(view.face.points)
        if self._scores is None:
            self._n_waited += 1
        else:
            self._scores.add(None if view.face is None else view.face.points)

    def measurements(self) -> list[Measurement]:
        """One row."""
        if self._scores is None:
            return [absent("identity_shape~mesh", "identity_shape/rigid30", "no frame shows a face")]
        row = self._scores.measurement()
        dropped, params = row.frames_dropped + self._n_waited, {**row.params, "reference": self._reference}
        return [replace(row, frames_dropped=dropped, params=params)]


class MeshMeter:
    """All that is read off the mesh: pose, its spread and beats; blinks, mouth, jitter, guessed action units."""

    def __init__(self, setting: Setting, families: Sequence[str]) -> None:
        self._setting, self._families = setting, families
        self._reader, self._real = MeshReader(setting.fps), MeshReader(setting.fps)
        self._jitter, self._frozen = Jitter(), FrozenFrames()
        self.readings: MeshReadings | None = None
        self.lag: Lag | None = None

    def add(self, view: View) -> None:
        """Read both meshes."""
        points = None if view.face is None else view.face.points
        self._reader.add(points)
        self._jitter.add(points)
        self._frozen.add(view.frame)
        if view.real is view.frame:
            self._real = self._reader
        elif view.real is not None:
            self._real.add(None if view.real_face is None else view.real_face.points)

    def measurements(self) -> list[Measurement]:
        """Rows of the families that were asked for."""
        readings = self.readings = self._reader.finish()
        rows: list[Measurement] = []
        if "ard" in self._families:
            rows += pose_measurements(readings.angles, self._real.finish().angles if self._setting.has_real else None)
            if not self._setting.has_real:
                rows += [absent(f"{name}~mesh", f"ard/{kind}", NO_REAL)
                         for name, kind in (("ard", "mean-of-3"), ("geodesic", "geodesic"))]  # fmt: skip
        if "diversity" in self._families:
            rows.append(angle_diversity(readings.angles))
        if "beat_align" in self._families:
            rows += self._beats(readings)
        if {"lag", "silence"} & set(self._families):
            rows += self._with_sound(readings)
        if "au" in self._families:
            rows += self._units(readings)
        if "steadiness" in self._families:
            rows += [*self._jitter.measurements(), *face_measurements(readings), self._frozen.measurement()]
        return rows

    def _units(self, readings: MeshReadings) -> list[Measurement]:
        from talkhead.evaluation.action_units import PresenceCounts, mesh_presences

        counts = PresenceCounts()
        if not self._setting.has_real:
            return [absent(f"{name}~mesh", "au~mesh", NO_REAL) for name in ("au_h", "au_f1", "au_f1_usual", "au_acc")]
        real = self._real.finish()
        counts.add(mesh_presences(readings, real), mesh_presences(real, real))
        return counts.measurements(source="mesh", grade="proxy")

    def _with_sound(self, readings: MeshReadings) -> list[Measurement]:
        from talkhead.evaluation.face_curves import RATE
        from talkhead.evaluation.lag import Lag, lag_measurement, lag_or_reason
        from talkhead.evaluation.lips import LEAST_SILENCE, loudness, silent_frames, spoken_frames

        there, speech = readings_at_rate(readings, RATE), self._setting.speech
        rows: list[Measurement] = []
        if "lag" in self._families:
            found = self._setting.no_speech if speech is None else lag_or_reason(there, speech)
            row = lag_measurement(found, there)
            if isinstance(found, Lag):
                self.lag = found
                if not found.is_reliable:
                    row = replace(row, params={**row.params, "warning": "the peak hardly stands out: not reliable"})
            rows.append(row)
        if "silence" not in self._families:
            return rows
        name, definition = "mouth_open_silence~mesh", "mouth_open/mean-in-silence"
        if speech is None:
            return [*rows, absent(name, definition, self._setting.no_speech)]
        is_quiet = silent_frames(spoken_frames(loudness(speech, len(there)))) & there.found
        gap = there.gap[is_quiet]
        row = measurement_of(
            float(gap.mean()) if len(gap) >= LEAST_SILENCE else float("nan"),
            f"{len(gap)} frames of silence show a face; {LEAST_SILENCE} are needed",
            name=name, definition=definition, grade="proxy", unit="eyes", n_frames=len(gap), params={"fps": RATE},
        )  # fmt: skip
        return [*rows, row]

    def _beats(self, readings: MeshReadings) -> list[Measurement]:
        from talkhead.evaluation.beats import DEFINITION, RATE, beat_measurements

        if self._setting.speech is None:
            names = ("beat_align~mesh", "beat_align_chance~mesh", "beat_align_gain~mesh")
            return [absent(name, DEFINITION, self._setting.no_speech) for name in names]
        return beat_measurements(at_rate(readings.angles, readings.fps, RATE), self._setting.onsets_s)


def at_rate(values: F64, fps: float, rate: float) -> F64:
    """Values (T, D) at another rate, between the centres of frames; NaN where either neighbour is."""
    if fps == rate or not len(values):
        return values
    n = max(round(len(values) / fps * rate), 1)
    moments = (np.arange(n) + 0.5) / rate * fps - 0.5
    return np.stack([np.interp(moments, np.arange(len(values)), column) for column in values.T], -1)


def readings_at_rate(readings: MeshReadings, rate: float) -> MeshReadings:
    """Readings at another rate."""
    scalars = [field.name for field in fields(MeshReadings) if field.name not in ("fps", "angles")]
    table = np.column_stack([*(getattr(readings, name) for name in scalars), readings.angles])
    moved = at_rate(table, readings.fps, rate)
    columns = dict(zip(scalars, moved.T, strict=False))
    return MeshReadings(fps=rate, angles=moved[:, -3:], **columns)


def meters_of(setting: Setting, families: Sequence[str]) -> tuple[list[Meter], list[Measurement]]:
    """The meters of a clip, and rows of what cannot be measured.

    Args:
        setting: what there is. families: what is wanted.
    """
    meters: list[Meter] = []
    missing: list[Measurement] = []
    if {"l1", "psnr", "ssim"} & set(families):
        meters.append(PixelMeter(setting, families))
    if "lpips" in families:
        tool = setting.instruments.lpips() if setting.has_real else Instrument(reason=NO_REAL)
        if tool.network is None:
            missing.append(absent("lpips", "lpips/v0.1-alex", tool.reason))
        else:
            meters.append(PerceptualMeter(setting, tool))
    if "cpbd" in families:
        meters.append(SharpnessMeter(setting))
    if "csim" in families:
        tool = setting.instruments.arcface()
        if tool.network is None:
            missing += [absent(f"csim_{kind}", f"csim/{kind}", tool.reason) for kind in ("paired", "source")]
            missing.append(absent("identity_drift", "drift/first", tool.reason))
        else:
            meters.append(IdentityMeter(setting, tool))
            if not setting.has_real:
                missing.append(absent("csim_paired", "csim/paired", NO_REAL))
            if setting.source is None:
                missing.append(absent("csim_source", "csim/source", "needs the photo: --source"))
    if "lmd" in families:
        meters.append(LandmarkMeter(setting))
    if "shape" in families:
        meters.append(ShapeMeter(setting))
    if {"ard", "diversity", "beat_align", "au", "lag", "silence", "steadiness"} & set(families):
        meters.append(MeshMeter(setting, families))
    if "diversity" in families:
        tool = setting.instruments.hopenet()
        if tool.network is None:
            missing.append(absent("diversity", "diversity/hopenet_pool2048", tool.reason))
        else:
            meters.append(MotionMeter(tool))
    return meters, missing
