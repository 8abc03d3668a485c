"""Lip-reading accuracy (HeadGAN): how many words a lip reader recognises, from the predictions the user has made.

HeadGAN's reader (Stafylakis and Tzimiropoulos 2017, trained on 25 words of LRW) was not published and its data are
licensed, so the reader is the user's.
"""

from __future__ import annotations

import math
import os

from talkhead.coeffs.tables import read_table
from talkhead.errors import InputError
from talkhead.evaluation.measurement import Measurement

Z_95 = 1.959963984540054


def wilson_interval(n_right: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Bounds of a share of `n_right` out of `n` (Wilson 1927); 95 % by default.

    Raises:
        InputError: n is 0, or n_right is not in 0..n.
    """
    if not 0 <= n_right <= n or not n:
        raise InputError(f"{n_right} of {n} is no share")
    share, width = n_right / n, z * z / n
    middle = (share + width / 2) / (1 + width)
    half = z / (1 + width) * math.sqrt(share * (1 - share) / n + width / (4 * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def score_predictions(path: str | os.PathLike[str], *, reader: str = "") -> Measurement:
    """Accuracy of a CSV file with the columns `label` and `prediction`, one row per clip, with its 95 % interval.

    Args:
        path: of the file; labels are compared as text. reader: name of the lip reader, kept in the result.
    Raises:
        CoeffFileError: unreadable, or a column is missing.
    """
    table = read_table(path)
    labels, predictions = table.text("label"), table.text("prediction")
    n = len(labels)
    right = sum(a == b for a, b in zip(labels, predictions, strict=True))
    low, high = wilson_interval(right, n)
    return Measurement(
        name="lip_reading_acc",
        definition="lip_reading_acc/top-1",
        grade="unverified",
        value=100 * right / n,
        unit="%",
        n_frames=0,
        n_clips=n,
        params={"low_95": 100 * low, "high_95": 100 * high, "n_words": len(set(labels)), "reader": reader},
    )
