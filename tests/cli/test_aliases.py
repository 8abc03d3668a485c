import shlex

import pytest

from talkhead.cli.aliases import from_edits, from_sadtalker, normalized
from talkhead.errors import UsageError


def test_sadtalker_command_line_becomes_ours():
    theirs = shlex.split(
        "--driven_audio a.wav --source_image b.png --result_dir out --still --preprocess full --size 256 "
        "--pose_style 3 --expression_scale 1.2 --ref_pose p.mp4 --ref_eyeblink e.mp4 --cpu"
    )
    ours = shlex.split(
        "b.png --result-dir out --preprocess full --size 256 --pose-style 3 --exp-scale 1.2 "
        "--ref-pose p.mp4 --ref-eyeblink e.mp4 --device cpu --pose-style still a.wav"
    )
    assert from_sadtalker(theirs) == ours


def test_sadtalker_writes_names_of_enhancers_as_their_makers_do():
    theirs = ["f", "a", "--enhancer", "RestoreFormer", "--background_enhancer=realesrgan"]
    ours = ["f", "a", "--enhance", "restoreformer", "--enhance-background", "realesrgan-x2"]
    assert from_sadtalker(theirs) == ours


def test_sadtalker_equals_signs():
    assert from_sadtalker(["--source_image=b.png", "--driven_audio=a.wav"]) == ["b.png", "a.wav"]


def test_sadtalker_angle_lists_are_joined():
    argv = ["f", "a", "--input_yaw", "-20", "30", "10", "--input_pitch", "5", "-o", "x.mp4"]
    assert from_sadtalker(argv) == ["f", "a", "--yaw", "-20,30,10", "--pitch", "5", "-o", "x.mp4"]


def test_our_own_options_pass_unchanged():
    argv = ["face.jpg", "a.wav", "-o", "out.mp4", "--yaw", "-5", "--size=256"]
    assert normalized(["animate", *argv]) == ["animate", *argv]
    assert normalized(["render", "--still"]) == ["render", "--still"]
    assert normalized([]) == []


@pytest.mark.parametrize("argv", [["--source_image"], ["--enhancer"]])
def test_sadtalker_mistakes_are_usage_errors(argv):
    with pytest.raises(UsageError):
        from_sadtalker(argv)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--yaw", "-5"], ["--set", "yaw -5"]),
        (["--yaw=-5"], ["--set", "yaw -5"]),
        (["--yaw+=5"], ["--set", "yaw +=5"]),
        (["--yaw-=5"], ["--set", "yaw -=5"]),
        (["--yaw", "+=5"], ["--set", "yaw +=5"]),
        (["--scale*=1.1"], ["--set", "scale *=1.1"]),
        (["--exp-pc3", "1.5", "in"], ["--set", "exp-pc3 1.5", "in"]),
        (["--au12=2"], ["--set", "au12 2"]),
        (["--smile", "0:0,1:0.5", "-o", "out"], ["--set", "smile 0:0,1:0.5", "-o", "out"]),
        (["--mirror", "in"], ["--set", "mirror", "in"]),
        (["--neutral", "in"], ["--set", "neutral", "in"]),
        (["--neutral", "0.5", "in"], ["--set", "neutral 0.5", "in"]),
        (["--id-from", "who.safetensors"], ["--set", "id-from who.safetensors"]),
        (["in", "--", "--yaw"], ["in", "--", "--yaw"]),
        (["in", "-o", "out", "--overwrite"], ["in", "-o", "out", "--overwrite"]),
    ],
)
def test_edits_become_one_option(argv, expected):
    assert from_edits(argv) == expected


def test_edit_without_its_value():
    with pytest.raises(UsageError, match="--yaw needs a value"):
        from_edits(["in", "--yaw"])
