"""Action units and lip reading against recorded numbers."""

import numpy as np

from talkhead.evaluation.action_units import PresenceCounts, Presences, hamming_distances
from talkhead.evaluation.lip_reading import score_predictions


def presences(present, units):
    n = len(present)
    return Presences(units=units, present=present.astype(bool), found=np.ones(n, bool), frames=np.arange(n))


def test_action_units(golden, arrays, assert_close):
    recorded, (fake, real) = golden["au"], (arrays["au_pred"], arrays["au_gt"])
    units = tuple(f"AU{number}" for number in recorded["columns"])
    counts = PresenceCounts()
    counts.add(presences(fake, units), presences(real, units))
    assert counts.units == units
    assert_close(counts.hamming, recorded["au_h_mean_over_frames_and_aus"], 1e-9, "au_h")
    assert_close(hamming_distances(fake, real)[:5], recorded["au_h_per_frame_first5"], 1e-9, "au_h per frame")
    expected = np.array([np.nan if f is None else f for f in recorded["f1_per_au_null_if_undefined"]])
    assert (np.isnan(counts.f1) == np.isnan(expected)).all()
    assert_close(np.nan_to_num(counts.f1), np.nan_to_num(expected), 1e-9, "au_f1 per unit")
    assert_close(counts.accuracy, recorded["acc_per_au"], 1e-9, "au_acc per unit")
    rows = {m.name: m.value for m in counts.measurements()}
    assert_close(rows["au_f1"], recorded["speech_f1_macro"], 1e-9, "au_f1")
    assert_close(rows["au_acc"], recorded["speech_acc_macro_percent"], 1e-9, "au_acc, %")
    assert_close(np.nanmean(counts.f1), recorded["macro_f1_all18_undefined_skipped"], 1e-9, "f1 of 18 units")
    assert_close(np.nan_to_num(counts.f1).mean(), recorded["macro_f1_all18_undefined_as_0"], 1e-9, "f1 of 18 units")


def test_lip_reading(golden, tmp_path, assert_close):
    recorded = golden["lipreading"]
    rows = zip(recorded["labels"], recorded["pred"], strict=True)
    path = tmp_path / "words.csv"
    path.write_text("label,prediction\n" + "".join(f"{a},{b}\n" for a, b in rows))
    assert_close(score_predictions(path).value, 100 * recorded["accuracy"], 1e-9, "lip_reading_acc, %")
