"""SyncNet's score, its sound features and its crops against recorded numbers of the published evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from talkhead.audio.mfcc import mfcc
from talkhead.evaluation.face_tracks import crop_places, cut_crop
from talkhead.evaluation.lip_sync import SyncScorer


@pytest.mark.parametrize("max_shift", [10, 15])
def test_score(golden, arrays, assert_close, max_shift):
    recorded = golden["syncnet_score"][f"vshift_{max_shift}"]
    scorer = SyncScorer(max_shift)
    for part in (slice(0, 7), slice(7, 50), slice(50, None)):
        scorer.add(arrays["sync_im_feat"][part], arrays["sync_cc_feat"][part])
    score = scorer.finish()
    assert score.offset == recorded["offset"]
    assert_close(score.distances, recorded["mean_dist_per_shift"], 1e-5, "sync distances")
    assert_close(score.lse_d, recorded["lse_d_min_dist"], 1e-5, "lse_d")
    assert_close(score.lse_c, recorded["lse_c_confidence"], 1e-5, "lse_c")
    assert_close(score.confidence, recorded["framewise_conf_medfilt9"], 1e-5, "sync confidence by frame")


@pytest.mark.parametrize("block", [25600, 777])
def test_mfcc(golden, arrays, inputs, assert_close, block):
    recorded = golden["syncnet_mfcc"]
    pcm = np.rint(inputs.tone_speech(t_video=40, name="mfcc")[1] * 32767.0).astype(np.int16)
    assert inputs.crc(pcm) == golden["inputs"]["mfcc_pcm"]
    parts = (pcm[at : at + block].astype(np.float64) for at in range(0, len(pcm), block))
    rows = np.concatenate(list(mfcc(parts)))
    assert len(rows) == recorded["frames"]
    assert_close(rows, arrays["mfcc_T13"], 1e-6, "mfcc")
    assert_close(rows[0], recorded["first"], 1e-6, "mfcc")
    assert_close(rows[12:32].sum(), recorded["windows"]["window_3_sum"], 1e-6, "mfcc window")


def test_crop(golden, arrays, inputs, assert_close):
    frame = inputs.scene("cropframe", 240, 320, sigma=0.7)
    assert inputs.crc(frame) == golden["inputs"]["cropframe"]
    places = crop_places(arrays["crop_bbox"])
    found = [dataclasses.astuple(place) for place in places]
    assert_close(found, arrays["crop_rows_bsi_y0_y1_x0_x1"], 0, "sync crop rows")
    crop = cut_crop(frame, places[20])
    assert_close(crop[::8, ::8], arrays["crop_frame20_224_u8_every8"], 1, "sync crop pixels")
