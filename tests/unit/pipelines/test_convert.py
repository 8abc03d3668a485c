"""Motion of one space in another: by a made-up Basel face model, and by a made-up network that measures drawn faces."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from scripts.measure_conversion import MadeUpNetwork
from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, UsageError, WeightsError
from talkhead.face3d.morphable import load_builtin
from talkhead.pipelines import convert, probe
from talkhead.pipelines.convert import in_space
from talkhead.weights.catalogue import Door, import_files

N = 60
BFM = {
    "page": "https://owner.test/bfm", "sha256": "unknown", "size": 0, "format": "mat",
    "filename": "BFM_model_front.mat", "commercial": "no", "licence": {"code": "MIT", "weights": "BFM-2009"},
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return load_builtin()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKHEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TALKHEAD_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def door():
    return Door(download=False, accept=("BFM-2009",))


@pytest.fixture
def bfm(shelve, bfm_file):
    """The Basel face model, brought by its user."""
    shelve("bfm-front", bfm_file.read_bytes(), at="", **BFM)
    import_files([bfm_file], pin_copy=True)


@pytest.fixture
def no_bfm(shelve):
    shelve("bfm-front", at="", **BFM)


@pytest.fixture
def speech(model):
    """Motion as speech makes it: controls that come and go, blinks, a head that sways; all relative."""
    t = np.arange(N) / 25
    waves = 0.5 - 0.5 * np.cos(2 * np.pi * t[:, None] * [3.1, 2.3, 1.7] + [0, 1, 2])
    controls = np.array([model.space.controls[name] for name in ("jaw-open", "mouth-wide", "pucker")])
    blink = np.clip(1 - np.abs(np.arange(N) - 20) / 4, 0, 1)
    return Coeffs(
        space=model.space.name,
        fps=25.0,
        n_frames=N,
        exp=(0.7 * waves @ controls).astype(np.float32),
        eyelid=np.stack([blink, blink], 1).astype(np.float32),
        rot=(0.1 * np.sin(2 * t[:, None] + [0, 1, 2])).astype(np.float32),
        trans=(0.05 * np.sin(t[:, None] + [0, 1, 2])).astype(np.float32),
        gaze=np.zeros((N, 2), np.float32),
        tongue=np.zeros(N, np.float32),
        relative=frozenset({"exp", "rot", "trans", "gaze"}),
        params={"seed": 3},
    )


@pytest.fixture(scope="module")
def measured(model, tmp_path_factory):
    """A network and what was measured of it, with few faces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKHEAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        network = MadeUpNetwork(model)
        table = probe.measured_conversion(network, model, n_mixes=72)
        return network, table, network.n_asked


@pytest.fixture
def by_network(measured, monkeypatch, no_bfm):
    network, table, _ = measured
    monkeypatch.setattr(convert, "find_network", lambda **_: network)
    monkeypatch.setattr(convert, "measured_conversion", lambda *_, **__: table)
    return network


@pytest.fixture
def few_faces(monkeypatch):
    """Every fourth of the faces that are to be drawn."""
    every = probe.probe_codes
    monkeypatch.setattr(probe, "probe_codes", lambda *given: tuple(part[::4] for part in every(*given)))


def lips_mm(model, a, b):
    moved = model.offset(a - b)[:, model.landmarks68[48:]]
    return 100 * np.sqrt((moved**2).sum(-1).mean())


def test_nothing_to_do(speech, door):
    assert in_space(speech, "meshwarp", weights=door) is speech
    pose = speech.replace(exp=None)
    assert in_space(pose, "bfm", weights=door) is pose


def test_unknown_spaces_and_foreign_codes(speech, door):
    with pytest.raises(UsageError, match="unknown space 'flame'"):
        in_space(speech, "flame", weights=door)
    with pytest.raises(UsageError, match="no conversion from space flame to bfm"):
        in_space(speech.replace(space="flame-1"), "bfm", weights=door)
    with pytest.raises(CoeffFileError, match="are codes of space meshwarp-00000000"):
        in_space(speech.replace(space="meshwarp-00000000"), "bfm", weights=door)
    with pytest.raises(CoeffFileError, match="exp has 28 codes, space bfm has 64"):
        in_space(speech.replace(space="bfm"), "meshwarp", weights=door)


