"""One video -> samples of a training set: tracked, cut into clips, cropped, measured, heard, encoded."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import InputError, MediaError, UsageError, WeightsError
from talkhead.face.crop import Crop, fixed_crop
from talkhead.face.landmarks import Landmarks
from talkhead.files import atomic_output
from talkhead.protocols import Listener, SystemInfo
from talkhead.training.config import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, PrepareConfig
from talkhead.training.crop import Span, cut_spans, wandering
from talkhead.training.shards import Stored, encode_picture, sample_members, write_sample
from talkhead.training.videos import Video

if TYPE_CHECKING:
    from talkhead.media.video import Clip

log = logging.getLogger(__name__)
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

N_CHECKED, RIVAL, OFTEN = 5, 0.3, 0.5
"""Frames of a clip that are searched for a second face; how large it must be beside the first; in how many of them."""

NO_FACE, TOO_SHORT, MOVES, HIDDEN, TOO_SMALL, SEVERAL = (
    "no face", "too short", "face moves too much", "face often hidden", "face too small", "several faces"
)  # fmt: skip
UNREADABLE, CRASHED = "unreadable", "crashed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """A clip that was not kept: its first frame and length at 25 frames a second, why, and by how much."""

    start: int
    n_frames: int
    reason: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a video; a line of the set's journal.

    Attributes:
        key, label, path, person: as in `Video`. sha256, file_bytes, mtime_ns: of the file. n_frames: of the video at
            25 frames a second. samples: (offset, n_bytes, start, n_frames) of each in `shard`, offsets from `begin`.
        has_sound: whether all samples have sound. dropped: clips that were not kept. reason: why nothing was kept
            of the whole video; empty if something was. detail: more words. shard, begin: where the samples are.
    """

    key: str
    label: str
    path: str
    person: str
    sha256: str = ""
    file_bytes: int = 0
    mtime_ns: int = 0
    n_frames: int = 0
    samples: list[list[int]] = field(default_factory=list)
    has_sound: bool = False
    dropped: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    detail: str = ""
    shard: int = -1
    begin: int = 0

    @property
    def is_failure(self) -> bool:
        """Whether it could not be worked on, as opposed to looked at and not kept."""
        return self.reason in (UNREADABLE, CRASHED)

    @property
    def kept_frames(self) -> int:
        """Frames of its samples."""
        return sum(sample[3] for sample in self.samples)

    @property
    def n_bytes(self) -> int:
        """Length of its part of the shard."""
        return sum(sample[1] for sample in self.samples)


def started(video: Video, **fields: Any) -> Outcome:
    """The outcome of a video of which nothing is known yet but `fields`."""
    return Outcome(key=video.key, label=video.label, path=str(video.path), person=video.person, **fields)


Advance = Callable[[int], None]


