"""Codes of one space -> codes of another: by both face models where they are here, else by pictures measured in both.

The Basel face model may not be handed on, so most machines lack it. But whoever wants codes of it has the network that
makes them, and what that says about codes of ours can be measured (`talkhead.pipelines.probe`).
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.bfm import SPACE as BFM
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.convert import needs_conversion
from talkhead.coeffs.file import require_space
from talkhead.coeffs.layout import Space, space_family
from talkhead.errors import CoeffFileError, UsageError, WeightsError
from talkhead.face3d.aligned import into_aligned, out_of_aligned
from talkhead.face3d.convert import DEFAULTS, HeadFrame, ModelConversion
from talkhead.face3d.fit import fit_photo
from talkhead.face3d.lips import closing_codes
from talkhead.face3d.morphable import FaceModel, ShapeModel, load_builtin
from talkhead.face3d.spaces import require_known, space_of
from talkhead.pipelines.choose import systems_for
from talkhead.pipelines.probe import SHUT, WIDEST, measured_conversion, own_offset
from talkhead.progress import NoProgress, Progress
from talkhead.protocols import Extractor, Source, Weights

log = logging.getLogger(__name__)

F64 = npt.NDArray[np.float64]

BFM_WEIGHTS = "bfm-front"  # of the manifest
LEAST_EXPLAINED = 0.5  # share of the variance below which a measured conversion says too little


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """Expression codes and lids in the wanted space, and how good they are.

    Attributes:
        id: (n_id,) or None. exp: (T, n_exp) or None. eyelid: (T, 2) or None. head: where the built-in head frame lies
            in that of `bfm`. way: how, for the log. facts: for the file's parameters.
    """

    id: F64 | None
    exp: F64 | None
    eyelid: F64 | None
    head: HeadFrame
    way: str
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """Where relative motion starts, seen from the other space.

    Offsets of `bfm` start from the photo's own expression, those of `meshwarp` from the same with its lips together,
    and closure counts from open eyes. Without a photo all of these are taken to be one.

    Attributes:
        exp: (n_exp,) codes of ours that close the photo's lips. eyelid: (2,) closure in the photo.
    """

    exp: F64
    eyelid: F64

    @classmethod
    def neutral(cls, model: FaceModel) -> Rest:
        """Of a face with its lips together and its eyes open."""
        return cls(exp=np.zeros(model.n_exp), eyelid=np.zeros(2))

    @classmethod
    def of(cls, source: Source, model: FaceModel) -> Rest:
        """Of a photo."""
        height, width = source.image.shape[:2]
        fit = fit_photo(source.landmarks, (width, height), model)
        assert fit.coeffs.eyelid is not None
        return cls(exp=closing_codes(fit.vertices, model), eyelid=fit.coeffs.eyelid[0].astype(np.float64))

    def left_by(self, coeffs: Coeffs) -> Coeffs:
        """Offsets of ours as offsets from the photo as it is."""
        exp = None if coeffs.exp is None else _float32(coeffs.exp + self.exp)
        eyelid = None if coeffs.eyelid is None else _float32(coeffs.eyelid - self.eyelid)
        return coeffs.replace(exp=exp, eyelid=eyelid)

    def reached_by(self, moved: Moved) -> Moved:
        """Offsets from the photo as it is as offsets of ours."""
        exp = None if moved.exp is None else moved.exp - self.exp
        eyelid = None if moved.eyelid is None else np.clip(moved.eyelid + self.eyelid, WIDEST, SHUT)
        return replace(moved, exp=exp, eyelid=eyelid)


def in_space(
    coeffs: Coeffs,
    target: str,
    *,
    weights: Weights,
    device: str = "auto",
    dtype: str = "auto",
    source: Source | None = None,
    progress: Progress | None = None,
) -> Coeffs:
    """The same motion in codes of another space; without codes, or where they are of that space, nothing changes.

    Relative tracks stay relative. Closed lids are part of the codes of `bfm` and a track beside those of `meshwarp`.
    One line is logged, and `params["conversion"]` keeps how it was done and what is left, in mm.

    Args:
        coeffs: any. target: name of the space, with or without its hash. weights: where the Basel face model, or the
            network that measures in its space, come from. device, dtype: of that network.
        source: photo of the face that is to move, where it is known: relative codes then start from its own lips and
            lids, and what the network makes of this very face is taken off absolute ones. progress: is told of
            measuring.
    Raises:
        UsageError: no such space, or no way to it. WeightsError: what is needed for it is not here.
        CoeffFileError: more than 3 mm would be left, or codes of another build or length.
    """
    if not needs_conversion(coeffs, target):
        return coeffs
    goal, model = require_known(target), load_builtin()
    given = space_of(coeffs.space)
    if given is None or {given.family, goal.family} != {model.space.family, BFM}:
        raise UsageError(f"no conversion from space {space_family(coeffs.space)} to {goal.family}")
    _check_codes(coeffs, given)
    to_bfm = goal.family == BFM
    is_offset = coeffs.exp is None or "exp" in coeffs.relative
    rest = Rest.of(source, model) if source is not None and is_offset else Rest.neutral(model)
    if to_bfm:
        coeffs = rest.left_by(coeffs)
    bfm = _basel_model(weights)
    if bfm is not None:
        moved = _by_models(coeffs, model, bfm, to_bfm)
    else:
        find = functools.partial(find_network, weights=weights, device=device, dtype=dtype)
        moved = _by_measurement(coeffs, model, find, to_bfm, source, progress or NoProgress())
    if not to_bfm:
        moved = rest.reached_by(moved)
    converted = into_aligned(coeffs, moved.head) if to_bfm else out_of_aligned(coeffs, moved.head)
    log.info("codes of %s as codes of %s: %s", given.family, goal.family, moved.way)
    relative = set(coeffs.relative) | converted.relative
    if coeffs.exp is None and moved.exp is not None:
        relative.add("exp")  # lids alone: what they add to a face at rest
    return converted.replace(
        space=goal.name,
        id=_float32(moved.id),
        exp=_float32(moved.exp),
        eyelid=_float32(moved.eyelid),
        tongue=None if to_bfm else converted.tongue,
        relative=frozenset(relative),
        params=dict(coeffs.params) | {"conversion": {"from": given.name, "to": goal.name, **moved.facts}},
    )


def _check_codes(coeffs: Coeffs, space: Space) -> None:
    """Raise CoeffFileError unless the codes are of this build of the space, and as many."""
    require_space(coeffs, space.name)
    for name, codes, std in (("id", coeffs.id, space.id_std), ("exp", coeffs.exp, space.exp_std)):
        if codes is not None and codes.shape[-1] != len(std):
            raise CoeffFileError(f"{name} has {codes.shape[-1]} codes, space {space.name} has {len(std)}")


def _by_models(coeffs: Coeffs, ours: FaceModel, bfm: ShapeModel, to_bfm: bool) -> Moved:
    out = ModelConversion(ours, bfm)
    way = out if to_bfm else ModelConversion(bfm, ours)
    found = way.convert(id_coeffs=coeffs.id, exp=coeffs.exp, eyelid=coeffs.eyelid)
    facts = {"by": "both face models", "residual_mm": round(found.residual_mm, 3)}
    if found.id is not None:
        facts["id_residual_mm"] = round(found.id_residual_mm, 3)
    return Moved(
        id=found.id, exp=found.exp, eyelid=found.eyelid, head=out.head, facts=facts,
        way=f"by both face models, {found.residual_mm:.2f} mm are left of the expression",
    )  # fmt: skip


def _by_measurement(
    coeffs: Coeffs,
    model: FaceModel,
    find: Callable[[], Extractor],
    to_bfm: bool,
    source: Source | None,
    progress: Progress,
) -> Moved:
    if coeffs.exp is None:
        raise UsageError(
            "identity codes cannot be converted by what a network measures",
            hint="the Basel face model converts them: talkhead weights list; or extract them anew with --space",
        )
    extractor = find()
    table = measured_conversion(extractor, model, progress=progress)
    table.require_useful(DEFAULTS.limit_mm, LEAST_EXPLAINED)
    relative = "exp" in coeffs.relative
    own = 0.0 if relative or source is None else own_offset(extractor, source, model, table)
    n_exp, closure = model.n_exp, coeffs.eyelid
    if to_bfm:
        lids = np.zeros((len(coeffs), 2)) if closure is None else closure.astype(np.float64)
        exp = table.to_b(np.concatenate([coeffs.exp.astype(np.float64), lids], axis=1), relative=relative) + own
        eyelid = None
    else:
        found = table.to_a(coeffs.exp.astype(np.float64) - own, relative=relative)
        exp = found[:, :n_exp]
        eyelid = np.clip(found[:, n_exp:] + (0.0 if closure is None else closure), WIDEST, SHUT)
    explained = (table.to_b if to_bfm else table.to_a).explained
    lost = "" if coeffs.id is None else "; the identity codes are left out"
    return Moved(
        id=None, exp=exp, eyelid=eyelid,
        head=HeadFrame(scale=1.0, rotation=table.turn, shift=np.zeros(3)),
        facts={
            "by": "measured pictures", "residual_mm": round(table.residual_mm, 3), "explained": round(explained, 4)
        },
        way=f"by measured pictures, {table.residual_mm:.2f} of {table.moved_mm:.1f} mm are left on the way to and fro,"
        f" {100 * explained:.0f} % of the variance is explained{lost}",
    )  # fmt: skip


def find_network(*, weights: Weights, device: str = "auto", dtype: str = "auto") -> Extractor:
    """The network that measures faces in codes of `bfm`.

    Raises:
        WeightsError: it is not here and cannot be had.
    """
    for system in systems_for("extract"):
        if system.weights and system.reads(BFM):
            builder = importlib.import_module(system.module).build_extract
            try:
                made: Extractor = builder(weights=weights, device=device, dtype=dtype)
            except WeightsError as error:
                raise WeightsError(
                    f"converting codes of {BFM} needs the network that measures them, or the Basel face model:"
                    f" {error.message}",
                    hint=error.hint or f"talkhead weights pull {system.name}",
                ) from error
            return made
    raise UsageError(f"no system measures codes of {BFM}")


def _basel_model(weights: Weights) -> ShapeModel | None:
    """The Basel face model if its user has brought it and accepted its licence."""
    from talkhead.face3d.bfm import load_bfm
    from talkhead.weights.catalogue import ensure

    try:
        if not weights.has(BFM_WEIGHTS):
            return None
    except WeightsError:  # a manifest of the user's own need not list it
        return None
    try:
        return load_bfm(ensure(BFM_WEIGHTS, download=False, accept=getattr(weights, "accept", ())))
    except WeightsError as error:
        log.info("the Basel face model is not used: %s; %s", error.message, error.hint)
        return None


def _float32(array: F64 | None) -> npt.NDArray[np.float32] | None:
    return None if array is None else np.ascontiguousarray(array, np.float32)
