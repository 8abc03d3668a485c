"""From a video of a face to a set: what is kept, what is dropped and why, and going on after an interruption."""

from __future__ import annotations

import json
import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest

import talkhead
from talkhead.errors import InputError, MediaError, OutputExistsError, UsageError
from talkhead.protocols import SystemInfo
from talkhead.training import clips
from talkhead.training import prepare as preparation
from talkhead.training.config import PrepareConfig
from talkhead.training.index import JOURNAL, WORK, read_set
from talkhead.training.prepare import prepare
from talkhead.training.shards import ShardReader, shard_path

CONFIG = PrepareConfig(size=64, min_s=0.4, stretch=8, n_references=3, max_stretch=10, masks="quick")


@pytest.fixture(scope="module")
def face_film(film):
    return film("face")


@pytest.fixture(scope="module")
def prepared(face_film, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "one"
    prepare([face_film], folder, config=CONFIG)
    return folder


def test_a_video_of_a_face(prepared, face_film):
    found = read_set(prepared)
    (outcome,) = found.outcomes
    assert (outcome.reason, outcome.n_frames, outcome.has_sound) == ("", 20, True)
    assert outcome.sha256 and outcome.file_bytes == face_film.stat().st_size
    first, *_, last = clips_of = [ShardReader(found.shards).clip(place) for place in found.places()]
    assert [clip.start for clip in clips_of] == [0, 8, 16]
    assert len(first.references) == 3
    assert first.images[0].shape == (64, 64, 3) and first.masks[0].shape == (64, 64)
    assert last.sound.shape == (4 * 640,) and np.abs(last.sound).max() > 1000
    coeffs = first.coeffs
    assert coeffs.space == found.space and coeffs.fps == 25.0
    np.testing.assert_array_equal(coeffs.size, [64, 64])
    np.testing.assert_array_equal(last.coeffs.id, coeffs.id)
    # The fixed crop lets the face drift, by a pixel of the film a frame up and to the left.
    # Not at the ends, where the tracks are steadied from one side.
    later = clips_of[1].coeffs
    shift = (later.trans * later.scale[:, None])[3, :2] - (coeffs.trans * coeffs.scale[:, None])[4, :2]
    np.testing.assert_allclose(
        shift, np.array([-6, 6]) / coeffs.crop[0], atol=0.1
    )  # the film moves by two pixels every other frame
    # The mask is of the person: the face's middle in it, the corner above the head not.
    assert first.masks[0][40, 32] > 200
    assert not (prepared / WORK).exists()
    about = json.loads((prepared / "set.json").read_text())
    assert (about["n_frames"], about["n_samples"], about["format_version"]) == (20, 3, 1)
    assert about["versions"]["talkhead"] == talkhead.__version__


def test_frames_are_those_of_the_film(prepared, face_film):
    from talkhead.face.crop import Crop
    from talkhead.media.video import open_clip

    found = read_set(prepared)
    clip = ShardReader(found.shards).clip(found.places()[1])
    crop = Crop(matrix=clip.coeffs.crop.reshape(2, 3).astype(float), size=64)
    frames = [crop.cut(frame) for frame in open_clip(face_film, fps=25.0)]
    errors = [np.abs(frame.astype(int) - clip.images[2]).mean() for frame in frames]
    assert int(np.argmin(errors)) == clip.start + 2 and min(errors) < 2


def test_what_is_dropped_and_why(film, tmp_path, make_clip):
    videos = {
        "no face": make_clip(n_frames=30, size=(96, 96)),
        "too short": film("face", "short.mp4"),
        "unreadable": tmp_path / "broken.mp4",
    }
    videos["unreadable"].write_bytes(b"no film at all")
    good = film("face", "good.mp4")
    table = tmp_path / "all.csv"
    lines = [f"{videos['no face']},,", f"{videos['too short']},0,0.2", f"{videos['unreadable']},,", f"{good},,",
             f"{good},90,"]  # fmt: skip
    table.write_text("path,start,end\n" + "\n".join(lines) + "\n")
    found = prepare([table], tmp_path / "set", config=replace(CONFIG, masks="none"))
    reasons = [outcome.reason for outcome in found.outcomes]
    assert reasons == ["no face", "too short", "unreadable", "", "unreadable"]
    assert found.outcomes[1].detail == "0.20 s"
    assert "lasts" in found.outcomes[4].detail
    assert found.summary()["dropped_videos"] == {"no face": 1, "too short": 1, "unreadable": 2}
    assert ShardReader(found.shards).clip(found.places()[0]).masks == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"max_motion": 0.01}, "face moves too much"), ({"max_stretch": 0.2}, "face too small")],
)
def test_limits(face_film, tmp_path, changes, reason):
    with pytest.raises(InputError, match=rf"nothing of 1 videos can be used: {reason} \(1\)"):
        prepare([face_film], tmp_path / "set", config=replace(CONFIG, **changes))
    assert read_set(tmp_path / "set").outcomes[0].reason == reason


