"""The networks of an evaluation: opened once for all clips, if their files are here; else the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkhead.errors import EnvironmentProblem, WeightsError
from talkhead.evaluation.measurement import Grade

if TYPE_CHECKING:
    from talkhead.evaluation.networks.loading import Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """A network, or why there is none.

    Attributes:
        network: an object of `talkhead.evaluation.networks`; None without. reason: then. origins: of its files.
    """

    network: Any = None
    reason: str = ""
    origins: tuple[Origin, ...] = ()

    @property
    def grade(self) -> Grade:
        """The worst of the files'."""
        return "paper" if self.origins and all(origin.is_published for origin in self.origins) else "unverified"

    @property
    def params(self) -> dict[str, float | int | str]:
        """For `Measurement.params`."""
        return {"weights": " + ".join(f"{origin.name} {origin.sha256[:12]}" for origin in self.origins)}


@dataclass(kw_only=True)
class Instruments:
    """Opens each network at its first use; nothing is downloaded, since an evaluation may want a gigabyte.

    Args:
        device, dtype: as resolved by `talkhead.device`.
    """

    device: str = "cpu"
    dtype: str = "float32"
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

    def lpips(self) -> Instrument:
        """LPIPS with AlexNet."""

        def opened() -> Instrument:
            from talkhead.evaluation.networks.lpips import open_lpips

            network = open_lpips("alex", lambda name: _file_of([name]), device=self.device, dtype=self.dtype)
            return Instrument(network=network, origins=network.origins)

        return self._kept("lpips", opened)

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
