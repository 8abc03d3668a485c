import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from talkhead.errors import ShapeError, WeightsError
from talkhead.evaluation.networks.i3d import VideoEmbedder

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")

CLIPS = np.random.default_rng(0).integers(0, 256, (2, 10, 6, 5, 3), np.uint8)


class Mean(nn.Module):
    """Takes what I3D takes; gives the mean of every clip and where it was told to rescale."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features

    def forward(self, x: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:
        return x.mean((1, 2, 3, 4))[:, None].repeat(1, self.n_features) * int(rescale and resize and return_features)


@pytest.fixture
def network(tmp_path):
    def make(n_features=400):
        path = tmp_path / f"i3d_{n_features}.pt"
        torch.jit.script(Mean(n_features)).save(str(path))
        return path, hashlib.sha256(path.read_bytes()).hexdigest()

    return make


def test_a_program_is_not_run_before_its_sha256_is_named(network, monkeypatch):
    path, sha256 = network()
    with monkeypatch.context() as patched:
        patched.setattr(torch.jit, "load", lambda *args, **options: pytest.fail("it was loaded"))
        with pytest.raises(WeightsError, match=sha256):
            VideoEmbedder(path)
        with pytest.raises(WeightsError, match="which is not 0000"):
            VideoEmbedder(path, trusted="0" * 64)
    found = VideoEmbedder(path, trusted=sha256)
    assert found.origin.grade == "unverified"
    np.testing.assert_allclose(found.run(CLIPS)[:, 7], CLIPS.mean((1, 2, 3, 4)), rtol=1e-5)


def test_another_program_is_told(network, tmp_path):
    path, sha256 = network(10)
    with pytest.raises(WeightsError, match=r"gives \(2, 10\)"):
        VideoEmbedder(path, trusted=sha256).run(CLIPS)
    torch.jit.script(nn.ReLU()).save(str(tmp_path / "relu.pt"))
    sha256 = hashlib.sha256((tmp_path / "relu.pt").read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match="not the I3D that is known"):
        VideoEmbedder(tmp_path / "relu.pt", trusted=sha256).run(CLIPS)
    (tmp_path / "text.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no TorchScript"):
        VideoEmbedder(tmp_path / "text.pt", trusted=hashlib.sha256(b"nothing").hexdigest())
    with pytest.raises(WeightsError, match="no weights at"):
        VideoEmbedder(tmp_path / "absent.pt")


def test_short_clips_are_refused(network):
    path, sha256 = network()
    with pytest.raises(ShapeError):
        VideoEmbedder(path, trusted=sha256).run(CLIPS[:, :9])