def test_a_second_face_in_the_crop(face_film, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "_has_rival", lambda picture: True)
    with pytest.raises(InputError, match="several faces"):
        prepare([face_film], tmp_path / "set", config=CONFIG)
    assert prepare([face_film], tmp_path / "other", config=replace(CONFIG, several="keep")).n_frames == 20


def test_rivals_are_counted_by_size(example_face):
    import cv2

    from talkhead.media.image import read_image

    photo = cv2.resize(read_image(example_face).pixels, (160, 160), interpolation=cv2.INTER_AREA)
    assert clips._has_rival(np.concatenate([photo, photo], 1))
    assert not clips._has_rival(photo)


def test_a_cut_makes_two_clips_and_what_is_between_is_left_out(film, tmp_path):
    found = prepare([film("face none face")], tmp_path / "set", config=replace(CONFIG, stretch=50, masks="none"))
    assert [(place.start, place.n_frames) for place in found.places()] == [(0, 20), (40, 20)]
    assert found.outcomes[0].n_frames == 60


def test_going_on(film, prepared, face_film, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    first, second = face_film, film("face", "second.mp4")
    worked = []
    prepare_one = clips.VideoPreparer.prepare

    def stop_at_second(self, video, advance=None):
        worked.append(video.path.name)
        if len(worked) == 2:
            raise KeyboardInterrupt
        return prepare_one(self, video, advance)

    monkeypatch.setattr(clips.VideoPreparer, "prepare", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        prepare([first, second], folder, config=CONFIG)
    half = read_set(folder)
    assert [outcome.path for outcome in half.kept] == [str(first)]
    assert json.loads((folder / "set.json").read_text())["n_kept"] == 1
    whole = prepare([first, second], folder, config=CONFIG)
    assert worked == ["film.mp4", "second.mp4", "second.mp4"]
    assert len(whole.kept) == 2
    # The bytes are those of a run in one go, and a third run has nothing to do.
    prepare([first, second], tmp_path / "at_once", config=CONFIG)
    assert shard_path(whole.shards, 0).read_bytes() == shard_path(tmp_path / "at_once" / "shards", 0).read_bytes()
    n_worked = len(worked)
    prepare([first, second], folder, config=CONFIG)
    assert len(worked) == n_worked


def test_a_finished_part_is_not_made_twice(face_film, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    work = tmp_path / "aside"
    work.mkdir()
    from talkhead.training.videos import find_videos

    (video,) = find_videos([face_film])
    clips.VideoPreparer(CONFIG, work).prepare(video)
    prepare([face_film], folder, config=CONFIG)
    # As after a crash between a video's end and its way into a shard.
    (folder / JOURNAL).write_text("")
    (folder / WORK).mkdir()
    for file in work.iterdir():
        os.replace(file, folder / WORK / file.name)  # noqa: PTH105
    monkeypatch.setattr(clips.VideoPreparer, "prepare", lambda *_: pytest.fail("made twice"))
    assert prepare([face_film], folder, config=CONFIG).n_frames == 20


def test_a_line_cut_by_a_crash_does_not_count(prepared, face_film, tmp_path):
    import shutil

    folder = tmp_path / "set"
    shutil.copytree(prepared, folder)
    line = (folder / JOURNAL).read_text()
    (folder / JOURNAL).write_text(line + line[:50])
    assert len(read_set(folder).outcomes) == 1
    (folder / JOURNAL).write_text(line[:50] + "\n" + line)
    with pytest.raises(InputError, match="line 1"):
        read_set(folder)


def test_other_settings_want_another_folder(prepared, face_film):
    with pytest.raises(UsageError, match="begun with size=64, not 96"):
        prepare([face_film], prepared, config=replace(CONFIG, size=96))
    with pytest.raises(UsageError, match="meshwarp does not listen"):
        prepare([face_film], prepared, config=replace(CONFIG, listen=("meshwarp",)))


def test_folders_that_are_none(face_film, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(OutputExistsError, match="holds no training set"):
        prepare([face_film], tmp_path / "full", config=CONFIG)
    with pytest.raises(MediaError, match="it is a file"):
        prepare([face_film], face_film, config=CONFIG)
    with pytest.raises(MediaError, match="there is no folder"):
        prepare([face_film], tmp_path / "a" / "b", config=CONFIG)
    with pytest.raises(InputError, match="is no training set"):
        read_set(tmp_path / "full")


def test_dry_run_writes_nothing(face_film, tmp_path):
    prepare([face_film], tmp_path / "set", config=CONFIG, dry_run=True)
    assert not (tmp_path / "set").exists()


def listen_to_nothing(speech, *, fps, n_frames):
    loudness = np.concatenate(list(speech.blocks())).reshape(n_frames, -1).std(1, keepdims=True)
    return {"toy": loudness.astype(np.float32)}


def test_what_systems_hear_is_stored(face_film, tmp_path, monkeypatch):
    info = SystemInfo(name="toy", paper="", licence="", stages=("listen",), spaces=(), module=__name__)
    monkeypatch.setattr(clips, "listening_system", lambda name: info)
    monkeypatch.setattr(preparation, "listening_system", lambda name: info)
    monkeypatch.setattr(clips, "build_listener", lambda name, device: listen_to_nothing)
    found = prepare([face_film], tmp_path / "set", config=replace(CONFIG, listen=("toy",), masks="none"))
    reader = ShardReader(found.shards)
    heard = np.concatenate([reader.clip(place).features["toy"] for place in found.places()])
    assert heard.shape == (20, 1) and heard.min() > 0.01


@pytest.mark.slow
def test_two_processes_make_the_same_samples(film, face_film, tmp_path):
    videos = [face_film, film("face", "two.mp4")]
    one = prepare(videos, tmp_path / "one", config=CONFIG)
    two = prepare(videos, tmp_path / "two", config=CONFIG, jobs=2)

    def by_video(found):
        read = ShardReader(found.shards).read
        return {outcome.key: read(outcome.shard, outcome.begin, outcome.n_bytes) for outcome in found.kept}

    assert by_video(one) == by_video(two)


class PoolOfOne:
    """Stands in for a pool of processes: a video named `bad` ends the process, and everything in the pool with it."""

    def __init__(self, jobs, context, start, words):
        self.is_broken = False
        self.preparer = clips.VideoPreparer(*words)

    def submit(self, do, video):
        future: Future[clips.Outcome] = Future()
        self.is_broken |= video.path.name == "bad.mp4"
        if self.is_broken:
            future.set_exception(BrokenProcessPool("gone"))
        else:
            future.set_result(self.preparer.prepare(video))
        return future

    def shutdown(self, wait=True, cancel_futures=False):
        pass


def test_a_video_that_ends_its_process_costs_no_other(face_film, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "ProcessPoolExecutor", PoolOfOne)
    names = ("a.mp4", "bad.mp4", "b.mp4")
    for name in names:
        (tmp_path / "films").mkdir(exist_ok=True)
        (tmp_path / "films" / name).write_bytes(face_film.read_bytes())
    found = prepare([tmp_path / "films" / name for name in names], tmp_path / "set", config=CONFIG, jobs=2)
    became = {outcome.path.rpartition("/")[2]: outcome.reason for outcome in found.outcomes}
    assert became == {"a.mp4": "", "bad.mp4": "crashed", "b.mp4": ""}
