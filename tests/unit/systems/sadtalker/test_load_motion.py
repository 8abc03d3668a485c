"""Checkpoints of small networks under published names; the published sizes are tests/parity's."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from talkhead.errors import WeightsError
from talkhead.systems.sadtalker import load_motion
from talkhead.systems.sadtalker.config import AudioConfig, MappingConfig, NetworkConfig, PoseConfig, ReconConfig
from talkhead.systems.sadtalker.convert import Checkpoint, config_metadata
from talkhead.systems.sadtalker.load_motion import (
    load_expnet,
    load_mapping,
    load_pose_decoder,
    load_posevae,
    load_regressor,
)
from talkhead.systems.sadtalker.model_audio import ExpNet
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_posevae import PoseVAE
from talkhead.systems.sadtalker.model_recon import FaceRegressor, split_coeffs

CONFIG = NetworkConfig(
    audio=AudioConfig(width=2),
    pose=PoseConfig(hidden=8, width=2),
    mapping=MappingConfig(n_descriptor=8),
    recon=ReconConfig(width=4),
)
PARTS = {
    "audio2exp": (lambda: ExpNet(CONFIG.audio), load_motion._EXPNET),
    "audio2pose": (lambda: PoseVAE(CONFIG.pose, CONFIG.audio), load_motion._POSEVAE),
    "face_recon": (lambda: FaceRegressor(CONFIG.recon), load_motion._RECON),
    "mapping_crop": (lambda: MappingNet(CONFIG.mapping, 70), load_motion._MAPPING),
}


def stirred(module):
    """The same network with batch norms that do something."""
    for norm in module.modules():
        if isinstance(norm, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            for values in (norm.running_mean, norm.bias):
                values.data.normal_(0, 0.1)
            for values in (norm.running_var, norm.weight):
                values.data.uniform_(0.5, 1.5)
    return module.eval()


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {name: stirred(make()) for name, (make, _) in PARTS.items()}


@pytest.fixture(scope="module")
def tensors(networks, repo):
    """All tensors by published key, prefixes included; those of the mapping net without."""
    records = json.loads((repo / "tests" / "golden" / "sadtalker" / "state_dicts.json").read_text())["networks"]
    found = {}
    for name, (_, rename) in PARTS.items():
        state = networks[name].state_dict()
        for published, *_ in records[name]["entries"]:
            key = published[len(records[name]["prefix"]) :]
            for pattern, replacement in rename:
                key = re.sub(pattern, replacement, key)
            found[published] = state.pop(key)
        assert not state, f"{name} has tensors of which no published key speaks"
    return found


def written(tensors, path, keep=lambda key: True):
    save_file({k: v.clone() for k, v in tensors.items() if keep(k)}, path, metadata=config_metadata(CONFIG))
    return Checkpoint.open(path)


def is_mapping(key):
    return key.startswith(("first.", "encoder", "fc_"))


@pytest.fixture(scope="module")
def checkpoint(tensors, tmp_path_factory):
    return written(tensors, tmp_path_factory.mktemp("weights") / "all.safetensors", lambda key: not is_mapping(key))


@pytest.fixture(scope="module")
def mapping_file(tensors, tmp_path_factory):
    return written(tensors, tmp_path_factory.mktemp("weights") / "mapping.safetensors", is_mapping).path


def test_loaded_networks_answer_as_before(checkpoint, mapping_file, networks):
    generator = torch.Generator().manual_seed(0)
    state = torch.get_rng_state()
    windows = torch.randn(3, 1, 80, 16, generator=generator)
    face, blink = torch.randn(3, 64, generator=generator), torch.rand(3, 1, generator=generator)
    with torch.no_grad():
        expected = networks["audio2exp"](windows, face, blink)
        torch.testing.assert_close(load_expnet(checkpoint)(windows, face, blink), expected, atol=1e-5, rtol=1e-5)
        encoder, decoder = load_pose_decoder(checkpoint)
        vae = networks["audio2pose"]
        torch.testing.assert_close(encoder(windows), vae.audio_encoder(windows), atol=1e-5, rtol=1e-5)
        given = (face[:, :6], face, torch.tensor([0, 7, 45]), torch.randn(3, 32, 6, generator=generator))
        torch.testing.assert_close(decoder(*given), vae.decoder(*given), atol=1e-5, rtol=1e-5)
        image = torch.rand(1, 3, 224, 224, generator=generator)
        coeffs = networks["face_recon"](image)
        torch.testing.assert_close(load_regressor(checkpoint)(image), coeffs, atol=1e-4, rtol=1e-5)
        rows = torch.randn(2, 70, 27, generator=generator)
        for mapping in (load_mapping(mapping_file, 70), load_mapping(Checkpoint.open(mapping_file), 70)):
            torch.testing.assert_close(mapping(rows).exp, networks["mapping_crop"](rows).exp)
    assert torch.equal(state, torch.get_rng_state()), "loading has drawn random numbers"


def test_loaded_for_use_or_for_training(checkpoint):
    net = load_expnet(checkpoint, dtype=torch.bfloat16)
    assert not net.training and {p.dtype for p in net.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in net.parameters())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
    whole = load_posevae(checkpoint)
    assert whole.training and all(p.requires_grad for p in whole.parameters())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in whole.modules())


def test_a_checkpoint_must_fit_exactly(tensors, checkpoint, mapping_file, tmp_path):
    left_out = "audio2exp.mapping1.bias"
    lacking = written(tensors, tmp_path / "lacking.safetensors", lambda key: key != left_out and not is_mapping(key))
    with pytest.raises(WeightsError, match=r"does not fit ExpNet: it lacks head\.bias$"):
        load_expnet(lacking)
    besides = {**tensors, "face_3drecon.final_layers.7.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"does not fit the 3DMM regressor: it has besides heads\.7\.weight$"):
        load_regressor(written(besides, tmp_path / "besides.safetensors"))
    key = "audio2pose.netG.decoder.classbias"
    narrow = {**tensors, key: tensors[key][:45]}
    with pytest.raises(WeightsError, match=r"does not fit PoseVAE's decoder: it has other shapes for styles$"):
        load_pose_decoder(written(narrow, tmp_path / "narrow.safetensors"))
    with pytest.raises(WeightsError, match=r"the mapping net of 73 values: it has other shapes for first\.weight$"):
        load_mapping(mapping_file, 73)
    with pytest.raises(WeightsError, match="holds no audio2exp"):
        load_expnet(Checkpoint.open(mapping_file))
    with pytest.raises(WeightsError, match="does not fit the mapping net of 70 values: it lacks"):
        load_mapping(checkpoint, 70)


def test_coefficients_have_names():
    coeffs = torch.arange(257.0)[None]
    parts = split_coeffs(coeffs)
    widths = {name: getattr(parts, name).shape[1] for name in ("id", "exp", "tex", "angles", "gamma", "trans")}
    assert widths == {"id": 80, "exp": 64, "tex": 80, "angles": 3, "gamma": 27, "trans": 3}
    assert parts.exp[0, 0] == 80 and parts.angles[0, 0] == 224 and parts.trans[0].tolist() == [254, 255, 256]
