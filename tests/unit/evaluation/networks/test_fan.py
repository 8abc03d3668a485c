"""FAN as an instrument: when it is here, which file it is, how often it looks."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from talkhead.errors import WeightsError
from talkhead.evaluation.instruments import Instruments
from talkhead.evaluation.networks import fan
from talkhead.face.landmarks import Landmarks
from talkhead.face.landmarks68 import FAN_FILE

FACE = Landmarks(np.random.default_rng(0).uniform(0, 60, (478, 3)))


@pytest.fixture
def looked(monkeypatch, tmp_path):
    """FAN is here; the device of each look."""
    file = tmp_path / FAN_FILE
    file.write_bytes(b"weights")
    seen: list[str] = []

    def look(frame: np.ndarray, face: Landmarks, *, provider: str, device: str) -> np.ndarray:
        assert provider == "fan"
        seen.append(device)
        return np.full((68, 2), float(frame[0, 0, 0]), np.float32)

    monkeypatch.setattr(fan, "chosen_provider", lambda: "fan")
    monkeypatch.setattr(fan, "fan_file", lambda: file)
    monkeypatch.setattr(fan, "landmarks68", look)
    return seen


def test_frames_that_were_just_seen_are_not_looked_at_again(looked):
    network = fan.FaceAlignment(device="cuda:0")
    judged, real = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    found = [network.points(frame, FACE)[0, 0] for frame in (judged, real, real, real, judged)]
    assert found == [0, 1, 1, 1, 0]
    assert looked == ["cuda:0", "cuda:0"]
    third = np.full((8, 8, 3), 3, np.uint8)
    network.points(third, FACE)
    assert network.points(judged.copy(), FACE)[0, 0] == 0
    assert len(looked) == 4


def test_a_file_is_known_by_the_name_that_its_sha256_begins_with(looked, monkeypatch):
    origin = fan.FaceAlignment().origin
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert (origin.name, origin.sha256, origin.is_published) == (FAN_FILE, sha256, False)
    assert Instruments().fan().grade == "unverified"
    monkeypatch.setattr(fan, "FAN_FILE", f"2DFAN4-{sha256[:10]}.pth.tar")
    assert fan.FaceAlignment().origin.is_published
    assert Instruments().fan().grade == "paper-like"


def test_nothing_is_downloaded(looked, monkeypatch, tmp_path):
    monkeypatch.setattr(fan, "fan_file", lambda: tmp_path / "absent")
    with pytest.raises(WeightsError, match="needs FAN"):
        fan.FaceAlignment()
    assert "face-alignment" in Instruments().fan().reason
