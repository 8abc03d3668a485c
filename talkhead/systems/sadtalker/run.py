"""Builds the stages of SadTalker: which files and networks each of them needs, on which device.

What makes and measures motion computes in float32 whatever is asked for: it is a hundredth of the work, and its numbers
place every keypoint. `dtype` is the number format of the networks that draw.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from talkhead.device import resolve_device, resolve_dtype
from talkhead.protocols import AudioToCoeffs, AudioToPose, Extractor, RendererFactory, Source, Weights
from talkhead.systems.sadtalker.config import ANGLES, RENDER_SIZES, Preprocess, RenderOptions
from talkhead.systems.sadtalker.convert import Checkpoint

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import torch

    from talkhead.systems.sadtalker.model_mapping import MappingNet
    from talkhead.systems.sadtalker.render import SadTalkerRenderer

_PREPROCESS_OF: dict[str, Preprocess] = {"crop": "crop", "full": "full"}  # of the framings every system knows
_N_IN, _N_IN_FULL = 70, 73  # values of a coefficient row that the two mapping nets read


def build_extract(weights: Weights, device: str = "auto", dtype: str = "auto") -> Extractor:
    """Pixels -> coefficients of space `bfm`.

    Raises:
        WeightsError: they are not here and cannot be had.
    """
    from talkhead.systems.sadtalker.extract import BfmExtractor
    from talkhead.systems.sadtalker.load_motion import load_regressor

    place = _place(device, dtype)
    return BfmExtractor(load_regressor(_any_checkpoint(weights), place), place)


def build_audio2coeff(weights: Weights, device: str = "auto", dtype: str = "auto") -> AudioToCoeffs:
    """Speech -> expression by ExpNet.

    Raises:
        WeightsError: they are not here and cannot be had.
    """
    import torch

    from talkhead.systems.sadtalker.load_motion import load_expnet
    from talkhead.systems.sadtalker.motion import SadTalkerExpression

    place = _place(device, dtype)
    stage = SadTalkerExpression(load_expnet(_any_checkpoint(weights), place), place, torch.float32)
    return cast(AudioToCoeffs, stage)


def build_pose(weights: Weights, device: str = "auto", dtype: str = "auto") -> AudioToPose:
    """Speech -> head motion by PoseVAE.

    Raises:
        WeightsError: they are not here and cannot be had.
    """
    import torch

    from talkhead.systems.sadtalker.load_motion import load_pose_decoder
    from talkhead.systems.sadtalker.motion import SadTalkerPose

    place = _place(device, dtype)
    encoder, decoder = load_pose_decoder(_any_checkpoint(weights), place)
    return cast(AudioToPose, SadTalkerPose(encoder, decoder, place, torch.float32))


def build_render(weights: Weights, device: str = "auto", dtype: str = "auto") -> RendererFactory:
    """A factory that prepares photos for rendering; options are the fields of `RenderOptions`, and `framing`."""
    place, number = _resolved(device, dtype)

    def prepare(source: Source, *, framing: str | None = None, **words: Any) -> SadTalkerRenderer:
        if framing is not None:
            words.setdefault("preprocess", _PREPROCESS_OF[framing])
        options = RenderOptions(**words)
        if "blend" in words and not options.is_pasted:
            log.warning("--blend changes nothing: with %s nothing is pasted back into the photo", options.mode)
        return _renderer(source, options, weights, place, number)

    return prepare


def _renderer(
    source: Source, options: RenderOptions, weights: Weights, device: str, dtype: torch.dtype
) -> SadTalkerRenderer:
    from talkhead.systems.sadtalker.load_motion import load_regressor
    from talkhead.systems.sadtalker.load_renderer import load_keypoints, load_renderer
    from talkhead.systems.sadtalker.photo import prepare
    from talkhead.systems.sadtalker.render import DrawingNetworks, SadTalkerRenderer, angle_track

    for name in ANGLES:  # before any work
        angle_track(getattr(options, name), 1, name)
    checkpoint = Checkpoint.open(weights(_name(options.side)))
    photo = prepare(source, options, load_regressor(checkpoint, device), device=device)
    networks = DrawingNetworks(
        keypoints=load_keypoints(checkpoint, device, dtype),
        mapping=_mapping(options, weights, device, checkpoint),
        renderer=load_renderer(checkpoint, device, dtype),
    )
    return SadTalkerRenderer(source.image, photo, networks, options, device)


def _mapping(options: RenderOptions, weights: Weights, device: str, checkpoint: Checkpoint) -> MappingNet:
    """The mapping net of the mode; in float32, since it is small and places every keypoint."""
    from talkhead.systems.sadtalker.load_motion import load_mapping

    # The published code chooses by the word `full` in the mode's name.
    kind, n_in = ("full", _N_IN_FULL) if options.is_pasted else ("crop", _N_IN)
    return load_mapping(weights(f"sadtalker-mapping-{kind}"), n_in, device, config=checkpoint.config.mapping)


def _any_checkpoint(weights: Weights) -> Checkpoint:
    """One of the two published files, which differ in the renderer only; the one that is here, if one is."""
    names = [_name(side) for side in RENDER_SIZES]
    return Checkpoint.open(weights(next((name for name in names if weights.has(name)), names[0])))


def _name(side: int) -> str:
    return f"sadtalker-{side}"


def _place(device: str, dtype: str) -> str:
    """The device; the number format is only checked."""
    return _resolved(device, dtype)[0]


def _resolved(device: str, dtype: str) -> tuple[str, torch.dtype]:
    import torch

    place = resolve_device(device)
    number: torch.dtype = getattr(torch, resolve_dtype(dtype, place))
    return place, number
