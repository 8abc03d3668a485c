"""Whether lips and sound belong together, by SyncNet: LSE-D, LSE-C and AVConf (Chung and Zisserman 2016; Prajwal 2020).

The features of every five frames are compared with those of the sound at the same time and up to 15 frames earlier and
later. LSE-D is the mean distance at the best offset; LSE-C, which is also AVConf, tells how much the best offset stands
out: the median over the offsets minus the least. Frames and sound stream; what is held does not grow with the film,
except 124 bytes a frame of distances.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, speech_samples
from talkhead.audio.mfcc import as_int16, mfcc
from talkhead.errors import ShapeError
from talkhead.evaluation.columns import Columns
from talkhead.evaluation.face_tracks import MIN_TRACK, CropPlace, FaceTrack, crop_places, cut_crop, whole_crop
from talkhead.evaluation.measurement import Grade, Measurement

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

RATE = 25
"""Frames per second of everything here."""
SAMPLES_PER_FRAME = SAMPLE_RATE // RATE
MAX_SHIFT = 15
"""Frames by which sound is moved either way."""
N_FRAMES = 5
"""Frames of the picture that SyncNet sees at once."""
N_ROWS, ROW_STEP = 20, 4
"""Rows of MFCC (10 ms each) that it hears at once, and from one window of sound to the next: a frame."""
CONFIDENCE_MEDIAN = 9  # frames
_EPS = 1e-6  # added to every difference, as the distance that the network was trained with has it
_ROWS_AT_ONCE = 64


class SyncNetwork(Protocol):
    """What is asked of SyncNet: see `talkhead.evaluation.networks.syncnet.SyncEmbedder`."""

    def pictures(self, crops: U8) -> F32:
        """(T, 224, 224, 3) uint8 RGB -> (T - 4, C)."""
        ...

    def sounds(self, rows: npt.NDArray[np.floating[Any]]) -> F32:
        """(R, 13) -> ((R - 20) // 4 + 1, C)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncScore:
    """How pictures and sound of one track fit.

    Attributes:
        distances: (2 * max_shift + 1,) mean distance at each shift; the first is of sound `max_shift` frames earlier.
        lse_d: the least of them. lse_c: the median minus the least, which is AVConf too. offset: frames by which the
            picture is late (the sound is ahead), negative if it is early.
        confidence: (n,) the same difference for each feature at that offset, median over 9 frames.
        n_windows: n, features compared. n_frames: frames they are of.
    """

    distances: F64
    lse_d: float
    lse_c: float
    offset: int
    confidence: F64
    n_windows: int

    @property
    def n_frames(self) -> int:
        """Frames of the pictures compared."""
        return self.n_windows + N_FRAMES - 1


class SyncScorer:
    """Compares features as they come; sound beyond either end is zeros, which count.

    Args:
        max_shift: frames.
    """

    def __init__(self, max_shift: int = MAX_SHIFT) -> None:
        self._max_shift = max_shift
        self._pictures: F64 | None = None
        self._sounds: F64 | None = None
        self._distances = Columns(2 * max_shift + 1)

    def add(self, pictures: npt.NDArray[np.floating[Any]], sounds: npt.NDArray[np.floating[Any]]) -> None:
        """Take the next features.

        Args:
            pictures, sounds: (n, C), in step: row i of both begins at the same time.
        Raises:
            ShapeError: they differ in shape.
        """
        if pictures.shape != sounds.shape or pictures.ndim != 2:
            raise ShapeError("sounds", sounds.shape, f"{pictures.shape} as the pictures, (n, C)")
        if self._pictures is None or self._sounds is None:
            width = pictures.shape[1]
            self._pictures, self._sounds = np.zeros((0, width)), np.zeros((self._max_shift, width))
        self._pictures = np.concatenate([self._pictures, pictures])
        self._sounds = np.concatenate([self._sounds, sounds])
        self._compare()

    def finish(self) -> SyncScore:
        """The score of everything added.

        Raises:
            ShapeError: nothing was added.
        """
        if self._pictures is None or self._sounds is None or (not len(self._distances) and not len(self._pictures)):
            raise ShapeError("features", (0,), "(n, C)")
        self._sounds = np.concatenate([self._sounds, np.zeros((self._max_shift, self._sounds.shape[1]))])
        self._compare()
        each = self._distances.table()  # (n, shifts)
        mean = each.mean(0, dtype=np.float64)
        best, middle = int(np.argmin(mean)), float(np.median(mean))
        return SyncScore(
            distances=mean,
            lse_d=float(mean[best]),
            lse_c=middle - float(mean[best]),
            offset=self._max_shift - best,
            confidence=_medians(middle - each[:, best].astype(np.float64)),
            n_windows=len(each),
        )

    def _compare(self) -> None:
        """Measure the pictures whose sound is there at every shift, and let go of what is not needed any more."""
        assert self._pictures is not None and self._sounds is not None
        width = 2 * self._max_shift + 1
        n_ready = min(len(self._sounds) - width + 1, len(self._pictures))
        for start in range(0, n_ready, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, n_ready))
            beside = np.lib.stride_tricks.sliding_window_view(self._sounds, width, axis=0)[rows]  # (n, C, shifts)
            apart = self._pictures[rows, :, None] - beside + _EPS
            self._distances.add_rows(np.sqrt((apart**2).sum(1)))
        if n_ready > 0:
            self._pictures, self._sounds = self._pictures[n_ready:], self._sounds[n_ready:]


