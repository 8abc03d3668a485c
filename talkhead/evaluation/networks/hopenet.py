"""Hopenet (Ruiz et al. 2018): a ResNet-50 that tells how a head is turned, in 66 steps of 3 degrees for each angle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from talkhead.errors import ShapeError
from talkhead.evaluation.networks.loading import Origin, load_network, tensor_of
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import BROW_A, BROW_B, CHIN

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ENTRIES = ("hopenet-robust-alpha1",)
SIDE = 224
N_FEATURES = 2048
N_BINS, BIN_DEG, LOWEST_DEG = 66, 3.0, -99.0
# The classifiers' customary mean and deviation (ImageNet), of [0, 1].
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadPoses:
    """What Hopenet says about some pictures.

    Attributes:
        features: (B, 2048) float32, mean of the last maps. logits: (B, 3, 66) float32 of yaw, pitch, roll.
        yaw_pitch_roll_deg: (B, 3) float32, the mean of each softmax, degrees, in the network's own sense.
    """

    features: F32
    logits: F32
    yaw_pitch_roll_deg: F32


class Hopenet(nn.Module):
    """torchvision's ResNet-50 with three heads; names are the published keys. Unused: `fc_finetune`."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        trunk = resnet50(weights=None)
        for name, part in trunk.named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, part)
        self.fc_yaw = nn.Linear(N_FEATURES, N_BINS)
        self.fc_pitch = nn.Linear(N_FEATURES, N_BINS)
        self.fc_roll = nn.Linear(N_FEATURES, N_BINS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 224, 224), RGB, normalised -> features (B, 2048), logits of yaw, pitch, roll (B, 3, 66)."""
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(name)(x)
        features = x.mean((2, 3))
        return features, torch.stack([self.fc_yaw(features), self.fc_pitch(features), self.fc_roll(features)], 1)


def loose_face(frame: U8, landmarks: Landmarks) -> U8:
    """The head with some space around it, as the published demonstration cuts it out.

    A detector's box is grown by half its width to either side, three quarters of its height up and one quarter down.
    The box here stands in for dlib's: a square from the brows to the chin.

    Args:
        frame: (H, W, 3) uint8 RGB. landmarks: of the face in it.
    Returns:
        (224, 224, 3) uint8 RGB: the shorter side of the part inside the frame, resized, its middle.
    """
    from PIL import Image

    height, width = frame.shape[:2]
    points = landmarks.points[:, :2]
    top, bottom = points[[*BROW_A, *BROW_B], 1].min(), points[CHIN, 1]
    side, middle = max(float(bottom - top), 1.0), float(points[:, 0].mean())
    x0, x1 = (int(np.clip(middle + share * side, 0, width)) for share in (-1.0, 1.0))
    y0, y1 = (int(np.clip(edge, 0, height)) for edge in (top - 0.75 * side, bottom + 0.25 * side))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise ShapeError("frame", frame.shape, "a frame that shows the face")
    scale = SIDE / min(x1 - x0, y1 - y0)
    size = max(SIDE, round((x1 - x0) * scale)), max(SIDE, round((y1 - y0) * scale))
    resized = np.asarray(Image.fromarray(frame[y0:y1, x0:x1]).resize(size, Image.Resampling.BILINEAR))
    left, above = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    return resized[above : above + SIDE, left : left + SIDE]


class HeadPoseEmbedder:
    """Hopenet on frames with landmarks; `prepare` each frame, then `run` some at a time.

    Args:
        path: `hopenet_robust_alpha1.pkl` (or another of the authors' ResNet-50 files) or its safetensors. device,
            dtype: as resolved by `talkhead.device`.
    Raises:
        WeightsError: the file holds something else.
    """

    def __init__(self, path: Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        self.origin: Origin
        self._network, self.origin = load_network(
            lambda _: Hopenet(), path, name="Hopenet", entries=ENTRIES, skip=r"fc_finetune\..+", device=device,
            dtype=dtype,
        )  # fmt: skip
        self._device, self._dtype = device, getattr(torch, dtype)

    def prepare(self, frame: U8, landmarks: Landmarks) -> U8:
        """What of a frame the network sees: see `loose_face`."""
        return loose_face(frame, landmarks)

    def run(self, faces: U8) -> HeadPoses:
        """Features and angles of faces.

        Args:
            faces: (B, 224, 224, 3) uint8 RGB.
        Raises:
            ShapeError: faces of another shape.
        """
        if faces.shape[1:] != (SIDE, SIDE, 3) or faces.dtype != np.uint8:
            raise ShapeError("faces", faces.shape, f"(B, {SIDE}, {SIDE}, 3) uint8")
        shown = tensor_of(faces).permute(0, 3, 1, 2).float() / 255
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        with torch.inference_mode():
            given = ((shown - mean) / deviation).to(self._device, self._dtype)
            features, logits = (value.float().cpu() for value in self._network(given))
            steps = torch.arange(N_BINS, dtype=torch.float32)
            angles = (logits.softmax(2) * steps).sum(2) * BIN_DEG + LOWEST_DEG
        return HeadPoses(features=features.numpy(), logits=logits.numpy(), yaw_pitch_roll_deg=angles.numpy())
