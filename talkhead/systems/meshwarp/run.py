"""Builds the stages of meshwarp; `device` is accepted everywhere and always means the CPU here."""

from __future__ import annotations

from typing import Any, cast

from talkhead.protocols import AudioToCoeffs, AudioToPose, RendererFactory, Source
from talkhead.systems.meshwarp.config import RenderConfig


def build_render(device: str = "auto", **_: Any) -> RendererFactory:
    """A factory that prepares photos for rendering; options are the fields of `RenderConfig`."""
    from talkhead.systems.meshwarp.render import MeshwarpRenderer

    def prepare(source: Source, **options: Any) -> MeshwarpRenderer:
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
