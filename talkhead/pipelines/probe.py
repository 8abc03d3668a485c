"""What a network that measures faces says about codes of ours: drawn faces are measured, once per network.

The built-in renderer moves the photograph of the package by known codes; the network answers with its own. What is
learnt of that (`talkhead.face3d.measured`) is kept in the cache. In shapes, N is the number of drawn faces.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import logging
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import space_family
from talkhead.errors import FaceNotFoundError, InputError, TalkheadError
from talkhead.face3d import eyes
from talkhead.face3d.fit import fit_photo
from talkhead.face3d.measured import LinearConversion, learn_conversion, load_saved_conversion, save_conversion
from talkhead.face3d.morphable import FaceModel
from talkhead.geometry import euler_to_matrix
from talkhead.pipelines.choose import systems_for
from talkhead.progress import NoProgress, Progress
from talkhead.protocols import Drive, Extractor, Renderer, Source

log = logging.getLogger(__name__)

F64 = npt.NDArray[np.float64]

WIDEST, SHUT = -0.5, 1.0  # closure
_VERSION = 1  # part of the name of what is kept: a new number makes every table be measured anew
_SIZE = 384  # pixels of the drawn faces
_N_MIXES = 200


def measured_conversion(
    extractor: Extractor, model: FaceModel, *, n_mixes: int = _N_MIXES, progress: Progress | None = None
) -> LinearConversion:
    """What a network's codes and ours say about each other, measured on the drawn face of the package, or kept.

    Args:
        extractor: the network. model: ours. n_mixes: faces of several movements at once, beside those of one; a quarter
            of them only judges. progress: is told of the faces.
    Returns:
        A: our expression codes and the closure of both eyes; B: the network's expression codes.
    Raises:
        InputError: too few of the faces could be measured.
    """
    (rest,) = answers_to(_renderer(model).rest_coeffs(), extractor, model)
    if rest is None:
        raise InputError("the face of the package could not be measured")
    asked, mixed = probe_codes(model, n_mixes)
    path = _kept_at(model, rest, asked)
    try:
        return load_saved_conversion(path)
    except InputError as error:
        log.debug("%s", error.message)
    log.info("measuring %d drawn faces, once for this network", len(asked))
    made = _measure(asked, mixed, extractor, model, progress or NoProgress())
    try:
        save_conversion(made, path, {"space": model.space.name})
    except (OSError, TalkheadError) as error:
        log.debug("cannot keep the conversion: %s", error)
    return made


def probe_codes(model: FaceModel, n_mixes: int) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Codes of the faces to draw: every component, control and lid alone, then mixtures as in speech and in play.

    Returns:
        (N, n_exp + 2): expression codes, closure of the left and right eye; (N,) which of them are mixtures.
    """
    rng = np.random.default_rng(7)
    std = model.space.exp_std.astype(np.float64)
    controls = np.array(list(model.space.controls.values()), np.float64)
    single = np.concatenate(
        [np.zeros((1, len(std))), np.diag(1.5 * std), np.diag(-1.5 * std), 0.5 * controls, controls]
    )
    lids = np.array([[0.5, 0.5], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [-0.2, -0.2]])
    n_speech = n_mixes // 2
    picked = (rng.uniform(size=(n_speech, len(controls))) < 0.2) * rng.uniform(0, 1, (n_speech, len(controls)))
    played = 0.7 * rng.standard_normal((n_mixes - n_speech, len(std))) * std
    mixes = np.concatenate([picked @ controls, played])
    blinks = np.where(rng.uniform(size=(n_mixes, 1)) < 0.5, rng.uniform(-0.2, 1.0, (n_mixes, 1)), 0.0)
    winks = np.where(rng.uniform(size=(n_mixes, 2)) < 0.2, rng.uniform(0, 1, (n_mixes, 2)), blinks)
    exp = np.concatenate([single, np.zeros((len(lids), len(std))), mixes])
    closure = np.concatenate([np.zeros((len(single), 2)), lids, winks])
    exp = _lips_apart(exp, model)
    return np.concatenate([exp, closure], axis=1), np.arange(len(exp)) >= len(exp) - n_mixes


def _lips_apart(exp: F64, model: FaceModel) -> F64:
    """Expressions toned down until the lips do not pass through each other: no face can show that."""
    if model.space.opening is None:
        return exp
    opening = exp @ model.space.opening.astype(np.float64)
    deepest = -0.01  # eye distances; lips that are pressed together
    return exp * np.where(opening < deepest, deepest / np.minimum(opening, deepest), 1.0)[:, None]


