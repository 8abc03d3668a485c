"""How HeadGAN learns: examples of a clip, loss terms of the generator and of both discriminators (appendix B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from talkhead.errors import InputError, ShapeError, WeightsError
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.face3d.pncc import mirror_codes
from talkhead.nn.augment import Change
from talkhead.nn.flow import warp
from talkhead.nn.initialise import XAVIER_GAIN, xavier_
from talkhead.nn.losses import feature_matching, fooling_loss, made_loss, masked_l1, real_loss
from talkhead.nn.perceptual import PerceptualConfig, PerceptualLoss
from talkhead.nn.steps import TrainStep, frozen
from talkhead.protocols import Reference, TrainingClip, Weights
from talkhead.systems.headgan.condition import ConditionDrawer
from talkhead.systems.headgan.config import N_LOW, N_PNCC, N_STACK, SIDE, TrainConfig
from talkhead.systems.headgan.convert import checkpoint_metadata, read_checkpoint
from talkhead.systems.headgan.fallback import face_flow
from talkhead.systems.headgan.features import REACH, AudioScale, feature_name
from talkhead.systems.headgan.imagined import imagined
from talkhead.systems.headgan.model import Drawn, Generator
from talkhead.systems.headgan.model_discriminators import Discriminator, MouthDiscriminator, mouths_of
from talkhead.systems.headgan.pictures import mouth_centres
from talkhead.weights.load import fill, read_tensors

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

VGG_ENTRY = "vgg19"
"""Weights manifest: the perceptual network."""
LAYER_WEIGHT = 4 / 5
"""Factor of a discriminator layer's feature matching: 4 / (n_layers + 1), n_layers = 4 (release)."""
IS_FACE = 0.01
"""A pixel whose PNCC channels sum to more shows the face (release)."""

LEAST_VARIANCE = 1e-6

_N_SHOWN = 4  # examples on a contact sheet
_SAME_POINT = 0.06  # codes that are nearer are of one point of the face: some pixels at the sides in use


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A batch as the networks see it.

    Attributes:
        stack: drawn faces t-2, t-1, t, (B, 9, S, S), in [0, 1]. reference_pncc: (B, 3, S, S). reference, target: (B, 3,
            S, S), in [-1, 1]. audio: (B, n_audio), scaled, or None. mouth_centre: (B, 2) pixels, x then y. mask:
            people in reference or target, (B, 1, S, S) in [0, 1], or None. face_flow: the flow of the drawn face,
            pixels, and 1 where it is drawn, (B, 3, S, S); or None. imagined, imagined_flow: as `stack` and `face_flow`,
            of faces of which there is no picture; or None.
    """

    stack: Tensor
    reference_pncc: Tensor
    reference: Tensor
    target: Tensor
    audio: Tensor | None
    mouth_centre: Tensor
    mask: Tensor | None
    face_flow: Tensor | None = None
    imagined: Tensor | None = None
    imagined_flow: Tensor | None = None

    @property
    def pncc(self) -> Tensor:
        """The drawn face of the frame itself, x_t, (B, 3, S, S)."""
        return self.stack[:, -N_PNCC:]


class HeardScale(nn.Module):
    """`AudioScale` while it is being measured: brings the 84 low-level numbers to mean 0 and deviation 1.

    In training mode it measures the first `n_measured` examples that it sees, those of all processes; then its numbers
    are fixed.

    Args:
        n_measured: examples.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, n_measured: int) -> None:
        super().__init__()
        self.n_measured = n_measured
        # As if one example had been seen before, so that a first batch of one has a deviation.
        self.register_buffer("count", torch.ones(()))
        self.register_buffer("mean", torch.zeros(N_LOW))
        self.register_buffer("variance", torch.ones(N_LOW))

    def forward(self, audio: Tensor) -> Tensor:
        """(B, 300) both."""
        low = audio[:, :N_LOW]
        if self.training and self.count <= self.n_measured:
            self._measure(low)
        low = ((low - self.mean) / self.variance.sqrt()).clamp(-REACH, REACH)
        return torch.cat((low, audio[:, N_LOW:]), 1)

    @torch.no_grad()
    def fix(self, scale: AudioScale) -> None:
        """Use a scale that was measured before; one that changes nothing counts too."""
        mean = np.zeros(N_LOW, np.float32) if scale.mean is None else scale.mean
        std = np.ones(N_LOW, np.float32) if scale.std is None else scale.std
        self.mean.copy_(torch.from_numpy(mean))
        self.variance.copy_(torch.from_numpy(std).square())
        self.count.fill_(self.n_measured + 1)

    def fixed(self) -> AudioScale:
        """What was measured."""
        mean, std = (value.detach().cpu().numpy().copy() for value in (self.mean, self.variance.sqrt()))
        return AudioScale(mean, std)

    @torch.no_grad()
    def _measure(self, low: Tensor) -> None:
        gathered = torch.cat((low.new_full((1,), len(low)), low.sum(0), low.square().sum(0)))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(gathered)
        n, total = gathered[0], self.count + gathered[0]
        mean = (self.mean * self.count + gathered[1 : N_LOW + 1]) / total
        before = (self.variance + (self.mean - mean).square()) * self.count
        square, sums = gathered[N_LOW + 1 :], gathered[1 : N_LOW + 1]
        seen = square - 2 * mean * sums + n * mean.square()
        self.variance.copy_(((before + seen) / total).clamp_min(LEAST_VARIANCE))
        self.mean.copy_(mean)
        self.count.copy_(total)


