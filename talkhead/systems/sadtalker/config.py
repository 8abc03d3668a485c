"""Sizes of SadTalker's networks (the published ones are the defaults) and the options of its stages.

Zhang et al., "SadTalker", CVPR 2023; sections are those of the paper and its supplement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from talkhead.errors import UsageError

FPS = 25.0  # of every network
N_EXP, N_POSE, N_ALIGN = 64, 6, 3
"""Columns of a coefficient row: expression, then angles and translation, then (mapping net of `full`) the alignment."""

Preprocess = Literal["crop", "extcrop", "resize", "full", "extfull"]
Blend = Literal["feather", "poisson"]
ANGLES = ("yaw", "pitch", "roll")  # that options can set
RENDER_SIZES = (256, 512)  # pixels, of the published renderers


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioConfig:
    """ExpNet, and the audio encoder that PoseVAE has too (section 3.2, B.2).

    Attributes:
        width: channels of the first stage; the embedding has 16 times as many. n_mels, n_steps: size of a mel window.
        n_exp: expression codes in and out.
    """

    width: int = 32
    n_mels: int = 80
    n_steps: int = 16
    n_exp: int = N_EXP

    @property
    def n_embedding(self) -> int:
        """Values of the audio embedding."""
        return 16 * self.width


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig:
    """PoseVAE (section 3.2, B.2).

    Attributes:
        seq_len: frames made at once. n_latent: of the Gaussian. n_styles: persons. n_audio: audio values per frame.
        hidden: of the two-layer MLPs. width: of the first stage of the U-net over time.
    """

    seq_len: int = 32
    n_latent: int = 64
    n_styles: int = 46
    n_audio: int = 6
    n_pose: int = N_POSE
    hidden: int = 128
    width: int = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingConfig:
    """Mapping net from coefficient windows to keypoint motion (section 3.3).

    Attributes:
        n_rows: frames of a window; the paper says 5, the published networks use 27. n_descriptor: channels.
        n_layers: dilated layers. n_bins: of each angle, 3 degrees apart. n_keypoints: as in `RendererConfig`.
    """

    n_rows: int = 27
    n_descriptor: int = 1024
    n_layers: int = 3
    n_bins: int = 66
    n_keypoints: int = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconConfig:
    """The 3DMM regressor, a ResNet with bottlenecks (Deng et al. 2019).

    Attributes:
        width: channels of the stem. blocks: per stage.
    """

    width: int = 64
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeypointConfig:
    """Detector of canonical 3-D keypoints (Wang et al. 2021, "face-vid2vid").

    Attributes:
        expansion, max_width: first and largest number of channels. n_blocks: down and up. depth: of the volume.
        temperature: of the softmax over cells. reduce: the picture is made smaller by this first.
    """

    expansion: int = 32
    max_width: int = 1024
    n_blocks: int = 5
    depth: int = 16
    n_keypoints: int = 15
    temperature: float = 0.1
    reduce: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class RendererConfig:
    """Feature volume, dense motion and SPADE decoder (Wang et al. 2021; Park et al. 2019).

    Attributes:
        expansion, max_width: first and largest number of channels. n_down: halvings of the picture.
        volume_width, depth: channels and depth of the feature volume. n_resblocks: of the volume.
        n_keypoints: as the detector's. motion_expansion, motion_max_width, motion_blocks, compress: of dense motion.
        spade_hidden: channels between the condition and gamma, beta.
    """

    expansion: int = 64
    max_width: int = 512
    n_down: int = 2
    volume_width: int = 32
    depth: int = 16
    n_resblocks: int = 6
    n_keypoints: int = 15
    motion_expansion: int = 32
    motion_max_width: int = 1024
    motion_blocks: int = 5
    compress: int = 4
    spade_hidden: int = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """Sizes of all networks; a checkpoint without metadata is a published one and has the defaults."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    mapping: MappingConfig = field(default_factory=MappingConfig)
    recon: ReconConfig = field(default_factory=ReconConfig)
    keypoints: KeypointConfig = field(default_factory=KeypointConfig)
    renderer: RendererConfig = field(default_factory=RendererConfig)


PUBLISHED = NetworkConfig()


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderOptions:
    """Options of the renderer.

    Attributes:
        size: side of the square the networks draw, 256 or 512; None: 256, as published.
        preprocess: what of the photo is drawn. `crop` a square around the head, `extcrop` a wider one, `resize` the
            whole picture, `full` and `extfull` the crops pasted back into the whole picture. None: `crop`.
        blend: how a crop is pasted back: `feather` (one pass) or `poisson` (seamless cloning, as published).
        yaw, pitch, roll: head angles in degrees instead of the speech's, in the keypoints' own frame (0 is frontal): a
            value, `v,v,v` at constant speed, or `t:v,t:v` keyframes.
        batch: frames drawn at a time; None chooses by the device.
    Raises:
        UsageError: a word that is no choice, or a size there is no network for.
    """

    size: int | None = None
    preprocess: Preprocess | None = None
    blend: Blend = "feather"
    yaw: str | None = None
    pitch: str | None = None
    roll: str | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size not in RENDER_SIZES:
            raise UsageError(f"size is {self.size}: sadtalker draws 256 or 512 pixels")
        if self.preprocess is not None and self.preprocess not in get_args(Preprocess):
            raise UsageError(f"preprocess is {self.preprocess!r}", hint=f"choices: {', '.join(get_args(Preprocess))}")
        if self.blend not in get_args(Blend):
            raise UsageError(f"blend is {self.blend!r}", hint=f"choices: {', '.join(get_args(Blend))}")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"batch is {self.batch}, expected 1 or more")

    @property
    def mode(self) -> Preprocess:
        """The preprocess that is meant."""
        return self.preprocess or "crop"

    @property
    def is_pasted(self) -> bool:
        """Whether the drawn square goes back into the whole picture."""
        return self.mode in ("full", "extfull")

    @property
    def side(self) -> int:
        """Side of the square that is drawn, pixels."""
        return self.size or RENDER_SIZES[0]