def test_by_both_models_and_back(speech, door, bfm, model, caplog):
    with caplog.at_level(logging.INFO):
        there = in_space(speech, "bfm", weights=door)
    assert "codes of meshwarp as codes of bfm: by both face models" in caplog.text
    assert (there.space, there.exp.shape, there.eyelid, there.tongue) == ("bfm", (N, 64), None, None)
    assert there.relative == {"exp", "rot", "trans", "gaze"}
    facts = there.params["conversion"]
    assert (facts["from"], facts["to"], facts["by"]) == (model.space.name, "bfm", "both face models")
    assert 0 < facts["residual_mm"] < 0.5 and there.params["seed"] == 3
    back = in_space(there, "meshwarp", weights=door)
    assert lips_mm(model, back.exp, speech.exp) < 0.5 < 5 < lips_mm(model, speech.exp, 0)
    np.testing.assert_allclose(back.eyelid, speech.eyelid, atol=0.12)
    np.testing.assert_array_equal(back.rot, speech.rot)
    np.testing.assert_allclose(back.trans[:, :2], speech.trans[:, :2], atol=1e-5)


def test_absolute_poses_turn_with_the_head_frames(speech, door, bfm, model):
    """The made-up model is pitched by 5 degrees: a head that looks the same has other angles in it."""
    still = speech.replace(rot=np.zeros((N, 3), np.float32), relative=frozenset({"exp", "trans", "gaze"}))
    there = in_space(still, "bfm", weights=door)
    np.testing.assert_allclose(np.degrees(there.rot), np.broadcast_to([-5, 0, 0], (N, 3)), atol=0.2)
    back = in_space(there, "meshwarp", weights=door)
    np.testing.assert_allclose(back.rot, 0, atol=1e-4)


def test_identity_goes_by_the_models_only(speech, door, bfm, by_network, model, monkeypatch):
    person = np.random.default_rng(1).standard_normal(14).astype(np.float32) * model.space.id_std
    alone = Coeffs(space=model.space.name, fps=25.0, n_frames=1, id=person)
    monkeypatch.setattr(convert, "_basel_model", lambda _: None)
    with pytest.raises(UsageError, match="identity codes cannot be converted"):
        in_space(alone, "bfm", weights=door)
    assert in_space(speech.replace(id=person), "bfm", weights=door).id is None


def test_the_licence_of_the_model_is_asked_for(speech, bfm, monkeypatch, caplog):
    monkeypatch.setattr(convert, "find_network", _nothing)
    with caplog.at_level(logging.INFO), pytest.raises(UsageError, match="nothing measures"):
        in_space(speech, "bfm", weights=Door(download=False))
    assert "the Basel face model is not used: bfm-front may not be used commercially" in caplog.text


def test_without_model_and_network_the_way_is_told(speech, no_bfm, shelve, door, monkeypatch):
    monkeypatch.setattr("talkhead.systems.NAMES", ("meshwarp", "sadtalker"))
    monkeypatch.setattr("talkhead.pipelines.choose.NAMES", ("meshwarp", "sadtalker"))
    shelve("sadtalker-256", at="mirror")
    shelve("sadtalker-512", at="mirror")
    with pytest.raises(WeightsError, match="needs the network that measures them, or the Basel face model"):
        in_space(speech, "bfm", weights=door)


def test_a_network_is_understood_by_drawn_faces(measured, model):
    """The hidden function is linear in the landmarks: most of it is found, and what is left is told."""
    network, table, asked = measured
    assert asked == 1 + 94 + 72
    assert table.residual_mm < 1.4 < 2.4 < table.moved_mm  # 1.2 of 2.6; with all the faces 1.1 of 3.1
    assert table.to_a.explained > 0.7 and table.to_b.explained > 0.9  # 0.79 and 0.96
    np.testing.assert_allclose(table.turn, network.turn, atol=0.03)  # 1.7 degrees; the person's own shape counts too


def test_by_measured_pictures_and_back(speech, door, by_network, model, caplog):
    with caplog.at_level(logging.INFO):
        there = in_space(speech, "bfm", weights=door)
    assert "by measured pictures" in caplog.text and "% of the variance is explained" in caplog.text
    assert (there.space, there.exp.shape, there.eyelid) == ("bfm", (N, 64), None)
    assert there.params["conversion"]["by"] == "measured pictures"
    assert 0.8 < there.params["conversion"]["explained"] <= 1
    back = in_space(there, "meshwarp", weights=door)
    assert lips_mm(model, back.exp, speech.exp) < 0.35 * lips_mm(model, speech.exp, 0)
    assert np.corrcoef(back.eyelid[:, 0], speech.eyelid[:, 0])[0, 1] > 0.95
    still = in_space(speech.replace(exp=np.zeros_like(speech.exp), eyelid=None), "bfm", weights=door)
    np.testing.assert_allclose(still.exp, 0, atol=1e-6)


