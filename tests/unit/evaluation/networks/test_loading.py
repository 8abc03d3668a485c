import hashlib
import io

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from talkhead.errors import WeightsError
from talkhead.evaluation.networks.loading import load_network
from talkhead.weights.catalogue import tensors


def made(_):
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def stored(network):
    return {f"body.{key}": value for key, value in network.state_dict().items()}


def load(path, **options):
    return load_network(made, path, name="the net", entries=("net",), rename=((r"^body\.", ""),), **options)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = made(None)
    network[1].running_mean.normal_()
    return network.eval()


def test_the_manifest_decides_the_grade(hub, shelve, network, tmp_path):
    file = io.BytesIO()
    torch.save(stored(network), file)
    content = file.getvalue()
    shelve("net", content, format="pickle")
    loaded, origin = load(tensors("net"))
    assert (origin.name, origin.grade, origin.sha256) == ("net", "paper", hashlib.sha256(content).hexdigest())
    x = torch.rand(2, 3, 5, 5)
    torch.testing.assert_close(loaded(x), network(x))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())

    (tmp_path / "mine.model").write_bytes(content)
    assert load(tmp_path / "mine.model")[1] == origin

    changed = stored(network) | {"body.0.bias": torch.zeros(4)}
    save_file(changed, tmp_path / "other.safetensors")
    other = load(tmp_path / "other.safetensors")[1]
    assert (other.name, other.grade) == ("other.safetensors", "unverified")


def test_another_entry_of_the_manifest_does_not_count(hub, shelve, network, tmp_path):
    save_file(stored(network), tmp_path / "net.safetensors")
    shelve("stranger", (tmp_path / "net.safetensors").read_bytes())
    assert load(tmp_path / "net.safetensors")[1].grade == "unverified"


def test_files_older_than_the_counters_of_batch_norms_load(network, tmp_path):
    old = {key: value for key, value in stored(network).items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pkl", _use_new_zipfile_serialization=False)
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(load(tmp_path / "old.pkl")[0](x), network(x))


def test_half_precision_files_load_in_the_format_asked_for(network, tmp_path):
    save_file({key: value.half() for key, value in stored(network).items()}, tmp_path / "half.safetensors")
    assert {value.dtype for value in load(tmp_path / "half.safetensors")[0].parameters()} == {torch.float32}
    loaded = load(tmp_path / "half.safetensors", dtype="bfloat16")[0]
    assert {value.dtype for value in loaded.parameters()} == {torch.bfloat16}


def test_what_does_not_fit_is_named(network, tmp_path):
    lacking = stored(network)
    del lacking["body.0.weight"]
    save_file(lacking | {"body.9.weight": torch.zeros(2)}, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=r"net\.safetensors.*lacks 0\.weight; has besides 9\.weight"):
        load(tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="no weights at"):
        load(tmp_path / "absent.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no safetensors file"):
        load(tmp_path / "broken.safetensors")
