"""The networks ask for files that the manifest has, in a format they read."""

import pytest

from talkhead.evaluation.networks import arcface, hopenet, i3d, inception, lpips, syncnet
from talkhead.weights.manifest import load_manifest

TENSORS = {"pickle", "safetensors"}
ASKED = [
    (syncnet.ENTRIES, TENSORS),
    (inception.ENTRIES, TENSORS),
    (hopenet.ENTRIES, TENSORS),
    (lpips.ENTRIES["alex"], TENSORS),
    (lpips.ENTRIES["vgg"], TENSORS),
    (arcface.ENTRIES, TENSORS | {"onnx"}),
    (i3d.ENTRIES, {"torchscript"}),
]


@pytest.mark.parametrize(("names", "formats"), ASKED, ids=lambda value: str(value))
def test_every_entry_is_there(names, formats):
    entries = [load_manifest().file(name) for name in names]
    assert {entry.format for entry in entries} <= formats
    assert all(system.startswith("eval") for entry in entries for system in entry.systems)


def test_the_list_tells_metrics_from_systems(run_cli):
    shown = run_cli("weights", "list", "eval").stdout
    assert "eval (metrics)" in shown
    assert "syncnet-v2" in shown


def test_code_is_never_a_safetensors_file(tmp_path):
    from talkhead.errors import WeightsError
    from talkhead.weights.load import as_safetensors

    with pytest.raises(WeightsError, match="it is a torchscript file"):
        as_safetensors(load_manifest().file("i3d-kinetics400"), tmp_path / "i3d.pt")
