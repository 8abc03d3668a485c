"""Sizes of HeadGAN's networks and how they are trained; the paper's are the defaults.

Doukas, Zafeiriou, Sharmanska, "HeadGAN: One-shot Neural Head Synthesis and Editing", ICCV 2021; sections and tables are
the paper's. "Release" means the published code (michaildoukas/headGAN), from which numbers that the paper leaves out
were taken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from talkhead.errors import InputError
from talkhead.nn.augment import AugmentConfig

FPS = 25.0  # of every network
N_PNCC = 3  # channels of a drawn face
N_STACK = 3  # frames the networks see at once: t-2, t-1, t (section 3.3, k = 2)
N_AUDIO = 300  # values of a frame's sound (section 3.2)
N_LOW = 84  # of them: loudness, spectrum and the like; the others are characters
SIDE = 256  # pixels of a picture (section 4.1)
MOUTH_SIDE = 64  # pixels, of a picture of 256 (release)

_WIDTHS = (32, 128, 512)  # tables 4 and 5

Condition = Literal["pncc", "landmarks"]
Vgg = Literal["published", "random", "none"]
Letters = Literal["none", "recognised"]
"""Who tells the letters that are spoken: nobody, or a recogniser of English speech."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """The generator: dense flow network F and rendering network R (appendix C, tables 4 and 5).

    Attributes:
        width_mult: factor of all channels but SPADE's hidden ones. spade_hidden: channels between a condition and its
            gamma, beta (256 in the release; the paper is silent). audio: whether R hears; without, its AdaIN blocks
            are left out. n_audio: values per frame. letters: who tells 216 of them, in training as in use.
        flow: whether F bends what it encodes; without, it is the ablation of section 4.4. flow_mask: a second head of
            F that says where the flow counts (release). spade_residual: whether SPADE blocks add their input, as the
            release does and the paper's figure does not. condition: what is drawn of the face, PNCC or (ablation) the
            edges between 68 landmarks; three channels either way.
    Raises:
        InputError: a width that is not a whole number of channels, or a count below 1.
    """

    width_mult: float = 1.0
    spade_hidden: int = 256
    audio: bool = True
    n_audio: int = N_AUDIO
    letters: Letters = "none"
    flow: bool = True
    flow_mask: bool = False
    spade_residual: bool = True
    condition: Condition = "pncc"

    def __post_init__(self) -> None:
        narrowest = _WIDTHS[0] * self.width_mult
        if narrowest < 1 or narrowest != int(narrowest):
            raise InputError(
                f"width_mult is {self.width_mult:g}: {_WIDTHS[0]} channels times it must be a whole number",
                hint="1, 1/2 (0.5), 1/4 (0.25), 1/8 (0.125), 1/16 (0.0625) or 1/32 (0.03125)",
            )
        for name in ("spade_hidden", "n_audio"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if self.flow_mask and not self.flow:
            raise InputError("flow_mask without flow: there is nothing for the mask to weigh")

    @property
    def widths(self) -> tuple[int, int, int]:
        """Channels at the whole, a half and a quarter of the side."""
        first, second, third = (int(width * self.width_mult) for width in _WIDTHS)
        return first, second, third

    @property
    def multiple(self) -> int:
        """What divides the side of a picture."""
        return 4


PAPER = NetworkConfig()
RELEASE = NetworkConfig(flow_mask=True)
"""The networks of the published checkpoints; those without sound are `dataclasses.replace(RELEASE, audio=False)`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossWeights:
    """Factors of the terms (appendix B, equation 8); the paper's, and the release's where it says nothing.

    Attributes:
        gan, gan_mouth: of the two discriminators' judgement of what is drawn. fm: feature matching, both. l1, vgg: of
            what is drawn. l1_warped, vgg_warped: of the bent reference. mask: of the flow's mask, where there is one
            (release). mouth: of D_m in what the discriminators minimise (release). flow: of the flow's distance to the
            mesh's own where the face is drawn; ours, since a person is learned from less by it (0 in the paper).
            imagined: of the same for poses and expressions that the clip does not show (ours, 0 in the paper).
            l1_imagined: of what is drawn of those, to the reference bent by the mesh (ours, 0 in the paper).
    """

    gan: float = 1.0
    gan_mouth: float = 1.0
    fm: float = 10.0
    l1: float = 50.0
    vgg: float = 10.0
    l1_warped: float = 50.0
    vgg_warped: float = 10.0
    mask: float = 10.0
    mouth: float = 0.5
    flow: float = 0.0
    imagined: float = 0.0
    l1_imagined: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How HeadGAN learns (section 4.1, appendix B): the system's part of a training recipe.

    Attributes:
        network: the generator. losses: factors of the terms. augment: how examples are changed (the paper and the
            release: not at all). side: of the pictures, pixels, a multiple of 4; frames of other sizes are resized.
            learning_rate, beta1, beta2: of Adam, for all networks. gan: whether there are discriminators.
            discriminator_width: channels of their first layer. d_every: they move in every so many steps (the paper is
            silent; 4 in the release). masked_l1: L1 only where the face is drawn, instead of on
            the whole picture (release). vgg: weights of the perceptual network, `published` (torchvision's VGG19),
            `random` (marked as such), or `none`: no such terms. vgg_norm: whether pictures enter it with ImageNet's
            mean and deviation; in the release they enter as they are. init_gain: factor of the generator's first
            weights (0.02 in the release). With 1 the flow is found within some hundred steps, which is what a single
            clip takes; with 0.02 it is not yet begun then (docs/headgan.md). n_heard: examples whose sound is measured
            before what the networks hear is scaled by fixed numbers; 0: it enters as it is, as in the release.
    Raises:
        InputError: a value out of range.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    side: int = SIDE
    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    gan: bool = True
    discriminator_width: int = 64
    d_every: int = 1
    masked_l1: bool = False
    vgg: Vgg = "published"
    vgg_norm: bool = True
    init_gain: float = 0.02
    n_heard: int = 4000

    def __post_init__(self) -> None:
        multiple = self.network.multiple
        if self.side < MOUTH_SIDE // 2 or self.side % multiple:
            raise InputError(f"side is {self.side}, expected {MOUTH_SIDE // 2} or more, a multiple of {multiple}")
        if self.learning_rate <= 0 or not 0 <= self.beta1 < 1 or not 0 <= self.beta2 < 1:
            raise InputError(
                f"learning_rate {self.learning_rate:g}, beta1 {self.beta1:g}, beta2 {self.beta2:g}: expected a"
                " positive rate, and betas from 0 to below 1"
            )
        if self.init_gain <= 0:
            raise InputError(f"init_gain is {self.init_gain:g}, expected more than 0")
        for name, least in (("discriminator_width", 1), ("d_every", 1), ("n_heard", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, expected {least} or more")
        if self.n_heard and self.network.audio and self.network.n_audio != N_AUDIO:
            raise InputError(
                f"network.n_audio is {self.network.n_audio}: the scale of what is heard is for {N_AUDIO}",
                hint="n_heard: 0",
            )
        negative = [name for name, value in asdict(self.losses).items() if value < 0]
        if negative:
            raise InputError(f"losses: {negative[0]} is negative")
        if self.losses.l1_imagined and self.network.condition != "pncc":
            raise InputError(
                f"losses.l1_imagined needs faces drawn as codes, network.condition is {self.network.condition}",
                hint="losses.l1_imagined: 0",
            )

    @property
    def mouth_side(self) -> int:
        """Side of what D_m sees, pixels: a quarter of the picture's."""
        return mouth_side(self.side)


def mouth_side(side: int) -> int:
    """Side of the square around the mouth in pictures of a side, pixels (64 of 256 in the release)."""
    return MOUTH_SIDE // 2 * side // SIDE * 2  # even: a centre has as much to its left as to its right


RELEASE_TRAINING = TrainConfig(network=RELEASE, d_every=4, masked_l1=True, vgg_norm=False, n_heard=0)
"""As the published code trains by its defaults; `TrainConfig()` is the paper."""
