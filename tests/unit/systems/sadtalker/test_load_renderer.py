"""Published keys lead to the renderer and the keypoint detector, all of them and strictly."""

import re

import pytest
import torch
from safetensors.torch import save_file

from talkhead.errors import WeightsError
from talkhead.systems.sadtalker.config import KeypointConfig, NetworkConfig, RendererConfig
from talkhead.systems.sadtalker.convert import Checkpoint, config_metadata
from talkhead.systems.sadtalker.load_renderer import load_keypoints, load_renderer, plain_renderer
from talkhead.systems.sadtalker.model_keypoints import KeypointDetector
from talkhead.systems.sadtalker.model_renderer import Renderer

pytestmark = pytest.mark.usefixtures("without_gradients")

CONFIG = NetworkConfig(
    keypoints=KeypointConfig(expansion=4, max_width=8, n_blocks=2, depth=2, n_keypoints=3),
    renderer=RendererConfig(
        expansion=4,
        max_width=16,
        volume_width=4,
        depth=2,
        n_resblocks=1,
        n_keypoints=3,
        motion_expansion=4,
        motion_max_width=8,
        motion_blocks=2,
        compress=2,
        spade_hidden=4,
    ),
)
# Our names -> the published ones; the other direction than load_renderer's, so that both must be right.
PUBLISHED = {
    "generator.": (
        (r"^encoder\.first", "first"),
        (r"^encoder\.downs", "down_blocks"),
        (r"^encoder\.lift", "second"),
        (r"^encoder\.blocks\.", "resblocks_3d.3dr"),
        (r"^motion\.compress\.norm", "dense_motion_network.norm"),
        (r"^motion\.compress\.conv", "dense_motion_network.compress"),
        (r"^motion\.hourglass\.downs", "dense_motion_network.hourglass.encoder.down_blocks"),
        (r"^motion\.hourglass\.ups", "dense_motion_network.hourglass.decoder.up_blocks"),
        (r"^motion\.hourglass\.head", "dense_motion_network.hourglass.decoder"),
        (r"^motion\.", "dense_motion_network."),
        (r"^flatten", "third"),
        (r"^mix", "fourth"),
        (r"^decoder\.stem", "decoder.fc"),
        (r"^decoder\.middle\.", "decoder.G_middle_"),
        (r"^decoder\.ups\.", "decoder.up_"),
        (r"^decoder\.to_rgb", "decoder.conv_img"),
        (r"\.shared\.", ".mlp_shared.0."),
        (r"\.(gamma|beta)\.", r".mlp_\1."),
    ),
    "kp_extractor.": (
        (r"^blur$", "down.weight"),
        (r"^downs\.", "predictor.down_blocks.down"),
        (r"^ups\.", "predictor.up_blocks.up"),
        (r"^lift", "predictor.conv"),
        (r"^logits", "kp"),
    ),
}


def published(network, prefix):
    """Its tensors as a checkpoint names them."""
    named = {}
    for key, value in network.state_dict().items():
        for pattern, name in PUBLISHED[prefix]:
            key = re.sub(pattern, name, key)
        named[prefix + key] = value.clone()
    return named


@pytest.fixture
def saved(tmp_path, lively):
    """`saved(change)` -> a checkpoint of small networks, which `change(tensors)` may alter; and the networks."""

    def save(change=lambda tensors: None):
        renderer, detector = lively(Renderer(CONFIG.renderer)), lively(KeypointDetector(CONFIG.keypoints))
        tensors = published(renderer, "generator.") | published(detector, "kp_extractor.")
        change(tensors)
        save_file(tensors, tmp_path / "tiny.safetensors", config_metadata(CONFIG))
        return Checkpoint.open(tmp_path / "tiny.safetensors"), renderer, detector

    return save


def test_what_is_loaded_draws_and_finds_what_was_saved(saved):
    checkpoint, renderer, detector = saved()
    generator = torch.Generator().manual_seed(0)
    image, keypoints = torch.rand(1, 3, 32, 32, generator=generator), torch.randn(2, 3, 3, generator=generator)
    fast = load_renderer(checkpoint)
    drawn = fast.draw(fast.encode(image, keypoints[:1]), keypoints[1:])
    torch.testing.assert_close(drawn, renderer(image, keypoints[:1], keypoints[1:]), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(load_keypoints(checkpoint)(image), detector(image), atol=1e-5, rtol=1e-4)


def test_nothing_that_is_loaded_asks_for_gradients_or_shares_the_file(saved):
    checkpoint, _, _ = saved()
    fast, detector = load_renderer(checkpoint, dtype=torch.bfloat16), load_keypoints(checkpoint, dtype=torch.bfloat16)
    assert not any(tensor.requires_grad for net in (fast, detector) for tensor in net.state_dict().values())
    assert not fast.training
    assert not detector.training
    assert fast.decoder.stem.weight.dtype == torch.bfloat16
    assert detector.logits.weight.dtype == torch.float32


def test_the_plain_renderer_can_be_trained_on(saved):
    checkpoint, renderer, _ = saved()
    plain = plain_renderer(CONFIG.renderer, checkpoint.part("generator."))
    assert all(weight.requires_grad for weight in plain.parameters())
    for name, tensor in renderer.state_dict().items():
        assert torch.equal(plain.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("generator.decoder.up_1.conv_s.weight_u"), r"lacks decoder\.ups\.1\.conv_s\.weight_u"),
        (lambda t: t.update({"generator.extra.weight": torch.zeros(1)}), r"has besides extra\.weight"),
        (lambda t: t.update({"generator.fourth.bias": torch.zeros(3)}), r"has other shapes for mix\.bias"),
    ],
)
def test_a_renderer_that_does_not_fit_is_refused(saved, change, message):
    checkpoint, _, _ = saved(change)
    with pytest.raises(WeightsError, match=f"the renderer.*{message}"):
        load_renderer(checkpoint)


def test_a_detector_that_does_not_fit_is_refused(saved):
    checkpoint, _, _ = saved(lambda t: t.pop("kp_extractor.down.weight"))
    with pytest.raises(WeightsError, match="the keypoint detector: it lacks blur"):
        load_keypoints(checkpoint)


def test_a_file_without_them_is_refused(tmp_path):
    save_file({"audio2exp.x": torch.zeros(1)}, tmp_path / "other.safetensors")
    checkpoint = Checkpoint.open(tmp_path / "other.safetensors")
    for load in (load_keypoints, load_renderer):
        with pytest.raises(WeightsError, match="not a checkpoint of sadtalker"):
            load(checkpoint)
