"""Stand-in weights: files of the published layout with deterministic random numbers (tests/recipe.py).

They prove that everything runs, and how fast; what they draw means nothing. With `--tiny` the networks are small.

    python scripts/stand_in_weights.py -o stand-in
    export TALKHEAD_WEIGHTS_MANIFEST=$PWD/stand-in/weights_manifest.yaml TALKHEAD_CACHE=$PWD/stand-in/cache
    talkhead weights import stand-in/files
    talkhead animate FACE AUDIO --system sadtalker -o out.mp4
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from talkhead.systems.headgan import config as headgan_config
from talkhead.systems.headgan.convert import generator_keys
from talkhead.systems.headgan.model import Generator
from talkhead.systems.sadtalker import load_motion, load_renderer
from talkhead.systems.sadtalker.config import (
    AudioConfig,
    KeypointConfig,
    MappingConfig,
    NetworkConfig,
    PoseConfig,
    ReconConfig,
    RendererConfig,
)
from talkhead.systems.sadtalker.convert import config_metadata
from talkhead.systems.sadtalker.model_audio import ExpNet
from talkhead.systems.sadtalker.model_keypoints import KeypointDetector
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_posevae import PoseVAE
from talkhead.systems.sadtalker.model_recon import FaceRegressor
from talkhead.systems.sadtalker.model_renderer import Renderer
from talkhead.weights.manifest import manifest_path
from tests.recipe import build_network

REPO = Path(__file__).resolve().parents[1]
RECORDS = REPO / "tests" / "golden" / "sadtalker" / "state_dicts.json"
HEADGAN_RECORDS = REPO / "tests" / "golden" / "headgan" / "state_dicts.json"
MANIFEST = "weights_manifest.yaml"
CHECKPOINTS = ("SadTalker_V0.0.2_256.safetensors", "SadTalker_V0.0.2_512.safetensors")
ARCHIVES = {"mapping_00109-model.pth.tar": "mapping_full", "mapping_00229-model.pth.tar": "mapping_crop"}

TINY = NetworkConfig(
    audio=AudioConfig(width=4),
    pose=PoseConfig(width=4, hidden=16),
    mapping=MappingConfig(n_descriptor=32, n_keypoints=4),
    recon=ReconConfig(width=8, blocks=(1, 1, 1, 1)),
    keypoints=KeypointConfig(expansion=4, max_width=32, depth=4, n_keypoints=4),
    renderer=RendererConfig(
        expansion=4,
        max_width=16,
        volume_width=4,
        depth=4,
        n_resblocks=2,
        n_keypoints=4,
        motion_expansion=4,
        motion_max_width=32,
        compress=2,
        spade_hidden=8,
    ),
)
TINY_HEADGAN = dataclasses.replace(headgan_config.RELEASE, width_mult=1 / 16, spade_hidden=8)
# File -> record of the published names, and whether that network hears.
HEADGAN_FILES = {
    "latest_net_G.pth": ("generator", True),
    "latest_net_G_noaudio.pth": ("generator_noaudio", False),
}

Rename = Sequence[tuple[str, str]]
# Record of the published names -> how our loader renames them, and the network in other sizes.
NETWORKS: Mapping[str, tuple[Rename, Callable[[NetworkConfig], nn.Module]]] = {
    "audio2exp": (load_motion._EXPNET, lambda c: ExpNet(c.audio)),
    "audio2pose": (load_motion._POSEVAE, lambda c: PoseVAE(c.pose, c.audio)),
    "face_recon": (load_motion._RECON, lambda c: FaceRegressor(c.recon)),
    "kp_detector": (load_renderer._KEYPOINTS, lambda c: KeypointDetector(c.keypoints)),
    "generator_256": (load_renderer._RENDERER, lambda c: Renderer(c.renderer)),
    "mapping_crop": (load_motion._MAPPING, lambda c: MappingNet(c.mapping, 70)),
    "mapping_full": (load_motion._MAPPING, lambda c: MappingNet(c.mapping, 73)),
}


def tensors_of(network: str, config: NetworkConfig | None = None, salt: str = "") -> dict[str, Tensor]:
    """Stand-in tensors of one network by published key.

    Args:
        network: a record of the recorded key lists. config: other sizes than the published ones. salt: another draw.
    """
    record = json.loads(RECORDS.read_text())["networks"][network]
    if config is not None:
        record = dict(record, entries=_resized(record["entries"], record["prefix"], network, config))
    return {key: torch.from_numpy(value.copy()) for key, value in build_network(record, salt).items()}


def headgan_tensors(record: str, config: headgan_config.NetworkConfig | None = None) -> dict[str, Tensor]:
    """Stand-in tensors of one of HeadGAN's generators by published key.

    Args:
        record: of the recorded key lists. config: other sizes than the published ones.
    """
    found = json.loads(HEADGAN_RECORDS.read_text())["networks"][record]
    if config is not None:
        with torch.device("meta"):
            shapes = {key: list(value.shape) for key, value in Generator(config).state_dict().items()}
        ours = generator_keys(config)
        found["entries"] = [[key, shapes[ours[key]], dtype, kind] for key, _, dtype, kind in found["entries"]]
    return {key: torch.from_numpy(value.copy()) for key, value in build_network(found).items()}


def _resized(entries: list[list[Any]], prefix: str, network: str, config: NetworkConfig) -> list[list[Any]]:
    """The published entries with the shapes of a network of other sizes; what such a network lacks is left out."""
    rename, make = NETWORKS[network]
    with torch.device("meta"):
        shapes = {key: list(value.shape) for key, value in make(config).state_dict().items()}
    found = []
    for key, _, dtype, kind in entries:
        own = key[len(prefix) :]
        for pattern, replacement in rename:
            own = re.sub(pattern, replacement, own)
        if own in shapes:
            found.append([key, shapes.pop(own), dtype, kind])
    assert not shapes, f"{network}: no published key for {sorted(shapes)[:3]}"
    return found


def write(folder: Path, *, tiny: bool = False) -> Path:
    """Write the files of all learned systems and a manifest that describes them.

    Args:
        folder: where to; `files/` holds the weights. tiny: small networks instead of the published sizes.
    Returns:
        The manifest's path.
    """
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    config = TINY if tiny else None
    parts = ("audio2exp", "audio2pose", "face_recon", "kp_detector", "generator_256")
    whole = {key: value for part in parts for key, value in tensors_of(part, config).items()}
    for name in CHECKPOINTS:
        # The metadata tells two files of equal tensors apart, as their sha256 must.
        save_file(whole, files / name, {"about": name} | (config_metadata(TINY) if tiny else {}))
    for name, network in ARCHIVES.items():
        torch.save({"mapping": tensors_of(network, config), "epoch": 0}, files / name)
    for name, (record, hears) in HEADGAN_FILES.items():
        sizes = dataclasses.replace(TINY_HEADGAN, audio=hears) if tiny else None
        torch.save(headgan_tensors(record, sizes), files / name)
    manifest = yaml.safe_load(manifest_path().read_text())
    manifest["files"] = [
        dict(entry, **_described(file)) for entry in manifest["files"] if (file := files / entry["filename"]).is_file()
    ]
    path = folder / MANIFEST
    path.write_text(yaml.safe_dump(manifest))
    return path


def _described(file: Path) -> dict[str, Any]:
    # Random numbers are nobody's: no consent to the authors' terms is asked for.
    described = {"size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return described | {"commercial": "yes"}


def main() -> None:
    """Write the files and say how to use them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--tiny", action="store_true", help="small networks")
    arguments = parser.parse_args()
    path = write(arguments.output, tiny=arguments.tiny)
    print(f"export TALKHEAD_WEIGHTS_MANIFEST={path.resolve()}")


if __name__ == "__main__":
    main()
