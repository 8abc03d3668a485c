"""Which weights are taken, and which way of hearing goes with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from talkhead.audio.characters import others
from talkhead.audio.framing import SAMPLE_RATE
from talkhead.errors import UsageError, WeightsError
from talkhead.systems.headgan import features
from talkhead.systems.headgan.config import NetworkConfig
from talkhead.systems.headgan.convert import checkpoint_metadata, read_config, to_published
from talkhead.systems.headgan.features import FEATURE, feature_name
from talkhead.systems.headgan.model import Generator
from talkhead.systems.headgan.run import PUBLISHED, build_listen, build_render

CONFIG = NetworkConfig(width_mult=1 / 32, spade_hidden=4, flow_mask=True)


class Shelf:
    """A door to weights of which some are here."""

    def __init__(self, **files):
        self.files, self.asked = files, []

    def __call__(self, name):
        self.asked.append(name)
        return self.files[name]

    def has(self, name):
        return name in self.files


class Tone:
    """0.4 s of a tone."""

    sample_rate = SAMPLE_RATE

    def blocks(self, seconds=1.0):
        yield np.sin(0.1 * np.arange(int(0.4 * SAMPLE_RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A checkpoint of ours, of pictures of 48 pixels."""
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    torch.manual_seed(0)
    save_file(Generator(CONFIG).state_dict(), path, metadata=checkpoint_metadata(CONFIG, 48))
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "published.safetensors"
    save_file(to_published(Generator(CONFIG).state_dict(), CONFIG), path)
    return path


@pytest.fixture(scope="module")
def source(example_face):
    from PIL import Image

    from talkhead.face.mesh import choose_face
    from talkhead.protocols import Source

    with Image.open(example_face) as photo:
        image = np.asarray(photo.convert("RGB").resize((192, 192)))
    return Source(image=image, landmarks=choose_face(image, name="face"), name="face")


def prepared(source, weights, checkpoint=None, **options):
    return build_render(weights, "cpu", "float32", checkpoint)(source, **options)


def test_a_checkpoint_of_ones_own_draws_at_its_side(source, own):
    renderer = prepared(source, Shelf(), own)
    assert (renderer.size, renderer.hears) == ((48, 48), (FEATURE,))


@pytest.mark.parametrize("word", ["warp", "pncc"])
def test_stand_ins_need_nothing(source, word):
    shelf = Shelf()
    renderer = prepared(source, shelf, word, framing="full")
    assert (renderer.size, renderer.hears, shelf.asked) == ((192, 192), (), [])


def test_published_weights_are_taken_where_they_are_here(source, published):
    for files in ({PUBLISHED[0]: published, PUBLISHED[1]: "other"}, {PUBLISHED[1]: published}):
        shelf = Shelf(**files)
        assert prepared(source, shelf).size == (256, 256)
        assert shelf.asked == [next(iter(files))]


def test_no_weights(source, tmp_path):
    with pytest.raises(WeightsError, match="no weights here") as failure:
        prepared(source, Shelf())
    assert "--checkpoint warp" in str(failure.value.hint)
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match=f"no weights at {path}"):
            prepared(source, Shelf(), path)


def test_letters_are_told_as_in_training(own, tmp_path, monkeypatch):
    def told(speech, *, fps, n_frames):
        rows = others(n_frames)
        rows[:, [3, 26]] = 1, 0
        return rows

    monkeypatch.setitem(features._PROVIDERS, "recognised", told)
    assert read_config(own) == CONFIG
    config = dataclasses.replace(CONFIG, letters="recognised")
    path = tmp_path / "reads.safetensors"
    save_file(Generator(config).state_dict(), path, checkpoint_metadata(config, 48))
    name = feature_name("recognised")
    for listen in (build_listen("cpu", how="recognised"), build_listen("cpu", checkpoint=path)):
        heard = listen(Tone(), fps=25.0, n_frames=4)
        assert list(heard) == [name] and heard[name][2, 84:].reshape(8, 27).argmax(1).tolist() == [3] * 8
    with pytest.raises(UsageError, match="'guessed'"):
        build_listen("cpu", how="guessed")


def test_published_networks_hear_the_published_way(own, published):
    """And all others ours: a stand-in, a file of one's own, or the tool that prepares training sets."""
    ours = build_listen("cpu")(Tone(), fps=25.0, n_frames=10)[FEATURE]
    for words in ({"checkpoint": own}, {"checkpoint": str(own), "weights": Shelf()}, {"checkpoint": "warp"}):
        np.testing.assert_array_equal(build_listen("cpu", **words)(Tone(), fps=25.0, n_frames=10)[FEATURE], ours)
    for words in ({"checkpoint": published}, {"weights": Shelf(**{PUBLISHED[0]: published})}):
        theirs = build_listen("cpu", **words)(Tone(), fps=25.0, n_frames=10)[FEATURE]
        assert theirs.shape == ours.shape == (10, 300)
        assert np.abs(theirs - ours).max() > 1e-3
