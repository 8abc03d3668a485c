"""What every system in the registry must do; a new one is tested by being listed."""

from __future__ import annotations

import importlib
import tracemalloc
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import read_coeffs, write_coeffs
from talkhead.errors import UsageError
from talkhead.media.audio import Waveform
from talkhead.pipelines.choose import build, build_extractor, choose_system, systems_for
from talkhead.pipelines.config import Machine
from talkhead.protocols import Drive, Stage
from talkhead.systems import NAMES, info

REPO = Path(__file__).resolve().parents[2]
BUILT_STAGES = ("render", "audio2coeff", "pose", "listen", "train")  # the others are pipelines around these
LEARNED_STAGES = ("listen", "train")  # a system without networks has no use for them


pytestmark = pytest.mark.usefixtures("tiny_weights")


def offering(stage):
    """Names of the systems that offer a stage."""
    return [system.name for system in systems_for(stage)]


@pytest.fixture(scope="module")
def speech():
    """1.3 s of rising tone in bursts."""
    t = np.arange(20800) / 16000
    samples = 0.4 * np.sin(2 * np.pi * (200 * t + 500 * t**2)) * (np.sin(2 * np.pi * 3 * t) > -0.3)
    return Waveform(samples.astype(np.float32), 16000)


@pytest.fixture(scope="module")
def source():
    """The example photo at 160 px."""
    from PIL import Image

    from talkhead.pipelines.inputs import open_source

    with Image.open(REPO / "examples" / "face.jpg") as photo:
        return open_source(np.asarray(photo.convert("RGB").resize((160, 160))))


@pytest.mark.parametrize("name", NAMES)
def test_description(name):
    system = info(name)
    assert system.name == name
    assert system.stages and set(system.stages) <= set(get_args(Stage))
    assert system.paper and system.licence and system.spaces
    run = importlib.import_module(system.module)
    for stage in set(system.stages) & set(BUILT_STAGES):
        assert callable(getattr(run, f"build_{stage}"))


@pytest.mark.parametrize("stage", sorted(set(get_args(Stage)) - set(LEARNED_STAGES)))
def test_some_system_does_every_stage_without_downloads(stage):
    assert not choose_system(Machine(device="cpu"), stage).weights


@pytest.mark.parametrize("name", offering("audio2coeff"))
@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_audio2coeff(name, speech, fps):
    listen = build(info(name), "audio2coeff")
    coeffs = listen(speech, fps=fps, seed=3, articulation=1.0, blinks=True)
    assert isinstance(coeffs, Coeffs)
    assert coeffs.fps == fps
    assert abs(len(coeffs) - 1.3 * fps) <= 1
    assert coeffs.exp is not None
    assert info(name).reads(coeffs.space)
    # Only a system that wants to know the face may answer with that face's own expression.
    assert "exp" in coeffs.relative or "face" in info(name).understands
    assert coeffs.exp.std() > 0
    again = listen(speech, fps=fps, seed=3, articulation=1.0, blinks=True)
    for track, value in coeffs.tensors().items():
        np.testing.assert_array_equal(value, getattr(again, track))


@pytest.mark.parametrize("name", offering("pose"))
def test_named_styles_are_there_and_no_others(name, speech):
    move = build(info(name), "pose")
    assert "natural" in info(name).styles
    for style in (*info(name).styles, "45"):
        assert not info(name).lacks({"pose_style": style})
        assert len(move(speech, fps=25.0, seed=3, style=style, motion=1.0, reference=None)) >= 32
    assert info(name).lacks({"pose_style": "frantic"})
    with pytest.raises(UsageError):
        move(speech, fps=25.0, seed=3, style="frantic", motion=1.0, reference=None)


