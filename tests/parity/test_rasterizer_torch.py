"""The batched rasterisers of accelerators against the slow twin: the same triangle but on 0.1 % of the pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from talkhead.errors import ShapeError
from talkhead.face3d import rasterizer_torch
from talkhead.face3d.morphable import load_builtin
from talkhead.face3d.pncc import PnccDrawer
from talkhead.face3d.rasterizer import rasterize, rasterize_ids, rasterize_reference
from talkhead.geometry import euler_to_matrix, project

DIFFERENT = 1e-3
has_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
has_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def face(n=3, side=96):
    """Posed faces (n, 478, 3) and the triangles."""
    model, rng = load_builtin(), np.random.default_rng(0)
    turns = euler_to_matrix(rng.uniform(-0.7, 0.7, (n, 3)))
    shapes = model.shape(None, rng.standard_normal((n, model.n_exp)) * model.space.exp_std)
    return project(shapes, turns, np.zeros((n, 3)), np.full(n, 0.47 * side), (side, side)), model.triangles


def soup():
    """Random triangles, large, small, outside, degenerate, with corners on pixel centres, borders and not anywhere."""
    rng = np.random.default_rng(0)
    vertices = rng.uniform(-10, 50, (2, 120, 3))
    vertices[:, :60, :2] = np.round(vertices[:, :60, :2] * 2) / 2
    vertices[1, 7] = np.nan
    vertices[1, 8, 0] = np.inf
    return vertices, rng.integers(0, 120, (150, 3)).astype(np.int32)


@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("scene", [face, soup])
def test_numbers_without_barycentrics_are_the_same(scene, cull):
    vertices, triangles = scene()
    whole = rasterize(vertices, triangles, 96, 90, cull=cull)
    np.testing.assert_array_equal(rasterize_ids(vertices, triangles, 96, 90, cull=cull), whole.tri_id)


@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("scene", [face, soup])
def test_torch_finds_the_triangles_of_the_slow_twin(scene, cull):
    vertices, triangles = scene()
    slow = rasterize_reference(vertices, triangles, 60, 50, cull=cull).tri_id
    found = rasterizer_torch.rasterize_ids(torch.tensor(vertices), torch.tensor(triangles), 60, 50, cull=cull)
    assert found.dtype == torch.int32 and (slow >= 0).mean() > 0.1
    assert (found.numpy() != slow).mean() <= DIFFERENT


def test_torch_gives_ties_to_the_lower_number_and_empty_batches_nothing():
    quad = torch.tensor([[[4.0, 4, 1], [20, 4, 1], [20, 14, 1], [4, 14, 1]]])
    twice = torch.tensor([[0, 2, 1], [0, 3, 2], [0, 2, 1], [0, 3, 2]])
    assert rasterizer_torch.rasterize_ids(quad, twice, 18, 24).unique().tolist() == [-1, 0, 1]
    assert rasterizer_torch.rasterize_ids(quad[:0], twice, 18, 24).shape == (0, 18, 24)
    assert (rasterizer_torch.rasterize_ids(quad, twice[:0], 18, 24) == -1).all()
    assert (rasterizer_torch.rasterize_ids(quad + 100, twice, 18, 24) == -1).all()


def test_torch_works_in_parts(monkeypatch):
    vertices, triangles = face(4, 48)
    whole = rasterizer_torch.rasterize_ids(torch.tensor(vertices), torch.tensor(triangles), 48, 48)
    monkeypatch.setattr(rasterizer_torch, "_PAIRS", 3000)
    parts = rasterizer_torch.rasterize_ids(torch.tensor(vertices), torch.tensor(triangles), 48, 48)
    assert torch.equal(whole, parts)


def test_torch_refuses_other_shapes():
    with pytest.raises(ShapeError, match="vertices"):
        rasterizer_torch.rasterize_ids(torch.zeros(4, 3), torch.zeros(1, 3, dtype=torch.long), 8, 8)
    with pytest.raises(ShapeError, match="triangles"):
        rasterizer_torch.rasterize_ids(torch.zeros(1, 4, 3), torch.zeros(3, dtype=torch.long), 8, 8)


@has_triton
def test_the_kernel_as_its_interpreter_runs_it():
    """The Triton kernel without a GPU: its interpreter has to be chosen before Triton is imported."""
    code = """
import numpy as np, torch
from talkhead.face3d.rasterizer import rasterize_reference
from talkhead.face3d.rasterizer_triton import rasterize_ids
rng = np.random.default_rng(0)
vertices = rng.uniform(-8, 40, (2, 40, 3))
vertices[:, :20, :2] = np.round(vertices[:, :20, :2] * 2) / 2
vertices[1, 7] = np.nan
triangles = rng.integers(0, 40, (30, 3)).astype(np.int32)
for cull in (True, False):
    slow = rasterize_reference(vertices, triangles, 34, 30, cull=cull).tri_id
    found = rasterize_ids(torch.tensor(vertices), torch.tensor(triangles), 34, 30, cull=cull).numpy()
    print((found != slow).mean(), (slow >= 0).mean())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"TRITON_INTERPRET": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for line in done.stdout.splitlines():
        wrong, covered = map(float, line.split())
        assert wrong <= DIFFERENT and covered > 0.2
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.gpu
@has_cuda
@has_triton
@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("scene", [face, soup])
def test_the_kernel_finds_the_triangles_of_the_slow_twin(scene, cull):
    from talkhead.face3d.rasterizer_triton import rasterize_ids as by_triton

    vertices, triangles = scene()
    slow = rasterize_reference(vertices, triangles, 60, 50, cull=cull).tri_id
    found = by_triton(torch.tensor(vertices).cuda(), torch.tensor(triangles).cuda(), 60, 50, cull=cull)
    assert (found.cpu().numpy() != slow).mean() <= DIFFERENT


@pytest.mark.gpu
@has_cuda
def test_pictures_of_the_gpu_are_those_of_the_cpu():
    vertices, _ = face(3, 96)
    here, there = PnccDrawer(load_builtin(), 96), PnccDrawer(load_builtin(), 96, "cuda")
    different = (here.draw(vertices) != there.draw(vertices).cpu()).any(1)
    assert different.float().mean() <= DIFFERENT
