"""Which examples come when: every frame as often, repeatable, alike for any number of workers and processes."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from talkhead.errors import InputError, UsageError
from talkhead.training.data import Batches, Examples, Order, Stretch, first_frames, load, part_of, split
from talkhead.training.index import read_set
from talkhead.training.shards import Place, ShardReader
from tests.unit.training.toy import ToyConfig, ToyTraining


def stretches(lengths, shards=None):
    return [
        Stretch(Place(shard=s, offset=0, n_bytes=0, video=i, start=0, n_frames=n, video_frames=n), 0, n)
        for i, (n, s) in enumerate(zip(lengths, shards or [0] * len(lengths), strict=True))
    ]


def test_an_epoch_has_every_stretch_as_often_as_it_has_frames():
    order = Order(stretches([3, 1, 5, 2], [0, 1, 1, 2]), seed=0, window=2)
    assert order.length == 11
    epochs = [[order.stretch(n) for n in range(e * 11, e * 11 + 11)] for e in range(3)]
    assert all(Counter(epoch) == {0: 3, 1: 1, 2: 5, 3: 2} for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_windows_keep_reading_local():
    shards = [i // 10 for i in range(40)]
    order = Order(stretches([4] * 40, shards), seed=1, window=10)
    seen = [shards[order.stretch(n)] for n in range(160)]
    assert len(list(itertools.groupby(seen))) == 4  # shard after shard
    mixed = Order(stretches([4] * 40, shards), seed=1, window=40)
    assert len(list(itertools.groupby(shards[mixed.stretch(n)] for n in range(160)))) > 80


def test_the_order_is_the_seeds_and_needs_no_history():
    make = lambda seed: Order(stretches([4] * 30), seed, 7)  # noqa: E731
    one, other = make(3), make(3)
    assert [one.stretch(n) for n in range(300)] == [other.stretch(n) for n in reversed(range(300))][::-1]
    assert [one.stretch(n) for n in range(120)] != [make(4).stretch(n) for n in range(120)]
    with pytest.raises(InputError, match="no frames"):
        Order([], 0, 1)


def test_the_end_of_every_video_is_held_out(make_set):
    found = read_set(make_set(n_videos=2, n_frames=20, stretch=8))
    learned, held = split(found, 0.3)
    assert [(s.place.start, s.first, s.last) for s in learned] == [(0, 0, 8), (8, 0, 6)] * 2
    assert [(s.place.start, s.first, s.last) for s in held] == [(8, 6, 8), (16, 0, 4)] * 2
    assert {s.references_before for s in learned + held} == {14}
    assert split(found, 0.0)[1] == []
    assert sum(map(len, split(found, 0.0)[0])) == 40


def test_references_of_held_out_frames_stay_away(make_set):
    found = read_set(make_set(n_videos=1, n_frames=4))
    (place,) = found.places()
    reader = ShardReader(found.shards)
    assert len(reader.clip(place).references) == 2
    assert [r.image[0, 0, 1] for r in reader.clip(place, 1).references] == [0]
    assert [r.image[0, 0, 1] for r in reader.clip(place, 0).references] == [0]  # one must remain


def test_the_first_frames(make_set):
    found = read_set(make_set(n_videos=2, n_frames=20, stretch=8))
    kept = first_frames(split(found, 0.0)[0], 11)
    assert [(s.place.video, s.place.start, len(s)) for s in kept] == [(0, 0, 8), (0, 8, 3)]
    with pytest.raises(UsageError, match="has 20 frames, 21"):
        first_frames(split(found, 0.0)[0], 21)


def test_part_of_a_clip(make_set):
    found = read_set(make_set(n_videos=1, n_frames=8))
    clip = part_of(ShardReader(found.shards).clip(found.places()[0]), 2, 5)
    assert clip.start == 2 and len(clip.images) == len(clip.masks) == len(clip.coeffs) == 3
    assert clip.images[0][0, 0, 1] == 2 and clip.coeffs.exp[0, 0] == 2
    assert clip.sound.shape == (3 * 640,) and clip.features["toy"].shape == (3, 2)


def examples_of(folder, **words):
    found = read_set(folder)
    toy = ToyTraining(ToyConfig(), "cpu")
    words = {"seed": 0, "window": 100} | words
    return Examples(found, split(found, 0.0)[0], toy.sample, **words)


@pytest.mark.parametrize("cache", [0.0, 1e9])
def test_an_example_is_its_number(make_set, cache):
    folder = make_set()
    forward, backward = examples_of(folder, cache_bytes=cache), examples_of(folder, cache_bytes=0)
    for number in (0, 5, 59, 61, 500):
        backward[700 - number]
        for name, value in forward[number].items():
            np.testing.assert_array_equal(value, backward[number][name])
    assert forward._is_kept is bool(cache)


def test_pictures_that_fit_are_decoded_once(make_set, monkeypatch):
    import cv2

    decoded = []
    decode = cv2.imdecode

    def counted(*words):
        decoded.append(words)
        return decode(*words)

    monkeypatch.setattr(cv2, "imdecode", counted)
    kept = examples_of(make_set(n_videos=1, n_frames=8), cache_bytes=1e6)
    for number in range(100):
        kept[number]
    assert len(decoded) == 8


def test_processes_and_accumulation_share_out_the_same_examples():
    def first(n, *words):
        return list(itertools.islice(Batches(*words), n))

    assert first(2, 0, 4, 1, 0, 1) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert first(2, 0, 2, 2, 0, 1) == [[0, 1], [2, 3]]
    assert (first(2, 0, 2, 1, 0, 2), first(2, 0, 2, 1, 1, 2)) == ([[0, 1], [4, 5]], [[2, 3], [6, 7]])
    assert first(1, 3, 2, 2, 1, 2) == [[26, 27]]


@pytest.mark.slow
def test_workers_change_nothing(make_set):
    folder = make_set()
    found = []
    for workers in (0, 1):
        batches = load(examples_of(folder), Batches(2, 3, 1, 0, 1), workers, pin=False)
        found.append([next(batches)["image"].numpy() for _ in range(4)])
        batches.close()
    np.testing.assert_array_equal(found[0], found[1])


def test_memory_stays_bounded(make_set, monkeypatch):
    from talkhead.training import data

    monkeypatch.setattr(data, "N_OPEN", 4)
    examples = examples_of(make_set(n_videos=6, n_frames=20, stretch=4), cache_bytes=0)
    for number in range(200):
        examples[number]
    assert len(examples._clips) == 4
