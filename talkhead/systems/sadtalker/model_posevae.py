"""PoseVAE: head motion for 32 frames of sound, conditioned on a style (SadTalker, section 3.2, supplement B.2).

Only the decoder speaks; encoder and discriminator are for training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkhead.systems.sadtalker.config import AudioConfig, PoseConfig
from talkhead.systems.sadtalker.model_audio import AudioEncoder

_SLOPE = 0.2  # of the discriminator's leaky ReLU


class ResidualUnit(nn.Module):
    """Pre-activation residual unit; `stride` acts on time only."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.ReLU(),
            nn.Conv2d(n_in, n_out, 3, (stride, 1), 1),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1),
        )
        self.skip = nn.Sequential(nn.Conv2d(n_in, n_out, 3, (stride, 1), 1), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, 6) -> (B, C', T / stride, 6)."""
        return self.block(x) + self.skip(x)


class TimeUnet(nn.Module):
    """Residual U-net over a pose track seen as a picture of 32 x 6; a track in, a track in 0..1 out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.enter = nn.Sequential(nn.Conv2d(1, w, 3, 1, 1), nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, w, 3, 1, 1))
        self.enter_skip = nn.Conv2d(1, w, 3, 1, 1)
        self.down = nn.ModuleList(ResidualUnit(k * w, 2 * k * w, 2) for k in (1, 2, 4))
        self.up = nn.ModuleList(nn.ConvTranspose2d(k * w, k * w, (2, 1), (2, 1)) for k in (8, 4, 2))
        self.merge = nn.ModuleList(ResidualUnit(3 * k * w, k * w, 1) for k in (4, 2, 1))
        self.leave = nn.Conv2d(w, 1, 1)

    def forward(self, track: Tensor) -> Tensor:
        """(B, T, 6) -> (B, T, 6), T a multiple of 8."""
        x = track[:, None]  # (B, 1, T, 6)
        x = self.enter(x) + self.enter_skip(x)
        passed = []
        for down in self.down:
            passed.append(x)
            x = down(x)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), passed.pop()], 1))
        return torch.sigmoid(self.leave(x))[:, 0]  # (B, T, 6)


class PoseDecoder(nn.Module):
    """Condition and a draw from the Gaussian -> 32 frames of head motion (figure 4)."""

    def __init__(self, config: PoseConfig, n_embedding: int) -> None:
        super().__init__()
        self.config = config
        n_track = config.seq_len * config.n_pose
        n_condition = config.n_pose + config.n_latent + config.seq_len * config.n_audio
        self.audio_map = nn.Linear(n_embedding, config.n_audio)
        self.styles = nn.Parameter(torch.randn(config.n_styles, config.n_latent))
        self.mlp = nn.Sequential(
            nn.Linear(n_condition, config.hidden), nn.ReLU(), nn.Linear(config.hidden, n_track), nn.Sigmoid()
        )
        self.unet = TimeUnet(config.width)
        self.pose_map = nn.Linear(config.n_pose, config.n_pose)

    def forward(self, reference: Tensor, z: Tensor, style: Tensor, audio: Tensor) -> Tensor:
        """Motion of one chunk of frames.

        Args:
            reference: pose of the face that will speak, (B, 6): angles in radians, translation in units. z: (B, 64),
                standard normal. style: (B,) integers 0..45. audio: `audio_map` of the embeddings, (B, 32, 6).
        Returns:
            Poses relative to the reference, (B, 32, 6).
        """
        condition = torch.cat([reference, z + self.styles[style], audio.flatten(1)], 1)  # (B, 262)
        track = self.mlp(condition).view(len(z), self.config.seq_len, self.config.n_pose)
        return self.pose_map(self.unet(track))


class PoseEncoder(nn.Module):
    """Motion and condition -> mean and log variance of the Gaussian; for training (figure 4).

    The log variance has a layer of its own, as checkpoints do; the published code reads it off the mean's layer.
    """

    def __init__(self, config: PoseConfig, n_embedding: int) -> None:
        super().__init__()
        n_condition = config.seq_len * (config.n_pose + config.n_audio) + config.n_pose + config.n_latent
        self.audio_map = nn.Linear(n_embedding, config.n_audio)
        self.styles = nn.Parameter(torch.randn(config.n_styles, config.n_latent))
        self.mlp = nn.Sequential(nn.Linear(n_condition, config.hidden), nn.ReLU())
        self.unet = TimeUnet(config.width)
        self.mean = nn.Linear(config.hidden, config.n_latent)
        self.log_variance = nn.Linear(config.hidden, config.n_latent)

    def forward(self, motion: Tensor, reference: Tensor, style: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Where a piece of motion lies in the latent space.

        Args:
            motion: poses relative to the reference, (B, 32, 6). reference, style: as in `PoseDecoder`. embedding: of
                the sound, (B, 32, n_embedding).
        Returns:
            Mean and log variance, (B, 64) each.
        """
        audio = self.audio_map(embedding).flatten(1)
        x = self.mlp(torch.cat([reference, self.unet(motion).flatten(1), audio, self.styles[style]], 1))
        return self.mean(x), self.log_variance(x)


class _ConvNorm1d(nn.Module):
    """Convolution over time, batch norm, leaky ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride, 1, bias=False)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), _SLOPE)


class MotionDiscriminator(nn.Module):
    """Real or made, piece by piece of a motion; for training (supplement B.3, after PatchGAN and Speech2Gesture)."""

    def __init__(self, config: PoseConfig) -> None:
        super().__init__()
        w = 8 * config.width
        self.units = nn.Sequential(
            _ConvNorm1d(config.n_pose, w, 4, 2), _ConvNorm1d(w, 2 * w, 4, 2), _ConvNorm1d(2 * w, 4 * w, 3, 1)
        )
        self.score = nn.Conv1d(4 * w, 1, 3, 1, 1)

    def forward(self, motion: Tensor) -> Tensor:
        """(B, T, 6) -> scores (B, T // 4): 1 where the motion looks real, 0 where it looks made."""
        return self.score(self.units(motion.transpose(1, 2)))[:, 0]


class PoseVAE(nn.Module):
    """All parts together, as a checkpoint holds them and as training needs them."""

    def __init__(self, config: PoseConfig, audio: AudioConfig) -> None:
        super().__init__()
        self.audio_encoder = AudioEncoder(audio)
        self.encoder = PoseEncoder(config, audio.n_embedding)
        self.decoder = PoseDecoder(config, audio.n_embedding)
        self.discriminator = MotionDiscriminator(config)
