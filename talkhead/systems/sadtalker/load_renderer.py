"""Checkpoints -> keypoint detector and renderer, ready for use."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from talkhead.systems.sadtalker.config import KeypointConfig, RendererConfig
from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.kernels import use_kernels
from talkhead.systems.sadtalker.model_keypoints import KeypointDetector
from talkhead.systems.sadtalker.model_renderer import Renderer
from talkhead.systems.sadtalker.model_renderer_fast import FastRenderer, fold
from talkhead.weights.load import fill

_KEYPOINTS = (
    (r"^down\.weight$", "blur"),
    (r"^predictor\.down_blocks\.down(\d+)\.", r"downs.\1."),
    (r"^predictor\.conv\.", "lift."),
    (r"^predictor\.up_blocks\.up(\d+)\.", r"ups.\1."),
    (r"^kp\.", "logits."),
)
_RENDERER = (
    (r"^(first)\.", r"encoder.\1."),
    (r"^down_blocks\.(\d+)\.", r"encoder.downs.\1."),
    (r"^second\.", "encoder.lift."),
    (r"^resblocks_3d\.3dr(\d+)\.", r"encoder.blocks.\1."),
    (r"^dense_motion_network\.compress\.", "motion.compress.conv."),
    (r"^dense_motion_network\.norm\.", "motion.compress.norm."),
    (r"^dense_motion_network\.hourglass\.encoder\.down_blocks\.", "motion.hourglass.downs."),
    (r"^dense_motion_network\.hourglass\.decoder\.up_blocks\.", "motion.hourglass.ups."),
    (r"^dense_motion_network\.hourglass\.decoder\.", "motion.hourglass.head."),
    (r"^dense_motion_network\.(mask|occlusion)\.", r"motion.\1."),
    (r"^third\.", "flatten."),
    (r"^fourth\.", "mix."),
    (r"^decoder\.fc\.", "decoder.stem."),
    (r"^decoder\.G_middle_(\d+)\.", r"decoder.middle.\1."),
    (r"^decoder\.up_(\d+)\.", r"decoder.ups.\1."),
    (r"^decoder\.conv_img\.", "decoder.to_rgb."),
    (r"\.mlp_shared\.0\.", ".shared."),
    (r"\.mlp_(gamma|beta)\.", r".\1."),
)


def load_keypoints(
    checkpoint: Checkpoint, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> KeypointDetector:
    """The keypoint detector of a checkpoint, for use only.

    It runs once per source and its answer places every frame, so half precision is taken as float32.

    Raises:
        WeightsError: the checkpoint does not hold it, or not exactly it.
    """
    network = plain_keypoints(checkpoint.config.keypoints, checkpoint.part("kp_extractor.")).eval()
    return use_kernels(network).requires_grad_(False).to(device, torch.promote_types(dtype, torch.float32))


def load_renderer(
    checkpoint: Checkpoint, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> FastRenderer:
    """The renderer of a checkpoint, for use only: folded, and laid out for the device.

    Raises:
        WeightsError: the checkpoint does not hold it, or not exactly it.
    """
    return fold(plain_renderer(checkpoint.config.renderer, checkpoint.part("generator.")), device, dtype)


def plain_keypoints(config: KeypointConfig, tensors: Mapping[str, Tensor]) -> KeypointDetector:
    """The detector as it is trained, which shares memory with published tensors (their prefix taken off).

    Raises:
        WeightsError: keys that are missing, not known, or of another shape.
    """
    with torch.device("meta"):
        network = KeypointDetector(config)
    fill(network, tensors, rename=_KEYPOINTS, name="the keypoint detector")
    return network


def plain_renderer(config: RendererConfig, tensors: Mapping[str, Tensor]) -> Renderer:
    """The renderer as it is trained, which shares memory with published tensors (their prefix taken off).

    Raises:
        WeightsError: keys that are missing, not known, or of another shape.
    """
    with torch.device("meta"):
        network = Renderer(config)
    fill(network, tensors, rename=_RENDERER, name="the renderer")
    return network
