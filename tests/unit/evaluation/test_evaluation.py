"""What a run found: JSON, CSV, tables, comparison, the page."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from talkhead.errors import InputError, UsageError
from talkhead.evaluation.clip import ClipResult, Moment
from talkhead.evaluation.evaluation import (
    COLUMNS,
    Evaluation,
    Failure,
    clip_as_dict,
    clip_from_dict,
    read_evaluation,
)
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.meters import absent
from talkhead.evaluation.protocol import protocol_of
from talkhead.evaluation.report import as_html, plot, ticks
from talkhead.evaluation.suite import set_rows
from talkhead.evaluation.table import as_text, compare


def row(name: str, value: float, **more) -> Measurement:
    fields = {"definition": f"{name}/x", "grade": "proxy" if "~" in name else "exact", "n_frames": 10, **more}
    return Measurement(name=name, value=value, **fields)


def evaluation(*, name: str = "one", value: float = 1.0, protocol: str = "plain", **more) -> Evaluation:
    rows = (
        row("l1", value, unit="of 255", params={"width": 64}),
        row("lmd~mesh", 2.0, unit="px", frames_dropped=1),
        absent("lse_d", "lse_d/x", "needs syncnet-v2"),
        absent("lse_c", "lse_c/x", "needs syncnet-v2"),
    )
    clip = ClipResult(
        name=name, files={"generated": "a.mp4"}, fps=25.0, size=(64, 48), n_frames=10, rows=rows,
        real_rows=(row("l1", 0.0, unit="of 255"),), notes=("cut",),
        curves={"PSNR, dB": (np.array([30.0, np.inf, 31, 32]),)},
        moments=(Moment(time_s=0.1, generated=b"jpeg", real=b"jpeg"),),
    )  # fmt: skip
    return Evaluation(protocol=protocol_of(protocol), clips=(clip,), versions={"talkhead": "0"}, **more)


def of_a_set() -> Evaluation:
    one, two = evaluation(name="one").clips[0], evaluation(name="two", value=3.0).clips[0]
    return Evaluation(
        protocol=protocol_of("plain"), clips=(one, two), set_rows=set_rows([one.rows, two.rows]),
        failures=(Failure(name="three", message="cannot read three.mp4"),),
    )  # fmt: skip


def write(path: Path, found: Evaluation) -> Path:
    path.write_text(found.as_json())
    return path


def test_json_holds_every_field_and_no_zero_for_what_is_missing():
    found = json.loads(evaluation().as_json())
    l1, lmd, lse, _ = found["clips"][0]["rows"]
    assert l1["value"] == 1.0
    assert l1["params"] == {"width": 64}
    assert (lmd["grade"], lmd["frames_dropped"]) == ("proxy", 1)
    assert (lse["value"], lse["reason"]) == (None, "needs syncnet-v2")
    assert found["protocol"]["name"] == "plain"


def test_csv_is_flat():
    table = list(csv.DictReader(io.StringIO(of_a_set().as_csv())))
    assert tuple(table[0]) == COLUMNS
    clip, whole = (next(r for r in table if r["name"] == "l1" and r["scope"] == scope) for scope in ("clip", "set"))
    assert (clip["clip"], clip["side"], clip["value"]) == ("one", "generated", "1.0")
    assert (whole["value"], whole["pool"], whole["n_clips"]) == ("2.0", "clips", "2")
    assert float(whole["low_95"]) == 1.0
    assert next(r for r in table if r["name"] == "lse_d")["value"] == ""


def test_values_by_name():
    assert evaluation().value("l1") == 1.0
    assert of_a_set().value("l1") == 2.0
    assert evaluation().value("lse_d") is None


def test_the_table_gives_each_reason_once():
    text = as_text(evaluation())
    assert "  lse_d, lse_c: needs syncnet-v2" in text
    assert text.count("syncnet") == 1
    assert text.splitlines()[1].split() == ["l1", "1", "0", "exact", "of", "255", "10", "0", "l1/x"]
    assert "  cut" in text


def test_the_table_of_a_set_has_intervals_and_failures():
    text = as_text(of_a_set())
    assert "1..3" in text
    assert "three: cannot read three.mp4" in text
    assert "one: cut" in text


def test_what_a_paper_leaves_open_is_said():
    assert "  The window of SSIM is not told" in as_text(evaluation(protocol="pir"))


def test_comparison(tmp_path):
    files = [write(tmp_path / f"{name}.json", evaluation(value=v)) for name, v in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    text, rows = compare(files)
    assert text.splitlines()[0].split()[:4] == ["name", "a", "b", "c"]
    assert text.splitlines()[1].split()[:4] == ["l1", "1", "2", "3"]
    assert [rows[0][label] for label in "abc"] == [1.0, 2.0, 3.0]
    assert "no value in any run: lse_d, lse_c" in text


def test_other_clips_are_said(tmp_path):
    one = write(tmp_path / "a.json", evaluation())
    (tmp_path / "b.json").write_text(
        one.read_text().replace('"n_frames": 10,\n      "crop"', '"n_frames": 9,\n      "crop"')
    )
    assert "judged other real clips" in compare([one, tmp_path / "b.json"])[0]
    assert "judged other real clips" not in compare([one, one])[0]


def test_a_file_may_stand_beside_itself(tmp_path):
    file = write(tmp_path / "a.json", evaluation())
    _, rows = compare([file, file])
    assert [value for key, value in rows[0].items() if key.endswith("a.json")] == [1.0, 1.0]


def test_different_definitions_are_different_rows(tmp_path):
    one, other = evaluation(), evaluation()
    text = other.as_json().replace('"definition": "l1/x"', '"definition": "l1/y"')
    (tmp_path / "b.json").write_text(text)
    _, rows = compare([write(tmp_path / "a.json", one), tmp_path / "b.json"])
    assert [(r["a"], r["b"]) for r in rows if r["name"] == "l1"] == [(1.0, None), (None, 1.0)]


def test_different_protocols_are_not_compared(tmp_path):
    files = [write(tmp_path / "a.json", evaluation()), write(tmp_path / "b.json", evaluation(protocol="pir"))]
    with pytest.raises(UsageError, match="different protocols.*protocol plain and pir"):
        compare(files)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "talkhead-evaluation", "format_version": 99}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read_evaluation(tmp_path / "a.json")


class Balance(HTMLParser):
    """Holds that every element is closed, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "line", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("found", [evaluation(), of_a_set()], ids=["clip", "set"])
