import os
from pathlib import Path

import pytest

from talkhead.errors import CoeffFileError, MediaError, OutputExistsError
from talkhead.files import atomic_output, check_output


def test_output_appears_when_the_block_ends(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    with atomic_output(path) as temporary:
        temporary.write_text("frames")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        assert not path.exists()
    assert path.read_text() == "frames"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_a_failure(tmp_path: Path, failure: type[BaseException]):
    path = tmp_path / "clip.mp4"
    with pytest.raises(failure), atomic_output(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    path.write_text("old")
    with pytest.raises(ValueError), atomic_output(path, overwrite=True):
        raise ValueError
    assert path.read_text() == "old"


def test_an_existing_file_needs_overwrite(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    path.write_text("old")
    with pytest.raises(OutputExistsError, match="already exists"), atomic_output(path):
        pass
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_permissions_follow_the_umask(tmp_path: Path):
    mask = os.umask(0o022)
    try:
        with atomic_output(tmp_path / "a"):
            pass
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_link_is_followed(tmp_path: Path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_output(tmp_path / "link", overwrite=True) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_device_is_written_directly():
    with atomic_output(os.devnull) as path:
        assert path == Path(os.devnull)
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["file/clip.mp4", "missing/clip.mp4", "folder", "n" * 300])
def test_impossible_places_are_refused(tmp_path: Path, name: str):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MediaError, match="cannot write"), atomic_output(tmp_path / name):
        pass
    with pytest.raises(MediaError, match="cannot write"):
        check_output(tmp_path / name)


def test_a_folder_that_takes_no_files_is_refused():
    with pytest.raises(MediaError, match="cannot write"), atomic_output("/proc/clip.mp4"):
        pass


def test_the_error_class_can_be_chosen(tmp_path: Path):
    with pytest.raises(CoeffFileError), atomic_output(tmp_path / "no" / "c", error=CoeffFileError):
        pass


def test_a_long_name_fits(tmp_path: Path):
    path = tmp_path / ("é" * 120 + ".mp4")
    with atomic_output(path):
        pass
    assert path.exists()
