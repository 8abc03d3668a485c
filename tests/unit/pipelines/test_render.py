import numpy as np
import pytest

import talkhead
from talkhead.coeffs.container import Coeffs
from talkhead.enhance.config import EnhanceConfig
from talkhead.enhance.enhancer import Enhancer
from talkhead.errors import UsageError
from talkhead.pipelines.config import RenderSettings
from talkhead.pipelines.render import Enhanced, has_codes, one_frame, placed, readable, without_head
from talkhead.protocols import Drive
from talkhead.systems import info


def coeffs(n_frames=3, space="pose", **tracks):
    return Coeffs(space=space, fps=25.0, n_frames=n_frames, **tracks)


def test_absolute_place_becomes_an_offset_from_the_photo():
    own = coeffs(1, trans=np.array([[1, 2, 0]], np.float32), scale=np.array([50], np.float32))
    trans = np.array([[1, 2, 0], [1.5, 2, 0], [1, 1, 0]], np.float32)
    moved = placed(coeffs(trans=trans, scale=np.array([50, 100, 25], np.float32)), own)
    assert moved.relative == {"trans", "scale"}
    np.testing.assert_array_equal(moved.trans, trans - own.trans)
    np.testing.assert_array_equal(moved.scale, [1, 2, 0.5])
    assert placed(moved, own) is moved


def test_picture_shows_one_frame():
    motion = coeffs(rot=np.zeros((3, 3), np.float32))
    assert one_frame(motion, "video", None) is None
    assert one_frame(motion, "folder", None) is None
    assert one_frame(motion, "picture", None) == 0
    assert one_frame(motion, "picture", 2) == one_frame(motion, "folder", 2) == 2
    assert (list(Drive(coeffs=motion).frames), list(Drive(coeffs=motion, frame=2).frames)) == ([0, 1, 2], [2])
    for kind, frame in (("picture", 3), ("picture", -1), ("video", 0)):
        with pytest.raises(UsageError):
            one_frame(motion, kind, frame)


def test_what_a_renderer_reads_is_left_alone():
    system = info("meshwarp")
    exp = np.zeros((3, 2), np.float32)
    own = coeffs(space="meshwarp-0123abcd", exp=exp)
    assert readable(own, system, RenderSettings(), None) is own
    head = coeffs(space="bfm", rot=np.zeros((3, 3), np.float32))
    assert not has_codes(head)
    assert readable(head, system, RenderSettings(), None) is head


def test_codes_of_a_space_nobody_knows_are_refused():
    system = info("meshwarp")
    for space in ("clay-1", "meshwarped-1"):
        with pytest.raises(UsageError, match=space.partition("-")[0]):
            readable(coeffs(space=space, exp=np.zeros((3, 2), np.float32)), system, RenderSettings(), None)


def test_a_still_head():
    rot = np.ones((3, 3), np.float32)
    both = without_head(coeffs(rot=rot, scale=np.ones(3, np.float32), eyelid=np.ones((3, 2), np.float32)))
    assert both.tensors().keys() == {"eyelid"}
    alone = without_head(coeffs(rot=rot, trans=rot))
    assert alone.relative == {"rot"} and not alone.rot.any() and alone.trans is None


@pytest.mark.parametrize("name", ["extract", "audio2coeff", "pose", "edit", "render", "animate"])
def test_a_misspelt_word_is_refused(name):
    required: dict[str, tuple[object, ...]] = {
        "render": ("f", "m", "o"), "animate": ("f", "a", "o"), "edit": ("m", {})
    }  # fmt: skip
    with pytest.raises(TypeError, match="devcie"):
        getattr(talkhead, name)(*required.get(name, ("f",)), devcie="cpu")


def test_an_enhanced_renderer_is_a_renderer():
    class Grey:
        size = (48, 32)

        def rest_coeffs(self):
            return coeffs(1, rot=np.zeros((1, 3), np.float32))

        def render(self, drive):
            for k in range(len(drive.coeffs)):
                yield np.full((32, 48, 3), 10 * k, np.uint8)

    twice = Enhanced(Grey(), Enhancer(EnhanceConfig(scale=2)), "largest")
    assert twice.size == (96, 64)
    assert len(twice.rest_coeffs()) == 1
    frames = list(twice.render(Drive(coeffs=coeffs(3, rot=np.zeros((3, 3), np.float32)))))
    assert [(frame.shape, int(frame[0, 0, 0])) for frame in frames] == [((64, 96, 3), 10 * k) for k in range(3)]
