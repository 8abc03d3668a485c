"""Samples in tar files: what goes in comes out, by byte ranges, by tarfile and by WebDataset."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from talkhead.errors import InputError
from talkhead.training import shards
from talkhead.training.index import read_set
from talkhead.training.shards import END, ShardReader, ShardWriter, encode_picture, shard_path, write_sample
from tests.unit.training.conftest import picture_of, sample_of


def test_every_sample_comes_back(make_set):
    found = read_set(make_set(n_videos=3, n_frames=20, stretch=8))
    reader = ShardReader(found.shards)
    places = found.places()
    assert [(p.video, p.start, p.n_frames) for p in places] == [(v, s, n) for v in range(3) for s, n in
                                                               ((0, 8), (8, 8), (16, 4))]  # fmt: skip
    for place in places:
        clip = reader.clip(place)
        assert (clip.name, clip.person, clip.start) == (f"video{place.video}", f"p{place.video % 2}", place.start)
        assert len(clip.images) == len(clip.masks) == len(clip.coeffs) == place.n_frames
        np.testing.assert_array_equal(clip.images[3], picture_of(place.video, place.start + 3))
        np.testing.assert_array_equal(clip.images[-2:][0], picture_of(place.video, place.start + place.n_frames - 2))
        assert clip.masks[0].shape == (16, 16) and clip.masks[0][0, 0] == 200
        np.testing.assert_array_equal(clip.coeffs.exp[:, 0], place.start + np.arange(place.n_frames))
        assert clip.sound.shape == (place.n_frames * 640,) and (clip.sound == place.video).all()
        assert clip.features["toy"].shape == (place.n_frames, 2)
        assert [len(r.coeffs) for r in clip.references] == [1, 1]
        np.testing.assert_array_equal(clip.references[1].image, picture_of(place.video, 1))
        assert clip.references[0].mask is not None


def test_other_readers_understand_the_shards(make_set):
    found = read_set(make_set(n_videos=2, n_frames=8))
    with tarfile.open(shard_path(found.shards, 0)) as file:
        names = file.getnames()
    assert names[0] == "video0_00000.json" and "video1_00000.frame.007.png" in names
    webdataset = pytest.importorskip("webdataset")
    samples = list(webdataset.WebDataset(str(shard_path(found.shards, 0)), shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == ["video0_00000", "video1_00000"]
    assert samples[1]["frame.003.png"][:4] == b"\x89PNG"


def test_jpeg_keeps_colour_at_full_resolution():
    import cv2

    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2] = (255, 0, 0)
    data = np.frombuffer(encode_picture(pixels, "jpg", 98), np.uint8)
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(back.astype(int) - pixels).mean() < 6  # halved colour gives 60


def part(path, size):
    with path.open("wb") as stream:
        write_sample(stream, "a", [("bin", bytes(size))])
    return path


def test_full_shards_are_followed_by_new_ones(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    writer = ShardWriter(folder, 2000, {})
    places = [writer.append(part(tmp_path / "part", 600)) for _ in range(3)]
    writer.close()
    assert places == [(0, 0), (0, 1536), (1, 0)]
    assert shard_path(folder, 0).stat().st_size == 2 * 1536 + len(END)


def test_what_no_journal_knows_is_cut_off(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    writer = ShardWriter(folder, 10_000, {})
    for _ in range(2):
        writer.append(part(tmp_path / "part", 600))
    del writer  # no end was written: killed
    (folder / "00007.tar").write_bytes(b"of nobody")
    writer = ShardWriter(folder, 10_000, {0: 1536})
    assert writer.append(part(tmp_path / "part", 100)) == (0, 1536)
    writer.close()
    assert [path.name for path in folder.iterdir()] == ["00000.tar"]
    with tarfile.open(shard_path(folder, 0)) as file:
        assert [entry.size for entry in file] == [600, 100]


def test_few_files_are_open_at_a_time(make_set, monkeypatch):
    monkeypatch.setattr(shards, "OPEN_SHARDS", 2)
    found = read_set(make_set(n_videos=6, n_frames=4, shard_bytes=1))
    reader = ShardReader(found.shards)
    for place in found.places():
        assert reader.clip(place).start == 0
        assert len(reader._open) <= 2
    reader.close()
    assert not reader._open


def test_damage_is_named(make_set):
    found = read_set(make_set(n_videos=1, n_frames=4))
    path = shard_path(found.shards, 0)
    (place,) = found.places()
    whole = path.read_bytes()
    path.write_bytes(whole[: place.n_bytes // 2])
    with pytest.raises(InputError, match="00000.tar.*ends before"):
        ShardReader(found.shards).clip(place)
    path.write_bytes(b"x" * len(whole))
    with pytest.raises(InputError, match=r"00000.tar is damaged at byte 0"):
        ShardReader(found.shards).clip(place)
    path.unlink()
    with pytest.raises(InputError, match=r"00000.tar"):
        ShardReader(found.shards).clip(place)


def test_equal_samples_are_equal_bytes():
    written = []
    for _ in range(2):
        stream = io.BytesIO()
        write_sample(stream, "k", sample_of(1, 0, 3))
        written.append(stream.getvalue())
    assert written[0] == written[1]