class HeadGanTraining:
    """See `talkhead.protocols.TrainSpec`.

    Args:
        config: networks, terms, pictures. device: where the perceptual network and the networks are put. weights: door
            to the perceptual network's published weights. model: the face model of the coefficients; the built-in one
            if None.
    Raises:
        WeightsError: the perceptual network's weights are asked for and not here.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: str | torch.device = "cpu",
        weights: Weights | None = None,
        model: FaceModel | None = None,
    ) -> None:
        self.config = config
        network = config.network
        self.generator = _fresh(Generator(network), device, config.init_gain)
        if network.flow:
            xavier_(self.generator.flow.flow_head)  # the flow begins near 0, whatever the others begin with
        self.networks: dict[str, nn.Module] = {"generator": self.generator}
        self.groups: dict[str, tuple[str, ...]] = {"generator": ("generator",)}
        self.averaged: tuple[str, ...] = ("generator",)
        n_audio = network.n_audio if network.audio else 0
        if config.gan:
            self.discriminator = _fresh(Discriminator(config.discriminator_width), device)
            self.mouth_discriminator = _fresh(MouthDiscriminator(n_audio, config.discriminator_width), device)
            self.networks |= {"discriminator": self.discriminator, "mouth_discriminator": self.mouth_discriminator}
            self.groups["discriminator"] = ("discriminator", "mouth_discriminator")
        if network.audio and config.n_heard:
            self.heard = HeardScale(config.n_heard).to(device)
            self.networks["heard"] = self.heard
        self._vgg = _perceptual(config, weights)
        if self._vgg is not None:
            self._vgg.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._model = model or load_builtin()
        self._drawer = ConditionDrawer(network.condition, self._model, config.side)
        self._has_mask = network.flow_mask and config.losses.mask > 0
        self._has_flow = network.flow and config.losses.flow > 0
        self._draws_imagined = network.flow and config.losses.l1_imagined > 0
        self._imagines = self._draws_imagined or (network.flow and config.losses.imagined > 0)

    @property
    def perceptual_is_random(self) -> bool:
        """Whether the perceptual terms come from a network that has learned nothing."""
        return self._vgg is not None and self._vgg.is_random

    def begin(self, path: Path) -> None:
        """Take the generator of a checkpoint, ours or the release's converted one, and the scale of what it hears.

        Raises:
            WeightsError: it holds something else. InputError: a generator of other sizes.
        """
        read = read_checkpoint(path)
        network = self.config.network
        free = {"letters"} if network.audio else {"letters", "n_audio"}  # no weights depend on them
        for field in (field for field in fields(network) if field.name not in free):
            there, asked = getattr(read.config, field.name), getattr(network, field.name)
            if there != asked:
                raise InputError(
                    f"{path} has network.{field.name} {there}, the recipe {asked}",
                    hint=f"--set system.network.{field.name}={str(there).lower()}",
                )
        fill(self.generator, read.tensors, name=f"HeadGAN's generator ({path.name})")
        scale = read.audio_scale
        if "heard" in self.networks:
            self.heard.fix(scale)
        elif network.audio and scale.mean is not None:
            hint = f"--set system.n_heard={TrainConfig().n_heard}"
            raise InputError(f"{path} scales what it hears, the recipe does not", hint=hint)

    def optimiser(self, group: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
        """Adam, the same for all networks (section 4.1)."""
        betas = (self.config.beta1, self.config.beta2)
        return torch.optim.Adam(parameters, lr=self.config.learning_rate, betas=betas)

    def sample(self, clip: TrainingClip, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
        """A frame of a clip, the two before it, and one of the clip's references, changed as `augment` says.

        Args:
            clip: what is learned from. rng: chooses.
        Returns:
            `stack` (9, S, S), `reference_pncc`, `reference`, `target` (3, S, S), all uint8; `mouth_centre` (2,) int64
            pixels; `audio` (n_audio,) float32 where the network hears; `mask` (1, S, S) uint8 where it has a mask;
            `face_flow` (3, S, S) float16 where its flow is compared with the mesh's: pixels x, y, and 1 on the face;
            `imagined`, `imagined_flow` as `stack` and `face_flow` where faces are imagined.
        Raises:
            InputError: the clip lacks sound features, masks or references that are needed.
        """
        if not clip.references:
            raise InputError(f"{clip.name} has no reference frames", hint="prepare it anew")
        reference = clip.references[int(rng.integers(len(clip.references)))]
        n_before = N_STACK - 1
        # The first frames of a video have none before them; those of a later stretch would have had other ones.
        first = n_before if clip.start and len(clip.images) > n_before else 0
        t = int(rng.integers(first, len(clip.images)))
        frames = np.maximum(np.arange(t - n_before, t + 1), 0)
        picture = clip.images[t]
        side = self.config.side
        change = self.config.augment.draw(side, rng)
        vertices = change.placed(self._drawer.vertices(clip.coeffs.at(frames), _size_of(picture)))
        source = change.placed(self._drawer.vertices(reference.coeffs, _size_of(reference.image)))[:1]
        mouth = vertices[-1, self._model.landmarks68, :2]
        found: dict[str, npt.NDArray[Any]] = {
            "stack": self._stack(vertices, change),
            "reference_pncc": self._drawn(source, change)[0],
            "reference": self._picture(reference.image, change),
            "target": self._picture(picture, change),
            "mouth_centre": mouth_centres(mouth * (-1, 1) + (side - 1, 0) if change.mirrored else mouth),
        }
        if self.config.network.audio:
            found["audio"] = self._audio(clip, t)
        if self._has_mask:
            found["mask"] = self._mask(clip, t, reference, change)
        if self._has_flow:
            found["face_flow"] = self._face_flow(source[0], vertices[-1], change)
        if self._imagines:
            other = imagined(clip.coeffs.at(frames), self._model.space, rng)
            vertices = change.placed(self._drawer.vertices(other, _size_of(picture)))
            found["imagined"] = self._stack(vertices, change)
            found["imagined_flow"] = self._face_flow(source[0], vertices[-1], change)
        return found

    def steps(self, batch: Mapping[str, Tensor], number: int) -> Iterator[tuple[str, TrainStep]]:
        """The generator's terms, and in every `d_every`-th step the discriminators'."""
        shown = self.shown(batch)
        drawn = self.generator(
            shown.stack, shown.reference_pncc, shown.reference, shown.audio, shown.imagined,
            draw_imagined=self._draws_imagined,
        )  # fmt: skip
        yield "generator", self.generator_step(drawn, shown)
        if self.config.gan and number % self.config.d_every == 0:
            yield "discriminator", self.discriminator_step(drawn.image.detach(), shown)

    def shown(self, batch: Mapping[str, Tensor]) -> Shown:
        """A batch of examples, stacked, as the networks see it."""
        device = next(self.generator.parameters()).device
        given = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        audio = given["audio"].float() if "audio" in given else None
        if audio is not None and "heard" in self.networks:
            audio = self.heard(audio)
        return Shown(
            stack=_scaled(given["stack"], 1 / 255),
            reference_pncc=_scaled(given["reference_pncc"], 1 / 255),
            reference=_scaled(given["reference"], 2 / 255, -1.0),
            target=_scaled(given["target"], 2 / 255, -1.0),
            audio=audio,
            mouth_centre=given["mouth_centre"],
            mask=_scaled(given["mask"], 1 / 255) if "mask" in given else None,
            face_flow=given["face_flow"].float() if "face_flow" in given else None,
            imagined=_scaled(given["imagined"], 1 / 255) if "imagined" in given else None,
            imagined_flow=given["imagined_flow"].float() if "imagined_flow" in given else None,
        )

    def generator_step(self, drawn: Drawn, shown: Shown) -> TrainStep:
        """What F and R minimise together (equation 8), the discriminators held still."""
        weights, target = self.config.losses, shown.target
        image, warped = drawn.image.float(), drawn.warped.float()
        losses: dict[str, Tensor] = {"l1": self._l1(image, shown)}
        if drawn.flow is not None:
            losses["l1_warped"] = self._l1(warped, shown)
        if self._vgg is not None:
            losses |= self._perceptual_terms(image, warped if drawn.flow is not None else None, target)
        if self.config.gan:
            losses |= self._adversarial_terms(image, shown)
        if drawn.mask is not None and shown.mask is not None:
            losses["mask"] = (drawn.mask.float() - shown.mask).abs().mean()
        if drawn.flow is not None and shown.face_flow is not None:
            losses["flow"] = flow_loss(drawn.flow.float(), shown.face_flow)
        if drawn.imagined_flow is not None and shown.imagined_flow is not None:
            losses["imagined"] = flow_loss(drawn.imagined_flow.float(), shown.imagined_flow)
        if drawn.imagined_image is not None:
            losses["l1_imagined"] = imagined_loss(drawn.imagined_image.float(), shown)
        factors = {
            "l1": weights.l1, "l1_warped": weights.l1_warped, "vgg": weights.vgg, "vgg_warped": weights.vgg_warped,
            "gan": weights.gan, "gan_mouth": weights.gan_mouth, "fm": weights.fm, "fm_mouth": weights.fm,
            "mask": weights.mask, "flow": weights.flow, "imagined": weights.imagined,
            "l1_imagined": weights.l1_imagined,
        }  # fmt: skip
        return TrainStep.of(losses, factors)

    def discriminator_step(self, image: Tensor, shown: Shown) -> TrainStep:
        """What D and D_m minimise (equations 4, 5 and 9).

        Args:
            image: what the generator drew, without its gradients, (B, 3, S, S). shown: the batch.
        """
        side, centres = self.config.mouth_side, shown.mouth_centre
        both = torch.cat((shown.target, image.to(shown.target.dtype)))  # one pass for real and made
        maps = self.discriminator.judge(shown.pncc.repeat(2, 1, 1, 1), both)
        heard = None if shown.audio is None else shown.audio.repeat(2, 1)
        mouths = self.mouth_discriminator.judge(mouths_of(both, centres.repeat(2, 1), side), heard)
        n = len(image)
        losses = {}
        for name, found in (("d", maps), ("d_mouth", mouths)):
            losses[f"{name}_real"] = real_loss([[scale[-1][:n]] for scale in found])
            losses[f"{name}_made"] = made_loss([[scale[-1][n:]] for scale in found])
        factors = {name: self.config.losses.mouth if "mouth" in name else 1.0 for name in losses}
        return TrainStep.of(losses, factors)

    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, U8]:
        """A sheet: of each example a row of reference, drawn face, bent reference, what is drawn, and the truth."""
        was_training = {name: network.training for name, network in self.networks.items()}
        for network in self.networks.values():
            network.eval()
        with torch.no_grad():
            shown = self.shown({name: value[:_N_SHOWN] for name, value in batch.items()})
            drawn = self.generator(shown.stack, shown.reference_pncc, shown.reference, shown.audio)
        for name, network in self.networks.items():
            network.train(was_training[name])
        columns = (shown.reference, shown.pncc * 2 - 1, drawn.warped, drawn.image, shown.target)
        sheet = torch.cat([torch.cat([row.float() for row in column], 1) for column in columns], 2)
        pixels = ((sheet + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return {"samples": np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())}

    def checkpoint(self, networks: Mapping[str, nn.Module]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The generator, its sizes, the side it was trained at, and how what it hears is scaled."""
        tensors = {key: value.detach().cpu().contiguous() for key, value in networks["generator"].state_dict().items()}
        scale = networks.get("heard")
        heard = scale.fixed() if isinstance(scale, HeardScale) else None
        return tensors, checkpoint_metadata(self.config.network, self.config.side, heard)

    def _l1(self, image: Tensor, shown: Shown) -> Tensor:
        if not self.config.masked_l1:
            return (image - shown.target).abs().mean()
        return masked_l1(image, shown.target, (shown.pncc.sum(1, keepdim=True) > IS_FACE).float())

    def _perceptual_terms(self, image: Tensor, warped: Tensor | None, target: Tensor) -> dict[str, Tensor]:
        assert self._vgg is not None
        with torch.no_grad():
            real = self._vgg.maps(target)
        if warped is None:
            return {"vgg": self._vgg.between(self._vgg.maps(image), real)}
        maps, n = self._vgg.maps(torch.cat((image, warped))), len(image)  # one pass for both
        return {
            "vgg": self._vgg.between([m[:n] for m in maps], real),
            "vgg_warped": self._vgg.between([m[n:] for m in maps], real),
        }

    def _adversarial_terms(self, image: Tensor, shown: Shown) -> dict[str, Tensor]:
        side, centres = self.config.mouth_side, shown.mouth_centre
        losses = {}
        with frozen(self.discriminator, self.mouth_discriminator):
            made = self.discriminator.judge(shown.pncc, image)
            made_mouth = self.mouth_discriminator.judge(mouths_of(image, centres, side), shown.audio)
            with torch.no_grad():
                real = self.discriminator.judge(shown.pncc, shown.target)
                real_mouth = self.mouth_discriminator.judge(mouths_of(shown.target, centres, side), shown.audio)
        losses["gan"], losses["gan_mouth"] = fooling_loss(made), fooling_loss(made_mouth)
        losses["fm"] = feature_matching(made, real, layer_weight=LAYER_WEIGHT)
        losses["fm_mouth"] = feature_matching(made_mouth, real_mouth, layer_weight=LAYER_WEIGHT)
        return losses

    def _stack(self, vertices: F64, change: Change) -> U8:
        return self._drawn(vertices, change).reshape(N_STACK * N_PNCC, self.config.side, self.config.side)

    def _drawn(self, vertices: F64, change: Change) -> U8:
        """What the networks see of faces (T, V, 3), (T, 3, S, S)."""
        pictures = change.flipped(_as_u8(self._drawer.draw(vertices)))
        return mirror_codes(pictures) if change.mirrored and self.config.network.condition == "pncc" else pictures

    def _face_flow(self, source: F64, vertices: F64, change: Change) -> npt.NDArray[np.float16]:
        side = self.config.side
        flow, face = face_flow(source, vertices, self._model.triangles, (side, side))
        if change.mirrored:
            flow = flow * np.array((-1, 1), np.float32)
        found = np.concatenate([flow, face[..., None]], -1).transpose(2, 0, 1)
        return change.flipped(found.astype(np.float16))

    def _picture(self, image: U8, change: Change) -> U8:
        return np.ascontiguousarray(change.picture(_resized(image, self.config.side)).transpose(2, 0, 1))

    def _audio(self, clip: TrainingClip, t: int) -> F32:
        letters = self.config.network.letters
        name = feature_name(letters)
        heard = clip.features.get(name)
        if heard is None:
            raise InputError(
                f"{clip.name}: nothing was heard for {name} there",
                hint=f"prepare it with `--listen headgan:{letters}`, or train with network.audio: false",
            )
        if heard.shape[1] != self.config.network.n_audio:
            raise ShapeError(f"{clip.name}: {name}", heard.shape, f"(T, {self.config.network.n_audio})")
        return np.ascontiguousarray(heard[t], np.float32)

    def _mask(self, clip: TrainingClip, t: int, reference: Reference, change: Change) -> U8:
        if not len(clip.masks) or reference.mask is None:
            raise InputError(
                f"{clip.name} has no masks, which network.flow_mask learns from",
                hint="prepare it with masks, or set losses.mask: 0",
            )
        side = self.config.side
        return change.mask(np.maximum(_resized(clip.masks[t], side), _resized(reference.mask, side)))[None]


