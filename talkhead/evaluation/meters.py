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
from talkhead.evaluation.columns import Columns, Mean
from talkhead.evaluation.cpbd import CpbdScores
from talkhead.evaluation.embeddings import BATCH, FaceFeatures, HeadMotionMeter, diversity_measurement
from talkhead.evaluation.families import ALWAYS, FAMILIES, have_faces
from talkhead.evaluation.head_pose import diversity_measurement as angle_diversity
from talkhead.evaluation.head_pose import pose_measurements
from talkhead.evaluation.identity import IdentityCosines, IdentityShape
from talkhead.evaluation.instruments import Instrument, Instruments
from talkhead.evaluation.landmark_distance import LandmarkDistances
from talkhead.evaluation.measurement import Grade, Measurement, measurement_of
from talkhead.evaluation.mesh_readings import MeshReader, MeshReadings
from talkhead.evaluation.perceptual import LpipsMeter, lpips_measurement
from talkhead.evaluation.pixels import PixelScores, SsimVariant
from talkhead.evaluation.protocol import Protocol
from talkhead.evaluation.steadiness import FrozenFrames, Jitter, face_measurements, found_measurement
from talkhead.face.landmarks import Landmarks

if TYPE_CHECKING:
    from talkhead.evaluation.action_units import ZeroDivision
    from talkhead.evaluation.lag import Lag
    from talkhead.evaluation.networks.lpips import Backbone

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

