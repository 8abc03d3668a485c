"""How well codes of a network are understood as ours, and ours as its: the numbers of docs/coefficient-file.md.

    python scripts/measure_conversion.py                 # the network of SadTalker, whose weights must be here
    python scripts/measure_conversion.py --made-up 0.05  # a network made up of the landmarks, with that much noise

The example speech moves the photograph of the package, the network measures what is drawn, and its codes are taken back
to ours.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.face3d.fit import image_to_model_axes
from talkhead.face3d.measured import LinearConversion
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.face3d.pose import solve_poses
from talkhead.geometry import euler_to_matrix, matrix_to_euler
from talkhead.pipelines import probe
from talkhead.pipelines.audio2coeff import audio2coeff
from talkhead.pipelines.convert import find_network
from talkhead.protocols import Extractor, Source
from talkhead.weights.catalogue import Door

SPEECH = Path(__file__).resolve().parents[1] / "examples" / "speech.wav"
F64 = npt.NDArray[np.float64]


class MadeUpNetwork:
    """Answers a hidden linear function of where a face's landmarks are in its head, a little bent and noisy.

    Args:
        model: whose landmarks. noise: standard deviation of each of its 64 codes, which themselves move by about 1.
        hearing: 0 answers nothing but noise. seed: of the function.
    """

    def __init__(self, model: FaceModel, noise: float = 0.05, hearing: float = 1.0, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._linear, self._bent = hearing * 5 * rng.standard_normal((2, 136, 64))
        self._own = 0.3 * rng.standard_normal(64)
        self._model, self._noise, self._rng = model, noise, rng
        self.n_asked = 0
        self.turn = euler_to_matrix([0.06, 0.0, 0.0])

    def photo(self, source: Source, *, fps: float, landmarks: bool = False, like: Coeffs | None = None) -> Coeffs:
        """Codes and angles of one photo."""
        self.n_asked += 1
        points = image_to_model_axes(source.landmarks.points[None], (source.image.shape[1], source.image.shape[0]))
        mean = self._model.mean.astype(np.float64)
        pose = solve_poses(mean, points, self._model.pose_weights.astype(np.float64))
        seen = (pose.undo(points)[0] - mean)[self._model.landmarks68, :2].ravel()
        exp = seen @ self._linear + 0.05 * np.tanh(seen @ self._bent) + self._own
        exp = exp + self._noise * self._rng.standard_normal(64)
        rot = matrix_to_euler(pose.rotation @ self.turn.T).astype(np.float32)
        return Coeffs(space="bfm", fps=fps, n_frames=1, exp=exp[None].astype(np.float32), rot=rot)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made-up", type=float, metavar="NOISE", help="a made-up network instead of SadTalker's")
    arguments = parser.parse_args()
    model = load_builtin()
    network: Extractor
    if arguments.made_up is None:
        network = find_network(weights=Door(download=False))
    else:
        network = MadeUpNetwork(model, noise=arguments.made_up)  # type: ignore[assignment]  # photos are all it is asked
    start = time.perf_counter()
    table = probe.measured_conversion(network, model)
    print(f"measured or read in {time.perf_counter() - start:.1f} s, {table.n_pairs} pairs learnt from")
    print(f"held out: {table.residual_mm:.2f} of {table.moved_mm:.2f} mm left")
    print(f"variance explained: {table.to_b.explained:.3f} of its codes, {table.to_a.explained:.3f} of ours")
    report(network, table, model)


def report(network: Extractor, table: LinearConversion, model: FaceModel) -> None:
    """Print how the example speech comes back from the network."""
    speech = audio2coeff(SPEECH, system="meshwarp").at(slice(0, 150))
    assert speech.exp is not None and speech.eyelid is not None and model.space.opening is not None
    drawn = Coeffs(space=model.space.name, fps=25.0, n_frames=len(speech), exp=speech.exp, eyelid=speech.eyelid)
    answers = probe.answers_to(drawn, network, model)
    seen = [t for t, answer in enumerate(answers) if answer is not None]
    codes = np.array([answer.exp[0] for answer in answers if answer is not None and answer.exp is not None], np.float64)
    back = table.to_a(codes)
    given = np.concatenate([speech.exp, speech.eyelid], axis=1).astype(np.float64)[seen]
    n_exp = model.n_exp
    for name, found, wanted in (
        ("mouth opening", back[:, :n_exp] @ model.space.opening, given[:, :n_exp] @ model.space.opening),
        ("closure of the eyes", back[:, n_exp:].mean(1), given[:, n_exp:].mean(1)),
    ):
        gain = np.polyfit(wanted, found, 1)[0]
        print(f"speech, {name}: correlation {np.corrcoef(found, wanted)[0, 1]:.3f}, gain {gain:.2f}")
    left = probe.distances(model, back - back.mean(0), given - given.mean(0))[:, 48:]
    moved = probe.distances(model, given - given.mean(0), np.zeros_like(given))[:, 48:]
    print(f"speech, lips: {np.sqrt((left**2).mean()):.2f} of {np.sqrt((moved**2).mean()):.2f} mm left")


if __name__ == "__main__":
    main()
