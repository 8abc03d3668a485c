"""Checkpoints -> the networks that listen, move and see faces: ExpNet, PoseVAE, mapping net, 3DMM regressor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from talkhead.systems.sadtalker.config import MappingConfig
from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.fold import fold_norms
from talkhead.systems.sadtalker.model_audio import AudioEncoder, ExpNet
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_posevae import PoseDecoder, PoseVAE
from talkhead.systems.sadtalker.model_recon import FaceRegressor
from talkhead.weights.load import fill

Rename = Sequence[tuple[str, str]]
Network = TypeVar("Network", bound=nn.Module)

TRAINING_ONLY = r"audio2pose\.(netG\.encoder|netD_motion)\..+"
"""Keys of a published checkpoint that motion does without."""

_ENCODER: Rename = ((r"^audio_encoder\.(\d+)\.conv_block\.0\.", r"units.\1.conv."),
                    (r"^audio_encoder\.(\d+)\.conv_block\.1\.", r"units.\1.norm."))  # fmt: skip
_EXPNET: Rename = (*((pattern, f"audio_encoder.{to}") for pattern, to in _ENCODER), (r"^mapping1\.", "head."))
_POSE: Rename = (
    (r"resunet\.input_layer\.", "unet.enter."),
    (r"resunet\.input_skip\.0\.", "unet.enter_skip."),
    (r"resunet\.residual_conv_1\.", "unet.down.0."),
    (r"resunet\.residual_conv_2\.", "unet.down.1."),
    (r"resunet\.bridge\.", "unet.down.2."),
    *((rf"resunet\.upsample_{k + 1}\.upsample\.", f"unet.up.{k}.") for k in range(3)),
    *((rf"resunet\.up_residual_conv{k + 1}\.", f"unet.merge.{k}.") for k in range(3)),
    (r"resunet\.output_layer\.0\.", "unet.leave."),
    (r"\.conv_block\.", ".block."),
    (r"\.conv_skip\.", ".skip."),
    (r"MLP\.L0\.", "mlp.0."),
    (r"MLP\.L1\.", "mlp.2."),
    (r"linear_audio\.", "audio_map."),
    (r"pose_linear\.", "pose_map."),
    (r"linear_means\.", "mean."),
    (r"linear_logvar\.", "log_variance."),
    (r"classbias$", "styles"),
)
_POSEVAE: Rename = (
    *((r"^audio_encoder\." + pattern[1:], f"audio_encoder.{to}") for pattern, to in _ENCODER),
    (r"^netG\.", ""),
    (r"^netD_motion\.seq\.3\.", "discriminator.score."),
    (r"^netD_motion\.seq\.", "discriminator.units."),
    *_POSE,
)
_MAPPING: Rename = ((r"^first\.0\.", "first."), (r"^encoder(\d+)\.1\.", r"layers.\1."), (r"^fc_", "heads."))
_RECON: Rename = (
    (r"^backbone\.conv1\.", "stem.conv."),
    (r"^backbone\.bn1\.", "stem.norm."),
    *((rf"^backbone\.layer{k + 1}\.", f"stages.{k}.") for k in range(4)),
    *((rf"\.conv{k + 1}\.", f".steps.{k}.conv.") for k in range(3)),
    *((rf"\.bn{k + 1}\.", f".steps.{k}.norm.") for k in range(3)),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"^final_layers\.", "heads."),
)


def load_expnet(
    checkpoint: Checkpoint, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> ExpNet:
    """ExpNet of a checkpoint, for use only: batch norms are folded.

    Raises:
        WeightsError: the checkpoint does not hold it, or not exactly it.
    """
    config = checkpoint.config.audio
    return _for_use(lambda: ExpNet(config), checkpoint.part("audio2exp."), _EXPNET, "ExpNet", device, dtype)


def load_pose_decoder(
    checkpoint: Checkpoint, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[AudioEncoder, PoseDecoder]:
    """The audio encoder and the decoder of PoseVAE, for use only; its encoder and discriminator are not read.

    Raises:
        WeightsError: the checkpoint does not hold them, or not exactly them.
    """
    audio, pose = checkpoint.config.audio, checkpoint.config.pose
    encoder = _for_use(
        lambda: AudioEncoder(audio),
        checkpoint.part("audio2pose.audio_encoder."), _ENCODER, "PoseVAE's audio encoder", device, dtype,
    )  # fmt: skip
    decoder = _for_use(
        lambda: PoseDecoder(pose, audio.n_embedding),
        checkpoint.part("audio2pose.netG.decoder."), _POSE, "PoseVAE's decoder", device, dtype,
    )  # fmt: skip
    return encoder, decoder


def load_posevae(checkpoint: Checkpoint) -> PoseVAE:
    """All of PoseVAE on the CPU, trainable.

    Raises:
        WeightsError: the checkpoint does not hold it, or not exactly it.
    """
    config = checkpoint.config
    return _filled(lambda: PoseVAE(config.pose, config.audio), checkpoint.part("audio2pose."), _POSEVAE, "PoseVAE")


def load_regressor(
    checkpoint: Checkpoint, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> FaceRegressor:
    """The regressor of 3DMM coefficients, for use only: batch norms are folded.

    Raises:
        WeightsError: the checkpoint does not hold it, or not exactly it.
    """
    config = checkpoint.config.recon
    tensors = checkpoint.part("face_3drecon.")
    return _for_use(lambda: FaceRegressor(config), tensors, _RECON, "the 3DMM regressor", device, dtype)


def load_mapping(
    source: Checkpoint | Path,
    n_in: int,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    config: MappingConfig | None = None,
) -> MappingNet:
    """The mapping net, for use only.

    Args:
        source: safetensors file of the network alone. n_in: 70, or 73 for `full` and `extfull`. config: its sizes,
            where the file does not say.
    Raises:
        WeightsError: the file does not hold it, or not exactly it (that of the other `n_in`, say).
    """
    checkpoint = source if isinstance(source, Checkpoint) else Checkpoint.open(source)
    sizes = config or checkpoint.config.mapping
    name = f"the mapping net of {n_in} values"
    return _for_use(lambda: MappingNet(sizes, n_in), checkpoint.part(""), _MAPPING, name, device, dtype)


def _filled(make: Callable[[], Network], tensors: Mapping[str, Tensor], rename: Rename, name: str) -> Network:
    # Made without storage, so that no time goes into random numbers that are overwritten.
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    fill(network, tensors, rename=rename, name=name)
    return network


def _for_use(
    make: Callable[[], Network],
    tensors: Mapping[str, Tensor],
    rename: Rename,
    name: str,
    device: str | torch.device,
    dtype: torch.dtype,
) -> Network:
    network = fold_norms(_filled(make, tensors, rename, name).eval())
    return network.requires_grad_(False).to(device, dtype)
