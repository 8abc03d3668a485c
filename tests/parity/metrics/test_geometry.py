"""Head pose, its distances and spread, and landmark distance against recorded numbers."""

import numpy as np

from talkhead.evaluation.head_pose import (
    CANONICAL_POINTS,
    RIGID_POINTS,
    angles_of_mesh,
    diversity,
    geodesic_distances,
    rotation_distances,
)
from talkhead.evaluation.landmark_distance import landmark_distance


def test_angles_of_the_mesh(golden, arrays, assert_close):
    recorded = golden["pose_procrustes"]
    assert list(RIGID_POINTS) == recorded["landmark_ids_468"]
    assert_close(CANONICAL_POINTS, arrays["pose_canonical_30x3"], 0, "canonical face")
    found = [angles_of_mesh(points) for points in arrays["pose_rigid_lm_5x30x3_f32"]]
    assert_close(found, recorded["angles"], 1e-4, "angles of the mesh, deg")


def test_rotation_distances(golden, arrays, assert_close):
    recorded, driving = golden["ard"], arrays["ard_driving_pyr_deg"]
    generated = arrays["ard_generated_pyr_deg"]
    assert_close(rotation_distances(generated, driving).mean(), recorded["ard_mean_abs_wrapped"], 1e-9, "ard, deg")
    assert_close(geodesic_distances(generated, driving).mean(), recorded["geodesic_mean_deg"], 1e-9, "geodesic, deg")
    frontal = np.zeros_like(generated)
    assert_close(rotation_distances(generated, frontal).mean(), recorded["are_mean_abs"], 1e-9, "are, deg")


def test_diversity(golden, inputs, assert_close):
    recorded = golden["diversity"]
    tracks = [inputs.pose_track(f"pose{i}") for i in range(3)]
    found = [diversity(track) for track in tracks]
    assert_close(found, recorded["per_video_std_mean_deg"], 1e-9, "diversity per clip, deg")
    assert_close(np.mean(found), recorded["mean_of_videos_deg"], 1e-9, "diversity mean of clips, deg")
    pooled = diversity(np.concatenate(tracks))
    assert_close(pooled, recorded["pooled_frames_std_mean_deg"], 1e-9, "diversity pooled, deg")


def test_landmark_distance(golden, inputs, assert_close):
    recorded = golden["lmd"]
    frames = [landmark_distance(fake, real) for real, fake in zip(*inputs.face68(), strict=True)]
    mouth = np.array([frame.mouth for frame in frames])
    assert_close(mouth[:5], recorded["per_frame_mean20_centred_first5"], 1e-9, "lmd/mouth20-centred, px")
    assert_close(mouth.mean(), recorded["mean20_centred_mouth_px"], 1e-9, "lmd/mouth20-centred, px")
    assert_close(20 * mouth.mean(), recorded["atvgnet_code_sum20_centred_mouth"], 1e-8, "lmd sum of 20, px")
    expected = {
        "mouth_eye": 100 * recorded["mean20_centred_over_outer_eye_distance"],
        "mouth_raw": recorded["chen2018_mean20_uncentred_px"],
        "face": recorded["f_lmd_68_uncentred_px"],
        "face_centred": recorded["f_lmd_68_centred_px"],
    }
    for name, value in expected.items():
        found = np.mean([getattr(frame, name) for frame in frames])
        assert_close(found, value, 1e-9, f"lmd {name}")
