"""What can be asked of an enhancer."""

import pytest

from talkhead.enhance.config import BACKGROUND_WEIGHTS, FACE_WEIGHTS, EnhanceConfig
from talkhead.errors import UsageError
from talkhead.weights.manifest import load_manifest


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"faces": "gfpgen"}, "did you mean 'gfpgan'"),
        ({"background": "bicubic"}, "one of realesrgan-x2, realesrgan-general"),
        ({"strength": 1.2}, "0 to 1"),
        ({"strength": float("nan")}, "0 to 1"),
        ({"scale": 0}, "1 to 4"),
        ({"scale": 5}, "1 to 4"),
    ],
)
def test_what_does_not_exist_is_refused(wrong, said):
    with pytest.raises(UsageError) as caught:
        EnhanceConfig(**wrong)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_small_frames_are_doubled_and_large_ones_kept():
    config = EnhanceConfig(faces="gfpgan")
    assert [config.scale_of(*size) for size in ((256, 256), (512, 384), (384, 513), (1920, 1080))] == [2, 2, 1, 1]
    assert EnhanceConfig(faces="gfpgan", scale=3).scale_of(1920, 1080) == 3


def test_only_what_is_used_is_needed():
    assert EnhanceConfig(faces="gfpgan").weights == ("gfpgan-v1.4",)
    assert EnhanceConfig(faces="gfpgan", strength=0).weights == ()
    both = EnhanceConfig(faces="restoreformer", background="realesrgan-x2")
    assert both.weights == ("restoreformer", "realesrgan-x2plus")


@pytest.mark.parametrize("word", [*FACE_WEIGHTS, *BACKGROUND_WEIGHTS])
def test_every_word_pulls_its_own_file_alone(word):
    (entry,) = load_manifest().select([word])
    assert entry.name == (FACE_WEIGHTS | BACKGROUND_WEIGHTS)[word]
    assert entry.is_hash_known


def test_codeformer_asks_for_consent():
    assert load_manifest().file("codeformer").commercial == "no"
