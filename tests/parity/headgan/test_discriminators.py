"""HeadGAN's discriminators against recorded output of the published code, with stand-in weights."""

from __future__ import annotations

import pytest
import torch

from talkhead.systems.headgan.convert import discriminator_keys, renamed
from talkhead.systems.headgan.model_discriminators import Discriminator, MouthDiscriminator


def filled(network, tensors):
    network.load_state_dict(renamed(tensors, discriminator_keys(), name="a discriminator"))
    return network.eval()


@pytest.mark.parametrize(
    ("short", "record", "n_parameters"),
    [
        ("D", "discriminator", 5_537_410),
        ("Dm", "mouth_discriminator", 6_145_666),
        ("Dmn", "mouth_discriminator_noaudio", 5_531_266),
    ],
)
def test_maps_and_scores(stand_in, golden, assert_close, short, record, n_parameters):
    recorded = golden("discriminators")
    pncc = torch.from_numpy(recorded["pncc_u8"]).permute(0, 3, 1, 2).float() / 255
    image, mouth = (
        (torch.from_numpy(recorded[name]).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        for name in ("image_u8", "mouth_u8")
    )
    if short == "D":
        network = filled(Discriminator(), stand_in(record))
        maps = network.judge(pncc, image)
    else:
        audio = torch.from_numpy(recorded["audio"]) if short == "Dm" else None
        network = filled(MouthDiscriminator(0 if audio is None else 300), stand_in(record))
        maps = network.judge(mouth, audio)
    assert sum(value.numel() for value in network.parameters()) == n_parameters

    assert len(maps) == 2 and all(len(scale) == 5 for scale in maps)
    for s, scale in enumerate(maps):
        for k, found in enumerate(scale[:-1]):
            height = found.shape[2]
            step = 4 if height > 40 else 2 if height > 20 else 1
            sampled = found[:, :: found.shape[1] // 16, ::step, ::step]
            assert_close(sampled, recorded[f"{short}.scale{s}.map{k}_s"], 1e-4, 1e-5)
        assert_close(scale[-1], recorded[f"{short}.scale{s}.score"], 1e-4, 1e-5)