NO_REAL = "needs a real clip to compare with"
BEAT_ROWS = ("beat_align", "beat_align_chance", "beat_align_gain")


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
        zero_division: what the F1 of an action unit that no frame shows counts as.
    """

    protocol: Protocol
    size: tuple[int, int]
    fps: float
    instruments: Instruments
    has_real: bool = False
    speech: Speech | None = None
    no_speech: str = ""
    source: tuple[U8, Landmarks | None] | None = None
    zero_division: ZeroDivision = "leave out"

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
        wanted: dict[str, SsimVariant] = {"ssim": "wang2004-rgb", "ssim_uniform": "skimage-default"}
        self.scores = PixelScores([variant for name, variant in wanted.items() if name in families])

    def add(self, view: View) -> None:
        """Compare, if this frame is due."""
        if view.real is not None and view.number % self._every == 0:
            self.scores.add(view.frame, view.real)

    def measurements(self) -> list[Measurement]:
        """The families that were asked for."""
        rows = self.scores.measurements()
        if not self._has_real:
            rows = [replace(row, value=None, reason=NO_REAL) for row in rows]
        of_family = {row: family.name for family in FAMILIES for row in family.rows}
        wanted = [row for row in rows if of_family[row.name] in self._families]
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
    """LPIPS, by either backbone."""

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
        self._cosines = IdentityCosines(self._source())
        self._is_real_itself = False

    def add(self, view: View) -> None:
        """Look at both faces."""
        self._judged.add(view.frame, view.face)
        self._is_real_itself = view.frame is view.real
        if view.real is not None and not self._is_real_itself:
            self._real.add(view.real, view.real_face)
        if self._judged.n_held >= BATCH:
            self._compare()

    def measurements(self) -> list[Measurement]:
        """Cosines in every reading that is possible."""
        self._compare()
        grade, params = self._tool.grade, dict(self._tool.params)
        return [
            *self._cosines.csim_measurements(grade=grade, params=params),
            *self._cosines.drift_measurements(self._setting.fps, grade=grade, params=params),
        ]

    def _compare(self) -> None:
        judged = self._judged.take()
        real = judged if self._is_real_itself else self._real.take()
        self._cosines.add(judged, real if self._setting.has_real else None)

    def _source(self) -> F32 | None:
        """The embedding of the photo, (D,); None without one."""
        if self._setting.source is None or self._setting.source[1] is None:
            return None
        picture, face = self._setting.source
        embedding: F32 = self._tool.network.run(self._tool.network.prepare(picture, face)[None])[0]
        return embedding


class MotionMeter:
    """Diversity by Hopenet, and Beat Align if no fit of a head gives it."""

    def __init__(self, setting: Setting, tool: Instrument, families: Sequence[str]) -> None:
        self._setting, self._tool, self._families = setting, tool, families
        self._meter = HeadMotionMeter(tool.network)

    def add(self, view: View) -> None:
        """Look at the head."""
        self._meter.add(view.frame, view.face)

    def measurements(self) -> list[Measurement]:
        """Rows of the families that were asked for."""
        motion = self._meter.finish()
        rows = [diversity_measurement(motion, grade=self._tool.grade)] if "diversity" in self._families else []
        if "beat_align" in self._families:
            # Hopenet is what SadTalker measures heads with; that Beat Align was taken from it is not told.
            grade: Grade = "paper-like" if self._tool.grade == "paper" else self._tool.grade
            angles = motion.yaw_pitch_roll_deg[:, [1, 0, 2]].astype(np.float64)
            rows += beats_of(angles, self._setting, source="hopenet", grade=grade)
        return [replace(row, params={**row.params, **self._tool.params}) for row in rows]


class HeadFitMeter:
    """ARD, ARE and Beat Align of heads that a 3DMM is fitted to, some frames at a time."""

    def __init__(self, setting: Setting, tool: Instrument, families: Sequence[str]) -> None:
        self._setting, self._tool, self._families = setting, tool, families
        self._waiting: list[View] = []
        self._angles, self._real = Columns(3), Columns(3)

    def add(self, view: View) -> None:
        """Look at both heads."""
        self._waiting.append(view)
        if len(self._waiting) == BATCH:
            self._fit()

    def measurements(self) -> list[Measurement]:
        """Rows of the families that were asked for."""
        self._fit()
        angles, grade = self._angles.table().astype(np.float64), self._tool.grade
        real = self._real.table().astype(np.float64) if self._setting.has_real else None
        source, rows = f"3dmm-{self._tool.network.name}", []
        if "ard" in self._families:
            rows += pose_measurements(angles, real, source=source, grade=grade)
        if "beat_align" in self._families:
            rows += beats_of(angles, self._setting, source=source, grade=grade)
        return [replace(row, params={**row.params, **self._tool.params}) for row in rows]

    def _fit(self) -> None:
        views, self._waiting = self._waiting, []
        if not views:
            return
        fit, fps = self._tool.network, self._setting.fps
        self._angles.add_rows(fit.angles([view.frame for view in views], [view.face for view in views], fps))
        if self._setting.has_real and "ard" in self._families:
            real = [view.real for view in views if view.real is not None]
            self._real.add_rows(fit.angles(real, [view.real_face for view in views], fps))


class LandmarkMeter:
    """LMD on the 68-point view of our mesh, or on the points of FAN.

    Args:
        setting: of the clip. tool: FAN; None: the mesh.
    """

    def __init__(self, setting: Setting, tool: Instrument | None = None) -> None:
        self._tool = tool
        self.is_mesh = tool is None
        self.scores = (
            LandmarkDistances(setting.size)
            if tool is None
            else LandmarkDistances(setting.size, source="fan68", grade=tool.grade)
        )
        self._has_real = setting.has_real

    def add(self, view: View) -> None:
        """Compare the landmarks."""
        if view.real is not None:
            self.scores.add(self._points(view.frame, view.face), self._points(view.real, view.real_face))

    def _points(self, frame: U8, face: Landmarks | None) -> F32 | None:
        if face is None:
            return None
        if self._tool is None:
            return face.view68()[:, :2]
        points: F32 = self._tool.network.points(frame, face)
        return points

    def measurements(self) -> list[Measurement]:
        """Four rows."""
        params = {} if self._tool is None else self._tool.params
        rows = [replace(row, params={**row.params, **params}) for row in self.scores.measurements()]
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
        self._jitter = Jitter()
        self.readings: MeshReadings | None = None
        self.lag: Lag | None = None

    def add(self, view: View) -> None:
        """Read both meshes."""
        points = None if view.face is None else view.face.points
        self._reader.add(points)
        self._jitter.add(points)
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
            rows += beats_of(readings.angles, self._setting)
        if {"lag", "lag_loudness", "silence"} & set(self._families):
            rows += self._with_sound(readings)
        if "au" in self._families:
            rows += self._units(readings)
        if "steadiness" in self._families:
            rows += [*self._jitter.measurements(), *face_measurements(readings)]
        return rows

    def _units(self, readings: MeshReadings) -> list[Measurement]:
        from talkhead.evaluation.action_units import PresenceCounts, mesh_presences

        counts = PresenceCounts()
        if not self._setting.has_real:
            return [absent(f"{name}~mesh", "au~mesh", NO_REAL) for name in ("au_h", "au_f1", "au_f1_usual", "au_acc")]
        real = self._real.finish()
        counts.add(mesh_presences(readings, real), mesh_presences(real, real))
        return counts.measurements(source="mesh", grade="proxy", zero_division=self._setting.zero_division)

    def _with_sound(self, readings: MeshReadings) -> list[Measurement]:
        from talkhead.evaluation.face_curves import RATE
        from talkhead.evaluation.lag import Lag, lag_measurement, lag_or_reason, loudness_lag_measurement
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
        if "lag_loudness" in self._families:
            rows.append(loudness_lag_measurement(there, speech, self._setting.no_speech))
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


class FrameMeter:
    """What explains odd numbers of the others: frames that repeat the one before, and frames that show a face.

    Args:
        has_faces: whether they were looked for.
    """

    def __init__(self, *, has_faces: bool) -> None:
        self._has_faces = has_faces
        self._frozen, self._found = FrozenFrames(), Mean()

    def add(self, view: View) -> None:
        """Look at the frame."""
        self._frozen.add(view.frame)
        self._found.add(view.face is not None)

    def measurements(self) -> list[Measurement]:
        """One or two rows."""
        rows = [found_measurement(self._found.value, self._found.n)] if self._has_faces else []
        return [*rows, self._frozen.measurement()]


def beats_of(angles: F64, setting: Setting, *, source: str = "mesh", grade: Grade = "proxy") -> list[Measurement]:
    """Beat Align of a head, or why there is none.

    Args:
        angles: (T, 3) degrees, NaN where there is no face. setting: of the clip. source, grade: of the angles.
    """
    from talkhead.evaluation.beats import DEFINITION, RATE, beat_measurements

    if setting.speech is None:
        names = (f"{name}~{source}" if grade == "proxy" else name for name in BEAT_ROWS)
        return [absent(name, DEFINITION, setting.no_speech) for name in names]
    return beat_measurements(at_rate(angles, setting.fps, RATE), setting.onsets_s, source=source, grade=grade)


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
    if {"l1", "psnr", "ssim", "ssim_uniform"} & set(families):
        meters.append(PixelMeter(setting, families))
    backbones: tuple[tuple[str, Backbone], ...] = (("lpips", "alex"), ("lpips_vgg", "vgg"))
    for name, backbone in backbones:
        if name in families:
            tool = setting.instruments.lpips(backbone) if setting.has_real else Instrument(reason=NO_REAL)
            if tool.network is None:
                missing.append(absent(name, f"lpips/v0.1-{backbone}", tool.reason))
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
        tool = setting.instruments.fan() if setting.has_real else Instrument(reason=NO_REAL)
        if tool.network is None:
            rows = LandmarkDistances(setting.size, source="fan68", grade="unverified").measurements()
            missing += [absent(row.name, row.definition, tool.reason) for row in rows]
        else:
            meters.append(LandmarkMeter(setting, tool))
    if "shape" in families:
        meters.append(ShapeMeter(setting))
    if _OF_THE_MESH & set(families):
        meters.append(MeshMeter(setting, families))
    heads = _head_meters(setting, families)
    if ALWAYS in families:
        meters.append(FrameMeter(has_faces=have_faces(families)))
    return meters + heads[0], missing + heads[1]


_OF_THE_MESH = {"ard", "diversity", "beat_align", "au", "lag", "lag_loudness", "silence", "steadiness"}


def _head_meters(setting: Setting, families: Sequence[str]) -> tuple[list[Meter], list[Measurement]]:
    """Meters of networks that see how a head is turned, and rows of what they would give."""
    meters: list[Meter] = []
    missing: list[Measurement] = []
    wanted = [name for name in ("ard", "beat_align") if name in families]
    fit = setting.instruments.head_fit() if wanted else Instrument()
    if fit.network is not None:
        meters.append(HeadFitMeter(setting, fit, wanted))
    if "ard" in wanted and (fit.network is None or not setting.has_real):
        kinds = (("are", "mean-of-3"), ("ard", "mean-of-3"), ("geodesic", "geodesic"))
        missing += [
            absent(name, f"{'are' if name == 'are' else 'ard'}/{kind}", fit.reason or NO_REAL)
            for name, kind in kinds
            if fit.network is None or name != "are"
        ]
    asked = [name for name in ("diversity", "beat_align") if name in families]
    if fit.network is not None:
        asked = [name for name in asked if name != "beat_align"]
    if not asked:
        return meters, missing
    tool = setting.instruments.hopenet()
    if tool.network is not None:
        return [*meters, MotionMeter(setting, tool, asked)], missing
    if "diversity" in asked:
        missing.append(absent("diversity", "diversity/hopenet_pool2048", tool.reason))
    if "beat_align" in asked:
        from talkhead.evaluation.beats import DEFINITION

        why = f"{fit.reason}; or {tool.reason}"
        missing += [absent(name, DEFINITION, why) for name in BEAT_ROWS]
    return meters, missing
