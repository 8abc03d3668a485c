"""Sizes of HeadGAN's networks and how they are trained; the paper's are the defaults.

Doukas, Zafeiriou, Sharmanska, "HeadGAN: One-shot Neural Head Synthesis and Editing", ICCV 2021; sections and tables are
the paper's. "Release" means the published code (michaildoukas/headGAN), from which numbers that the paper leaves out
were taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from talkhead.errors import InputError

FPS = 25.0  # of every network
N_PNCC = 3  # channels of a drawn face
N_STACK = 3  # frames the networks see at once: t-2, t-1, t (section 3.2, k = 2)
N_AUDIO = 300  # values of a frame's sound (section 3.1)
MOUTH_SIDE = 64  # pixels of a picture of 256 (appendix B)

_WIDTHS = (32, 128, 512)  # tables 4 and 5

Condition = Literal["pncc", "landmarks"]
Vgg = Literal["published", "random", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """The generator: dense flow network F and rendering network R (appendix B, tables 4 and 5).

    Attributes:
        width_mult: factor of all channels but SPADE's hidden ones. spade_hidden: channels between a condition and its
            gamma, beta (256 in the release; the paper is silent). audio: whether R hears; without, its AdaIN blocks
            are left out. n_audio: values per frame. flow: whether F bends what it encodes; without, it is the ablation
            of section 5.4. flow_mask: a second head of F that says where the flow counts (release). spade_residual:
            whether SPADE blocks add their input, as the release does and the paper's figure does not. condition: what
            is drawn of the face, PNCC or (ablation) the edges between 68 landmarks; three channels either way.
    Raises:
        InputError: a width that is not a whole number of channels, or a count below 1.
    """

    width_mult: float = 1.0
    spade_hidden: int = 256
    audio: bool = True
    n_audio: int = N_AUDIO
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
