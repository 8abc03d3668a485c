"""Published networks from their checkpoints, through the weights machinery, with made-up weights."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.GFPGAN import GFPGAN
from spandrel.architectures.RestoreFormer import RestoreFormer

from talkhead.enhance.networks import FaceRestorer, Upscaler, _fitting, open_restorer, open_upscaler
from talkhead.errors import EnvironmentProblem, ShapeError, WeightsError
from talkhead.weights import catalogue


def archive(content):
    """The bytes of a published kind of file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def randomised(network, seed):
    """Weights that depend on nothing but the seed."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for tensor in state.values():
        tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


@pytest.fixture
def pictures():
    rng = np.random.default_rng(2)
    return rng.uniform(0, 255, (2, 512, 512, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def small_restoreformer():
    sizes = {"ch": 32, "ch_mult": (1,) * 6, "num_res_blocks": 1, "n_embed": 16, "embed_dim": 32, "z_channels": 32}
    return randomised(RestoreFormer(**sizes), 3)


@pytest.fixture(scope="module")
def small_esrgan():
    """As RealESRGAN_x2plus: four times, after pixels were folded into channels two by two."""
    return randomised(ESRGAN(in_nc=12, out_nc=3, num_filters=8, num_blocks=1, scale=4, shuffle_factor=2), 4)


def test_restoreformer(shelve, small_restoreformer, pictures):
    state = small_restoreformer.state_dict()
    wrong = {key: torch.zeros_like(value) for key, value in state.items()}
    shelve("face", archive({"params": wrong, "params_ema": state}), at="mirror", format="pickle")
    restorer = open_restorer("restoreformer", catalogue.tensors("face"), device="cpu", dtype="float32")
    found = restorer.finish(restorer.start(pictures[:1]))
    seen = torch.from_numpy(pictures[:1]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        expected = (small_restoreformer(seen)[0].clamp(-1, 1)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert expected.std() > 1
    assert len(found) == 1 and np.allclose(found[0], expected, atol=1e-3)


@pytest.mark.slow
def test_gfpgan_at_its_full_size(shelve, pictures):
    """The clean architecture, as spandrel builds it from GFPGANv1.4.pth: all zero but what makes a plain colour."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in GFPGAN().state_dict().items()}
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    colour = torch.tensor([0.5, -0.25, 0.0])
    state["stylegan_decoder.to_rgb1.bias"] = colour.view(1, 3, 1, 1)
    state["stylegan_decoder.style_conv1.weight"] = torch.ones(1)  # noise comes in, and must not change the answer
    shelve("gfpgan", archive({"params_ema": state}), at="mirror", format="pickle")
    restorer = open_restorer("gfpgan", catalogue.tensors("gfpgan"), device="cpu", dtype="float32")
    (found,) = restorer.finish(restorer.start(pictures[:1]))
    assert np.allclose(found, (colour.numpy() + 1) * 127.5, atol=1e-3)


def test_gfpgan_uses_its_stored_noise(monkeypatch, tmp_path, pictures):
    from talkhead.enhance import networks

    asked = []

    class Network(torch.nn.Module):
        def forward(self, faces, **options):
            asked.append(options)
            return faces, []

    found = SimpleNamespace(
        architecture=SimpleNamespace(id="GFPGAN"), model=Network(), supports_half=False, supports_bfloat16=True
    )
    monkeypatch.setattr(networks, "_loaded", lambda *args, **options: found)
    restorer = open_restorer("gfpgan", tmp_path / "none", device="cpu", dtype="float32")
    assert np.allclose(restorer.finish(restorer.start(pictures))[1], pictures[1], atol=1e-3)
    assert asked == [{"return_rgb": False, "randomize_noise": False}]


def test_codeformer_needs_a_package_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(EnvironmentProblem, match="forbids commercial use") as caught:
        open_restorer("codeformer", tmp_path / "a.safetensors", device="cpu", dtype="float32")
    assert "talkhead[codeformer]" in caught.value.hint


@pytest.mark.slow
def test_codeformer(tmp_path, pictures):
    extra = pytest.importorskip("spandrel_extra_arches.architectures.CodeFormer")
    with torch.random.fork_rng():
        torch.manual_seed(5)  # its own initial values: others overflow
        network = extra.CodeFormer(n_layers=1, codebook_size=16).eval()
    save_file({f"params_ema.{key}": value for key, value in network.state_dict().items()}, tmp_path / "c.safetensors")
    restorer = open_restorer("codeformer", tmp_path / "c.safetensors", device="cpu", dtype="float32")
    (found,) = restorer.finish(restorer.start(pictures[:1]))
    seen = torch.from_numpy(pictures[:1]).permute(0, 3, 1, 2).contiguous() / 127.5 - 1
    with torch.inference_mode():
        expected = network(seen, weight=0.5)[0]
    assert expected.std() > 1e-3
    assert np.allclose(found, (expected.clamp(-1, 1)[0].permute(1, 2, 0).numpy() + 1) * 127.5, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: {}, "is not RestoreFormer"),
        (lambda state: {"weight": torch.zeros(3)}, "none of the networks known to spandrel fits"),
        (lambda state: {k: v for k, v in state.items() if k != "decoder.conv_out.bias"}, "conv_out.bias"),
        (lambda state: state | {"decoder.conv_out.bias": torch.zeros(7)}, "or damaged"),
        (lambda state: state | {"one.too.many": torch.zeros(7)}, "one.too.many"),
    ],
    ids=["empty", "foreign", "incomplete", "reshaped", "too much"],
)
def test_another_checkpoint_is_refused(tmp_path, small_restoreformer, change, said):
    path = tmp_path / "wrong.safetensors"
    save_file(change(dict(small_restoreformer.state_dict())), path)
    with pytest.raises(WeightsError) as caught:
        open_restorer("restoreformer", path, device="cpu", dtype="float32")
    assert said in caught.value.message and str(path) in caught.value.message


