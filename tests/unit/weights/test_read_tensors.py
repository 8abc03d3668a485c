import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from talkhead.errors import WeightsError
from talkhead.weights.load import fill, read_tensors

CONTENT = {"a": {"weight": torch.ones(2)}, "epoch": 3}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_archives_and_safetensors_give_the_same(tmp_path):
    torch.save(CONTENT, tmp_path / "net.pth")
    save_file({"a.weight": torch.ones(2)}, tmp_path / "net.safetensors")
    for path in tmp_path.iterdir():
        tensors, found = read_tensors(path)
        assert {key: value.tolist() for key, value in tensors.items()} == {"a.weight": [1.0, 1.0]}
        assert found == sha256(path)


def test_a_converted_file_knows_what_it_came_from(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "net.safetensors", metadata={"source_sha256": "f" * 64})
    assert read_tensors(tmp_path / "net.safetensors")[1] == "f" * 64


def test_what_is_no_file_of_tensors_is_told(tmp_path):
    (tmp_path / "net.pth").write_bytes(b"nothing")
    (tmp_path / "net.safetensors").write_bytes(b"nothing")
    for path in tmp_path.iterdir():
        with pytest.raises(WeightsError, match=path.name):
            read_tensors(path)
    with pytest.raises(WeightsError, match="no weights at"):
        read_tensors(tmp_path / "absent.pth")


def test_networks_are_filled_strictly():
    network = nn.Linear(2, 1)
    given = {"old.weight": torch.full((1, 2), 3.0), "bias": torch.zeros(1), "extra.x": torch.zeros(1)}
    fill(network, given, rename=((r"^old\.", ""),), skip=r"extra\..+", name="the line")
    assert network.weight.tolist() == [[3.0, 3.0]]
    with pytest.raises(
        WeightsError, match=r"does not fit the line: it lacks weight; has besides extra\.x, old\.weight"
    ):
        fill(network, given, name="the line")
    with pytest.raises(WeightsError, match="has other shapes for bias"):
        fill(network, {"weight": torch.zeros(1, 2), "bias": torch.zeros(2)}, name="the line")
