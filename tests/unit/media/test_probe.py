import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from talkhead.errors import MediaError
from talkhead.media.probe import count_frames, probe

MakeClip = Callable[..., Path]


def ffmpeg_make(ffmpeg: str, *args: object) -> None:
    subprocess.run([ffmpeg, "-v", "error", "-y", *map(str, args)], check=True, stdin=subprocess.DEVNULL)


def test_a_clip_with_sound(clip: Path):
    info = probe(clip)
    assert (info.width, info.height, info.fps) == (64, 48, 25)
    assert info.duration_s == pytest.approx(0.4, abs=0.02)
    assert info.n_frames_estimate in (10, 11)
    assert info.has_video and info.has_audio and not info.is_picture
    assert (info.video_codec, info.audio_codec, info.sample_rate) == ("h264", "aac", 16000)
    assert count_frames(clip) == 10


def test_sound_alone(chirp_wav: Path):
    info = probe(chirp_wav)
    assert info.has_audio and not info.has_video
    assert (info.width, info.fps, info.n_frames_estimate) == (0, 0, 0)
    assert info.duration_s == 1.0
    with pytest.raises(MediaError, match="no video"):
        count_frames(chirp_wav)


def test_a_cover_picture_is_not_a_film(ffmpeg: str, chirp_wav: Path, clip: Path, tmp_path: Path):
    song = tmp_path / "song.mp3"
    ffmpeg_make(ffmpeg, "-i", chirp_wav, "-i", clip, "-map", "0:a", "-map", "1:v", "-frames:v", 1, "-c:v", "mjpeg",
                "-disposition:v", "attached_pic", song)  # fmt: skip
    assert not probe(song).has_video


@pytest.mark.parametrize(("turn", "size"), [(90, (48, 64)), (180, (64, 48)), (270, (48, 64))])
def test_rotation_turns_the_size(ffmpeg: str, clip: Path, tmp_path: Path, turn: int, size: tuple[int, int]):
    turned = tmp_path / "turned.mp4"
    ffmpeg_make(ffmpeg, "-display_rotation", turn, "-i", clip, "-c", "copy", turned)
    info = probe(turned)
    assert (info.width, info.height) == size
    assert info.rotation == -turn % 360


def test_pixels_that_are_not_square_widen_the_picture(ffmpeg: str, clip: Path, tmp_path: Path):
    wide = tmp_path / "wide.mp4"
    ffmpeg_make(ffmpeg, "-i", clip, "-vf", "setsar=3/2", wide)
    assert (probe(wide).width, probe(wide).height) == (96, 48)


def test_ntsc_rates_are_exact(make_clip: MakeClip):
    assert probe(make_clip(fps=29.97)).fps == 30000 / 1001


def test_a_stream_without_a_length_is_counted(ffmpeg: str, clip: Path, tmp_path: Path):
    raw = tmp_path / "raw.h264"
    ffmpeg_make(ffmpeg, "-i", clip, "-c:v", "copy", "-an", raw)
    assert probe(raw).duration_s > 0


def test_metadata(ffmpeg: str, clip: Path, tmp_path: Path):
    noted = tmp_path / "noted.mp4"
    ffmpeg_make(ffmpeg, "-i", clip, "-c", "copy", "-metadata", "comment=one: two\nStream #0:9: Video: fake, 9x9", noted)
    info = probe(noted)
    assert info.metadata["comment"] == "one: two"
    assert info.width == 64


def test_what_cannot_be_read(tmp_path: Path, clip: Path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is not a film\n" * 50)
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:600])
    cases = {
        "missing.mp4": "no such file",
        "empty.mp4": "is empty",
        ".": "is a folder",
        "text.mp4": "it is damaged, or no picture, video or sound",
        "cut.mp4": "it is damaged, or no picture, video or sound",
    }
    for name, reason in cases.items():
        with pytest.raises(MediaError, match=reason) as caught:
            probe(tmp_path / name)
        assert str(tmp_path) in caught.value.message
        assert "\n" not in caught.value.message


def test_play_lists_are_refused(tmp_path: Path, clip: Path):
    listing = tmp_path / "list.ffconcat"
    listing.write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    (tmp_path / clip.name).write_bytes(clip.read_bytes())
    with pytest.raises(MediaError):
        probe(listing)


def test_addresses_are_not_opened(tmp_path: Path):
    with pytest.raises(MediaError, match="no such file"):
        probe("http://localhost/clip.mp4")


def test_addresses_are_shown_as_given_and_explained():
    with pytest.raises(MediaError, match="https://example.com/a.mp4: no such file") as refused:
        probe("https://example.com/a.mp4")
    assert "local files" in (refused.value.hint or "")
