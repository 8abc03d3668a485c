"""The small networks inside the mediapipe wheel, run one by one on crops of our own.

A network is one graph: picture -> tensor -> TFLite -> floats. Cutting the crops ourselves (averaged, turned, mirrored)
makes landmarks steadier than mediapipe's own tracking graph does, and needs no detector pass. Model cards: BlazeFace
short and full range, Attention Mesh (Grishchenko et al. 2020), Selfie Segmentation; all Apache-2.0.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.errors import EnvironmentProblem, ShapeError

log = logging.getLogger(__name__)
_BINDINGS = "mediapipe.python._framework_bindings"
_lock = threading.RLock()


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpec:
    """One network of the wheel.

    Attributes:
        path: inside the mediapipe package. size: side of its square input, pixels. low, high: the values 0 and 255
            become. n_outputs: tensors it returns.
    """

    path: str
    size: int
    low: float
    high: float
    n_outputs: int


MESH = NetworkSpec(
    path="modules/face_landmark/face_landmark_with_attention.tflite", size=192, low=0, high=1, n_outputs=7
)
DETECT_FULL_RANGE = NetworkSpec(
    path="modules/face_detection/face_detection_full_range_sparse.tflite", size=192, low=-1, high=1, n_outputs=2
)
DETECT_SHORT_RANGE = NetworkSpec(
    path="modules/face_detection/face_detection_short_range.tflite", size=128, low=-1, high=1, n_outputs=2
)
SELFIE = NetworkSpec(
    path="modules/selfie_segmentation/selfie_segmentation.tflite", size=256, low=0, high=1, n_outputs=1
)


def package_folder() -> Path | None:
    """Folder of the installed mediapipe package, found without importing it; None when there is none."""
    spec = importlib.util.find_spec("mediapipe")
    return Path(spec.origin).parent if spec and spec.origin else None


def bundled() -> bool:
    """Whether the installed mediapipe carries these networks (releases up to 0.10.21 or so do)."""
    folder = package_folder()
    return folder is not None and (folder / MESH.path).is_file() and any(_binding_files(folder))


class Network:
    """One network, loaded once per process; thread-safe.

    Raises:
        EnvironmentProblem: the installed mediapipe does not carry it, or it does not start.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        folder = package_folder()
        if folder is None or not (folder / spec.path).is_file():
            raise EnvironmentProblem(
                f"the installed mediapipe has no {Path(spec.path).name}", hint="pip install mediapipe==0.10.21"
            )
        self.spec = spec
        self._lock = threading.Lock()
        self._time = 0
        self._packets: dict[str, Any] = {}
        self._names = [f"floats{i}" for i in range(spec.n_outputs)]
        with quiet_stderr():
            self._native = _bindings(folder)
            try:
                self._native.resource_util.set_resource_dir(str(folder.parent))
                self._graph = self._native.calculator_graph.CalculatorGraph(graph_config=_graph_text(spec))
                for name in self._names:
                    self._graph.observe_output_stream(name, self._packets.__setitem__, True)
                self._graph.start_run({})
                # The first run prints too, so it belongs inside the silence.
                self.run(np.zeros((spec.size, spec.size, 3), np.uint8))
            except (RuntimeError, ValueError) as error:
                raise EnvironmentProblem(f"mediapipe cannot start {Path(spec.path).name}: {error}") from error

    def run(self, crop: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        """All output tensors, flat, for one crop (size, size, 3) uint8 RGB.

        Raises:
            ShapeError: the crop has another size.
        """
        side = self.spec.size
        if crop.shape != (side, side, 3) or crop.dtype != np.uint8:
            raise ShapeError("crop", crop.shape, f"({side}, {side}, 3) uint8")
        with self._lock:
            self._time += 1
            packet = self._native._packet_creator._create_image_frame_from_pixel_data(
                self._native.image_frame.ImageFormat.SRGB, np.ascontiguousarray(crop), True
            )
            self._graph.add_packet_to_input_stream("image", packet.at(self._time))
            self._graph.wait_until_idle()
            floats = self._native._packet_getter.get_float_list
            return [np.array(floats(self._packets[name]), np.float32) for name in self._names]


def network(spec: NetworkSpec) -> Network:
    """The network of this process, started at first use.

    Raises:
        EnvironmentProblem: see `Network`.
    """
    # A forked child inherits graphs whose threads did not survive the fork, hence the process in the key.
    with _lock:
        return _started(spec, os.getpid())


@cache
def _started(spec: NetworkSpec, pid: int) -> Network:
    return Network(spec)


def _binding_files(folder: Path) -> Iterator[Path]:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        yield from (folder / "python").glob("_framework_bindings" + suffix)


def _bindings(folder: Path) -> Any:
    """Mediapipe's native module alone: 15 ms, where `import mediapipe` takes 500 (pyplot, sound devices, tasks)."""
    if _BINDINGS in sys.modules:
        return sys.modules[_BINDINGS]
    if "mediapipe" in sys.modules:
        return importlib.import_module(_BINDINGS)
    os.environ.setdefault("GLOG_minloglevel", "2")
    path = next(_binding_files(folder), None)
    if path is None:
        raise EnvironmentProblem("the installed mediapipe has no native graphs", hint="pip install mediapipe==0.10.21")
    # Under its own full name, so that a later `import mediapipe` finds this module instead of a second copy.
    spec = importlib.util.spec_from_file_location(_BINDINGS, path)
    if spec is None or spec.loader is None:
        raise EnvironmentProblem(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_BINDINGS] = module
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        del sys.modules[_BINDINGS]
        raise EnvironmentProblem(f"mediapipe does not load: {error}") from error
    return module


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what native code writes to file descriptor 2 off the user's screen; it goes to the debug log."""
    with _lock:
        try:
            saved = os.dup(2)
        except OSError:  # no standard error at all: nothing to keep quiet
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(saved, 2)
                os.close(saved)
                sink.seek(0)
                for line in sink.read().decode(errors="replace").splitlines():
                    log.debug("mediapipe: %s", line)


def _graph_text(spec: NetworkSpec) -> str:
    """The graph in mediapipe's text format: one thread, one picture in, every output tensor as floats."""
    tensors = [f"tensor{i}" for i in range(spec.n_outputs)]
    outputs = "\n".join(f'output_stream: "floats{i}"' for i in range(spec.n_outputs))
    split = " ".join(f'output_stream: "{name}"' for name in tensors)
    ranges = " ".join(f"ranges {{ begin: {i} end: {i + 1} }}" for i in range(spec.n_outputs))
    floats = "\n".join(
        f'node {{ calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:{name}" '
        f'output_stream: "FLOATS:floats{i}" }}'
        for i, name in enumerate(tensors)
    )
    return f"""
input_stream: "image"
{outputs}
num_threads: 1
node {{ calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:input"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {spec.size} output_tensor_height: {spec.size}
    output_tensor_float_range {{ min: {spec.low} max: {spec.high} }} }} }} }}
node {{ calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:ops" }}
node {{ calculator: "ConstantSidePacketCalculator" output_side_packet: "PACKET:path"
  options {{ [mediapipe.ConstantSidePacketCalculatorOptions.ext] {{
    packet {{ string_value: "mediapipe/{spec.path}" }} }} }} }}
node {{ calculator: "ResourceProviderCalculator"
  input_side_packet: "RESOURCE_ID:path" output_side_packet: "RESOURCE:resource" }}
node {{ calculator: "TfLiteModelCalculator"
  input_side_packet: "MODEL_RESOURCE:resource" output_side_packet: "MODEL:model" }}
node {{ calculator: "InferenceCalculatorCpu" input_stream: "TENSORS:input" output_stream: "TENSORS:output"
  input_side_packet: "MODEL:model" input_side_packet: "OP_RESOLVER:ops"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{ delegate {{ xnnpack {{ num_threads: 1 }} }} }} }} }}
node {{ calculator: "SplitTensorVectorCalculator" input_stream: "output" {split}
  options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{ {ranges} }} }} }}
{floats}
"""