class VideoPreparer:
    """Prepares videos one after the other; one of these in each process.

    Args:
        config: what is kept. folder: where parts go until they are appended to a shard. device: for listeners.
    Raises:
        UsageError, WeightsError, EnvironmentProblem: a listener cannot be had.
    """

    def __init__(self, config: PrepareConfig, folder: Path, device: str = "cpu") -> None:
        self.config, self.folder = config, folder
        self.listeners = [build_listener(name, device) for name in config.listen]

    def prepare(self, video: Video, advance: Advance | None = None) -> Outcome:
        """Write the part of one video, `KEY.tar` without its end, and beside it the outcome as `KEY.json`.

        Args:
            video: which. advance: is told of tracked frames.
        Raises:
            WeightsError, EnvironmentProblem: that would meet the next video too. Whatever else is wrong with a video
                is said in the outcome.
        """
        part = self.folder / f"{video.key}.tar"
        fields: dict[str, Any] = {}
        try:
            status = video.path.stat()
            fields = {
                "sha256": _sha256(video.path), "file_bytes": status.st_size, "mtime_ns": status.st_mtime_ns
            }  # fmt: skip
            with atomic_output(part, overwrite=True) as temporary:
                fields |= self._write(video, temporary, advance or (lambda steps: None))
        except (InputError, UsageError) as error:  # a start after the end is a matter of this video too
            outcome = started(video, reason=UNREADABLE, detail=error.message, **fields)
        except OSError as error:
            if error.filename != str(video.path):
                raise
            outcome = started(video, reason=UNREADABLE, detail=error.strerror or str(error), **fields)
        else:
            outcome = started(video, **fields)
        # The outcome comes last: where it is, the part is whole.
        with atomic_output(part.with_suffix(".json"), overwrite=True) as temporary:
            temporary.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        return outcome

    def _write(self, video: Video, part: Path, advance: Advance) -> dict[str, Any]:
        from talkhead.face.mesh import FaceTracker
        from talkhead.media.video import open_clip

        clip = open_clip(video.path, fps=FPS, start_s=video.start_s, end_s=video.end_s)
        tracker = FaceTracker(fps=FPS, name=str(video.path))
        n_frames = 0

        def tracked() -> Generator[tuple[U8, Landmarks | None], None, None]:
            nonlocal n_frames
            for picture in clip:
                yield picture, tracker.track(picture)
                n_frames += 1
                advance(1)

        samples: list[list[int]] = []
        dropped: list[Dropped] = []
        heard: list[bool] = []
        with part.open("wb") as stream, contextlib.closing(tracked()) as frames:
            for span in cut_spans(frames, round(self.config.max_s * FPS)):
                made = self._make(video, clip, span)
                if isinstance(made, Dropped):
                    dropped.append(made)
                    continue
                heard.append(made.sound is not None)
                for start, length, members in self._samples(video, made):
                    offset = stream.tell()
                    written = write_sample(stream, f"{video.key}_{start:07d}", members)
                    samples.append([offset, written, start, length])
        reasons = Counter(one.reason for one in dropped)
        reason = "" if samples else max(reasons, key=lambda r: reasons[r]) if reasons else NO_FACE
        detail = next((one.detail for one in dropped if one.reason == reason), "")
        return {
            "n_frames": n_frames,
            "samples": samples,
            "has_sound": bool(heard) and all(heard),
            "dropped": [asdict(one) for one in dropped],
            "reason": reason,
            "detail": "" if samples else detail,
        }

    def _make(self, video: Video, clip: Clip, span: Span) -> _Made | Dropped:
        """Everything of one clip but its files; or why it is not kept."""
        from talkhead.face3d.references import choose_references

        config = self.config
        crop = fixed_crop(span.boxes, clip.size, config.size, config.margin)
        if found := _unfit(span, crop, config):
            return Dropped(start=span.start, n_frames=len(span), reason=found[0], detail=found[1])
        faces = [None if face is None else _in_crop(face, crop) for face in span.found]
        pictures = self._pictures(video, clip, span, crop)
        try:
            first = next(pictures)
        except StopIteration:
            return Dropped(start=span.start, n_frames=len(span), reason=UNREADABLE, detail="it cannot be read again")
        coeffs = _measured(faces, config.size).replace(crop=crop.flat, size=np.full(2, config.size, np.float32))
        chosen = [int(i) for i in choose_references(coeffs, min(config.n_references, len(coeffs)))]
        frames, n_rivals, checked = [], 0, set(np.linspace(0, len(span) - 1, N_CHECKED, dtype=int).tolist())
        for number, picture in enumerate(_with(first, pictures)):
            if number in checked and config.several == "drop":
                n_rivals += _has_rival(picture)
            frames.append(self._stored(picture, _nearest(faces, number)))
        if n_rivals > OFTEN * len(checked):
            return Dropped(start=span.start, n_frames=len(span), reason=SEVERAL)
        n_frames = len(frames)
        if n_frames < config.min_s * FPS:
            return Dropped(start=span.start, n_frames=n_frames, reason=TOO_SHORT, detail=f"{n_frames / FPS:.2f} s")
        sound = _sound(video, span.start, n_frames) if clip.info.has_audio else None
        features = {} if sound is None else self._hear(sound, n_frames)
        return _Made(
            span.start, crop, coeffs.at(slice(0, n_frames)), frames, [i for i in chosen if i < n_frames] or [0],
            sound, features,
        )  # fmt: skip

    def _pictures(self, video: Video, clip: Clip, span: Span, crop: Crop) -> Iterator[U8]:
        """The frames of a span again, through its crop: decoding twice is cheaper than keeping a minute of frames."""
        from talkhead.media.video import open_clip

        start_s = video.start_s + span.start / FPS
        again = open_clip(clip.path, fps=FPS, start_s=start_s, end_s=start_s + (len(span) + 1) / FPS)
        with contextlib.closing(iter(again)) as frames:  # type: ignore[type-var]
            for _, frame in zip(range(len(span)), frames, strict=False):
                yield crop.cut(frame)

    def _stored(self, picture: U8, face: Landmarks) -> Stored:
        config = self.config
        data = encode_picture(picture, config.picture, config.quality)
        if config.masks == "none":
            return Stored(picture=data)
        return Stored(picture=data, mask=encode_picture(person_in(picture, face, config.masks == "fine"), "png", 0))

    def _hear(self, sound: npt.NDArray[np.int16], n_frames: int) -> dict[str, F32]:
        from talkhead.media.audio import Waveform

        speech = Waveform(sound.astype(np.float32) / 32768, SAMPLE_RATE)
        features: dict[str, F32] = {}
        for listen in self.listeners:
            features |= listen(speech, fps=FPS, n_frames=n_frames)
        for name, values in features.items():
            if values.ndim != 2 or len(values) != n_frames or not np.isfinite(values).all():
                # The system's fault, not the video's.
                raise RuntimeError(f"feature {name}: {values.shape} or not finite, expected ({n_frames}, n)")
        return features

    def _samples(self, video: Video, made: _Made) -> Iterator[tuple[int, int, list[tuple[str, bytes]]]]:
        """First frame in the video, length and members of each sample of a clip."""
        looks = [made.frames[i] for i in made.chosen]
        at_looks = made.coeffs.at(np.array(made.chosen))
        for begin in range(0, len(made.frames), self.config.stretch):
            part = slice(begin, min(begin + self.config.stretch, len(made.frames)))
            length, start = part.stop - begin, made.start + begin
            about = {
                "name": video.key, "person": video.person, "start": start, "n_frames": length, "fps": FPS,
                "size": self.config.size, "picture": self.config.picture, "references": [made.start + i for i in
                made.chosen],
            }  # fmt: skip
            sound = None
            if made.sound is not None:
                sound = made.sound[begin * SAMPLES_PER_FRAME : part.stop * SAMPLES_PER_FRAME]
            features = {name: values[part] for name, values in made.features.items()}
            members = sample_members(
                about, made.coeffs.at(part), made.frames[part], looks, at_looks, sound, features, self.config.picture
            )
            yield start, length, members


