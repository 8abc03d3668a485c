"""A clip through all meters, with stand-ins for the networks and for the tracker of faces."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from talkhead.errors import FaceNotFoundError, InputError, MediaError
from talkhead.evaluation import films
from talkhead.evaluation.clip import Pair, Wish, measure_clip, nearest_frames
from talkhead.evaluation.families import FAMILIES, chosen_families
from talkhead.evaluation.films import resized
from talkhead.evaluation.head_pose import CANONICAL_POINTS, RIGID_POINTS
from talkhead.evaluation.instruments import Instrument, Instruments
from talkhead.evaluation.meters import at_rate
from talkhead.evaluation.networks.loading import Origin
from talkhead.evaluation.pools import pools_of
from talkhead.evaluation.protocol import protocol_of
from talkhead.face.landmarks import Landmarks

PAPER = (Origin(name="weights", sha256="0" * 64, is_published=True),)


def mesh(turn: float) -> Landmarks:
    """A face of 120 pixels that leans by `turn` pixels."""
    points = np.random.default_rng(0).uniform(0.3, 0.7, (478, 3)) * 200
    points[list(RIGID_POINTS)] = CANONICAL_POINTS * [8, -8, -8] + [100, 100, 0]
    points[:, 0] += turn * (points[:, 1] - 100) / 100
    return Landmarks(points)


class Faces:
    """Stands in for the tracker."""

    def __init__(self, *_: object, **__: object) -> None:
        self._n = 0

    def __enter__(self) -> Faces:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def next(self, frame: np.ndarray) -> Landmarks | None:
        self._n += 1
        return None if self._n == 3 else mesh(self._n)

    def finish(self) -> None:
        pass


class Network:
    """Stands in for every network: the mean colour is the feature."""

    backbone = "alex"

    def prepare(self, frame: np.ndarray, landmarks: Landmarks) -> np.ndarray:
        return frame[:8, :8]

    def run(self, frames: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        if other is not None:
            return np.abs(frames.astype(float) - other).mean((1, 2, 3))
        return frames.reshape(len(frames), -1)[:, :6].astype(np.float32) + 1


class Tools(Instruments):
    """All networks are there."""

    def arcface(self) -> Instrument:
        return Instrument(network=Network(), origins=PAPER)

    inception = i3d = arcface

    def lpips(self, backbone: str = "alex") -> Instrument:
        return self.arcface()

    def hopenet(self) -> Instrument:
        network = SimpleNamespace(
            prepare=Network().prepare,
            run=lambda faces: SimpleNamespace(
                features=faces.reshape(len(faces), -1)[:, :6].astype(np.float32),
                yaw_pitch_roll_deg=np.zeros((len(faces), 3), np.float32),
            ),
        )
        return Instrument(network=network, origins=PAPER)


class Sync:
    """Stands in for SyncNet: every picture is 2 away from every sound, and 6 from none."""

    def pictures(self, crops: np.ndarray) -> np.ndarray:
        return np.full((len(crops) - 4, 4), 3, np.float32)

    def sounds(self, rows: np.ndarray) -> np.ndarray:
        return np.full(((len(rows) - 20) // 4 + 1, 4), 4, np.float32)


class WithSync(Instruments):
    """SyncNet is there."""

    def syncnet(self) -> Instrument:
        return Instrument(network=Sync(), origins=PAPER)


class NoTools(Instruments):
    """None is."""

    def arcface(self) -> Instrument:
        return Instrument(reason="needs weights")

    inception = i3d = hopenet = syncnet = fan = head_fit = arcface

    def lpips(self, backbone: str = "alex") -> Instrument:
        return self.arcface()


@pytest.fixture
def faces(monkeypatch):
    monkeypatch.setattr(films, "FilmFaces", Faces)


def wish(*families: str, tools: Instruments | None = None, protocol: str = "plain", crop=None, **more) -> Wish:
    return Wish(
        protocol=protocol_of(protocol, crop=crop),
        families=chosen_families(families),
        instruments=tools or NoTools(),
        **more,
    )


def by_name(rows) -> dict:
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def test_every_row_is_announced_and_every_family_answers(faces, clip):
    found = by_name(measure_clip(Pair(generated=clip, real=clip), wish()).rows)
    announced = {row: family.name for family in FAMILIES for row in family.rows}
    assert set(found) <= set(announced)
    assert {announced[name] for name in found} == set(chosen_families([])) - {"fid", "fvd", "lip_reading"}


def test_a_clip_against_itself(faces, clip):
    result = measure_clip(Pair(generated=clip, real=clip), wish())
    rows, real = by_name(result.rows), by_name(result.real_rows)
    assert rows["l1"].value == 0
    assert rows["psnr"].value is None
    assert rows["psnr"].params["identical_frames"] == result.n_frames == 10
    assert rows["ssim"].value == pytest.approx(1)
    assert rows["ard~mesh"].value == rows["lmd~mesh"].value == 0
    assert rows["face_found"].value == 0.9
    assert rows["ard~mesh"].frames_dropped == 1
    assert real["jitter~mesh"].value == rows["jitter~mesh"].value
    assert "clip.mp4: no face in 1 of 10 frames" in result.notes


def test_without_weights_there_are_reasons_and_no_numbers(faces, clip):
    rows = by_name(measure_clip(Pair(generated=clip), wish()).rows)
    for name in ("lpips", "csim_paired", "csim_source", "diversity", "lse_d", "l1", "lmd~mesh", "au_h", "rtf"):
        assert rows[name].value is None
        assert rows[name].reason


def test_networks_give_rows_of_their_grade(faces, clip, make_clip):
    other = make_clip(n_frames=10, suffix=".avi")
    pair = Pair(generated=other, real=clip)
    rows = by_name(measure_clip(pair, wish("lpips", "csim", "diversity", tools=Tools())).rows)
    for name in ("lpips", "csim_paired", "csim_all_pairs", "identity_drift", "diversity"):
        assert rows[name].grade == "paper", name
        assert rows[name].value is not None, name
        assert "weights 000000000000" in str(rows[name].params["weights"])
    assert rows["csim_paired"].frames_dropped == 1
    assert rows["csim_source"].reason == "needs the photo: --source"


def test_lips_and_sound_in_a_pass_of_their_own(faces, make_clip):
    film = make_clip(n_frames=60, size=(200, 200), fps=50)
    judged = wish("lse", tools=WithSync(), min_track=13)
    rows = by_name(measure_clip(Pair(generated=film), judged).rows)
    # 30 frames at 25 a second; the last five begin no window that counts.
    assert rows["lse_d"].value == pytest.approx(2, abs=1e-4)
    assert rows["lse_d"].n_frames == 29
    assert rows["lse_c"].value == rows["av_conf"].value
    assert rows["lse_d"].definition == "lse_d/syncnet-v2-track-min13"
    assert rows["lse_d"].params["detector"] == "mesh"
    short = by_name(measure_clip(Pair(generated=film), wish("lse", tools=WithSync())).rows)
    assert short["lse_d"].reason == "no face is seen in more than 100 frames"


class Fan(Instruments):
    """FAN is here: it sees what the mesh does, a pixel to the right in pictures that are bright."""

    looked = 0

    def fan(self) -> Instrument:
        def points(frame: np.ndarray, face: Landmarks) -> np.ndarray:
            Fan.looked += 1
            return face.view68()[:, :2] + float(frame[0, 0, 0] > 128)

        origin = Origin(name="fan", sha256="0" * 64, is_published=True)
        return Instrument(network=SimpleNamespace(points=points), origins=(origin,), best="paper-like")


def test_landmarks_of_fan_stand_beside_those_of_the_mesh(faces, clip):
    rows = by_name(measure_clip(Pair(generated=clip, real=clip), wish("lmd", tools=Fan())).rows)
    assert (rows["lmd"].value, rows["lmd"].grade, rows["lmd"].n_frames) == (0, "paper-like", 9)
    assert rows["lmd"].params["landmarks"] == "fan68"
    assert rows["lmd"].definition == rows["lmd~mesh"].definition == "lmd/mouth20-centred"
    assert rows["lmd~mesh"].grade == "proxy"
    alone = by_name(measure_clip(Pair(generated=clip), wish("lmd", tools=Fan())).rows)
    assert alone["lmd"].reason == alone["lmd~mesh"].reason == "needs a real clip to compare with"


def test_hopenet_gives_beats_where_no_fit_does(faces, make_clip):
    film = make_clip(n_frames=40)
    rows = by_name(measure_clip(Pair(generated=film), wish("beat_align", tools=Tools())).rows)
    assert rows["beat_align"].reason in ("the head does not move", "no onset in the sound")
    assert rows["beat_align"].grade == "paper-like"
    assert "diversity" not in rows


class Turning:
    """Fits heads: each frame a degree further to the right than the one before."""

    name, origins = "stand-in", PAPER

    def __init__(self) -> None:
        self.n = 0

    def angles(self, frames, faces, fps: float) -> np.ndarray:
        turns = np.arange(self.n, self.n + len(frames), dtype=np.float32)
        self.n += len(frames)
        found = np.stack([0 * turns, turns, 0 * turns], 1)
        found[[face is None for face in faces]] = np.nan
        return found


def test_poses_of_a_fit_are_gathered_some_frames_at_a_time(faces, make_clip):
    film = make_clip(n_frames=40)
    tools = NoTools()
    tools.head_fit = lambda: Instrument(network=Turning(), origins=PAPER, best="paper-like")  # type: ignore[method-assign]
    rows = by_name(measure_clip(Pair(generated=film), wish("ard", tools=tools)).rows)
    # 0..39 degrees without the third frame, which shows no face; the mean over three angles.
    assert rows["are"].value == pytest.approx((sum(range(40)) - 2) / 39 / 3)
    assert (rows["are"].n_frames, rows["are"].frames_dropped) == (39, 1)
    assert rows["ard"].reason == "needs a real clip to compare with"


def test_sets_gather_features_over_clips(faces, clip):
    tools = Tools()
    pools = pools_of(("fid", "fvd"), tools.inception(), Instrument(reason="no I3D"), every=2, has_real=True)
    for _ in range(2):
        measure_clip(Pair(generated=clip, real=clip), wish("fid", tools=tools), pools)
    rows = by_name(pools.measurements())
    assert rows["fid"].value == pytest.approx(0, abs=1e-6)
    assert (rows["fid"].n_clips, rows["fid"].n_frames) == (2, 10)
    assert "10 frames are fewer than 2048" in str(rows["fid"].params["warning"])
    assert rows["fvd"].reason == "no I3D"


def test_every_other_frame(faces, clip):
    judged = Wish(protocol=protocol_of("plain", every=4), families=("l1", "cpbd"), instruments=NoTools())
    rows = by_name(measure_clip(Pair(generated=clip, real=clip), judged).rows)
    assert rows["l1"].n_frames == 3
    assert rows["l1"].params["every"] == 4


def test_unequal_lengths_are_cut_and_said(clip, make_clip):
    longer = make_clip(n_frames=14, suffix=".mkv")
    for pair, name in (
        (Pair(generated=clip, real=longer), "clip.mkv"),
        (Pair(generated=longer, real=clip), "clip.mkv"),
    ):
        result = measure_clip(pair, wish("l1"))
        assert result.n_frames == 10
        assert any(note.startswith(f"{name} is longer") for note in result.notes)


def test_one_frame_more_is_no_matter(clip, make_clip):
    result = measure_clip(Pair(generated=clip, real=make_clip(n_frames=11)), wish("l1"))
    assert (result.n_frames, result.notes) == (10, ())


def test_another_size_is_scaled_and_said(clip, make_clip):
    result = measure_clip(Pair(generated=clip, real=make_clip(size=(128, 96))), wish("l1"))
    assert result.size == (64, 48)
    assert result.notes == ("real frames are scaled by areas from 128x96 to 64x48",)


def test_another_shape_is_refused(clip, make_clip):
    with pytest.raises(InputError, match="64x64.*64x48: different shapes"):
        measure_clip(Pair(generated=clip, real=make_clip(size=(64, 64))), wish("l1"))


def test_protocols_want_squares(clip):
    with pytest.raises(InputError, match="64x48; protocol pir judges square pictures"):
        measure_clip(Pair(generated=clip), wish("l1", protocol="pir", crop=False))
    with pytest.raises(FaceNotFoundError, match="clip.mp4 shows no face to crop around"):
        measure_clip(Pair(generated=clip), wish("l1", protocol="pir"))


def test_a_protocol_sets_size_rate_and_length(make_clip):
    square = make_clip(n_frames=20, size=(64, 64), fps=50)
    result = measure_clip(Pair(generated=square), wish("cpbd", protocol="sadtalker"))
    assert (result.size, result.fps, result.n_frames) == ((256, 256), 25.0, 10)
    assert "generated frames are scaled bicubic from 64x64 to 256x256" in result.notes
    assert any("shorter than the 8 s" in note for note in result.notes)


def test_one_frame(faces, make_clip):
    one = make_clip(n_frames=1)
    rows = by_name(measure_clip(Pair(generated=one, real=one), wish()).rows)
    assert rows["l1"].value == 0
    assert rows["frozen"].value is None
    assert rows["jitter~mesh"].value is None


def test_a_picture_is_no_video(example_face):
    with pytest.raises(MediaError, match="is a picture, not a video"):
        measure_clip(Pair(generated=example_face), wish("cpbd"))


def test_no_sound(faces, make_clip):
    silent = make_clip(audio=False)
    wanted = wish("beat_align", "lag", "lag_loudness", "silence")
    rows = by_name(measure_clip(Pair(generated=silent), wanted).rows)
    reasons = {name: row.reason for name, row in rows.items() if name.endswith(("~mesh", "~mouth", "~loudness"))}
    assert len(reasons) == 6
    assert set(reasons.values()) == {"clip.mp4 has no sound: --audio names it"}


def test_missing_files_of_openface_are_told_before_the_work(clip, tmp_path):
    broken = tmp_path / "au.csv"
    broken.write_text("frame, success\n1, 1\n")
    told: list[int] = []
    with pytest.raises(InputError):
        measure_clip(Pair(generated=clip, real=clip, au_csv=(broken, broken)), wish("au"), advance=told.append)
    assert told == []


def test_action_units_of_openface(faces, clip, tmp_path):
    real, generated = tmp_path / "real.csv", tmp_path / "generated.csv"
    head = "frame, success, AU10_c, AU25_c\n"
    real.write_text(head + "1, 1, 1, 1\n2, 1, 0, 1\n")
    generated.write_text(head + "1, 1, 1, 0\n2, 1, 0, 1\n")
    rows = by_name(measure_clip(Pair(generated=clip, real=clip, au_csv=(real, generated)), wish("au")).rows)
    assert rows["au_h"].value == 0.25
    assert rows["au_h"].grade == "paper"
    assert rows["au_f1"].value == pytest.approx((1 + 2 / 3) / 2)


def test_the_real_time_factor(clip):
    rows = by_name(measure_clip(Pair(generated=clip, work_s=0.8), wish("speed")).rows)
    assert rows["rtf"].value == pytest.approx(2)


def test_pictures_of_a_report(clip):
    result = measure_clip(Pair(generated=clip, real=clip), wish("l1", with_pictures=True))
    assert [round(moment.time_s * 25) for moment in result.moments] == [1, 3, 6, 8]
    for moment in result.moments:
        assert {picture[:2] for picture in (moment.generated, moment.real, moment.difference)} == {b"\xff\xd8"}
    assert measure_clip(Pair(generated=clip), wish("frames", with_pictures=True)).moments[0].difference is None
    assert measure_clip(Pair(generated=clip, real=clip), wish("l1")).curves == {}


def test_the_frame_that_differs_most_is_shown(make_clip, ffmpeg, tmp_path):
    real, judged = make_clip(suffix=".mkv"), tmp_path / "flash.mkv"
    flash = ["-vf", "drawbox=color=white:t=fill:enable='eq(n,7)'"]
    subprocess.run([ffmpeg, "-v", "error", "-i", str(real), *flash, str(judged)], check=True, stdin=subprocess.DEVNULL)
    result = measure_clip(Pair(generated=judged, real=real), wish("l1", "psnr", with_pictures=True))
    assert result.moments[-1].why == "the frame that differs most"
    assert round(result.moments[-1].time_s * 25) == 7
    assert np.argmin(result.curves["PSNR, dB"][0]) == 7


def test_nobody_in_any_frame_has_reasons(clip):
    rows = by_name(measure_clip(Pair(generated=clip, real=clip), wish()).rows)
    assert rows["face_found"].value == 0
    assert rows["lmd~mesh"].reason == "no frame shows a face in both clips"
    with_value = {name for name, row in rows.items() if row.value is not None and "~" in name}
    assert with_value == set()


def test_resizing():
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert resized(frame, (8, 8)) is frame
    halved = frame.reshape(4, 2, 4, 2, 3).mean((1, 3))
    assert np.abs(resized(frame, (4, 4)) - halved).max() <= 1  # the mean of areas
    assert resized(frame, (16, 16)).shape == (16, 16, 3)


def test_curves_at_another_rate():
    ramp = np.arange(10.0)[:, None]
    halved = at_rate(ramp, 50, 25)
    np.testing.assert_allclose(halved[:, 0], [0.5, 2.5, 4.5, 6.5, 8.5])
    assert at_rate(ramp, 25, 25) is ramp


def test_boxes_at_another_rate():
    assert nearest_frames(6, 50, 25).tolist() == [1, 3, 5]
    assert nearest_frames(3, 25, 50).tolist() == [0, 0, 1, 1, 2, 2]
    assert nearest_frames(0, 25, 25).tolist() == []


def test_paths_are_named_as_given(clip):
    assert measure_clip(Pair(generated=clip), wish("cpbd")).files == {"generated": str(Path(clip))}