def answers_to(
    coeffs: Coeffs, extractor: Extractor, model: FaceModel, progress: Progress | None = None
) -> list[Coeffs | None]:
    """What a network says about the face of the package, moved by coefficients of ours; None where it sees no face."""
    answers: list[Coeffs | None] = []
    with (progress or NoProgress()).stage("measure", len(coeffs), "faces") as advance:
        for frame in _renderer(model).render(Drive(coeffs=coeffs)):
            answers.append(_measured(frame, extractor))
            advance(1)
    return answers


def _measure(
    asked: F64, mixed: npt.NDArray[np.bool_], extractor: Extractor, model: FaceModel, progress: Progress
) -> LinearConversion:
    own = _renderer(model).rest_coeffs()
    drawn = Coeffs(
        space=model.space.name,
        fps=own.fps,
        n_frames=len(asked),
        exp=np.ascontiguousarray(asked[:, : model.n_exp], np.float32),
        eyelid=np.ascontiguousarray(asked[:, model.n_exp :], np.float32),
    )
    answers = answers_to(drawn, extractor, model, progress)
    seen = np.array([answer is not None for answer in answers])
    found = [answer for answer in answers if answer is not None]
    exp_b = np.array([answer.exp[0] for answer in found if answer.exp is not None], np.float64)
    if len(exp_b) != len(found) or not found:
        raise InputError(f"none of {len(asked)} drawn faces could be measured")
    turns = None
    if own.rot is not None and all(answer.rot is not None for answer in found):
        in_b = euler_to_matrix(np.array([answer.rot[0] for answer in found if answer.rot is not None]))
        turns = np.broadcast_to(euler_to_matrix(own.rot[0]), in_b.shape), in_b
    judge = mixed[seen] & (np.cumsum(mixed[seen]) % 4 == 0)
    return learn_conversion(asked[seen], exp_b, judge, functools.partial(distances, model), rotations=turns)


def distances(model: FaceModel, a: F64, b: F64) -> F64:
    """How far the landmarks of two sets of codes and closures are apart, (N, 68) mm."""

    def points(codes: F64) -> F64:
        shapes = eyes.close_eyelids(model.shape(exp=codes[:, : model.n_exp]), np.clip(codes[:, -2:], WIDEST, SHUT))
        return shapes[:, model.landmarks68]

    distances: F64 = np.linalg.norm(points(a) - points(b), axis=-1) * model.unit_mm
    return distances


def _measured(frame: npt.NDArray[np.uint8], extractor: Extractor) -> Coeffs | None:
    """What the network says about a drawn face; None where no face is seen."""
    from talkhead.face.mesh import choose_face

    try:
        return extractor.photo(Source(image=frame, landmarks=choose_face(frame), name="drawn face"), fps=25.0)
    except FaceNotFoundError:
        return None


def _renderer(model: FaceModel) -> Renderer:
    """The built-in renderer of our codes, with the face of the package."""
    system = next(s for s in systems_for("render") if not s.weights and s.reads(model.space.name))
    factory = importlib.import_module(system.module).build_render(device="cpu")
    renderer: Renderer = factory(_probe(), size=_SIZE, framing="crop")
    return renderer


def own_offset(extractor: Extractor, source: Source, model: FaceModel, table: LinearConversion) -> F64:
    """What the network sees in this face beyond its expression, (n_b,): it does not tell the two apart fully."""
    height, width = source.image.shape[:2]
    own = fit_photo(source.landmarks, (width, height), model).coeffs
    answer = extractor.photo(source, fps=own.fps)
    assert own.exp is not None and own.eyelid is not None and answer.exp is not None
    expected = table.to_b(np.concatenate([own.exp, own.eyelid], axis=1))
    offset: F64 = answer.exp[0] - expected[0]
    return offset


@functools.cache
def _probe() -> Source:
    """The photograph of the package."""
    from talkhead.face.mesh import choose_face
    from talkhead.media.image import read_image

    with resources.as_file(resources.files("talkhead") / "data" / "probe_face.jpg") as path:
        image = read_image(path)
    return Source(image=image.pixels, landmarks=choose_face(image.pixels, name="probe face"), name="probe face")


def _kept_at(model: FaceModel, rest: Coeffs, asked: F64) -> Path:
    """Where the table of a network is kept; networks are told apart by what they say about the probe at rest."""
    from talkhead.weights.store import cache_folder

    assert rest.exp is not None
    key = hashlib.sha256(f"{_VERSION} {model.space.name}".encode())
    for codes, decimals in ((rest.exp[0], 2), (asked, 4)):
        key.update((np.round(codes.astype(np.float64), decimals) + 0.0).tobytes())
    name = f"{model.space.name}-{space_family(rest.space)}-{key.hexdigest()[:16]}.safetensors"
    return cache_folder() / "conversions" / name
