"""Builds the stages of meshwarp; `device` is accepted everywhere and always means the CPU here."""

from __future__ import annotations

from typing import Any, cast

from talkhead.protocols import AudioToCoeffs, AudioToPose, Extractor, RendererFactory, Source
from talkhead.systems.meshwarp.config import Framing, RenderConfig

# What SadTalker's word for framing means here: the networks' squares have no place in a picture that is whole anyway.
_FRAMING_OF: dict[str, Framing] = {
    "crop": "crop", "extcrop": "crop", "resize": "full", "full": "full", "extfull": "full",
}  # fmt: skip


def build_extract(device: str = "auto", **_: Any) -> Extractor:
    """Pixels -> coefficients of the built-in face model."""
    from talkhead.systems.meshwarp.extract import MeshwarpExtractor

    return MeshwarpExtractor()


def build_render(device: str = "auto", **_: Any) -> RendererFactory:
    """A factory that prepares photos for rendering; options are the fields of `RenderConfig`, and `preprocess`."""
    from talkhead.systems.meshwarp.render import MeshwarpRenderer

    def prepare(source: Source, *, preprocess: str | None = None, **options: Any) -> MeshwarpRenderer:
        if preprocess is not None:
            options["framing"] = _FRAMING_OF[preprocess]
        return MeshwarpRenderer(source, RenderConfig(**options))

    return prepare


def build_audio2coeff(device: str = "auto", **_: Any) -> AudioToCoeffs:
    """Speech -> relative expression and eyelid tracks in the meshwarp space."""
    from talkhead.systems.meshwarp.audio2coeff import audio2coeff

    return cast(AudioToCoeffs, audio2coeff)


def build_pose(device: str = "auto", **_: Any) -> AudioToPose:
    """Speech -> relative head motion."""
    from talkhead.systems.meshwarp.pose import pose

    return cast(AudioToPose, pose)
