import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.describe import describe, plot, sparkline
from talkhead.errors import OutputExistsError


@pytest.fixture
def row():
    def find(description, track, name):
        return next(c for c in description.columns if (c.track, c.name) == (track, name))

    return find


def test_numbers_are_those_of_the_tracks(motion, row):
    found = describe(motion)
    yaw = row(found, "rot", "yaw")
    degrees = np.degrees(motion.rot[:, 1].astype(float))
    assert (yaw.low, yaw.high, yaw.mean, yaw.std) == pytest.approx(
        (degrees.min(), degrees.max(), degrees.mean(), degrees.std())
    )
    assert yaw.unit == "deg"
    assert row(found, "eyelid", "left").unit == "closure"
    assert row(found, "scale", "").mean == pytest.approx(100, abs=1)
    assert found.facts["tracks"]["exp"] == [50, 6]
    assert found.facts["source_size"] == [512, 512]
    assert found.facts["duration_s"] == 2.0


def test_codes_in_standard_deviations_where_the_space_is_known(motion, space, row):
    assert row(describe(motion), "exp", "pc1").unit == "codes"
    known = row(describe(motion, space=space), "exp", "pc1")
    assert known.unit == "std"
    assert known.high == pytest.approx(motion.exp[:, 0].max() / 4)
    assert len([c for c in describe(motion, components=None).columns if c.track == "exp"]) == 6
    assert len([c for c in describe(motion).columns if c.track == "exp"]) == 4
    other = dataclasses.replace(space, name="other-1")
    assert row(describe(motion, space=other), "exp", "pc1").unit == "codes"


def test_mouth_opening_is_shown_where_it_is_known(motion, space, row):
    space = dataclasses.replace(space, opening=np.full(6, 0.1, np.float32))
    opening = row(describe(motion, space=space), "mouth", "opening")
    assert opening.mean == pytest.approx(0.1 * motion.exp.sum(1).mean(), abs=1e-6)
    assert not any(c.track == "mouth" for c in describe(motion).columns)


def test_offsets_are_marked(motion, row):
    found = describe(motion.replace(relative=frozenset({"rot", "scale"})))
    assert row(found, "rot", "yaw").relative
    assert not row(found, "trans", "x").relative
    assert row(found, "scale", "").unit == "factor"


def test_everything_can_be_json(motion):
    full = motion.replace(
        au=np.ones((50, 1), np.float32),
        au_names=("AU12",),
        extra={"tension": np.arange(50)},
        params={"face": "largest"},
        created_by="talkhead",
    )
    data = json.loads(json.dumps(describe(full).as_dict()))
    assert data["facts"]["unknown"] == {"tension": [50]}
    assert any(c["track"] == "au" and c["name"] == "AU12" for c in data["columns"])


def test_sparklines_show_the_course_and_short_events():
    assert sparkline(np.arange(8), 8) == "▁▂▃▄▅▆▇█"
    blink = np.zeros(1000)
    blink[500] = 1
    assert sparkline(blink, 10).count("█") == 1
    assert sparkline(np.full(100, 3.0), 10) == "▁" * 10
    assert len(sparkline(np.arange(5), 32)) == 5


def test_a_single_frame_has_no_course(motion):
    assert all(c.spark == "" for c in describe(motion.at(slice(0, 1))).columns)


@pytest.mark.parametrize("n_frames", [1, 50])
def test_plot_writes_a_picture(motion, space, tmp_path: Path, n_frames: int):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.png"
    plot(motion.at(slice(0, n_frames)), path, space=space)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputExistsError):
        plot(motion, path)


def test_plot_of_identity_alone(tmp_path: Path):
    pytest.importorskip("matplotlib")
    plot(Coeffs(space="toy-1", fps=25.0, n_frames=2, id=np.ones(3, np.float32)), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").exists()


def test_extra_tensors_that_are_known_are_told_apart(motion):
    extra = {"reference_exp": np.zeros(64, np.float32), "tension": np.zeros(50, np.float32)}
    facts = describe(motion.replace(extra=extra)).facts
    assert (facts["extra"], facts["unknown"]) == ({"reference_exp": [64]}, {"tension": [50]})
