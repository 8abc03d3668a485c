"""The networks of an evaluation: opened once for all clips, if their files are here; else the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.errors import EnvironmentProblem, WeightsError
from talkhead.evaluation.measurement import Grade
from talkhead.face.landmarks import Landmarks

if TYPE_CHECKING:
    from talkhead.evaluation.networks.loading import Origin
    from talkhead.evaluation.networks.lpips import Backbone

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


class HeadFit(Protocol):
    """Fits a 3DMM to heads."""

    @property
    def name(self) -> str:
        """Of the fit, for definitions."""
        ...

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Of its files."""
        ...

    def angles(self, frames: Sequence[U8], faces: Sequence[Landmarks | None], fps: float) -> F32:
        """Pitch, yaw, roll in consecutive frames, (n, 3) degrees; NaN where there is no face.

        Args:
            frames: (H, W, 3) uint8 RGB each. faces: in them. fps: their rate.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """A network, or why there is none.

    Attributes:
        network: an object of `talkhead.evaluation.networks`; None without. reason: then. origins: of its files.
        best: grade with published files: that of the paper's own network, or of another of its kind.
    """

    network: Any = None
    reason: str = ""
    origins: tuple[Origin, ...] = ()
    best: Grade = "paper"

    @property
    def grade(self) -> Grade:
        """The worst of the files'."""
        return self.best if self.origins and all(origin.is_published for origin in self.origins) else "unverified"

    @property
    def params(self) -> dict[str, float | int | str]:
        """For `Measurement.params`."""
        return {"weights": " + ".join(f"{origin.name} {origin.sha256[:12]}" for origin in self.origins)}


@dataclass(kw_only=True)
class Instruments:
    """Opens each network at its first use; nothing is downloaded, since an evaluation may want a gigabyte.

    Args:
        device, dtype: as resolved by `talkhead.device`. open_heads: opens what fits a 3DMM to heads, which belongs to a
            system and is handed in; raises WeightsError where it is not here. None: there is nothing to open.
    """

    device: str = "cpu"
    dtype: str = "float32"
    open_heads: Callable[[], HeadFit] | None = None
    _open: dict[str, Instrument] = field(default_factory=dict, init=False)

    def syncnet(self) -> Instrument:
        """SyncNet, of LSE-D, LSE-C and AVConf."""

        def make(path: Path) -> Any:
            from talkhead.evaluation.networks.syncnet import SyncEmbedder

            return SyncEmbedder(path, device=self.device, dtype=self.dtype)

        return self._once("syncnet", ("syncnet-v2",), make)

    def arcface(self) -> Instrument:
        """ArcFace, of CSIM: the first of the known networks that is here."""

        def make(path: Path) -> Any:
            from talkhead.evaluation.networks.arcface import IdentityEmbedder

            return IdentityEmbedder(path, device=self.device, dtype=self.dtype)

        return self._once("arcface", ("arcface-w600k-r50", "arcface-ms1mv3-r50", "arcface-glint360k-r100"), make)

    def inception(self) -> Instrument:
        """Inception-v3, of FID."""

        def make(path: Path) -> Any:
            from talkhead.evaluation.networks.inception import InceptionEmbedder

            return InceptionEmbedder(path, device=self.device, dtype=self.dtype)

        return self._once("inception", ("inception-fid",), make)

    def hopenet(self) -> Instrument:
        """Hopenet, of Diversity."""

        def make(path: Path) -> Any:
            from talkhead.evaluation.networks.hopenet import HeadPoseEmbedder

            return HeadPoseEmbedder(path, device=self.device, dtype=self.dtype)

        return self._once("hopenet", ("hopenet-robust-alpha1",), make)

    def i3d(self) -> Instrument:
        """I3D, of FVD."""

        def make(path: Path) -> Any:
            from talkhead.evaluation.networks.i3d import VideoEmbedder

            return VideoEmbedder(path, device=self.device)

        return self._once("i3d", ("i3d-kinetics400",), make)

    def lpips(self, backbone: Backbone = "alex") -> Instrument:
        """LPIPS with AlexNet or VGG16."""

        def opened() -> Instrument:
            from talkhead.evaluation.networks.lpips import open_lpips

            network = open_lpips(backbone, lambda name: _file_of([name]), device=self.device, dtype=self.dtype)
            return Instrument(network=network, origins=network.origins)

        return self._kept(f"lpips-{backbone}", opened)

    def fan(self) -> Instrument:
        """FAN, of LMD: where face-alignment and its weights are here."""

        def opened() -> Instrument:
            from talkhead.evaluation.networks.fan import FaceAlignment

            network = FaceAlignment(device=self.device)
            return Instrument(network=network, origins=(network.origin,), best="paper-like")

        return self._kept("fan", opened)

    def head_fit(self) -> Instrument:
        """The fit of a 3DMM, of ARD and ARE."""

        def opened() -> Instrument:
            if self.open_heads is None:
                raise WeightsError("needs a fit of a 3DMM, which talkhead.evaluate hands in")
            fit = self.open_heads()
            return Instrument(network=fit, origins=fit.origins, best="paper-like")

        return self._kept("head_fit", opened)

    def of(self, families: Iterable[str], *, is_set: bool) -> list[Instrument]:
        """Open what some families use, whether it is here or not.

        Args:
            families: names. is_set: whether what only sets have is measured.
        """
        openers: dict[str, tuple[Callable[[], Instrument], ...]] = {
            "lpips": (self.lpips,),
            "lpips_vgg": (lambda: self.lpips("vgg"),),
            "fid": (self.inception,) if is_set else (),
            "fvd": (self.i3d,) if is_set else (),
            "csim": (self.arcface,),
            "lmd": (self.fan,),
            "ard": (self.head_fit,),
            "diversity": (self.hopenet,),
            "beat_align": (self.head_fit, self.hopenet),
            "lse": (self.syncnet,),
            "lse_whole": (self.syncnet,),
        }
        return [opener() for family in families for opener in openers.get(family, ())]

    def origins(self) -> dict[str, str]:
        """sha256 of every file that was used, by name."""
        return {origin.name: origin.sha256 for tool in self._open.values() for origin in tool.origins}

    def _once(self, name: str, entries: Sequence[str], make: Callable[[Path], Any]) -> Instrument:
        def opened() -> Instrument:
            network = make(_file_of(entries))
            return Instrument(network=network, origins=(network.origin,))

        return self._kept(name, opened)

    def _kept(self, name: str, opened: Callable[[], Instrument]) -> Instrument:
        if name not in self._open:
            try:
                self._open[name] = opened()
            except (WeightsError, EnvironmentProblem) as error:
                self._open[name] = Instrument(reason=f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        return self._open[name]


def _file_of(entries: Sequence[str]) -> Path:
    """The first of some weights that is here, as its network reads it.

    Raises:
        WeightsError: none is.
    """
    from talkhead.weights import catalogue
    from talkhead.weights.manifest import load_manifest

    for name in entries:
        if catalogue.presence([name]).is_complete:
            as_it_is = load_manifest().file(name).format in ("onnx", "torchscript")
            return catalogue.path(name) if as_it_is else catalogue.tensors(name, download=False)
    raise WeightsError(f"needs {' or '.join(entries)}, not found", hint=f"talkhead weights pull {entries[0]}")
