import pytest

from talkhead.errors import MediaError, OutputExistsError, UsageError
from talkhead.pipelines.outputs import check_coeff_output, check_destination, output_kind, size_in_file


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


@pytest.mark.parametrize("name", ["out.png", "out.MP4", "out.gif", "out.wav"])
def test_coefficients_do_not_go_under_the_names_of_media(tmp_path, name):
    with pytest.raises(UsageError, match=name):
        check_coeff_output(tmp_path / name, overwrite=True)


def test_an_input_is_no_output(tmp_path):
    source, link = tmp_path / "face.png", tmp_path / "link.png"
    source.write_bytes(b"pixels")
    link.symlink_to(source)
    for same in (source, tmp_path / "." / "face.png", link):
        with pytest.raises(UsageError, match="inputs are left alone"):
            check_destination(same, overwrite=True, inputs=[None, "-", 3, str(source)])
    assert (
        check_destination(tmp_path / "other.png", overwrite=True, inputs=[source, tmp_path / "gone.png"]) == "picture"
    )
    motion = tmp_path / "motion.safetensors"
    motion.write_bytes(b"codes")
    with pytest.raises(UsageError, match="inputs are left alone"):
        check_coeff_output(motion, overwrite=True, inputs=[str(motion)])


@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("a.mp4", None, (402, 642)),
        ("a.webm", "vp9", (402, 642)),
        ("a.mkv", "ffv1", (401, 641)),
        ("a.png", None, (401, 641)),
    ],
)
def test_size_is_that_of_the_file(name, codec, size):
    assert size_in_file(name, (401, 641), codec) == size


def test_a_folder_of_frames_that_cannot_be_made_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(MediaError, match="not writable"):
        check_destination(f"{tmp_path}/frames/", overwrite=False)
