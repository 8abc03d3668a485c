"""What files, folders and tables mean."""

from __future__ import annotations

import pytest

from talkhead.errors import InputError
from talkhead.training.videos import find_videos


def test_a_folder_is_searched_and_its_subfolders_are_people(tmp_path):
    for name in ("id1/a/one.mp4", "id2/two.MKV", "three.mov", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {video.path.name: video.person for video in find_videos([tmp_path])}
    assert found == {"one.mp4": "id1", "two.MKV": "id2", "three.mov": "three"}


def test_a_table_names_parts_and_people(tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("path,start,end,person\nx/a.mp4, 1.5, 3, anna\nx/a.mp4,3,,anna\nb.mp4,,,\n")
    first, second, third = find_videos([table])
    assert (first.path, first.start_s, first.end_s, first.person) == (tmp_path / "x/a.mp4", 1.5, 3.0, "anna")
    assert (second.start_s, second.end_s) == (3.0, None)
    assert (third.start_s, third.end_s, third.person) == (0.0, None, "b")
    assert len({first.key, second.key, third.key}) == 3
    assert first.label.endswith("a.mp4 from 1.5 s to 3 s")


def test_each_video_once(tmp_path):
    (tmp_path / "a.mp4").touch()
    (one,) = find_videos([tmp_path / "a.mp4", tmp_path / "a.mp4"])
    assert "." not in one.key and "/" not in one.key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.mp4\n", "unknown column 'file'"),
        ("path,start\na.mp4,soon\n", "line 2: start is 'soon'"),
        ("path,start,end\na.mp4,3,2\n", "end 2 is not after start 3"),
        ("path\n\nx.mp4,1\n", "more values"),
        ("path,start\n ,1\n", "no path"),
        ("path,start\na.mp4,nan\n", "start is 'nan'"),
    ],
)
def test_malformed_tables(tmp_path, text, message):
    table = tmp_path / "clips.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        find_videos([table])


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        find_videos([tmp_path / "missing.mp4"])
    with pytest.raises(InputError, match="no video in"):
        find_videos([tmp_path])
    with pytest.raises(InputError, match="no video given"):
        find_videos([])
