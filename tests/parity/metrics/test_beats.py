"""Beats of motion and sound against recorded numbers."""

import numpy as np
import pytest

from talkhead.evaluation.beats import align_score, beat_align, motion_beats
from talkhead.evaluation.onsets import onset_times
from talkhead.media.audio import Waveform


def test_closed_form(golden, assert_close):
    recorded = golden["beat_align"]["closed_form"]
    found = align_score(np.array(recorded["audio_beats"]), np.array(recorded["motion_beats"]))
    assert_close(found, recorded["score"], 1e-9, "beat_align closed form")


def test_body(golden, arrays, assert_close):
    recorded, joints = golden["beat_align"]["synthetic"], arrays["ba_kp_200x24x3_f32"]
    audio, motion = np.array(recorded["audio_beats"]), motion_beats(joints)
    assert motion.tolist() == recorded["motion_beats"]
    assert_close(align_score(audio, motion), recorded["score"], 1e-9, "beat_align of a body")
    assert_close(align_score(motion, audio), recorded["reverse_score_motion_to_audio"], 1e-9, "beat_align, reverse")


@pytest.mark.parametrize(("smoothing", "tolerance"), [("5", "3"), ("5", "1.25"), ("2.083", "1.25")])
def test_real_head(golden, arrays, assert_close, smoothing, tolerance):
    recorded, angles = golden["beat_align"]["real_clip"], arrays["ba_real_pose_pyr_deg_f32"]
    heard = np.array(recorded["audio_onsets_frames"])
    found = beat_align(angles, heard, smoothing=float(smoothing), tolerance=float(tolerance))
    assert found.motion_beats.tolist() == recorded[f"motion_beats_sigma{smoothing}"]
    score = recorded[f"score_sigma{smoothing}_tol{tolerance}"]
    assert_close(found.score, score, 1e-9, "beat_align of a real head")
    if tolerance == "3":
        # Which shifts were averaged is not recorded; all of them are here.
        assert_close(found.chance, recorded["chance_mean_sigma5_tol3"], 1e-3, "beat_align chance")


def test_onsets_of_clicks(golden, inputs, assert_close):
    wave, true = inputs.click_track()
    found = onset_times(Waveform(wave))
    apart = np.abs(true[:, None] - found).min(1)
    assert_close(apart, np.zeros(len(true)), 0.04, "onsets of clicks, s")
    assert len(found) <= len(true) + 1