def test_networks_are_not_mixed_up(tmp_path, small_esrgan, small_restoreformer):
    upscaler, restorer = tmp_path / "up.safetensors", tmp_path / "face.safetensors"
    save_file(small_esrgan.state_dict(), upscaler)
    save_file(small_restoreformer.state_dict(), restorer)
    with pytest.raises(WeightsError, match="holds ESRGAN, not GFPGAN"):
        open_restorer("gfpgan", upscaler, device="cpu", dtype="float32")
    with pytest.raises(WeightsError, match="holds RestoreFormer for FaceSR"):
        open_upscaler(restorer, device="cpu", dtype="float32")


def test_a_damaged_file(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(WeightsError, match="cannot read"):
        open_upscaler(tmp_path / "x.safetensors", device="cpu", dtype="float32")


def test_an_upscaler_of_the_published_kind(shelve, small_esrgan):
    rng = np.random.default_rng(6)
    frame = rng.integers(0, 256, (22, 30, 3), dtype=np.uint8)
    shelve("x2", archive({"params_ema": small_esrgan.state_dict()}), at="mirror", format="pickle")
    upscaler = open_upscaler(catalogue.tensors("x2"), device="cpu", dtype="float32")
    assert upscaler.scale == 2
    found = upscaler.enlarge(frame)
    assert found.shape == (44, 60, 3)
    even = torch.from_numpy(frame[:20, :28]).permute(2, 0, 1)[None] / 255  # sides that need no padding
    with torch.inference_mode():
        expected = small_esrgan(even)[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert expected.std() > 1
    assert np.abs(upscaler.enlarge(frame[:20, :28]) - expected).max() < 0.51


def test_bfloat16_is_near_float32(tmp_path, small_esrgan):
    frame = np.random.default_rng(7).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    save_file(small_esrgan.state_dict(), tmp_path / "up.safetensors")
    one, other = (
        open_upscaler(tmp_path / "up.safetensors", device="cpu", dtype=dtype).enlarge(frame).astype(int)
        for dtype in ("float32", "bfloat16")
    )
    assert 0 < np.abs(one - other).max() <= 4, "levels"


def doubled_blur(picture):
    """Looks one pixel far and doubles."""
    mean = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(picture, (1,) * 4, mode="replicate"), 3, 1)
    return mean.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("size", [(1, 1), (7, 64), (50, 33), (41, 96)])
def test_tiles_leave_no_seams(size):
    frame = np.random.default_rng(8).integers(0, 256, (*size, 3), dtype=np.uint8)
    whole = Upscaler(doubled_blur, scale=2).enlarge(frame)
    assert whole.shape == (2 * size[0], 2 * size[1], 3)
    assert np.array_equal(Upscaler(doubled_blur, scale=2, tile=16, margin=1).enlarge(frame), whole)


def test_tiles_that_did_not_change_are_not_redone():
    calls = []

    def network(picture):
        calls.append(picture.shape)
        return doubled_blur(picture)

    frames = np.random.default_rng(9).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    frames[1] = frames[0]
    frames[1, 35, 35] += 1
    upscaler = Upscaler(network, scale=2, tile=20, margin=2)
    made = [upscaler.enlarge(frame) for frame in frames]
    assert len(calls) == 4 + 1 + 4
    fresh = [Upscaler(doubled_blur, scale=2, tile=20, margin=2).enlarge(frame) for frame in frames]
    assert all(np.array_equal(a, b) for a, b in zip(made, fresh, strict=True))
    upscaler.enlarge(frames[2][:30])
    assert len(calls) == 9 + 4, "frames of another size are another video"


def test_faces_keep_their_order_and_range(pictures):
    restorer = FaceRestorer(lambda faces: 3 * faces)
    found = restorer.finish(restorer.start(list(pictures)))
    expected = np.clip((pictures - 127.5) * 3 + 127.5, 0, 255)
    assert np.allclose(found, expected, atol=1e-3)


def test_a_network_of_another_size_is_told(pictures):
    with pytest.raises(ShapeError, match="restored faces"):
        FaceRestorer(lambda faces: faces[..., ::2, ::2]).start(pictures)


@pytest.mark.parametrize(
    ("asked", "half", "bfloat16", "used"),
    [
        ("float16", False, True, "float32"),
        ("float16", True, True, "float16"),
        ("float16", False, False, "float32"),
        ("bfloat16", False, True, "bfloat16"),
        ("bfloat16", False, False, "float32"),
        ("float32", True, True, "float32"),
    ],
)
def test_number_formats_the_network_cannot_bear(asked, half, bfloat16, used):
    assert _fitting(SimpleNamespace(supports_half=half, supports_bfloat16=bfloat16), asked, "cpu") == used
