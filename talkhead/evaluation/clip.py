"""One clip, judged: both films are decoded once, in step, and every meter sees each moment as it passes."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.evaluation.action_units import PresenceCounts, Presences, ZeroDivision, read_presences
from talkhead.evaluation.columns import Columns, thinned
from talkhead.evaluation.face_tracks import MIN_TRACK, Box
from talkhead.evaluation.families import have_faces, in_order
from talkhead.evaluation.films import Film, InStep, open_films
from talkhead.evaluation.instruments import Instruments
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.meters import (
    LandmarkMeter,
    MeshMeter,
    Meter,
    PixelMeter,
    Setting,
    View,
    absent,
    meters_of,
)
from talkhead.evaluation.pools import Pools
from talkhead.evaluation.protocol import Protocol
from talkhead.evaluation.steadiness import WorkTime
from talkhead.face.landmarks import Landmarks

U8 = npt.NDArray[np.uint8]

MOMENTS = 4
"""Pictures side by side in a report."""
SHOWN_POINTS = 1500
"""Of a curve of a report, at most."""
DIFFERENCE_GAIN = 2
"""By which the difference of two frames is brightened."""
_PSNR, _MOUTH = "PSNR, dB", "Distance of mouth landmarks, % of eye distance"
_OF_BOTH = frozenset({_PSNR, _MOUTH})
_SHOWN_SIDE, _JPEG_QUALITY = 320, 85
SYNC_RATE = 25.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """What is judged.

    Attributes:
        generated: the clip. real: what it should look like. audio: the speech; None: that of the generated clip, else
            of the real one. source: the photo. au_csv: OpenFace's files of the real and of the generated clip.
        name: for tables of several. work_s: how long the generated clip took to make, seconds. load_s: and how long
            loading the models took, which is not in it.
    """

    generated: Path
    real: Path | None = None
    audio: Path | None = None
    source: Path | None = None
    au_csv: tuple[Path, Path] | None = None
    name: str = ""
    work_s: float | None = None
    load_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A picture of a report.

    Attributes:
        time_s: when. generated, real, difference: JPEG files of both frames and of what they differ in, brightened.
        why: it is shown; empty: one of those spread over the clip.
    """

    time_s: float
    generated: bytes
    real: bytes | None
    difference: bytes | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipResult:
    """What was measured of one clip.

    Attributes:
        name, files: which. fps, size, n_frames: as it was judged. rows: of the generated clip. real_rows: the same of
            the real clip against itself; none without one. crop: what was cut of each film, (x0, y0, x1, y1) pixels,
            and in which the face was looked for; None: nothing. curves: by name, for plots: generated and real, at most
            `SHOWN_POINTS` each, evenly over the clip; those `of_both` have one that compares the two. moments:
            pictures. Both only if they were asked for. notes: what a reader should know. seconds: of the work.
    """

    name: str
    files: dict[str, str]
    fps: float
    size: tuple[int, int]
    n_frames: int
    rows: tuple[Measurement, ...]
    real_rows: tuple[Measurement, ...] = ()
    crop: dict[str, Any] | None = None
    curves: dict[str, tuple[npt.NDArray[np.float64], ...]] = field(default_factory=dict)
    of_both: frozenset[str] = _OF_BOTH
    moments: tuple[Moment, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How clips are judged: `families` of metrics under a `protocol`, with these `instruments`.

    Attributes:
        keep_faces: keep the tracked faces beside the films. min_track: frames in which SyncNet must see a face; the
            published evaluation has 100. with_pictures: gather `Moment`s and curves. zero_division: what the F1 of an
            action unit that no frame shows counts as.
    """

    protocol: Protocol
    families: tuple[str, ...]
    instruments: Instruments
    keep_faces: bool = False
    min_track: int = MIN_TRACK
    with_pictures: bool = False
    zero_division: ZeroDivision = "leave out"


def measure_clip(
    pair: Pair, wish: Wish, pools: Pools | None = None, *, advance: Callable[[int], None] | None = None
) -> ClipResult:
    """Judge one clip; memory grows by about 1 KB a frame, with SyncNet by 0.4 KB more.

    Args:
        pair: the files. wish: what to measure, and how. pools: of the set that the clip belongs to; what it adds to
            them counts once the clip is judged. advance: is told of every frame.
    Raises:
        MediaError: a file is missing, unreadable or no video. FaceNotFoundError: there is nothing to crop around.
        InputError: the two clips differ in shape, or the protocol wants a square picture and this is none.
    """
    started = time.monotonic()
    if pools is not None:
        pools.begin_clip()
    films = open_films(pair.generated, pair.real, wish.protocol)
    judged, real = films.judged, films.real
    units = _units(pair, wish)
    speech, no_speech = _speech(pair, judged, real)
    setting = Setting(
        protocol=wish.protocol, size=judged.size, fps=judged.fps, instruments=wish.instruments,
        has_real=real is not None, speech=speech, no_speech=no_speech, source=_photo(pair.source),
        zero_division=wish.zero_division,
    )  # fmt: skip
    meters, missing = meters_of(setting, wish.families)
    real_setting = setting if real is None else _setting_of_real(setting, real)
    real_meters = meters_of(real_setting, wish.families)[0] if real is not None else []
    sides = (_Sights(), _Sights())
    moments: list[Moment] = []
    worst = _Worst()
    n = 0
    moving = InStep(films, needs_faces=have_faces(wish.families), keep_faces=wish.keep_faces)
    shown = _picked(judged, wish.protocol) if wish.with_pictures else set()
    for view in moving:
        for meter in meters:
            meter.add(view)
        if view.real is not None:
            as_real = View(view.number, view.real, view.real_face, view.real, view.real_face)
            for meter in real_meters:
                meter.add(as_real)
        for side, face in zip(sides, (view.face, view.real_face), strict=True):
            side.add(face)
        if pools is not None:
            pools.add(view)
        if view.number in shown:
            moments.append(_moment(view, judged.fps))
        if wish.with_pictures and view.real is not None:
            worst.look(view)
        n += 1
        if advance is not None:
            advance(1)
    rows = [row for meter in meters for row in meter.measurements()] + missing
    real_rows = [row for meter in real_meters for row in meter.measurements()]
    rows += units.measurements(zero_division=wish.zero_division) if units is not None else _no_units(wish)
    if "speed" in wish.families:
        rows += _speed(pair, n, judged.fps)
    for is_whole in [name == "lse_whole" for name in ("lse", "lse_whole") if name in wish.families]:
        rows += _lips(judged, sides[0], setting, wish, is_whole=is_whole)
        real_rows += _lips(real, sides[1], real_setting, wish, is_whole=is_whole) if real is not None else []
    if pools is not None:
        lags = [meter.lag for meter in meters if isinstance(meter, MeshMeter) and meter.lag is not None]
        pools.end_clip(lags, units)
    notes = [*films.notes, *moving.notes, *_lost_faces(pair, sides, n, wish)]
    if worst.view is not None:
        moments.append(_moment(worst.view, judged.fps, "the frame that differs most"))
    files = {key: str(path) for key in ("generated", "real", "audio", "source") if (path := getattr(pair, key))}
    return ClipResult(
        name=pair.name or pair.generated.stem, files=files, fps=judged.fps, size=judged.size, n_frames=n,
        rows=in_order(rows), real_rows=in_order(real_rows), crop=films.crop,
        curves=_curves(meters, real_meters) if wish.with_pictures else {}, moments=tuple(moments), notes=tuple(notes),
        seconds=time.monotonic() - started,
    )  # fmt: skip


class _Sights:
    """Where the face was in each frame of a film; 16 bytes a frame are held."""

    def __init__(self) -> None:
        self._boxes = Columns(4)
        self.n_missing = 0

    def add(self, face: Landmarks | None) -> None:
        """Take the next frame's face."""
        self.n_missing += face is None
        self._boxes.add(*(face.bbox if face is not None else [float("nan")] * 4))

    def __len__(self) -> int:
        return len(self._boxes)

    def at_rate(self, fps: float, rate: float) -> Iterator[list[Box]]:
        """The boxes of each frame at another rate, none or one: those of the frame whose centre is nearest."""
        boxes = self._boxes.table()
        for i in nearest_frames(len(boxes), fps, rate).tolist():
            box = boxes[i]
            yield [] if np.isnan(box[0]) else [(float(box[0]), float(box[1]), float(box[2]), float(box[3]))]


def _speech(pair: Pair, judged: Film, real: Film | None) -> tuple[Speech | None, str]:
    """The sound that belongs to the clips, or why there is none."""
    from talkhead.media.audio import AudioStream

    if pair.audio is not None:
        return AudioStream(pair.audio), ""
    for film in (judged, real):
        if film is not None and film.clip.info.has_audio:
            return AudioStream(film.path, end_s=film.clip.end_s), ""
    return None, f"{pair.generated.name} has no sound: --audio names it"


def _setting_of_real(setting: Setting, real: Film) -> Setting:
    """A real clip is judged with its own sound where it has one."""
    from talkhead.media.audio import AudioStream

    if not real.clip.info.has_audio:
        return setting
    return replace(setting, speech=AudioStream(real.path, end_s=real.clip.end_s), no_speech="")


def _photo(path: Path | None) -> tuple[U8, Landmarks | None] | None:
    if path is None:
        return None
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import read_image

    picture = read_image(path).pixels
    return picture, choose_face(picture, name=str(path))


def _lost_faces(pair: Pair, sides: tuple[_Sights, _Sights], n: int, wish: Wish) -> list[str]:
    """What is to be said of frames without a face, where faces were looked for and some were found."""
    if not have_faces(wish.families):
        return []
    paths = [path for path in (pair.generated, pair.real) if path is not None]
    lost = [(path, side.n_missing) for path, side in zip(paths, sides, strict=False)]
    notes = [f"{path.name}: no face in {missing} of {n} frames" for path, missing in lost if missing]
    return list(dict.fromkeys(notes))  # a clip may stand beside itself


def _units(pair: Pair, wish: Wish) -> PresenceCounts | None:
    """Action units by OpenFace's files, if there are any and they are wanted."""
    if pair.au_csv is None or "au" not in wish.families:
        return None
    counts = PresenceCounts()
    counts.add(*_presences(pair.au_csv))
    return counts


def _presences(files: tuple[Path, Path]) -> tuple[Presences, Presences]:
    """Of the generated and of the real clip."""
    return read_presences(files[1]), read_presences(files[0])


def _no_units(wish: Wish) -> list[Measurement]:
    why = "needs OpenFace's files of both clips: --au-csv REAL.csv GENERATED.csv"
    names = ("au_h", "au_f1", "au_acc") if "au" in wish.families else ()
    return [absent(name, f"{name}/openface", why) for name in names]


def _speed(pair: Pair, n_frames: int, fps: float) -> list[Measurement]:
    if pair.work_s is None or not n_frames:
        why = "needs the time it took to make: --work-seconds"
        return [absent("rtf", "rtf/work-over-media", why), absent("work_fps", "rtf/frames-per-second", why)]
    return WorkTime(work_s=pair.work_s, media_s=n_frames / fps, n_frames=n_frames, load_s=pair.load_s).measurements()


def _lips(film: Film, sights: _Sights, setting: Setting, wish: Wish, *, is_whole: bool) -> list[Measurement]:
    """LSE-D, LSE-C, AVConf, in a pass of their own at 25 frames a second; of tracked faces, or of whole frames."""
    from talkhead.evaluation.face_tracks import find_tracks
    from talkhead.evaluation.lip_sync import score_film, sync_measurements

    tool = wish.instruments.syncnet()
    reason = tool.reason if tool.network is None else setting.no_speech if setting.speech is None else ""
    suffix, crop = ("_whole", "whole-frame") if is_whole else ("", "track")
    if reason or setting.speech is None:
        names = (("lse_d", "lse_d"), ("lse_c", "lse_c"), ("av_conf", "lse_c"))
        return [absent(f"{name}{suffix}", f"{kind}/syncnet-v2-{crop}", reason) for name, kind in names]
    n = len(nearest_frames(len(sights), film.fps, SYNC_RATE))
    tracks = None if is_whole else find_tracks(sights.at_rate(film.fps, SYNC_RATE), min_track=wish.min_track)
    frames = film.frames(SYNC_RATE)
    with contextlib.closing(frames):  # type: ignore[type-var]
        scores = [] if tracks == [] else score_film(itertools.islice(frames, n), setting.speech, tool.network, tracks)
    detector = "none" if is_whole else "mesh"
    rows = sync_measurements(scores, grade=tool.grade, detector=detector, min_track=wish.min_track, n_frames=n)
    return [replace(_with(row, tool.params), name=f"{row.name}{suffix}") for row in rows]


def nearest_frames(n_frames: int, fps: float, rate: float) -> npt.NDArray[np.intp]:
    """Which of some frames is shown at each moment of another rate: the one whose centre is nearest."""
    n = round(n_frames / fps * rate)
    return np.floor((np.arange(n) + 0.5) / rate * fps).clip(0, max(n_frames - 1, 0)).astype(np.intp)


def _with(row: Measurement, params: dict[str, float | int | str]) -> Measurement:
    return replace(row, params={**row.params, **params})


def _curves(meters: list[Meter], real_meters: list[Meter]) -> dict[str, tuple[npt.NDArray[np.float64], ...]]:
    """Curves for plots; of the generated clip first, then of the real one."""
    curves: dict[str, tuple[npt.NDArray[np.floating[Any]], ...]] = {}
    for meter in meters:
        if isinstance(meter, PixelMeter) and len(meter.scores.psnr_curve):
            curves[_PSNR] = (meter.scores.psnr_curve,)
        if isinstance(meter, LandmarkMeter) and meter.is_mesh and len(meter.scores.curve):
            curves[_MOUTH] = (meter.scores.curve,)
    sides = [meter.readings for group in (meters, real_meters) for meter in group if isinstance(meter, MeshMeter)]
    read = [side for side in sides if side is not None and side.found.any()]
    if read and read[0] is sides[0]:
        curves["Opening of the inner lips, eye distances"] = tuple(side.gap for side in read)
        for i, word in enumerate(("Pitch", "Yaw", "Roll")):
            curves[f"{word}, degrees"] = tuple(side.angles[:, i] for side in read)
    return {name: tuple(thinned(curve, SHOWN_POINTS) for curve in sides) for name, sides in curves.items()}


def _picked(judged: Film, protocol: Protocol) -> set[int]:
    clip = judged.clip
    n = clip.n_frames if protocol.clip_s is None else min(clip.n_frames, int(protocol.clip_s * clip.fps))
    return {int((k + 0.5) * n / MOMENTS) for k in range(MOMENTS)}


class _Worst:
    """The moment whose frames differ most."""

    def __init__(self) -> None:
        self.view: View | None = None
        self._apart = 0.0

    def look(self, view: View) -> None:
        """Take a moment; one pixel of each 4 x 4 is enough to compare them by."""
        assert view.real is not None
        apart = float(np.abs(np.subtract(view.frame[::4, ::4], view.real[::4, ::4], dtype=np.int16)).mean())
        if apart > self._apart:
            self.view, self._apart = view, apart


def _moment(view: View, fps: float, why: str = "") -> Moment:
    real, difference = view.real, None
    if real is not None:
        apart = np.abs(np.subtract(view.frame, real, dtype=np.int16)) * DIFFERENCE_GAIN
        difference = _jpeg(np.minimum(apart, 255).astype(np.uint8))
    return Moment(
        time_s=view.number / fps,
        generated=_jpeg(view.frame),
        real=None if real is None else _jpeg(real),
        difference=difference,
        why=why,
    )


def _jpeg(frame: U8) -> bytes:
    from PIL import Image

    picture = Image.fromarray(frame)
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=_JPEG_QUALITY)
    return held.getvalue()
