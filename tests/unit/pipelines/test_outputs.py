import pytest

from talkhead.errors import MediaError, OutputExistsError, UsageError
from talkhead.pipelines.outputs import check_destination, output_kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.mp4", "video"), ("A.MKV", "video"), ("a.webm", "video"), ("a.png", "picture"), ("a.JPG", "picture"),
     ("frames/", "folder"), ("frames", "folder"), ("v1.2/frames", "folder")],
)  # fmt: skip
def test_kind_by_name(name, kind):
    assert output_kind(name) == kind


def test_a_folder_that_is_there_is_a_folder(tmp_path):
    (tmp_path / "odd.mp4").mkdir()
    assert output_kind(tmp_path / "odd.mp4") == "folder"


@pytest.mark.parametrize("name", ["-", "a.doc", "a.safetensors"])
def test_names_that_say_nothing(name):
    with pytest.raises(UsageError):
        output_kind(name)


def test_destinations_are_refused_early(tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "a.mp4").touch()
    with pytest.raises(OutputExistsError):
        check_destination(full, overwrite=False)
    with pytest.raises(OutputExistsError):
        check_destination(tmp_path / "a.mp4", overwrite=False)
    with pytest.raises(MediaError):
        check_destination(tmp_path / "file" / "frames", overwrite=False)
    with pytest.raises(MediaError):
        check_destination(tmp_path / "file", overwrite=True)
    assert check_destination(full, overwrite=True) == "folder"
    assert check_destination(tmp_path / "a.mp4", overwrite=True) == "video"
    assert check_destination(tmp_path / "new", overwrite=False) == "folder"
