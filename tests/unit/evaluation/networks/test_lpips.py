import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from talkhead.errors import ShapeError, UsageError, WeightsError
from talkhead.evaluation.networks.lpips import ENTRIES, Features, Heads, Lpips, open_lpips


@pytest.fixture(scope="module")
def alex(tmp_path_factory):
    """AlexNet's convolutions and heads with random weights; the folder they are in."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("lpips")
    save_file({**Features("alex").state_dict(), "classifier.1.weight": torch.zeros(3)}, folder / "lpips-alexnet")
    save_file({key: value.abs() for key, value in Heads("alex").state_dict().items()}, folder / "lpips-heads-alex")
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(".safetensors"))
    return folder


def test_distance_grows_with_the_difference_and_knows_both_files(alex):
    lpips = open_lpips("alex", lambda name: alex / f"{name}.safetensors")
    rng = np.random.default_rng(0)
    frame = rng.integers(60, 190, (1, 40, 48, 3), np.uint8)
    noisy = [np.clip(frame + rng.normal(0, sigma, frame.shape), 0, 255).astype(np.uint8) for sigma in (0, 4, 40)]
    same, near, far = (float(lpips.run(frame, other)[0]) for other in noisy)
    assert same == 0
    assert 0 < near < far
    assert lpips.grade == "unverified"
    assert [origin.name for origin in lpips.origins] == [f"{name}.safetensors" for name in ENTRIES["alex"]]


def test_what_cannot_be_compared_is_refused(alex):
    lpips = open_lpips("alex", lambda name: alex / f"{name}.safetensors")
    frame = np.zeros((1, 40, 48, 3), np.uint8)
    with pytest.raises(ShapeError, match="at least 31 pixels"):
        lpips.run(frame[:, :30], frame[:, :30])
    with pytest.raises(ShapeError):
        lpips.run(frame, frame[:, :, :40])
    with pytest.raises(UsageError, match="squeeze"):
        open_lpips("squeeze", lambda name: alex / name)


def test_files_in_each_others_place_are_told(alex):
    files = [alex / f"{name}.safetensors" for name in ENTRIES["alex"]]
    with pytest.raises(WeightsError, match="does not fit LPIPS's classifier"):
        Lpips("alex", files[1], files[0])
