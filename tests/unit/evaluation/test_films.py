"""Films as they are judged: cropped alike, read by timestamp where their rate varies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from talkhead.evaluation import films
from talkhead.evaluation.crop import Square
from talkhead.evaluation.films import Film, InStep, open_films
from talkhead.evaluation.protocol import protocol_of
from talkhead.media.video import open_clip

GRAY_STEP = 4 * 255 / 219  # of the film that tells the time, from frame to frame
PLACE = Square(x=0.25, y=0.125, side=0.5)


@pytest.fixture
def place(monkeypatch):
    """A face is found wherever it is looked for; which films that were."""
    asked: list[str] = []

    def find(path: Path, rule: object, *, end_s: float | None = None) -> Square:
        asked.append(f"{path.parent.name}/{path.name}")
        return PLACE

    monkeypatch.setattr(films, "find_square", find)
    return asked


def moments(pair: films.Films) -> list:
    return list(InStep(pair, needs_faces=False, keep_faces=False))


def test_squares_are_left_as_they_are(place, make_clip):
    square = make_clip(size=(64, 64))
    found = open_films(square, square, protocol_of("headgan"))
    assert (place, found.crop, found.judged.square) == ([], None, None)
    assert open_films(square, None, protocol_of("headgan", crop=True)).crop is not None


def test_both_films_are_cut_where_the_real_one_shows_the_face(place, make_clip):
    judged, real = make_clip(size=(64, 48)), make_clip(size=(128, 96))
    found = open_films(judged, real, protocol_of("headgan"))
    assert place == [f"{real.parent.name}/{real.name}"]
    assert found.crop == {"found_in": "real", "generated": [16, 8, 48, 40], "real": [32, 16, 96, 80]}
    assert found.judged.size == (256, 256)
    assert "frames are cropped alike, to x 16..48, y 8..40 of the generated clip" in found.notes[0]
    view = moments(found)[3]
    whole = list(open_clip(real))[3]
    np.testing.assert_array_equal(view.real, films.resized(whole[16:80, 32:96], (256, 256)))
    assert len(moments(found)) == 10


def test_alone_a_film_is_cut_where_it_shows_the_face_itself(place, make_clip):
    found = open_films(make_clip(), None, protocol_of("pir"))
    assert found.crop == {"found_in": "generated", "generated": [16, 8, 48, 40]}


def test_plain_crops_on_request_and_does_not_scale(place, clip):
    assert open_films(clip, clip, protocol_of("plain")).crop is None
    found = open_films(clip, clip, protocol_of("plain", crop=True))
    assert found.judged.size == (32, 32)
    assert [note for note in found.notes if "scaled" in note] == []


def test_a_pass_at_another_rate_is_cut_alike(place, clip):
    film = open_films(clip, None, protocol_of("plain", crop=True)).judged
    assert [frame.shape for frame in film.frames(50.0)] == [(32, 32, 3)] * 20


@pytest.fixture(scope="module")
def counted(ffmpeg, tmp_path_factory) -> dict[str, Path]:
    """Two seconds whose brightness tells the time, at 25 per second, and the same with frames left out unevenly."""
    folder = tmp_path_factory.mktemp("vfr")
    paths = {"even": folder / "even.mp4", "uneven": folder / "uneven.mp4"}
    source = ["-f", "lavfi", "-i", "color=black:size=64x48:rate=25:duration=2,geq=lum='16+4*N':cb=128:cr=128"]
    lossless = ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"]
    base = [ffmpeg, "-v", "error", *source]
    subprocess.run([*base, *lossless, str(paths["even"])], check=True, stdin=subprocess.DEVNULL)
    # All of the first second, every fifth frame of the next; the last one stays, so that both films are as long.
    kept = "select='lt(n,25)+not(mod(n,5))+eq(n,49)'"
    uneven = [*base, "-vf", kept, "-fps_mode", "vfr", *lossless, str(paths["uneven"])]
    subprocess.run(uneven, check=True, stdin=subprocess.DEVNULL)
    return paths


def times(frames) -> np.ndarray:
    """The number that each frame shows."""
    return np.array([round(float(frame.mean())) for frame in frames])


def test_a_film_of_varying_rate_is_paired_by_time(counted):
    pair = open_films(counted["uneven"], counted["even"], protocol_of("plain"))
    assert pair.judged.fps < 20, "the film must vary for this test to mean something"
    seen = moments(pair)
    generated, real = (times(getattr(view, side) for view in seen) / GRAY_STEP for side in ("frame", "real"))
    at = np.arange(len(seen)) / pair.judged.fps * 25  # when, in frames of 40 ms
    assert np.abs(real - at).max() <= 0.6
    # Paired by number, the first second would be up to ten frames apart.
    late = real - generated
    assert np.abs(late[at < 24]).max() <= 1.1
    # Between frames that are five apart the nearest one is shown.
    assert np.abs(late).max() <= 4.1
    assert abs(len(seen) / pair.judged.fps - 2.0) <= 1 / pair.judged.fps


def test_a_real_film_of_varying_rate_is_read_at_the_rate_of_the_generated_one(counted):
    pair = open_films(counted["even"], counted["uneven"], protocol_of("plain"))
    seen = moments(pair)
    assert pair.judged.fps == 25
    assert len(seen) >= 49
    assert any("it is read at 25" in note for note in pair.notes)
    first = slice(0, 24)
    np.testing.assert_array_equal(times(view.frame for view in seen)[first], times(view.real for view in seen)[first])
    shown = times(view.real for view in seen)
    assert (np.diff(shown) == 0).sum() >= 18  # what is missing is what was shown before


def test_a_film_knows_what_is_left_of_a_frame(clip):
    opened = open_clip(clip)
    assert Film(clip=opened, size=(8, 8)).cut_size == (64, 48)
    assert Film(clip=opened, size=(8, 8), square=PLACE).cut_size == (32, 32)