@dataclass(frozen=True, slots=True)
class _Made:
    """A clip that is kept: first frame in the video, crop, tracks, encoded frames, numbers of the references, sound."""

    start: int
    crop: Crop
    coeffs: Coeffs
    frames: list[Stored]
    chosen: list[int]
    sound: npt.NDArray[np.int16] | None
    features: Mapping[str, F32]


def build_listener(name: str, device: str = "cpu") -> Listener:
    """The listener of a system as its networks learn it, whatever published ones hear; `SYSTEM` or `SYSTEM:WAY`.

    Raises:
        UsageError: there is no such system, or it does not listen, or not in that way.
    """
    module = importlib.import_module(listening_system(name).module)
    how = name.partition(":")[2]
    made: Listener = module.build_listen(device=device, **({"how": how} if how else {}))
    return made


def listening_system(name: str) -> SystemInfo:
    """The system of that name (what follows a colon is left to it), if it listens.

    Raises:
        UsageError: there is none, or it does not.
    """
    from talkhead.systems import NAMES, info

    found = info(name.partition(":")[0])
    if "listen" not in found.stages:
        able = [other for other in NAMES if "listen" in info(other).stages]
        raise UsageError(f"{name} does not listen", hint=f"systems that do: {', '.join(able) or 'none'}")
    return found


def person_in(picture: U8, face: Landmarks, is_fine: bool) -> U8:
    """The person's mask, (S, S) uint8, 255 inside; see `PrepareConfig.masks`.

    Args:
        picture: (S, S, 3) uint8 RGB. face: the face in it. is_fine: the matte, which takes nine times as long.
    """
    import cv2

    from talkhead.face.mask import NETWORK_SIZE, person_mask
    from talkhead.face.providers import provider

    if not is_fine:
        side, shape = len(picture), (NETWORK_SIZE, NETWORK_SIZE)
        small = picture if side == NETWORK_SIZE else cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
        try:
            seen = provider().person(np.ascontiguousarray(small))
        except WeightsError:
            seen = None  # the slow way does without the network, and says so
        if seen is not None:
            seen = seen if side == NETWORK_SIZE else cv2.resize(seen, (side, side), interpolation=cv2.INTER_LINEAR)
            return np.asarray(np.clip(seen * 255 + 0.5, 0, 255), np.uint8)
    return np.asarray(person_mask(picture, face) * 255 + 0.5, np.uint8)


def _unfit(span: Span, crop: Crop, config: PrepareConfig) -> tuple[str, str] | None:
    """Why a clip cannot be used, as far as its boxes tell."""
    if len(span) < config.min_s * FPS:
        return TOO_SHORT, f"{len(span) / FPS:.2f} s"
    if span.missing > config.max_missing:
        return HIDDEN, f"in {100 * span.missing:.0f} % of the frames"
    if 1 / crop.scale > config.max_stretch:
        return TOO_SMALL, f"its crop is {crop.scale * crop.size:.0f} pixels wide"
    moved = wandering(span.boxes, crop)
    if moved > config.max_motion:
        return MOVES, f"over {moved:.2f} of the crop"
    return None


def _measured(faces: list[Landmarks | None], size: int) -> Coeffs:
    from talkhead.face3d.fit import fit_video
    from talkhead.face3d.morphable import load_builtin

    return fit_video(faces, (size, size), FPS, load_builtin())


def _in_crop(face: Landmarks, crop: Crop) -> Landmarks:
    return Landmarks(crop.to_crop(face.points), face.deviation)


def _nearest(faces: list[Landmarks | None], number: int) -> Landmarks:
    """The face of a frame, or of the one before that shows it; the first of a span always does."""
    return next(face for face in reversed(faces[: number + 1]) if face is not None)


def _has_rival(picture: U8) -> bool:
    from talkhead.face.detect import detect_faces

    sides = [found.side for found in detect_faces(picture, effort="quick", turns=(0,))]
    return len(sides) > 1 and sides[1] > RIVAL * sides[0]


def _with(first: U8, rest: Iterator[U8]) -> Iterator[U8]:
    yield first
    yield from rest


def _sound(video: Video, start: int, n_frames: int) -> npt.NDArray[np.int16] | None:
    """(n_frames * 640,) of a clip, silence where the file has none; None if it cannot be read."""
    from talkhead.media.audio import AudioStream

    start_s = video.start_s + start / FPS
    n_samples = n_frames * SAMPLES_PER_FRAME
    try:
        stream = AudioStream(video.path, SAMPLE_RATE, start_s=start_s, end_s=start_s + n_frames / FPS)
        samples = np.concatenate(list(stream.blocks()))[:n_samples]
    except MediaError as error:
        log.warning("%s: its sound is left out: %s", video.path, error.message)
        return None
    whole = np.zeros(n_samples, np.int16)
    whole[: len(samples)] = np.round(samples * 32767).astype(np.int16)
    return whole


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
