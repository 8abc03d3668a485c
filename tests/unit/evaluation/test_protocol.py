"""Protocols and families of metrics: names, changes, differences."""

from __future__ import annotations

import pytest

from talkhead.errors import UsageError
from talkhead.evaluation.families import FAMILIES, NAMES, check_required, chosen_families, have_faces, in_order
from talkhead.evaluation.meters import absent
from talkhead.evaluation.protocol import PROTOCOLS, difference, protocol_of


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_name_families_that_exist(name):
    assert set(PROTOCOLS[name].metrics) <= set(NAMES)


def test_a_protocol_can_be_changed_and_that_shows():
    plain, changed = protocol_of("plain"), protocol_of("plain", pool="frames", every=5)
    assert (changed.pool, changed.every) == ("frames", 5)
    assert difference(plain.as_dict(), plain.as_dict()) == ""
    assert difference(plain.as_dict(), changed.as_dict()) == "pool clips and frames; every 1 and 5"


def test_what_is_measured_is_no_difference():
    one = protocol_of("pir").as_dict()
    assert difference(one, {**one, "metrics": ["l1"]}) == ""
    assert difference(one, protocol_of("sadtalker").as_dict()).startswith(
        "protocol pir and sadtalker; side 512 and 256"
    )


def test_misspelt_protocol():
    with pytest.raises(UsageError, match="no protocol 'sadtalk'") as caught:
        protocol_of("sadtalk")
    assert caught.value.hint == "did you mean sadtalker?"


@pytest.mark.parametrize("change", [{"every": 0}, {"pool": "pixels"}])
def test_changes_out_of_range(change):
    with pytest.raises(UsageError):
        protocol_of("plain", **change)


def test_families_are_chosen_by_their_name_or_a_row():
    assert chosen_families(["ssim", "av_conf"]) == ("ssim", "lse", "frames")
    assert chosen_families([], ("lse", "l1")) == ("l1", "lse", "frames")


def test_some_are_measured_only_if_they_are_named():
    asked = {"ssim_uniform", "lpips_vgg", "lag_loudness", "lse_whole"}
    assert set(NAMES) - set(chosen_families([])) == asked
    assert asked <= set(chosen_families(["ssim_uniform", "lpips_vgg", "lag~loudness", "lse_d_whole"]))


def test_families_without_faces():
    assert not have_faces(chosen_families(["l1", "fid", "lip_reading_acc"]))
    assert have_faces(chosen_families(["l1", "csim"]))


def test_misspelt_metric():
    with pytest.raises(UsageError) as caught:
        chosen_families(["psrn"])
    assert caught.value.hint == "did you mean psnr?"


def test_a_family_is_no_row():
    with pytest.raises(UsageError) as caught:
        check_required(["psnr", "steadiness"])
    assert "jitter~mesh" in (caught.value.hint or "")


def test_no_row_belongs_to_two_families():
    rows = [row for family in FAMILIES for row in family.rows]
    assert len(set(rows)) == len(rows)


def test_rows_come_in_the_order_of_tables():
    rows = in_order([absent(name, "x/y", "why") for name in ("lse_d", "l1", "cpbd")])
    assert [row.name for row in rows] == ["l1", "cpbd", "lse_d"]