def test_the_page_is_whole_and_needs_nothing_else(found):
    page = Balance()
    page.feed(as_html(found))
    assert page.open == []
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "script" not in page.seen


def test_the_page_shows_pictures_plots_and_reasons():
    text = as_html(evaluation())
    assert text.count("<img") == 2
    assert "<svg" in text
    assert "<b>lse_d, lse_c</b>: needs syncnet-v2" in text
    assert 'class="grade proxy"' in text


def test_the_page_says_which_way_is_better_and_what_to_beware_of():
    text = as_html(evaluation())
    assert "<td>of 255</td><td>lower</td>" in text
    assert "as real" in text
    of_beats = row("beat_align~mesh", 0.3)
    clip = replace(evaluation().clips[0], rows=(of_beats, row("mouth_open~mesh", 0.1)))
    text = as_html(Evaluation(protocol=protocol_of("plain"), clips=(clip,)))
    assert "beat_align: holds next to nothing on speech" in text
    assert "<td></td><td>as real</td>" in text


def test_what_is_infinite_is_shown_so():
    params = {"identical": True, "identical_frames": 10, "every": 1}
    same = Measurement(
        name="psnr", definition="psnr/frame", grade="exact", value=None, reason="all frames are identical: infinite",
        n_frames=0, params=params,
    )  # fmt: skip
    clip = replace(evaluation().clips[0], rows=(same, row("l1", 0.0)))
    text = as_html(Evaluation(protocol=protocol_of("plain"), clips=(clip,)))
    assert "<b>&infin;</b>" in text
    assert "Without value" not in text
    assert "identical frames 10" in text and "every" not in text


def test_folders_stay_at_home():
    clip = replace(evaluation().clips[0], files={"generated": "/home/somebody/films/a.mp4"})
    text = as_html(Evaluation(protocol=protocol_of("plain"), clips=(clip,)))
    assert "somebody" not in text
    assert "<b>a.mp4</b>" in text


def test_moments_are_marked_in_plots_and_what_compares_two_clips_has_a_colour_of_its_own():
    alone = plot([np.arange(5.0)], 1.0, [0.5], is_of_both=True)
    assert alone.count("stroke-dasharray") == 1
    assert "#c2410c" not in alone
    both = plot([np.arange(5.0), np.arange(5.0)], 1.0)
    assert "#c2410c" in both and "#1d4ed8" in both and "dasharray" not in both


def test_a_clip_comes_back_from_its_stored_form():
    clip = replace(evaluation().clips[0], crop={"found_in": "real", "real": [0, 1, 2, 3]})
    back = clip_from_dict(json.loads(json.dumps(clip_as_dict(clip))))
    assert back == replace(clip, curves={}, moments=())


def test_names_are_escaped():
    text = as_html(evaluation(name="<script>alert('x')</script>"))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_plots_leave_gaps():
    drawn = plot([np.array([1.0, 2.0, np.nan, 3.0, 4.0])], 1.0)
    assert drawn.count("M") == 2
    assert drawn.count("L") == 2
    assert "nan" not in drawn
    assert plot([np.array([np.nan])], 1.0) == "<p>nothing to show</p>"


def test_a_flat_curve_is_drawn():
    assert "nan" not in plot([np.zeros(5)], 1.0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 8, [0, 2, 4, 6, 8]),
        (0.018, 0.27, [0.1, 0.2]),
        (-3, 5, [-2, 0, 2, 4]),
        (30.1, 30.9, [30.2, 30.4, 30.6, 30.8]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected
