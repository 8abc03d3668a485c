"""ArcFace (Deng et al. 2019) on an improved residual network: an aligned face -> 512 numbers that tell people apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from talkhead.errors import EnvironmentProblem, ShapeError, WeightsError
from talkhead.evaluation.networks.loading import Origin, load_network, origin_of, tensor_of
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import MOUTH_CORNERS
from talkhead.weights.store import sha256_of

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

ENTRIES = ("arcface-w600k-r50", "arcface-glint360k-r100", "arcface-ms1mv3-r50")
SIDE = 112
N_FEATURES = 512
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2) pixels of the crop, pixel 0 centred at 0: eyes, tip of the nose, corners of the mouth (Deng et al. 2019)."""
EYE_CORNERS = ((33, 133), (362, 263))
NOSE_TIP = 4

_WIDTHS = (64, 128, 256, 512)
_N_STAGES = len(_WIDTHS)


class Block(nn.Module):
    """Norm, 3 x 3, norm, PReLU, 3 x 3 with the stride, norm, beside the input: no activation after the sum."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.prelu = nn.PReLU(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)) if stride != 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        beside = x if self.downsample is None else self.downsample(x)
        return self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x)))))) + beside


class IResNet(nn.Module):
    """The network; names are the published keys.

    Args:
        n_blocks: of each stage: (3, 4, 14, 3) is r50, (3, 13, 30, 3) is r100.
    """

    def __init__(self, n_blocks: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.prelu = nn.PReLU(_WIDTHS[0])
        before = _WIDTHS[0]
        for k, (width, count) in enumerate(zip(_WIDTHS, n_blocks, strict=True)):
            blocks = [Block(before, width, 2), *(Block(width, width, 1) for _ in range(count - 1))]
            setattr(self, f"layer{k + 1}", nn.Sequential(*blocks))
            before = width
        self.bn2 = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before * (SIDE >> _N_STAGES) ** 2, N_FEATURES)
        self.features = nn.BatchNorm1d(N_FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Faces (B, 3, 112, 112), RGB in [-1, 1] -> (B, 512), not normalised."""
        x = self.prelu(self.bn1(self.conv1(x)))
        for k in range(_N_STAGES):
            x = getattr(self, f"layer{k + 1}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


def iresnet_of(tensors: Mapping[str, Any]) -> IResNet:
    """The network that these published tensors belong to; its depth is read from their keys.

    Raises:
        WeightsError: a stage has no blocks.
    """
    counts = []
    for k in range(_N_STAGES):
        numbers = [int(found[1]) for key in tensors if (found := re.match(rf"layer{k + 1}\.(\d+)\.", key))]
        if not numbers:
            raise WeightsError(f"it is no iresnet: nothing begins with layer{k + 1}.")
        counts.append(max(numbers) + 1)
    return IResNet(counts)


def aligned_face(frame: U8, landmarks: Landmarks) -> U8:
    """The face as ArcFace wants it: five points brought to the template by a similarity, least squares.

    Args:
        frame: (H, W, 3) uint8 RGB. landmarks: of the face in it.
    Returns:
        (112, 112, 3) uint8 RGB; black outside the frame.
    """
    import cv2

    matrix = _similarity(five_points(landmarks), TEMPLATE)
    return np.asarray(cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8)


def five_points(landmarks: Landmarks) -> F64:
    """Eyes (middle of their corners), tip of the nose, corners of the mouth, (5, 2) pixels, pixel 0 centred at 0."""
    points = landmarks.points[:, :2] - 0.5
    eyes = [points[list(corners)].mean(0) for corners in EYE_CORNERS]
    return np.stack([*eyes, points[NOSE_TIP], *points[list(MOUTH_CORNERS)]])


class IdentityEmbedder:
    """ArcFace on frames with landmarks; `prepare` each frame, then `run` some at a time.

    Args:
        path: an iresnet of any depth (`backbone.pth` or its safetensors), or an ONNX file such as `w600k_r50.onnx`, for
            which the package onnxruntime must be there. device, dtype: as resolved by `talkhead.device`; an ONNX file
            runs on the CPU in float32.
    Raises:
        WeightsError: the file holds something else. EnvironmentProblem: an ONNX file, and no onnxruntime.
    """

    def __init__(self, path: Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        self.origin: Origin
        if path.suffix == ".onnx":
            self._run, self.origin = _onnx_network(path), origin_of(path, sha256_of(path), ENTRIES)
            return
        network, self.origin = load_network(
            iresnet_of, path, name="ArcFace's iresnet", entries=ENTRIES, device=device, dtype=dtype
        )
        self._run = lambda faces: network(faces.to(device, getattr(torch, dtype))).float().cpu().numpy()

    def prepare(self, frame: U8, landmarks: Landmarks) -> U8:
        """What of a frame the network sees: see `aligned_face`."""
        return aligned_face(frame, landmarks)

    def run(self, faces: U8) -> F32:
        """Embeddings of aligned faces.

        Args:
            faces: (B, 112, 112, 3) uint8 RGB.
        Returns:
            (B, 512) float32, not normalised.
        Raises:
            ShapeError: faces of another shape.
        """
        if faces.shape[1:] != (SIDE, SIDE, 3) or faces.dtype != np.uint8:
            raise ShapeError("faces", faces.shape, f"(B, {SIDE}, {SIDE}, 3) uint8")
        with torch.inference_mode():
            return self._run((tensor_of(faces).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)


def _similarity(points: F64, target: F64) -> F64:
    """(2, 3) similarity without reflection that brings (N, 2) points nearest to others."""
    p, q = (side[:, 0] + 1j * side[:, 1] for side in (points, target))
    turn = np.vdot(p - p.mean(), q - q.mean()) / np.vdot(p - p.mean(), p - p.mean()).real
    shift = q.mean() - turn * p.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _onnx_network(path: Path) -> Callable[[Tensor], F32]:
    if not path.is_file():
        raise WeightsError(f"no weights at {path}")
    try:
        import onnxruntime
    except ImportError as error:
        raise EnvironmentProblem(
            f"{path.name} needs the package onnxruntime", hint="pip install onnxruntime"
        ) from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
    except Exception as error:  # noqa: BLE001 - onnxruntime raises classes of its own C++ part
        raise WeightsError(f"{path} is no face recognition network: {str(error)[:160]}") from error
    return lambda faces: np.asarray(session.run(None, {given.name: faces.numpy()})[0], np.float32)
