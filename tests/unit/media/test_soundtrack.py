"""Sound taken out of a file: the very packets, or Opus; no tags."""

from __future__ import annotations

import subprocess

import pytest

from talkhead.errors import MediaError
from talkhead.media.probe import probe
from talkhead.media.soundtrack import copy_sound, encode_opus


def packets(ffmpeg, path):
    """Checksum of the sound's packets."""
    argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy", "-f", "md5", "-"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_packets_are_copied_untouched(clip, ffmpeg, tmp_path):
    target = tmp_path / "sound"
    assert copy_sound(clip, target) == "mp4"
    assert packets(ffmpeg, target) == packets(ffmpeg, clip)
    assert not probe(target).has_video
    again = tmp_path / "again"
    copy_sound(clip, again)
    assert again.read_bytes() == target.read_bytes()


def test_plain_samples_go_into_matroska(chirp_wav, ffmpeg, tmp_path):
    target = tmp_path / "sound"
    assert copy_sound(chirp_wav, target) == "matroska"
    assert packets(ffmpeg, target) == packets(ffmpeg, chirp_wav)
    assert probe(target).audio_codec == "pcm_s16le"


def test_tags_stay_out(clip, ffmpeg, tmp_path):
    tagged = tmp_path / "tagged.mp4"
    argv = [ffmpeg, "-v", "error", "-i", str(clip), "-c", "copy", "-metadata", "title=at home", str(tagged)]
    subprocess.run(argv, check=True)
    assert probe(tagged).metadata["title"] == "at home"
    copy_sound(tagged, tmp_path / "sound")
    assert b"at home" not in (tmp_path / "sound").read_bytes()


def test_opus_is_small_and_as_long(chirp_wav, tmp_path):
    target = tmp_path / "sound"
    assert encode_opus(chirp_wav, target) == "matroska"
    info = probe(target)
    assert info.audio_codec == "opus"
    assert abs(info.duration_s - 1.0) < 0.05
    assert target.stat().st_size < 6000


@pytest.mark.parametrize("take", [copy_sound, encode_opus])
def test_silent_films_are_refused(make_clip, tmp_path, take):
    with pytest.raises(MediaError, match="no sound"):
        take(make_clip(3, audio=False), tmp_path / "sound")
    assert not (tmp_path / "sound").exists()
