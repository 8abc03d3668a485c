"""I3D (Carreira and Zisserman 2017) for the Frechet video distance (Unterthiner et al. 2019): 16 frames -> 400 numbers.

It is published as TorchScript only, which is a program: nothing runs it before its sha256 is named.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from talkhead.errors import ShapeError, WeightsError
from talkhead.evaluation.networks.loading import Origin, origin_of, tensor_of
from talkhead.weights.store import sha256_of

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

ENTRIES = ("i3d-kinetics400",)
N_FEATURES = 400
LEAST_FRAMES = 10  # fewer, and the network's pooling has nothing left


class VideoEmbedder:
    """I3D on windows of frames.

    Args:
        path: `i3d_torchscript.pt`. trusted: sha256 of the file that may run; None: only the one the manifest names.
        device: as resolved by `talkhead.device`. It computes in float32.
    Raises:
        WeightsError: no such file, its sha256 is another (both are in the message), or it is no TorchScript.
    """

    def __init__(self, path: Path, *, trusted: str | None = None, device: str = "cpu") -> None:
        if not path.is_file():
            raise WeightsError(f"no weights at {path}")
        sha256 = sha256_of(path)
        self.origin: Origin = origin_of(path, sha256, ENTRIES)
        if not self.origin.is_published and sha256 != trusted:
            raise WeightsError(
                f"{path} is a program that would be run, and its sha256 is {sha256}, which is not "
                f"{'the published one' if trusted is None else trusted}",
                hint="if you trust this file, name its sha256",
            )
        try:
            with warnings.catch_warnings():
                # TorchScript is deprecated; the network is published as nothing else.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                self._network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise WeightsError(f"{path} is no TorchScript: {str(error).strip().splitlines()[0][:160]}") from error
        self._device = device

    def run(self, clips: U8) -> F32:
        """Features (the logits of Kinetics-400, before the softmax) of windows; the network resizes them to 224.

        Args:
            clips: (B, T, H, W, 3) uint8 RGB, at least 10 frames each.
        Returns:
            (B, 400) float32.
        Raises:
            ShapeError: clips of another shape. WeightsError: the file holds another network.
        """
        if clips.ndim != 5 or clips.shape[4] != 3 or clips.dtype != np.uint8 or clips.shape[1] < LEAST_FRAMES:
            raise ShapeError("clips", clips.shape, f"(B, {LEAST_FRAMES} or more, H, W, 3) uint8")
        shown = tensor_of(clips).permute(0, 4, 1, 2, 3).to(self._device, torch.float32)
        try:
            with torch.inference_mode():
                features = self._network(shown, rescale=True, resize=True, return_features=True)
        except (RuntimeError, TypeError) as error:
            said = str(error).strip().splitlines()[-1][:160]
            raise WeightsError(f"{self.origin.name} is not the I3D that is known: {said}") from error
        if tuple(features.shape) != (len(clips), N_FEATURES):
            raise WeightsError(f"{self.origin.name} gives {tuple(features.shape)}, I3D {(len(clips), N_FEATURES)}")
        return features.float().cpu().numpy()