@pytest.mark.parametrize("name", offering("pose"))
def test_pose(name, speech):
    move = build(info(name), "pose")
    coeffs = move(speech, fps=25.0, seed=3, style="natural", motion=1.0, reference=None)
    assert abs(len(coeffs) - 1.3 * 25) <= 1
    assert coeffs.rot is not None and "rot" in coeffs.relative
    if "face" in info(name).understands:  # a published track, smoothed across its start at rest
        assert np.abs(coeffs.rot[0]).max() < np.abs(coeffs.rot).max()
    else:
        np.testing.assert_allclose(coeffs.rot[0], 0, atol=1e-6)
    np.testing.assert_array_equal(
        coeffs.rot, move(speech, fps=25.0, seed=3, style="natural", motion=1.0, reference=None).rot
    )
    other = move(speech, fps=25.0, seed=4, style="natural", motion=1.0, reference=None)
    assert np.abs(other.rot - coeffs.rot).max() > 1e-3
    still = move(speech, fps=25.0, seed=3, style="natural", motion=0.0, reference=None)
    np.testing.assert_allclose(still.rot, 0, atol=1e-6)


def prepared(name, source):
    """The smallest renderer of a system, of the head alone."""
    return build(info(name), "render", Machine(device="cpu"))(
        source, size=(info(name).sizes or (96,))[0], framing="crop"
    )


@pytest.mark.parametrize("name", offering("extract"))
def test_extract(name, source):
    extractor = build_extractor(info(name), Machine(device="cpu"))
    coeffs = extractor.photo(source, fps=30.0, landmarks=True)
    assert (len(coeffs), coeffs.fps) == (1, 30.0)
    assert info(name).reads(coeffs.space) and not coeffs.relative
    assert coeffs.exp is not None and coeffs.rot is not None and coeffs.id is not None
    assert coeffs.landmarks.shape[1] == 68
    again = extractor.photo(source, fps=30.0)
    assert again.landmarks is None
    np.testing.assert_array_equal(again.exp, coeffs.exp)


@pytest.mark.parametrize("name", offering("render"))
def test_rest_adds_nothing(name, source):
    """A renderer's own coefficients, absolute, draw what no motion at all draws."""
    renderer = prepared(name, source)
    own = renderer.rest_coeffs()
    assert len(own) == 1 and not own.relative
    none = Coeffs(space="pose", fps=25.0, n_frames=1, rot=np.zeros((1, 3), np.float32), relative=frozenset({"rot"}))
    (drawn,), (rest,) = (list(renderer.render(Drive(coeffs=coeffs))) for coeffs in (none, own))
    assert np.abs(drawn.astype(int) - rest).max() <= 1


@pytest.mark.parametrize("name", offering("render"))
def test_render(name, source, tmp_path):
    renderer = prepared(name, source)
    assert max(renderer.size) == (info(name).sizes or (96,))[0]
    rot = np.zeros((4, 3), np.float32)
    rot[:, 1] = [0, 0.05, 0.1, 0.15]
    coeffs = Coeffs(space="pose", fps=25.0, n_frames=4, rot=rot, relative=frozenset({"rot"}))
    frames = list(renderer.render(Drive(coeffs=coeffs)))
    width, height = renderer.size
    assert [(frame.shape, frame.dtype) for frame in frames] == [((height, width, 3), np.uint8)] * 4
    assert not any(np.shares_memory(a, b) for a, b in zip(frames, frames[1:], strict=False))
    assert np.abs(frames[0].astype(int) - frames[3]).mean() > 0.2, "the head does not turn"
    (third,) = renderer.render(Drive(coeffs=coeffs, frame=2))
    assert np.abs(third.astype(int) - frames[2]).max() <= 1, "alone, a frame is not as it is in the film"
    write_coeffs(tmp_path / "c.safetensors", coeffs)
    again = renderer.render(Drive(coeffs=read_coeffs(tmp_path / "c.safetensors")))
    for first, second in zip(frames, again, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", offering("render"))
def test_render_streams(name, source):
    """The first frame comes without the memory of all of them."""
    renderer = prepared(name, source)
    n_frames = 4000
    rot = np.zeros((n_frames, 3), np.float32)
    coeffs = Coeffs(space="pose", fps=25.0, n_frames=n_frames, rot=rot, relative=frozenset({"rot"}))
    frames = renderer.render(Drive(coeffs=coeffs))
    tracemalloc.start()
    first = next(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n_frames * first.nbytes / 5