def test_what_the_network_sees_in_a_face_at_rest_is_taken_off(model, door, by_network, example_face):
    """Absolute codes that the network gave to a photo are, with that photo at hand, the photo's own in our space."""
    from talkhead.face3d.fit import fit_photo
    from talkhead.pipelines.inputs import open_source

    source = open_source(example_face)
    said = by_network.photo(source, fps=25.0)
    own = fit_photo(source.landmarks, (512, 512), model).coeffs
    left = {
        known: lips_mm(model, in_space(said, "meshwarp", weights=door, source=photo).exp, own.exp)
        for known, photo in (("with", source), ("without", None))
    }
    assert left["with"] < 2.5
    assert left["with"] < 0.8 * left["without"]


def test_a_network_that_sees_nothing_is_refused(speech, door, model, no_bfm, monkeypatch, few_faces):
    deaf = MadeUpNetwork(model, noise=1.0, hearing=0.0)
    monkeypatch.setattr(convert, "find_network", lambda **_: deaf)
    monkeypatch.setattr(
        convert, "measured_conversion", lambda found, ours, progress: probe.measured_conversion(found, ours, n_mixes=40)
    )
    with pytest.raises(CoeffFileError, match="see too little of each other"):
        in_space(speech, "bfm", weights=door)


def test_a_network_is_measured_once(model, tmp_path, few_faces):
    first = MadeUpNetwork(model, noise=0.0)
    made = probe.measured_conversion(first, model, n_mixes=40)
    again = MadeUpNetwork(model, noise=0.0)
    kept = probe.measured_conversion(again, model, n_mixes=40)
    assert again.n_asked == 1 < first.n_asked
    np.testing.assert_array_equal(kept.to_a.matrix, made.to_a.matrix)
    (path,) = (tmp_path / "cache" / "conversions").iterdir()
    path.write_bytes(b"damaged")
    third = MadeUpNetwork(model, noise=0.0)
    np.testing.assert_array_equal(probe.measured_conversion(third, model, n_mixes=40).to_a.matrix, made.to_a.matrix)
    assert third.n_asked == first.n_asked


def test_faces_asked_for_can_be_shown(model):
    asked, mixed = probe.probe_codes(model, 40)
    assert asked.shape == (94 + 40, 30) and mixed.sum() == 40 and mixed[-40:].all()
    assert (asked[:, :28] @ model.space.opening).min() > -0.0101
    assert asked[:, 28:].min() >= -0.2 and asked[:, 28:].max() <= 1
    np.testing.assert_array_equal(asked, probe.probe_codes(model, 40)[0])


def _nothing(**_):
    raise UsageError("nothing measures")


@pytest.fixture(scope="module")
def smiling(repo):
    """A photo whose lips are apart."""
    from talkhead.pipelines.inputs import open_source

    return open_source(repo / "examples" / "face.jpg")


@pytest.mark.parametrize("way", ["bfm", "by_network"])
def test_relative_motion_starts_from_the_photos_own_lips(smiling, model, door, way, request):
    """No motion at all in `bfm` leaves the photo as it is; so must what it becomes here, lips apart included."""
    request.getfixturevalue(way)
    from talkhead.face3d.fit import fit_photo
    from talkhead.face3d.lips import closing_codes, lip_gap

    fit = fit_photo(smiling.landmarks, (512, 512), model)
    closing = closing_codes(fit.vertices, model)
    assert lip_gap(fit.vertices) > 0.03 > lip_gap(fit.vertices + model.offset(closing))
    nothing = Coeffs(
        space="bfm", fps=25.0, n_frames=2, exp=np.zeros((2, 64), np.float32), relative=frozenset({"exp"})
    )  # fmt: skip
    ours = in_space(nothing, "meshwarp", weights=door, source=smiling)
    np.testing.assert_allclose(ours.exp + closing, 0, atol=1e-6)
    np.testing.assert_allclose(ours.eyelid, np.repeat(fit.coeffs.eyelid, 2, axis=0), atol=1e-6)
    back = in_space(ours, "bfm", weights=door, source=smiling)
    np.testing.assert_allclose(back.exp, 0, atol=1e-5)
    np.testing.assert_allclose(in_space(nothing, "meshwarp", weights=door).exp, 0, atol=1e-6)
