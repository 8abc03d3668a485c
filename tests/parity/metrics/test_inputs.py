"""The inputs are the recorded ones: what differs later is the metric."""

import numpy as np
import pytest


def made(inputs, name):
    if name.startswith("clip_"):
        return inputs.clip_pair()[name == "clip_fake"]
    if name in inputs.CASES:
        return inputs.gray_scene(name, **inputs.CASES[name])
    if name.startswith("face68"):
        return np.round(inputs.face68()[name == "face68_fake"], 6)
    if name == "pose0":
        return np.round(inputs.pose_track(name), 6)
    if name == "click_wave_round5":
        return np.round(inputs.click_track()[0].astype(np.float64), 5)
    return np.round(inputs.tone_speech(t_video=200, lag_frames=float(name.rpartition("_")[2]))[0], 6)


@pytest.mark.parametrize(
    "name",
    ["clip_real", "clip_fake", "cpbd_sharp_256", "cpbd_blur08_256", "cpbd_noisy_256", "cpbd_odd_200x264"]
    + ["face68_real", "face68_fake", "pose0", "click_wave_round5", "lag_mouth_-1.5", "lag_mouth_5"],
)
def test_inputs_are_the_recorded_ones(golden, inputs, name):
    assert inputs.crc(made(inputs, name)) == golden["inputs"][name]