def flow_loss(flow: Tensor, face_flow: Tensor) -> Tensor:
    """Mean distance of a flow to the mesh's on the pixels of the face, in 256ths of the picture's side.

    Args:
        flow: (B, 2, S, S) pixels. face_flow: (B, 3, S, S), pixels x, y, and 1 where the face is.
    """
    known = face_flow[:, 2:]
    apart = (flow - face_flow[:, :2]).abs().sum(1, keepdim=True) * known
    return apart.sum() / known.sum().clamp_min(1) * (SIDE / flow.shape[-1])


def imagined_loss(image: Tensor, shown: Shown) -> Tensor:
    """L1 of drawn imagined faces to the reference bent by the mesh, where both show the same point of the face.

    What the reference hides, such as the far cheek or teeth, is not known: there the codes differ.

    Args:
        image: (B, 3, S, S) in [-1, 1]. shown: the batch, with `imagined` and `imagined_flow`.
    """
    if shown.imagined is None or shown.imagined_flow is None:
        raise ValueError("the batch has no imagined faces")
    flow, face = shown.imagined_flow[:, :2], shown.imagined_flow[:, 2:]
    codes = shown.imagined[:, -N_PNCC:]
    apart = (warp(shown.reference_pncc, flow) - codes).abs().amax(1, keepdim=True)
    known = face * (apart < _SAME_POINT)
    off = (image - warp(shown.reference, flow)).abs().mean(1, keepdim=True) * known
    return off.sum() / known.sum().clamp_min(1)


