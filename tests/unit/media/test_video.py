"""Reading film: what frame is shown when, in every kind of file that is not simple."""

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from talkhead.errors import MediaError, UsageError
from talkhead.media.video import VideoWriter, open_clip

MakeClip = Callable[..., Path]
SIZE = (32, 16)


def numbered(path: Path, fps: float, n_frames: int, size: tuple[int, int] = SIZE) -> Path:
    """A lossless film whose frame n is gray of level 4 n."""
    with VideoWriter(path, size, fps, codec="ffv1", mark=False) as writer:
        for n in range(n_frames):
            writer.write(np.full((size[1], size[0], 3), 4 * n, np.uint8))
    return path


def numbers(path: Path, **options: object) -> list[int]:
    return [int(frame[0, 0, 0]) // 4 for frame in open_clip(path, **options)]


def test_frames_come_as_they_are(tmp_path: Path):
    film = numbered(tmp_path / "a.mkv", 25, 12)
    clip = open_clip(film)
    assert (clip.size, clip.fps, clip.n_frames) == (SIZE, 25, 12)
    frames = list(clip)
    assert [int(f[3, 5, 1]) // 4 for f in frames] == list(range(12))
    assert frames[0].shape == (16, 32, 3) and frames[0].dtype == np.uint8
    assert frames[0] is not frames[1] and frames[0].flags.writeable
    assert len(list(clip)) == 12, "a clip can be read again"
    assert int(clip.first_frame()[0, 0, 0]) == 0


@pytest.mark.parametrize(
    ("fps_in", "fps_out", "expected"),
    [
        (50, 25, [0, 2, 4, 6, 8, 10]),
        (60, 20, [0, 3, 6, 9]),
        (30, 25, [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]),
        (25, 50, [n // 2 for n in range(24)]),
    ],
)
def test_another_rate_shows_the_nearest_frame(tmp_path: Path, fps_in: float, fps_out: float, expected: list[int]):
    shown = numbers(numbered(tmp_path / "a.mkv", fps_in, 12), fps=fps_out)
    assert len(shown) == pytest.approx(12 / fps_in * fps_out, abs=1)
    times_in = np.array(shown) / fps_in
    # Matroska stores milliseconds: half a frame and one of those is as near as it gets.
    assert np.abs(times_in - np.arange(len(shown)) / fps_out).max() <= 0.5 / min(fps_in, fps_out) + 0.0011
    if fps_in >= fps_out:
        assert shown[: len(expected)] == expected


def test_a_part(tmp_path: Path):
    film = numbered(tmp_path / "a.mkv", 25, 25)
    assert numbers(film, start_s=0.2, end_s=0.6) == list(range(5, 15))
    assert open_clip(film, start_s=0.2, end_s=0.6).n_frames == 10
    with pytest.raises(UsageError, match="lasts"):
        open_clip(film, start_s=5)
    with pytest.raises(UsageError):
        open_clip(film, start_s=0.5, end_s=0.5)
    with pytest.raises(UsageError):
        open_clip(film, fps=0)


def test_variable_rate_is_resampled_by_time(ffmpeg: str, tmp_path: Path):
    film = numbered(tmp_path / "a.mkv", 25, 25)
    varied = tmp_path / "vfr.mkv"
    # The second half keeps every fifth frame only, at its own time.
    subprocess.run([ffmpeg, "-v", "error", "-i", film, "-vf", "select='lt(n,10)+not(mod(n,5))'", "-fps_mode", "vfr",
                    "-c:v", "ffv1", varied], check=True, stdin=subprocess.DEVNULL)  # fmt: skip
    shown = numbers(varied, fps=25)
    assert shown[:10] == list(range(10))
    assert shown[10:21] == [10] * 5 + [15] * 5 + [20]


def test_a_picture_that_starts_late_waits(ffmpeg: str, chirp_wav: Path, tmp_path: Path):
    film = numbered(tmp_path / "a.mkv", 25, 10)
    late = tmp_path / "late.mkv"
    subprocess.run([ffmpeg, "-v", "error", "-i", chirp_wav, "-itsoffset", "0.4", "-i", film, "-map", "1:v", "-map",
                    "0:a", "-c:v", "copy", late], check=True, stdin=subprocess.DEVNULL)  # fmt: skip
    assert numbers(late, fps=25)[:14] == [0] * 11 + [1, 2, 3]


def test_rotation_is_applied(ffmpeg: str, tmp_path: Path):
    flat = tmp_path / "flat.mp4"
    frame = np.zeros((16, 32, 3), np.uint8)
    frame[:, :16] = 255  # white at the left
    with VideoWriter(flat, SIZE, 25, mark=False) as writer:
        writer.write(frame)
    turned = tmp_path / "turned.mp4"
    subprocess.run([ffmpeg, "-v", "error", "-display_rotation", "-90", "-i", flat, "-c", "copy", turned], check=True,
                   stdin=subprocess.DEVNULL)  # fmt: skip
    shown = open_clip(turned).first_frame()
    assert shown.shape == (32, 16, 3)
    assert shown[:12].mean() > 240 and shown[20:].mean() < 15, "turned clockwise: left becomes top"


def test_scaling_down_keeps_the_shape(make_clip: MakeClip):
    film = make_clip(n_frames=2, size=(80, 40))
    assert open_clip(film, max_size=20).size == (20, 10)
    assert open_clip(film, max_size=20).first_frame().shape == (10, 20, 3)
    assert open_clip(film, max_size=500).size == (80, 40)


def test_odd_sizes_stay_odd(tmp_path: Path):
    film = numbered(tmp_path / "odd.mkv", 25, 2, size=(33, 17))
    assert open_clip(film).first_frame().shape == (17, 33, 3)


def test_stopping_early_is_fine(make_clip: MakeClip):
    frames = iter(open_clip(make_clip(n_frames=100, size=(160, 120), audio=False)))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(frames)


def test_a_still_picture_is_a_clip_of_one_frame(tmp_path: Path):
    from talkhead.media.image import write_image

    write_image(tmp_path / "a.png", np.full((9, 7, 3), 60, np.uint8))
    frames = list(open_clip(tmp_path / "a.png"))
    assert len(frames) == 1 and (frames[0] == 60).all()


def test_sound_alone_has_no_frames(chirp_wav: Path):
    with pytest.raises(MediaError, match="no picture"):
        open_clip(chirp_wav)


def test_a_film_that_was_cut_is_refused(ffmpeg: str, make_clip: MakeClip, tmp_path: Path):
    film = make_clip(n_frames=100, size=(160, 120))
    fast = tmp_path / "fast.mp4"
    subprocess.run([ffmpeg, "-v", "error", "-i", film, "-c", "copy", "-movflags", "+faststart", fast], check=True,
                   stdin=subprocess.DEVNULL)  # fmt: skip
    cut = tmp_path / "cut.mp4"
    data = fast.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(MediaError, match=r"cut\.mp4 is damaged: \d"):
        list(open_clip(cut))


def test_untagged_high_definition_is_bt709(make_clip: MakeClip):
    small = open_clip(make_clip(n_frames=1, size=(64, 48), audio=False))
    large = open_clip(make_clip(n_frames=1, size=(1280, 720), audio=False))
    tagged = dataclasses.replace(large, info=dataclasses.replace(large.info, colour="tv, smpte170m, progressive"))
    assert ["bt709" in clip._scale_filter() for clip in (small, large, tagged)] == [False, True, False]


@pytest.mark.parametrize("start", [0.04, 0.08, 0.36, 0.48, 0.52])
def test_a_part_of_another_rate_holds_the_frames_of_the_whole(tmp_path: Path, start: float):
    """The nearest frame of the first moment may lie before it, that of the last one behind the end."""
    film = numbered(tmp_path / "a.mkv", 30, 30)
    whole, part = numbers(film, fps=25.0), numbers(film, fps=25.0, start_s=start, end_s=start + 0.16)
    first = round(start * 25)
    assert part == whole[first : first + 4]
