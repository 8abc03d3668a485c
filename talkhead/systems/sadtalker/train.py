"""Loss terms of ExpNet, PoseVAE and the mapping net, and what one step of each minimises (SadTalker, supplement B.3).

Pure functions of tensors: what a 3-D face, a lip reader or the motion generator of face-vid2vid say is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.errors import ShapeError
from talkhead.nn.steps import TrainStep
from talkhead.systems.sadtalker.model_posevae import MotionDiscriminator, PoseVAE

N_LANDMARKS = 68
# Subject's right and left eye in the 68-point order: corners, upper lid, lower lid.
_CORNERS = ((36, 39), (42, 45))
_UPPER, _LOWER = ((37, 38), (43, 44)), ((40, 41), (46, 47))
_OUTSIDE_EYES = tuple(i for i in range(N_LANDMARKS) if not 36 <= i <= 47)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpTraining:
    """How ExpNet is trained (section 4.1, equations 8 and 10).

    Attributes:
        learning_rate: of Adam. n_frames: consecutive frames of a sample. distill, read, landmarks: weights of the
            terms. eye: weight of the eyes among the landmarks.
    """

    learning_rate: float = 2e-5
    n_frames: int = 5
    distill: float = 2.0
    read: float = 0.01
    landmarks: float = 0.01
    eye: float = 200.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseTraining:
    """How PoseVAE is trained (section 4.1, equation 13).

    Attributes:
        learning_rate: of Adam. n_frames: consecutive frames of a sample. mse, kl, gan: weights of the terms.
    """

    learning_rate: float = 1e-4
    n_frames: int = 32
    mse: float = 1.0
    kl: float = 1.0
    gan: float = 0.7


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingTraining:
    """How the mapping net is trained (section 4.1, equation 14), besides face-vid2vid's own terms on the picture.

    Attributes:
        learning_rate: of Adam. n_frames: consecutive coefficients of a sample; the published networks saw 27
            (`MappingConfig.n_rows`). keypoints: weight of the term.
    """

    learning_rate: float = 2e-4
    n_frames: int = 5
    keypoints: float = 20.0


def adam(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
    """The optimiser of all three (section 4.1)."""
    return torch.optim.Adam(parameters, lr=learning_rate)


# ExpNet


def distill_loss(exp: Tensor, lip_exp: Tensor) -> Tensor:
    """Mean squared difference to codes in which only the lips move (equation 3); (B, T, 64) both -> scalar."""
    _check_equal(exp, lip_exp, "exp")
    return functional.mse_loss(exp, lip_exp)


def eye_ratio(landmarks: Tensor) -> Tensor:
    """How open the eyes are: height over width (equations 4 to 6).

    As printed, the height is the sum of both eyes' and the width their mean, so that equal eyes give twice their ratio.

    Args:
        landmarks: (..., 68, 2), any unit.
    Returns:
        (...,) at least 0.
    """
    if landmarks.shape[-2:] != (N_LANDMARKS, 2):
        raise ShapeError("landmarks", tuple(landmarks.shape), "(..., 68, 2)")

    width, height = landmarks.new_zeros(()), landmarks.new_zeros(())
    for (a, b), upper, lower in zip(_CORNERS, _UPPER, _LOWER, strict=True):
        across = landmarks[..., b, :] - landmarks[..., a, :]
        along = (landmarks[..., list(upper), :] - landmarks[..., list(lower), :]).sum(-2)
        width = width + torch.linalg.vector_norm(across, dim=-1) / 2
        height = height + torch.linalg.vector_norm(along, dim=-1) / 2
    return height / width


def eye_loss(landmarks: Tensor, blink: Tensor) -> Tensor:
    """Whether the eyes are as open as the control signal says, summed over frames (equation 7).

    Args:
        landmarks: (B, T, 68, 2). blink: the wanted ratio of height to width, (B, T).
    """
    ratio = eye_ratio(landmarks)
    _check_equal(ratio, blink, "blink")
    return (ratio - blink).abs().sum(-1).mean()


def outside_eyes_loss(landmarks: Tensor, lip_landmarks: Tensor) -> Tensor:
    """Mean squared distance of the landmarks outside the eyes (second term of equation 8); (B, T, 68, 2) both."""
    _check_equal(landmarks, lip_landmarks, "landmarks")
    outside = list(_OUTSIDE_EYES)
    return (landmarks - lip_landmarks)[..., outside, :].square().sum(-1).mean()


def landmark_loss(landmarks: Tensor, lip_landmarks: Tensor, blink: Tensor, eye: float) -> Tensor:
    """Equation 8; shapes as in its parts, `eye` the weight of the eyes."""
    return eye * eye_loss(landmarks, blink) + outside_eyes_loss(landmarks, lip_landmarks)


def reading_loss(seen: Tensor, heard: Tensor) -> Tensor:
    """Cross entropy of what a lip reader sees and what is heard in the true sound (equation 9).

    Args:
        seen: the reader's logits on the drawn mouth, (B, L, n_characters). heard: those on the sound, of equal shape;
            no gradient goes there.
    """
    _check_equal(seen, heard, "logits")
    wanted = torch.softmax(heard.detach(), -1)
    return -(wanted * torch.log_softmax(seen, -1)).sum(-1).mean()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpTargets:
    """What a sample should have given.

    Attributes:
        exp: codes in which only the lips move, (B, T, 64). landmarks: of the face they make, (B, T, 68, 2), pixels.
        blink: the control signal, (B, T). heard: logits of the lip reader on the sound, (B, L, n); None: no such term.
    """

    exp: Tensor
    landmarks: Tensor
    blink: Tensor
    heard: Tensor | None = None


def exp_step(
    exp: Tensor, landmarks: Tensor, targets: ExpTargets, seen: Tensor | None = None, config: ExpTraining | None = None
) -> TrainStep:
    """What ExpNet minimises (equation 10).

    Args:
        exp: its codes, (B, T, 64). landmarks: projected from the face they make, (B, T, 68, 2), pixels. targets: what
            they should be. seen: logits of the lip reader on that face drawn, where `targets.heard` is given.
    """
    config = config or ExpTraining()
    losses = {
        "distill": distill_loss(exp, targets.exp),
        "landmarks": landmark_loss(landmarks, targets.landmarks, targets.blink, config.eye),
    }
    if targets.heard is not None and seen is not None:
        losses["read"] = reading_loss(seen, targets.heard)
    weights = {"distill": config.distill, "landmarks": config.landmarks, "read": config.read}
    return TrainStep.of(losses, weights)


# PoseVAE


def reparameterised(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw from the latent Gaussian through which gradients pass; (B, 64) all, `noise` standard normal."""
    return mean + torch.exp(0.5 * log_variance) * noise


def kl_loss(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence to the standard normal, nats, mean over the batch; (B, 64) both."""
    _check_equal(mean, log_variance, "mean")
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(1).mean()


def motion_loss(motion: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference of motion relative to the first frame (equation 11); (B, T, 6) both."""
    _check_equal(motion, truth, "motion")
    return functional.mse_loss(motion, truth)


def fooling_loss(made: Tensor) -> Tensor:
    """PoseVAE's side of equation 12, by least squares as in the published code; scores of made motion, any shape."""
    return (made - 1.0).square().mean()


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """The discriminator's side of equation 12, by least squares; scores of real and made motion, any shape."""
    return (real - 1.0).square().mean() + made.square().mean()


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseBatch:
    """Samples of real head motion with their sound.

    Attributes:
        motion: poses relative to the frame before the first, (B, 32, 6): radians, units. reference: that frame's pose,
            (B, 6). style: whose motion it is, (B,) integers. windows: mel, (B, 32, 1, 80, 16).
    """

    motion: Tensor
    reference: Tensor
    style: Tensor
    windows: Tensor


@dataclass(frozen=True, slots=True)
class PoseReconstruction:
    """What PoseVAE made of a batch: motion (B, 32, 6), mean and log variance of the latent Gaussian (B, 64)."""

    motion: Tensor
    mean: Tensor
    log_variance: Tensor


def reconstruct(vae: PoseVAE, batch: PoseBatch, noise: Tensor) -> PoseReconstruction:
    """Through encoder and decoder (figure 4); the encoder of the sound stays as it is, as in the published training.

    Args:
        vae: the network, its `audio_encoder` in eval mode. batch: real motion. noise: standard normal, (B, 64).
    """
    n_samples, n_frames = batch.motion.shape[:2]
    with torch.no_grad():
        embedding = vae.audio_encoder(batch.windows.flatten(0, 1)).view(n_samples, n_frames, -1)
    mean, log_variance = vae.encoder(batch.motion, batch.reference, batch.style, embedding)
    z = reparameterised(mean, log_variance, noise)
    motion = vae.decoder(batch.reference, z, batch.style, vae.decoder.audio_map(embedding))
    return PoseReconstruction(motion, mean, log_variance)


def pose_step(
    made: PoseReconstruction, batch: PoseBatch, discriminator: MotionDiscriminator, config: PoseTraining | None = None
) -> TrainStep:
    """What encoder and decoder minimise (equation 13); their optimiser leaves the discriminator alone."""
    config = config or PoseTraining()
    losses = {
        "mse": motion_loss(made.motion, batch.motion),
        "kl": kl_loss(made.mean, made.log_variance),
        "gan": fooling_loss(discriminator(made.motion)),
    }
    return TrainStep.of(losses, {"mse": config.mse, "kl": config.kl, "gan": config.gan})


def discriminator_step(made: PoseReconstruction, batch: PoseBatch, discriminator: MotionDiscriminator) -> TrainStep:
    """What the discriminator minimises; no gradient goes into what was made."""
    scores = discriminator(batch.motion), discriminator(made.motion.detach())
    return TrainStep.of({"discriminator": discriminator_loss(*scores)}, {"discriminator": 1.0})


# Mapping net


def keypoint_loss(mapped: Tensor, truth: Tensor) -> Tensor:
    """L1 distance to the keypoints of face-vid2vid's own motion generator (equation 14); (B, 15, 3) both."""
    _check_equal(mapped, truth, "keypoints")
    return (mapped - truth).abs().sum(-1).mean()


def mapping_step(
    mapped: Tensor, truth: Tensor, picture: Mapping[str, Tensor] | None = None, config: MappingTraining | None = None
) -> TrainStep:
    """What the mapping net minimises.

    Args:
        mapped, truth: keypoints, (B, 15, 3). picture: face-vid2vid's terms on the drawn picture, weighted already.
    """
    config = config or MappingTraining()
    losses = {**(picture or {}), "keypoints": keypoint_loss(mapped, truth)}
    return TrainStep.of(losses, {**dict.fromkeys(losses, 1.0), "keypoints": config.keypoints})


def _check_equal(found: Tensor, wanted: Tensor, name: str) -> None:
    if found.shape != wanted.shape:
        raise ShapeError(name, tuple(wanted.shape), f"{tuple(found.shape)}")
