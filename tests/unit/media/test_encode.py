"""Writing film: what goes in comes out, in time with its sound, or nothing is left."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from talkhead.errors import EnvironmentProblem, MediaError, OutputExistsError, ShapeError, UsageError
from talkhead.media import encode
from talkhead.media.audio import read_waveform
from talkhead.media.encode import FrameFolderWriter, VideoWriter, write_frames_folder
from talkhead.media.image import read_image
from talkhead.media.probe import count_frames, probe
from talkhead.media.video import open_clip
from talkhead.media.yuv import rgb_to_i420

GRAY = np.full((16, 32, 3), 90, np.uint8)


def smooth_picture(width: int, height: int) -> np.ndarray:
    """Coloured blobs, nothing finer than a chroma sample."""
    noise = np.random.default_rng(3).integers(50, 206, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def write(path: Path, frames: list[np.ndarray], fps: float = 25, **options: object) -> Path:
    with VideoWriter(path, frames[0].shape[1::-1], fps, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_lossless_is_lossless(tmp_path: Path):
    frames = [np.random.default_rng(i).integers(0, 256, (17, 33, 3)).astype(np.uint8) for i in range(3)]
    back = list(open_clip(write(tmp_path / "a.mkv", frames, codec="ffv1", mark=False)))
    assert len(back) == 3
    assert all((a == b).all() for a, b in zip(frames, back, strict=True))


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.mov", "h265"), ("a.webm", "vp9"), ("a.mkv", "av1")])
def test_colours_survive(tmp_path: Path, name: str, codec: str):
    picture = smooth_picture(128, 96)
    film = write(tmp_path / name, [picture] * 3, codec=codec, mark=False)
    shown = open_clip(film).first_frame()
    assert psnr(shown, picture) > 38
    # A wrong matrix or range shifts whole channels by several levels.
    assert np.abs(shown.mean((0, 1)) - picture.mean((0, 1))).max() < 1.0


def test_the_colour_tags_say_what_was_done(tmp_path: Path):
    info = probe(write(tmp_path / "a.mp4", [GRAY]))
    assert info.colour.startswith("tv, smpte170m/bt709/bt709")


def test_i420_matches_the_standard():
    picture = smooth_picture(16, 16)
    planes = rgb_to_i420(picture).astype(float)
    y = 16 + picture @ np.array([65.481, 128.553, 24.966]) / 255
    assert np.abs(planes[:16] - y).max() <= 1
    half = picture.reshape(8, 2, 8, 2, 3).mean((1, 3))
    cb = 128 + half @ np.array([-37.797, -74.203, 112.0]) / 255
    cr = 128 + half @ np.array([112.0, -93.786, -18.214]) / 255
    assert np.abs(planes[16:20].reshape(8, 8) - cb).max() <= 1.5
    assert np.abs(planes[20:].reshape(8, 8) - cr).max() <= 1.5


def test_odd_sizes_repeat_the_edge(tmp_path: Path):
    picture = smooth_picture(65, 33)
    shown = open_clip(write(tmp_path / "a.mp4", [picture], mark=False, crf=4)).first_frame()
    assert shown.shape == (34, 66, 3)
    assert psnr(shown[:33, :65], picture) > 33
    assert psnr(shown[33], shown[32]) > 33 and psnr(shown[:, 65], shown[:, 64]) > 33


def test_the_caller_may_reuse_its_array(tmp_path: Path):
    frame = np.zeros((16, 32, 3), np.uint8)
    with VideoWriter(tmp_path / "a.mkv", (32, 16), 25, codec="ffv1", mark=False) as writer:
        for n in range(20):
            frame[:] = n
            writer.write(frame)
    assert [int(f[0, 0, 0]) for f in open_clip(tmp_path / "a.mkv")] == list(range(20))


@pytest.mark.parametrize("fps", [25, 30000 / 1001, 60])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
@pytest.mark.parametrize("share", [1.0, 0.6, 1.7])
def test_sound_and_picture_are_one_length_and_in_time(
    tmp_path: Path, chirp_wav: Path, name: str, fps: float, share: float
):
    n_frames = math.ceil(share * fps)
    film = write(tmp_path / name, [GRAY] * n_frames, fps, audio=chirp_wav)
    assert count_frames(film) == n_frames
    heard = read_waveform(film).samples
    assert abs(len(heard) / 16000 - n_frames / fps) < 1 / fps
    given = read_waveform(chirp_wav).samples
    n = min(len(heard), len(given))
    spectrum = np.fft.rfft(heard[:n], 2 * n) * np.conj(np.fft.rfft(given[:n], 2 * n))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    assert min(lag, 2 * n - lag) / 16000 < 0.002


def test_sound_is_copied_where_the_container_takes_it(tmp_path: Path, clip: Path, ffmpeg: str, chirp_wav: Path):
    song = tmp_path / "song.mp3"
    subprocess.run([ffmpeg, "-v", "error", "-i", chirp_wav, "-ar", "44100", song], check=True)
    assert probe(write(tmp_path / "mp3.mp4", [GRAY] * 25, audio=song)).audio_codec == "mp3"
    assert probe(write(tmp_path / "short.mp4", [GRAY] * 10, audio=clip)).audio_codec == "aac"
    assert probe(write(tmp_path / "mp3.mkv", [GRAY] * 25, audio=song)).audio_codec == "opus"
    assert probe(write(tmp_path / "pcm.mkv", [GRAY] * 25, audio=chirp_wav)).audio_codec == "pcm_s16le"


def test_sound_can_start_later(tmp_path: Path, chirp_wav: Path):
    film = write(tmp_path / "a.mp4", [GRAY] * 10, audio=chirp_wav, audio_start_s=0.5)
    heard, given = read_waveform(film).samples, read_waveform(chirp_wav).samples[8000:]
    n = min(len(heard), len(given), 6000)
    assert np.corrcoef(heard[:n], given[:n])[0, 1] > 0.95


def test_notes(tmp_path: Path, clip: Path):
    marked = probe(write(tmp_path / "a.mp4", [GRAY], audio=clip, metadata={"title": "A title"}))
    assert "synthetic media" in marked.metadata["comment"]
    assert marked.metadata["title"] == "A title"
    assert "comment" not in probe(write(tmp_path / "b.mp4", [GRAY], mark=False)).metadata


def test_the_index_comes_first(tmp_path: Path, clip: Path):
    for name, audio in (("a.mp4", None), ("b.mp4", clip)):
        data = write(tmp_path / name, [GRAY] * 5, audio=audio).read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, chirp_wav: Path, failure: type[BaseException]):
    with (
        pytest.raises(failure),
        VideoWriter(tmp_path / "a.mp4", (32, 16), 25, audio=chirp_wav.resolve()) as writer,
    ):
        for _ in range(10):
            writer.write(GRAY)
        raise failure
    assert [p.name for p in tmp_path.iterdir()] == [chirp_wav.name]


def test_an_existing_film_needs_overwrite(tmp_path: Path):
    film = tmp_path / "a.mp4"
    film.write_text("old")
    with pytest.raises(OutputExistsError):
        VideoWriter(film, (32, 16), 25)
    write(film, [GRAY], overwrite=True)
    assert probe(film).width == 32


def test_a_dying_encoder_is_reported_and_leaves_nothing(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    with (
        pytest.raises(MediaError, match=r"cannot write .*a\.mp4"),
        VideoWriter(tmp_path / "a.mp4", (640, 480), 25) as writer,
    ):
        writer.write(noise)
        assert writer._process is not None
        writer._process._process.kill()
        for _ in range(200):
            writer.write(noise)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encode, "_codec_arguments", lambda *_: ["-c:v", "libnothing"])
    with pytest.raises(EnvironmentProblem, match="no encoder for h264"):
        write(tmp_path / "a.mp4", [GRAY] * 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file sizes here")
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path):
    script = (
        "import resource, signal, numpy as np\n"
        "from talkhead.errors import MediaError\n"
        "from talkhead.media.video import VideoWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "rng = np.random.default_rng(0)\n"
        "try:\n"
        f"    with VideoWriter({str(tmp_path / 'a.mp4')!r}, (320, 240), 25) as writer:\n"
        "        for _ in range(60):\n"
        "            writer.write(rng.integers(0, 256, (240, 320, 3)).astype(np.uint8))\n"
        "except MediaError as error:\n"
        "    print('refused:', error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "refused: cannot write" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_nothing(tmp_path: Path):
    script = (
        "import numpy as np\n"
        "from talkhead.media.video import VideoWriter\n"
        f"with VideoWriter({str(tmp_path / 'a.mp4')!r}, (320, 240), 25) as writer:\n"
        "    print('going', flush=True)\n"
        "    while True:\n"
        "        writer.write(np.zeros((240, 320, 3), np.uint8))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, trace = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in trace
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit(tmp_path: Path):
    with VideoWriter(tmp_path / "a.mp4", (32, 16), 25) as writer:
        with pytest.raises(ShapeError, match=r"\(16, 32, 3\)"):
            writer.write(np.zeros((32, 16, 3), np.uint8))
        with pytest.raises(MediaError, match="float64"):
            writer.write(np.zeros((16, 32, 3)))
        writer.write(GRAY)


def test_no_frames_is_an_error(tmp_path: Path):
    with pytest.raises(MediaError, match="no frames"), VideoWriter(tmp_path / "a.mp4", (32, 16), 25):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.avi", {}, "suffix"),
        ("a", {}, "suffix"),
        ("a.webm", {"codec": "h264"}, "do not hold"),
        ("a.mp4", {"codec": "ffv1"}, "do not hold"),
        ("a.mp4", {"codec": "mpeg1"}, "unknown codec"),
        ("a.mp4", {"crf": 52}, "crf"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, name: str, options: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        VideoWriter(tmp_path / name, (32, 16), 25, **options)


def test_sound_must_be_there(tmp_path: Path, make_clip: Callable[..., Path]):
    with pytest.raises(MediaError, match="no sound"):
        VideoWriter(tmp_path / "a.mp4", (32, 16), 25, audio=make_clip(audio=False))
    with pytest.raises(MediaError, match="no such file"):
        VideoWriter(tmp_path / "a.mp4", (32, 16), 25, audio=tmp_path / "missing.wav")


def test_a_folder_of_frames(tmp_path: Path):
    frames = [np.full((9, 7, 3), n, np.uint8) for n in range(3)]
    folder = tmp_path / "frames"
    assert write_frames_folder(folder, frames, mark=False) == 3
    assert sorted(p.name for p in folder.iterdir()) == [f"frame_{n:06d}.png" for n in range(3)]
    assert (read_image(folder / "frame_000002.png").pixels == 2).all()
    with pytest.raises(OutputExistsError):
        write_frames_folder(folder, frames)
    (folder / "keep.txt").write_text("mine")
    write_frames_folder(folder, frames[:1], overwrite=True)
    assert sorted(p.name for p in folder.iterdir()) == ["frame_000000.png", "keep.txt"]


def test_a_folder_appears_only_when_complete(tmp_path: Path):
    with pytest.raises(ValueError), FrameFolderWriter(tmp_path / "frames", (7, 9)) as writer:
        writer.write(np.zeros((9, 7, 3), np.uint8))
        raise ValueError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MediaError):
        write_frames_folder(tmp_path / "none", [])