def build_train(
    config: TrainConfig, device: str | torch.device = "cpu", weights: Weights | None = None
) -> HeadGanTraining:
    """How HeadGAN learns by a recipe; see `HeadGanTraining`."""
    return HeadGanTraining(config, device, weights)


def _fresh(network: Any, device: str | torch.device, gain: float = XAVIER_GAIN) -> Any:
    return xavier_(network, gain).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _perceptual(config: TrainConfig, weights: Weights | None) -> PerceptualLoss | None:
    about = PerceptualConfig(imagenet=config.vgg_norm)
    if config.vgg == "none" or config.losses.vgg == config.losses.vgg_warped == 0:
        return None
    if config.vgg == "random":
        return PerceptualLoss.random(about)
    if weights is None:
        raise WeightsError(
            "the perceptual loss needs the published weights of vgg19",
            hint="`talkhead weights pull headgan-train`, or vgg: random or none in the recipe",
        )
    return PerceptualLoss.published(read_tensors(weights(VGG_ENTRY))[0], about)


def _scaled(pixels: Tensor, factor: float, offset: float = 0.0) -> Tensor:
    return (pixels.float() * factor + offset).contiguous(memory_format=torch.channels_last)


def _size_of(image: U8) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _as_u8(pictures: Tensor) -> U8:
    return pictures.mul(255).round_().to(torch.uint8).numpy()


def _resized(image: U8, side: int) -> U8:
    import cv2

    if image.shape[:2] == (side, side):
        return image
    shrinks = side < image.shape[0]
    made = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(made, np.uint8)
