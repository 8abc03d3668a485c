"""Reading sound: any file, one rate, exact length, in time with the picture."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from talkhead.errors import MediaError, ShapeError, UsageError
from talkhead.media import audio
from talkhead.media.audio import AudioStream, Waveform, read_waveform


def test_a_wav_comes_as_it_is(chirp_wav: Path, chirp: np.ndarray):
    stream = AudioStream(chirp_wav)
    assert (stream.sample_rate, stream.duration_s) == (16000, 1.0)
    blocks = list(stream.blocks(0.3))
    assert [len(b) for b in blocks] == [4800, 4800, 4800, 1600]
    assert all(b.dtype == np.float32 for b in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), chirp, atol=1e-4)
    assert len(np.concatenate(list(stream.blocks()))) == 16000, "it can be read again"


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.flac", "a.ogg", "a.opus"])
def test_any_format_at_any_rate(ffmpeg: str, tmp_path: Path, chirp_wav: Path, chirp: np.ndarray, name: str):
    file = tmp_path / name
    subprocess.run([ffmpeg, "-v", "error", "-i", chirp_wav, "-ar", "48000", "-ac", "2", file], check=True)
    samples = read_waveform(file).samples
    assert abs(len(samples) - 16000) <= 16
    n = min(len(samples), 16000)
    assert np.corrcoef(samples[:n], chirp[:n])[0, 1] > 0.98, "encoder delay is taken away"


def test_channels_are_averaged(tmp_path: Path, ffmpeg: str, chirp_wav: Path, chirp: np.ndarray):
    file = tmp_path / "left.wav"
    subprocess.run([ffmpeg, "-v", "error", "-i", chirp_wav, "-af", "pan=stereo|c0=c0", file], check=True)
    np.testing.assert_allclose(read_waveform(file).samples, chirp / 2, atol=1e-3)


def test_a_part(chirp_wav: Path, chirp: np.ndarray):
    stream = AudioStream(chirp_wav, start_s=0.25, end_s=0.75)
    assert stream.duration_s == 0.5
    np.testing.assert_allclose(np.concatenate(list(stream.blocks())), chirp[4000:12000], atol=1e-4)


def test_sound_that_starts_late_follows_silence(ffmpeg: str, tmp_path: Path, chirp_wav: Path, clip: Path):
    late = tmp_path / "late.mkv"
    subprocess.run([ffmpeg, "-v", "error", "-i", clip, "-itsoffset", "0.5", "-i", chirp_wav, "-map", "0:v", "-map",
                    "1:a", "-c", "copy", late], check=True)  # fmt: skip
    samples = read_waveform(late).samples
    assert np.abs(samples[:7900]).max() < 1e-3 < np.abs(samples[8000:8400]).max()
    assert abs(len(samples) - 24000) < 100


def test_values_are_finite_and_in_range(tmp_path: Path):
    file = tmp_path / "float.wav"
    data = np.array([np.nan, np.inf, -np.inf, 3.0, -3.0, 0.5] * 100, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, 16000, 64000, 4, 32,
                       b"data", len(data))  # fmt: skip
    file.write_bytes(head + data)
    samples = read_waveform(file).samples
    assert np.isfinite(samples).all() and np.abs(samples).max() <= 1


def test_a_film_without_sound(make_clip: Callable[..., Path]):
    with pytest.raises(MediaError, match="no sound in"):
        AudioStream(make_clip(audio=False))


def test_damaged_files(tmp_path: Path, chirp_wav: Path):
    cut = tmp_path / "cut.wav"
    cut.write_bytes(chirp_wav.read_bytes()[:10000])
    with pytest.raises(MediaError, match=r"cut\.wav is damaged: it ends after 10000 of 32044 bytes"):
        AudioStream(cut)
    empty = tmp_path / "empty.wav"
    empty.write_bytes(chirp_wav.read_bytes()[:44])
    with pytest.raises(MediaError, match=r"empty\.wav"):
        list(AudioStream(empty).blocks())
    text = tmp_path / "text.mp3"
    text.write_text("no sound " * 100)
    with pytest.raises(MediaError, match=r"text\.mp3"):
        list(AudioStream(text).blocks())


def test_a_streamed_wav_does_not_know_its_length(tmp_path: Path, chirp_wav: Path):
    data = bytearray(chirp_wav.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "pipe.wav").write_bytes(data)
    assert read_waveform(tmp_path / "pipe.wav").duration_s == 1.0


def test_a_day_is_too_long(chirp_wav: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audio, "MAX_DURATION_S", 0.5)
    with pytest.raises(MediaError, match="24 h"):
        AudioStream(chirp_wav)
    stream = AudioStream(chirp_wav, end_s=0.4)
    monkeypatch.setattr(audio, "MAX_DURATION_S", 0.3)
    with pytest.raises(MediaError, match="24 h"):
        list(stream.blocks())


def test_parts_out_of_range(chirp_wav: Path):
    with pytest.raises(UsageError):
        AudioStream(chirp_wav, start_s=-1)
    with pytest.raises(UsageError):
        AudioStream(chirp_wav, start_s=1, end_s=0.5)
    with pytest.raises(UsageError):
        AudioStream(chirp_wav, sample_rate=10)


def test_waveform():
    wave = Waveform(np.arange(10, dtype=np.float32) / 10, 5)
    assert wave.duration_s == 2
    assert [len(b) for b in wave.blocks(0.8)] == [4, 4, 2]
    with pytest.raises(ShapeError):
        Waveform(np.zeros((2, 3), np.float32))
    with pytest.raises(MediaError, match="empty"):
        Waveform(np.zeros(0, np.float32))
    with pytest.raises(MediaError, match="finite"):
        Waveform(np.array([np.nan], np.float32))
    with pytest.raises(UsageError, match="sample_rate is 0"):
        Waveform(np.zeros(3, np.float32), 0)


def test_real_speech(media: Path):
    stream = AudioStream(media / "speech" / "chinese_female.wav")
    samples = np.concatenate(list(stream.blocks()))
    assert len(samples) == pytest.approx(stream.duration_s * 16000, abs=1)
    assert 0.01 < samples.std() < 0.5
