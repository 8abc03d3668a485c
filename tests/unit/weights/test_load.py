from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from talkhead.errors import WeightsError
from talkhead.weights.catalogue import ensure, tensors
from talkhead.weights.load import as_safetensors
from talkhead.weights.manifest import load_manifest


def archive(content):
    import torch

    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture
def pickled(hub, shelve):
    """A pickled archive on the Hub: wanted tensors beside others."""
    import torch

    weight = torch.arange(6.0).reshape(2, 3)
    content = {"mapping": {"a.weight": weight, "a.t": weight.T}, "optimizer": {"state": [weight]}, "epoch": 7}
    return lambda **changes: shelve("brush", archive(content), format="pickle", **changes)


def test_safetensors_stay_as_they_are(hub, shelve):
    shelve("brush", save({"a": np.ones(3, np.float32)}))
    assert tensors("brush") == ensure("brush")


def test_something_else_called_safetensors(hub, shelve):
    shelve("brush")
    with pytest.raises(WeightsError, match="no safetensors file"):
        tensors("brush")


def test_an_archive_is_converted_once(pickled, monkeypatch):
    pickled(keep=["mapping"])
    path = tensors("brush")
    found = load_file(path)
    assert set(found) == {"a.weight", "a.t"}
    np.testing.assert_array_equal(found["a.t"], found["a.weight"].T)

    def fail(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr("torch.load", fail)
    assert tensors("brush") == path


def test_everything_is_kept_where_nothing_is_named(pickled):
    pickled()
    assert set(load_file(tensors("brush"))) == {"mapping.a.weight", "mapping.a.t", "optimizer.state.0"}


def test_a_damaged_conversion_is_made_anew(pickled):
    pickled(keep=["mapping"])
    path = tensors("brush")
    path.write_bytes(b"x" * 100)
    assert set(load_file(tensors("brush"))) == {"a.weight", "a.t"}


def test_an_archive_of_another_system(pickled):
    pickled(keep=["renderer"])
    with pytest.raises(WeightsError, match="has no renderer: is it brush"):
        tensors("brush")


class Evil:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_an_archive_with_code_is_refused(hub, shelve, capsys):
    shelve("brush", archive({"mapping": Evil()}), format="pickle")
    with pytest.raises(WeightsError, match="holds more than plain tensors, and is not read$"):
        tensors("brush")
    assert "never run" not in capsys.readouterr().out


def test_an_archive_without_tensors(hub, shelve):
    shelve("brush", archive({"epoch": 1}), format="pickle")
    with pytest.raises(WeightsError, match="holds no tensors"):
        tensors("brush")


def test_other_formats_have_no_tensors(hub, shelve):
    shelve("brush", format="onnx")
    with pytest.raises(WeightsError, match="onnx"):
        tensors("brush")


def test_a_bad_file_is_never_opened(pickled, tmp_path):
    content = pickled(keep=["mapping"])
    path = tmp_path / "brush"
    path.write_bytes(content[:-1] + b"?")
    assert hashlib.sha256(content).hexdigest() == load_manifest().file("brush").sha256
    with pytest.raises(WeightsError, match="is not brush: its sha256"):
        as_safetensors(load_manifest().file("brush"), path)
