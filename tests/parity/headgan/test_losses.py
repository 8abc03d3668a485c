"""HeadGAN's loss terms against those of the published code, with stand-in weights; every term already weighted."""

from __future__ import annotations

import pytest
import torch

from talkhead.nn.perceptual import PerceptualConfig, PerceptualLoss
from talkhead.systems.headgan import train
from talkhead.systems.headgan.config import RELEASE_TRAINING
from talkhead.systems.headgan.convert import discriminator_keys, renamed
from talkhead.systems.headgan.model import Drawn
from talkhead.systems.headgan.model_discriminators import Discriminator, MouthDiscriminator, mouths_of

RELATIVE = 1e-4


@pytest.fixture(scope="module")
def vgg(stand_in):
    return PerceptualLoss.published(stand_in("vgg19"), PerceptualConfig(imagenet=False))


@pytest.fixture(scope="module")
def batch(golden):
    """What the networks were shown, and what they "drew": real pictures mixed with their mirror images."""
    recorded = golden("losses")
    pncc = torch.from_numpy(recorded["pncc_u8"]).permute(0, 3, 1, 2).float() / 255
    real = (torch.from_numpy(recorded["real_u8"]).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    mirrored = real.flip(3)
    mask = torch.from_numpy(recorded["mask_8x8"]).repeat_interleave(32, 2).repeat_interleave(32, 3)
    shown = train.Shown(
        stack=torch.cat((torch.zeros_like(pncc), torch.zeros_like(pncc), pncc), 1),
        reference_pncc=pncc,
        reference=real,
        target=real,
        audio=torch.from_numpy(recorded["audio"]),
        mouth_centre=torch.from_numpy(recorded["mouth_centres"]),
        mask=torch.from_numpy(recorded["union_u8"]).float(),
    )
    drawn = Drawn(0.75 * mirrored + 0.125, 0.5 * (real + mirrored), torch.zeros(2, 2, 256, 256), mask)
    return drawn, shown


@pytest.fixture(scope="module")
def training(stand_in, vgg):
    """The release's settings, its discriminators filled and in eval mode, as they were recorded."""
    made = object.__new__(train.HeadGanTraining)  # without a generator of 52 million parameters that nobody asks
    made.config = RELEASE_TRAINING
    made._vgg = vgg
    made.discriminator = Discriminator()
    made.mouth_discriminator = MouthDiscriminator(300)
    for network, record in ((made.discriminator, "discriminator"), (made.mouth_discriminator, "mouth_discriminator")):
        network.load_state_dict(renamed(stand_in(record), discriminator_keys(), name=record))
        network.eval()
    return made


def test_generator_terms(training, batch, golden, assert_close):
    drawn, shown = batch
    recorded, weights = golden("losses"), RELEASE_TRAINING.losses
    step = training.generator_step(drawn, shown)
    wanted = {
        "gan": ("G_GAN", weights.gan),
        "gan_mouth": ("Gm_GAN", weights.gan_mouth),
        "fm": ("G_GAN_Feat", weights.fm),
        "fm_mouth": ("Gm_GAN_Feat", weights.fm),
        "l1": ("G_MaskedL1", weights.l1),
        "l1_warped": ("G_MaskedL1_w", weights.l1_warped),
        "vgg": ("G_VGG", weights.vgg),
        "vgg_warped": ("G_VGG_w", weights.vgg_warped),
        "mask": ("G_L1_mask", weights.mask),
    }
    assert step.losses.keys() == wanted.keys()
    for name, (theirs, weight) in wanted.items():
        assert_close(step.losses[name] * weight / recorded[theirs][0], 1.0, RELATIVE)
    assert_close(step.total / recorded["loss_G"][0], 1.0, RELATIVE)


def test_discriminator_terms(training, batch, golden, assert_close):
    drawn, shown = batch
    recorded = golden("losses")
    step = training.discriminator_step(drawn.image, shown)
    names = {"d_real": "D_real", "d_made": "D_generated", "d_mouth_real": "Dm_real", "d_mouth_made": "Dm_generated"}
    assert step.losses.keys() == names.keys()
    for name, theirs in names.items():
        assert_close(step.losses[name] / recorded[theirs][0], 1.0, RELATIVE)
    assert_close(step.total / recorded["loss_D"][0], 1.0, RELATIVE)


def test_plain_l1(batch, golden, assert_close):
    drawn, shown = batch
    assert_close((drawn.image - shown.target).abs().mean() / golden("losses")["plain_l1"][0], 1.0, RELATIVE)


def test_mouths(batch, golden, assert_close):
    _, shown = batch
    mouths = mouths_of(shown.target, shown.mouth_centre, RELEASE_TRAINING.mouth_side)
    assert_close(mouths[..., ::4, ::4], golden("losses")["mouth_real_s"], 1e-6)


def test_perceptual_layers(vgg, batch, golden, assert_close):
    drawn, shown = batch
    recorded = golden("losses")
    made, real = vgg.maps(drawn.image), vgg.maps(shown.target)
    # Of the real pictures, whatever the recording's notes say of it.
    assert_close(real[4][:, ::32, ::4, ::4], recorded["vgg_relu5_s"], 3e-5, 3e-6)
    for found, theirs in zip(vgg.distance(made, real), recorded["vgg_l1_per_layer"], strict=True):
        assert_close(found / theirs, 1.0, RELATIVE)
