import pytest

from talkhead.errors import CoeffFileError, InputError
from talkhead.evaluation.lip_reading import score_predictions, wilson_interval


@pytest.mark.parametrize(
    ("n_right", "n", "expected"), [(0, 10, (0, 0.2775)), (10, 10, (0.7225, 1)), (82, 100, (0.7333, 0.8830))]
)
def test_wilson_interval(n_right, n, expected):
    assert wilson_interval(n_right, n) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("n_right", "n"), [(0, 0), (5, 4), (-1, 4)])
def test_impossible_shares_are_refused(n_right, n):
    with pytest.raises(InputError, match="share"):
        wilson_interval(n_right, n)


def test_words_are_compared_as_text(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("clip, label, prediction\na.mp4,ABOUT , ABOUT\nb.mp4,01,1\n")
    row = score_predictions(path, reader="own")
    assert (row.value, row.unit, row.n_clips, row.grade) == (50, "%", 2, "unverified")
    assert row.params["low_95"] < 50 < row.params["high_95"]
    assert (row.params["n_words"], row.params["reader"]) == (2, "own")


def test_other_tables_are_refused(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("label,guess\na,b\n")
    with pytest.raises(CoeffFileError, match="prediction"):
        score_predictions(path)