class TrackScorer:
    """Scores one face of a film whose frames come one after the other.

    Args:
        network: SyncNet. rows: (R, 13) MFCC of the sound from the face's first frame on (`track_sound`).
        n_sound: whole frames of that sound. track: the face; None: every frame is a crop already.
        batch: crops that the network sees at once.
    """

    def __init__(
        self, network: SyncNetwork, rows: F32, n_sound: int, track: FaceTrack | None = None, *, batch: int = 20
    ) -> None:
        self._network, self._rows, self._batch = network, rows, batch
        self._first = track.first if track is not None else 0
        self._places: list[CropPlace] | None = crop_places(track.boxes) if track is not None else None
        self._n_sound = n_sound
        self._scorer = SyncScorer()
        self._crops: list[U8] = []
        self._number = 0
        self._n_done = 0

    def add(self, frame: U8) -> None:
        """Take the film's next frame, (H, W, 3) uint8 RGB, beginning with its first, whether it shows the face or not.

        Raises:
            ShapeError: frames of another size than the track was found in.
        """
        at = self._number - self._first
        self._number += 1
        if at < 0 or at >= self._n_sound or (self._places is not None and at >= len(self._places)):
            return
        self._crops.append(whole_crop(frame) if self._places is None else cut_crop(frame, self._places[at]))
        if len(self._crops) >= self._batch + N_FRAMES:
            self._run()

    def finish(self) -> SyncScore | None:
        """The score; None where there were fewer than six frames with sound."""
        self._run()
        return self._scorer.finish() if self._n_done else None

    def _run(self) -> None:
        n = len(self._crops) - N_FRAMES  # the published evaluation leaves out the last feature the frames would allow
        rows = self._rows[ROW_STEP * self._n_done :][: N_ROWS + ROW_STEP * (n - 1)]
        if n < 1 or len(rows) < N_ROWS:
            return
        sounds = self._network.sounds(rows)
        pictures = self._network.pictures(np.stack(self._crops[: n + N_FRAMES - 1]))[: len(sounds)]
        self._scorer.add(pictures, sounds)
        self._crops, self._n_done = self._crops[n:], self._n_done + len(sounds)


def track_sound(speech: Speech, first: int = 0, n_frames: int | None = None) -> tuple[F32, int]:
    """The sound of some frames as SyncNet hears it.

    Args:
        speech: of the whole film, whose first sample belongs to its first frame. first: frame. n_frames: None: to
            the end.
    Returns:
        (R, 13) float32 MFCC (5 KB a second), and how many whole frames they cover.
    """
    n_samples = 0

    def part() -> Iterable[F64]:
        nonlocal n_samples
        start = first * SAMPLES_PER_FRAME
        end = None if n_frames is None else start + n_frames * SAMPLES_PER_FRAME
        at = 0
        for block in as_int16(speech_samples(speech)):
            wanted = block[max(start - at, 0) : None if end is None else max(end - at, 0)]
            at += len(block)
            if len(wanted):
                n_samples += len(wanted)
                yield wanted
            if end is not None and at >= end:
                break

    rows = np.concatenate([block.astype(np.float32) for block in mfcc(part())])
    return rows, n_samples // SAMPLES_PER_FRAME


def score_film(
    frames: Iterable[U8], speech: Speech, network: SyncNetwork, tracks: Sequence[FaceTrack] | None, *, batch: int = 20
) -> list[SyncScore]:
    """Score every track of a film in one pass over its frames.

    Args:
        frames: (H, W, 3) uint8 RGB at 25 per second. speech: its sound. network: SyncNet. tracks: `find_tracks` of the
            same frames; None: the frames are crops of one face already and are resized only. batch: as in
            `TrackScorer`.
    Returns:
        Scores of the tracks that have six frames with sound.
    """
    scorers = []
    for track in [None] if tracks is None else tracks:
        rows, n_sound = track_sound(speech) if track is None else track_sound(speech, track.first, len(track))
        scorers.append(TrackScorer(network, rows, n_sound, track, batch=batch))
    for frame in frames:
        for scorer in scorers:
            scorer.add(frame)
    return [score for scorer in scorers if (score := scorer.finish()) is not None]


def sync_measurements(
    scores: Sequence[SyncScore],
    *,
    grade: Grade,
    detector: str,
    min_track: int = MIN_TRACK,
    n_frames: int = 0,
    reason: str = "",
) -> list[Measurement]:
    """LSE-D, LSE-C and AVConf of one clip: means over its tracks.

    Args:
        scores: of the tracks; maybe none. grade: of the network's weights. detector: what found the faces; `none`
            where frames were taken whole. min_track: what `find_tracks` was told. n_frames: of the clip.
        reason: why there are no scores, where that is known better here than "no face long enough".
    """
    n_scored = sum(score.n_frames for score in scores)
    crop = "whole-frame" if detector == "none" else "track"
    params: dict[str, float | int | str] = {
        "detector": detector, "crop": crop, "max_shift": MAX_SHIFT, "min_track": min_track, "n_tracks": len(scores),
    }  # fmt: skip
    if scores:
        params["offset_frames"] = float(np.mean([score.offset for score in scores]))
    variant = "" if crop == "whole-frame" or min_track == MIN_TRACK else f"-min{min_track}"
    seen = f"no face is seen in more than {min_track} frames" if crop == "track" else "fewer than six frames with sound"

    def one(name: str, definition: str, values: list[float]) -> Measurement:
        return Measurement(
            name=name,
            definition=f"{definition}/syncnet-v2-{crop}{variant}",
            grade=grade,
            value=float(np.mean(values)) if values else None,
            reason="" if values else reason or seen,
            n_frames=n_scored,
            frames_dropped=max(n_frames - n_scored, 0),
            params=params,
        )

    far, near = [score.lse_d for score in scores], [score.lse_c for score in scores]
    return [one("lse_d", "lse_d", far), one("lse_c", "lse_c", near), one("av_conf", "lse_c", near)]


def _medians(values: F64) -> F64:
    """Medians over 9 values, zeros beyond the ends."""
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(values, CONFIDENCE_MEDIAN, mode="constant"), np.float64)
