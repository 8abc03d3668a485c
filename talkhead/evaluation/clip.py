"""One clip, judged: both films are decoded once, in step, and every meter sees each moment as it passes."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.errors import InputError, MediaError
from talkhead.evaluation.action_units import PresenceCounts, Presences, read_presences
from talkhead.evaluation.face_store import FilmFaces
from talkhead.evaluation.face_tracks import MIN_TRACK, Box
from talkhead.evaluation.families import in_order
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
from talkhead.media.video import Clip, open_clip

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
Value = TypeVar("Value")

MOMENTS = 4
"""Pictures side by side in a report."""
_SHOWN_SIDE, _JPEG_QUALITY = 320, 85
_SHAPE_TOLERANCE = 0.02  # of the aspect ratio
SYNC_RATE = 25.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """What is judged.

    Attributes:
        generated: the clip. real: what it should look like. audio: the speech; None: that of the generated clip, else
            of the real one. source: the photo. au_csv: OpenFace's files of the real and of the generated clip.
        name: for tables of several. work_s: how long the generated clip took to make, seconds.
    """

    generated: Path
    real: Path | None = None
    audio: Path | None = None
    source: Path | None = None
    au_csv: tuple[Path, Path] | None = None
    name: str = ""
    work_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A picture of a report: when, seconds, and JPEG files of the generated and the real frame."""

    time_s: float
    generated: bytes
    real: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipResult:
    """What was measured of one clip.

    Attributes:
        name, files: which. fps, size, n_frames: as it was judged. rows: of the generated clip. real_rows: the same of
            the real clip against itself; none without one. curves: by name, for plots: generated and real, (T,) each.
        moments: pictures, if they were asked for. notes: what a reader should know. seconds: of the work.
    """

    name: str
    files: dict[str, str]
    fps: float
    size: tuple[int, int]
    n_frames: int
    rows: tuple[Measurement, ...]
    real_rows: tuple[Measurement, ...] = ()
    curves: dict[str, tuple[npt.NDArray[np.float64], ...]] = field(default_factory=dict)
    moments: tuple[Moment, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How clips are judged: `families` of metrics under a `protocol`, with these `instruments`.

    Attributes:
        keep_faces: keep the tracked faces beside the films. min_track: frames in which SyncNet must see a face; the
            published evaluation has 100. with_pictures: gather `Moment`s.
    """

    protocol: Protocol
    families: tuple[str, ...]
    instruments: Instruments
    keep_faces: bool = False
    min_track: int = MIN_TRACK
    with_pictures: bool = False


def measure_clip(
    pair: Pair, wish: Wish, pools: Pools | None = None, *, advance: Callable[[int], None] | None = None
) -> ClipResult:
    """Judge one clip; memory grows by some 5 KB a frame, with ArcFace by 2 KB more.

    Args:
        pair: the files. wish: what to measure, and how. pools: of the set that the clip belongs to. advance: is told
            of every frame.
    Raises:
        MediaError: a file is missing, unreadable or no video. InputError: the two clips differ in shape, or the
            protocol wants a square picture and this is none.
    """
    started = time.monotonic()
    notes: list[str] = []
    films = _open_films(pair, wish.protocol, notes)
    units = _units(pair, wish)
    judged, real = films
    size = _size(judged, wish.protocol)
    speech, no_speech = _speech(pair, judged, real)
    setting = Setting(
        protocol=wish.protocol, size=size, fps=judged.fps, instruments=wish.instruments, has_real=real is not None,
        speech=speech, no_speech=no_speech, source=_photo(pair.source),
    )  # fmt: skip
    meters, missing = meters_of(setting, wish.families)
    real_setting = setting if real is None else _setting_of_real(setting, real)
    real_meters = meters_of(real_setting, wish.families)[0] if real is not None else []
    boxes: tuple[list[Box | None], list[Box | None]] = ([], [])
    moments: list[Moment] = []
    n = 0
    for view in _views(films, size, wish, notes):
        for meter in meters:
            meter.add(view)
        if view.real is not None:
            as_real = View(view.number, view.real, view.real_face, view.real, view.real_face)
            for meter in real_meters:
                meter.add(as_real)
        for side, face in zip(boxes, (view.face, view.real_face), strict=True):
            side.append(None if face is None else face.bbox)
        if pools is not None:
            pools.add(view)
        if wish.with_pictures and view.number in _picked(judged, wish.protocol):
            moments.append(_moment(view, judged.fps))
        n += 1
        if advance is not None:
            advance(1)
    if pools is not None:
        pools.end_clip()
    _check_faces(pair, boxes, n, wish, notes)
    rows = [row for meter in meters for row in meter.measurements()] + missing
    real_rows = [row for meter in real_meters for row in meter.measurements()]
    rows += units.measurements() if units is not None and pair.au_csv is not None else _no_units(wish)
    if pools is not None and pools.lags is not None:
        pools.lags += [meter.lag for meter in meters if isinstance(meter, MeshMeter) and meter.lag is not None]
    if pools is not None and pools.units is not None and pair.au_csv is not None:
        pools.units.add(*_presences(pair.au_csv))
    if "speed" in wish.families:
        rows += _speed(pair, n, judged.fps)
    if "lse" in wish.families:
        rows += _lips(judged, boxes[0], setting, wish)
        real_rows += _lips(real, boxes[1], real_setting, wish) if real is not None else []
    files = {key: str(path) for key in ("generated", "real", "audio", "source") if (path := getattr(pair, key))}
    return ClipResult(
        name=pair.name or pair.generated.stem, files=files, fps=judged.fps, size=size, n_frames=n,
        rows=in_order(rows), real_rows=in_order(real_rows), curves=_curves(meters, real_meters), moments=tuple(moments),
        notes=tuple(notes), seconds=time.monotonic() - started,
    )  # fmt: skip


def _open_films(pair: Pair, protocol: Protocol, notes: list[str]) -> tuple[Clip, Clip | None]:
    judged = _film(pair.generated, protocol.fps, protocol)
    real = _film(pair.real, judged.fps, protocol) if pair.real is not None else None
    shape = judged.size[0] / judged.size[1]
    if protocol.side is not None and abs(shape - 1) > _SHAPE_TOLERANCE:
        raise InputError(
            f"{pair.generated} is {judged.size[0]}x{judged.size[1]}; protocol {protocol.name} judges square pictures",
            hint="crop the clips as the paper does, or use --protocol plain",
        )
    if real is not None:
        other = real.size[0] / real.size[1]
        if abs(other / shape - 1) > _SHAPE_TOLERANCE:
            raise InputError(
                f"{real.path} is {real.size[0]}x{real.size[1]}, {pair.generated} {judged.size[0]}x{judged.size[1]}:"
                " different shapes cannot be compared",
                hint="crop both alike",
            )
        if abs(real.info.fps - judged.fps) > 0.01:
            notes.append(f"the real clip has {real.info.fps:g} frames a second; it is read at {judged.fps:g}")
    size = _size(judged, protocol)
    for which, film in (("generated", judged), ("real", real)):
        if film is not None and film.size != size:
            how = "by areas" if size[0] * size[1] < film.size[0] * film.size[1] else "bicubic"
            notes.append(f"{which} frames are scaled {how} from {film.size[0]}x{film.size[1]} to {size[0]}x{size[1]}")
    if protocol.clip_s is not None and judged.n_frames < 0.95 * protocol.clip_s * judged.fps:
        notes.append(f"the clip is shorter than the {protocol.clip_s:g} s of protocol {protocol.name}")
    return judged, real


def _film(path: Path, fps: float | None, protocol: Protocol) -> Clip:
    clip = open_clip(path, fps=fps, end_s=protocol.clip_s)
    if clip.info.is_picture:
        raise MediaError(f"{path} is a picture, not a video", hint="talkhead eval judges videos; a photo is --source")
    return clip


def _size(judged: Clip, protocol: Protocol) -> tuple[int, int]:
    return judged.size if protocol.side is None else (protocol.side, protocol.side)


def _views(films: tuple[Clip, Clip | None], size: tuple[int, int], wish: Wish, notes: list[str]) -> Iterator[View]:
    """Moments of both films, to the end of the shorter one."""
    judged, real = films
    needs_faces = bool(set(wish.families) - {"l1", "psnr", "ssim", "lpips", "cpbd", "fid", "fvd", "lip_reading"})
    with contextlib.ExitStack() as stack:

        def opened(clip: Clip) -> tuple[Iterator[U8], FilmFaces]:
            frames = stack.enter_context(contextlib.closing(iter(clip)))  # type: ignore[type-var]
            return frames, stack.enter_context(FilmFaces(clip.path, size, clip.fps, clip.end_s, keep=wish.keep_faces))

        frames, faces = opened(judged)
        others = opened(real) if real is not None else None
        number = 0
        while True:
            frame = next(frames, None)
            other = next(others[0], None) if others is not None else None
            if frame is None or (others is not None and other is None):
                break
            frame = resized(frame, size)
            other = None if other is None else resized(other, size)
            face = faces.next(frame) if needs_faces else None
            other_face = others[1].next(other) if needs_faces and others is not None and other is not None else None
            yield View(number, frame, face, other, other_face)
            number += 1
        left = _left(frames if frame is not None else others[0] if others is not None else iter(()), frame, other)
        if real is not None and left > 1:
            longer, shorter = (judged, real) if frame is not None else (real, judged)
            notes.append(f"{longer.path.name} is longer than {shorter.path.name}: frames compared: {number}")
            log.warning("%s", notes[-1])
        # The longer film was not read to its end, so not all of its faces are known.
        if needs_faces and (frame is None or left <= 1):
            faces.finish()
        if needs_faces and others is not None and (other is None or left <= 1):
            others[1].finish()


def _left(rest: Iterator[U8], frame: U8 | None, other: U8 | None) -> int:
    """How many frames the longer film still has: 0, 1 or 2 for more."""
    if frame is None and other is None:
        return 0
    return 1 if next(rest, None) is None else 2


def resized(frame: U8, size: tuple[int, int]) -> U8:
    """A frame at (width, height): by areas where it becomes smaller, bicubic where it becomes larger."""
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    import cv2

    method = cv2.INTER_AREA if size[0] * size[1] < frame.shape[0] * frame.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, size, interpolation=method), np.uint8)


def _speech(pair: Pair, judged: Clip, real: Clip | None) -> tuple[Speech | None, str]:
    """The sound that belongs to the clips, or why there is none."""
    from talkhead.media.audio import AudioStream

    if pair.audio is not None:
        return AudioStream(pair.audio), ""
    for clip in (judged, real):
        if clip is not None and clip.info.has_audio:
            return AudioStream(clip.path, end_s=clip.end_s), ""
    return None, f"{pair.generated.name} has no sound: --audio names it"


def _setting_of_real(setting: Setting, real: Clip) -> Setting:
    """A real clip is judged with its own sound where it has one."""
    from talkhead.media.audio import AudioStream

    if not real.info.has_audio:
        return setting
    return replace(setting, speech=AudioStream(real.path, end_s=real.end_s), no_speech="")


def _photo(path: Path | None) -> tuple[U8, Landmarks | None] | None:
    if path is None:
        return None
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import read_image

    picture = read_image(path).pixels
    return picture, choose_face(picture, name=str(path))


def _check_faces(
    pair: Pair, boxes: tuple[list[Box | None], list[Box | None]], n: int, wish: Wish, notes: list[str]
) -> None:
    for path, side in zip((pair.generated, pair.real), boxes, strict=True):
        missing = sum(box is None for box in side)
        if path is not None and wish.families and missing and not all(box is None for box in boxes[0] + boxes[1]):
            notes.append(f"{path.name}: no face in {missing} of {n} frames")


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
    return WorkTime(work_s=pair.work_s, media_s=n_frames / fps, n_frames=n_frames).measurements()


def _lips(clip: Clip, boxes: list[Box | None], setting: Setting, wish: Wish) -> list[Measurement]:
    """LSE-D, LSE-C, AVConf, in a pass of their own at 25 frames a second."""
    from talkhead.evaluation.face_tracks import find_tracks
    from talkhead.evaluation.lip_sync import score_film, sync_measurements

    tool = wish.instruments.syncnet()
    reason = tool.reason if tool.network is None else setting.no_speech if setting.speech is None else ""
    if reason or setting.speech is None:
        names = (("lse_d", "lse_d"), ("lse_c", "lse_c"), ("av_conf", "lse_c"))
        return [absent(name, f"{kind}/syncnet-v2-track", reason) for name, kind in names]
    shown = at_nearest(boxes, clip.fps, SYNC_RATE)
    tracks = find_tracks([[] if box is None else [box] for box in shown], min_track=wish.min_track)
    again = open_clip(clip.path, fps=SYNC_RATE, end_s=clip.end_s)
    scores = (
        score_film((resized(f, setting.size) for f in again), setting.speech, tool.network, tracks) if tracks else []
    )
    rows = sync_measurements(scores, grade=tool.grade, detector="mesh", min_track=wish.min_track, n_frames=len(shown))
    return [_with(row, tool.params) for row in rows]


def at_nearest(values: Sequence[Value], fps: float, rate: float) -> list[Value]:
    """Values of frames at another rate: of the frame whose centre is nearest."""
    n = round(len(values) / fps * rate)
    nearest = np.floor((np.arange(n) + 0.5) / rate * fps).clip(0, max(len(values) - 1, 0))
    return [values[i] for i in nearest.astype(int).tolist()]


def _with(row: Measurement, params: dict[str, float | int | str]) -> Measurement:
    return replace(row, params={**row.params, **params})


def _curves(meters: list[Meter], real_meters: list[Meter]) -> dict[str, tuple[npt.NDArray[np.float64], ...]]:
    """Curves for plots; of the generated clip first, then of the real one."""
    curves: dict[str, tuple[npt.NDArray[np.float64], ...]] = {}
    for meter in meters:
        if isinstance(meter, PixelMeter) and meter.scores.frames:
            curves["PSNR, dB"] = (np.array([frame.psnr for frame in meter.scores.frames]),)
        if isinstance(meter, LandmarkMeter) and meter.scores.frames:
            values = [np.nan if frame is None else frame.mouth_eye for frame in meter.scores.frames]
            curves["Distance of mouth landmarks, % of eye distance"] = (np.array(values),)
    sides = [meter.readings for group in (meters, real_meters) for meter in group if isinstance(meter, MeshMeter)]
    read = [side for side in sides if side is not None and side.found.any()]
    if read and read[0] is sides[0]:
        curves["Opening of the inner lips, eye distances"] = tuple(side.gap for side in read)
        for i, word in enumerate(("Pitch", "Yaw", "Roll")):
            curves[f"{word}, degrees"] = tuple(side.angles[:, i] for side in read)
    return curves


def _picked(judged: Clip, protocol: Protocol) -> set[int]:
    n = judged.n_frames if protocol.clip_s is None else min(judged.n_frames, int(protocol.clip_s * judged.fps))
    return {int((k + 0.5) * n / MOMENTS) for k in range(MOMENTS)}


def _moment(view: View, fps: float) -> Moment:
    return Moment(
        time_s=view.number / fps,
        generated=_jpeg(view.frame),
        real=None if view.real is None else _jpeg(view.real),
    )


def _jpeg(frame: U8) -> bytes:
    from PIL import Image

    picture = Image.fromarray(frame)
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=_JPEG_QUALITY)
    return held.getvalue()
