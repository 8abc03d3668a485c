"""A made-up Basel face model: the built-in faces in another frame, order of points and basis, lids part of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

BFM_PITCH, BFM_SCALE, BFM_SHIFT = np.radians(5.0), 1.04, np.array([0.0, 0.1, 0.3])


@pytest.fixture(scope="session")
def bfm_arrays() -> dict[str, npt.NDArray[np.float64]]:
    """The matrices of a `BFM_model_front.mat` of 478 vertices."""
    from talkhead.face3d import eyes
    from talkhead.face3d.morphable import load_builtin
    from talkhead.geometry import euler_to_matrix

    model, rng = load_builtin(), np.random.default_rng(5)
    turn = euler_to_matrix([BFM_PITCH, 0.0, 0.0])
    order = rng.permutation(len(model.mean))

    def placed(fields: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return BFM_SCALE * (fields @ turn.T)[..., order, :]

    mean = model.mean.astype(np.float64)
    lids = np.stack([eyes.close_eyelids(mean, pair) - mean for pair in ([0.5, 0.0], [0.0, 0.5])])
    own = model.exp_basis * model.space.exp_std[:, None, None]
    mixed = np.einsum("ij,jvk->ivk", np.linalg.qr(rng.standard_normal((28, 28)))[0], own)
    smooth = np.einsum("ij,jvk->ivk", 0.02 * rng.standard_normal((34, 28)), own)
    exp = np.concatenate([mixed, lids, smooth])
    known = model.id_basis * model.space.id_std[:, None, None]
    mixing = np.linalg.qr(rng.standard_normal((80, model.n_id)))[0]
    identity = np.einsum("ij,jvk->ivk", mixing, known)
    numbers = np.argsort(order)
    return {
        "meanshape": (placed(mean) + BFM_SHIFT).reshape(1, -1),
        "idBase": placed(identity).reshape(80, -1).T,
        "exBase": placed(exp).reshape(64, -1).T,
        "tri": (numbers[model.triangles] + 1).astype(np.float64),
        "keypoints": (numbers[model.landmarks68] + 1)[None].astype(np.float64),
        "meantex": np.zeros((1, 3 * 478)),
    }


@pytest.fixture(scope="session")
def bfm_file(bfm_arrays: dict[str, npt.NDArray[np.float64]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    from scipy.io import savemat

    path = tmp_path_factory.mktemp("bfm") / "BFM_model_front.mat"
    savemat(path, bfm_arrays, do_compression=True)
    return path
