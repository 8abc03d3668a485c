"""Which examples a training sees in which order, and how they come out of the shards.

Every example has a number, from 0 on through all epochs; its number and the seed decide what it is. So a run that
goes on needs no state of the reader, any number of workers gives the same, and two processes together see what one
would see with twice the batch.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from talkhead.errors import InputError, UsageError
from talkhead.protocols import TrainingClip
from talkhead.training.index import TrainingSet
from talkhead.training.shards import Place, ShardReader

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
Example = dict[str, npt.NDArray[Any]]
Sample = Callable[[TrainingClip, np.random.Generator], Example]

N_OPEN = 256
"""Clips of which tracks, features and the places of pictures are kept in memory, about 100 kB each."""
TRAINING, HELD_OUT = 0, 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a sample.

    Attributes:
        place: of the sample. first, last: its frames, the last exclusive. references_before: the frame of the video
            before which references must lie; None: anywhere.
    """

    place: Place
    first: int
    last: int
    references_before: int | None = None

    def __len__(self) -> int:
        return self.last - self.first


def split(found: TrainingSet, hold_out: float) -> tuple[list[Stretch], list[Stretch]]:
    """What is learned from, and what is held out: the last share of every video.

    Held-out frames are no references either.

    Args:
        found: the set. hold_out: share, 0 for none.
    """
    learned: list[Stretch] = []
    held: list[Stretch] = []
    for place in found.places():
        border = place.video_frames - round(hold_out * place.video_frames) if hold_out else place.video_frames
        inside = min(max(border - place.start, 0), place.n_frames)
        before = border if hold_out else None
        if inside:
            learned.append(Stretch(place, 0, inside, before))
        if inside < place.n_frames:
            held.append(Stretch(place, inside, place.n_frames, before))
    return learned, held


def first_frames(stretches: Sequence[Stretch], n_frames: int) -> list[Stretch]:
    """The first frames of the first video; what `--overfit` learns.

    Raises:
        UsageError: the video is shorter.
    """
    kept: list[Stretch] = []
    left = n_frames
    for stretch in stretches:
        if left and stretch.place.video == stretches[0].place.video:
            kept.append(replace(stretch, last=min(stretch.last, stretch.first + left)))
            left -= len(kept[-1])
    if left:
        raise UsageError(f"the first video has {n_frames - left} frames, {n_frames} were asked for")
    return kept


class Order:
    """The order of examples: epoch by epoch, each stretch as often as it has frames.

    In an epoch shards come in random order, and so do the samples of each; examples are shuffled within windows of
    consecutive samples. So reading stays local, and memory small.

    Args:
        stretches: what there is. seed: of the order. window: samples of a window.
    Raises:
        InputError: there is nothing.
    """

    def __init__(self, stretches: Sequence[Stretch], seed: int, window: int) -> None:
        if not stretches:
            raise InputError("no frames to learn from", hint="hold_out leaves none, or the set is empty")
        self._lengths = np.array([len(stretch) for stretch in stretches], np.int64)
        self._shards = np.array([stretch.place.shard for stretch in stretches], np.int64)
        self._seed, self._window = seed, window
        self._epoch: tuple[int, I64, I64] | None = None
        self._shuffled: tuple[int, int, I64] | None = None
        self.length = int(self._lengths.sum())
        """Examples of an epoch."""

    def stretch(self, number: int) -> int:
        """Which stretch example `number` is drawn from."""
        epoch, index = divmod(number, self.length)
        order, ends = self._order(epoch)
        window = int(np.searchsorted(ends, index, side="right"))
        before = int(ends[window - 1]) if window else 0
        return int(self._examples(epoch, window, order)[index - before])

    def _order(self, epoch: int) -> tuple[I64, I64]:
        """Stretches in the order of an epoch, and the number of examples up to the end of each window."""
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng((self._seed, epoch))
            turns = rng.permutation(int(self._shards.max()) + 1)
            order = np.lexsort((rng.random(len(self._lengths)), turns[self._shards])).astype(np.int64)
            sums = np.cumsum(self._lengths[order])
            last = np.minimum(np.arange(self._window, len(sums) + self._window, self._window), len(sums)) - 1
            self._epoch = (epoch, order, sums[last])
        return self._epoch[1], self._epoch[2]

    def _examples(self, epoch: int, window: int, order: I64) -> I64:
        if self._shuffled is None or self._shuffled[:2] != (epoch, window):
            part = order[window * self._window : (window + 1) * self._window]
            examples = np.repeat(part, self._lengths[part])
            np.random.default_rng((self._seed, epoch, window)).shuffle(examples)
            self._shuffled = (epoch, window, examples)
        return self._shuffled[2]


class Examples(Dataset[Example]):
    """Examples by number.

    Args:
        found: the set. stretches: what of it. sample: makes an example of a clip. seed, window: as in `LoopConfig`.
        kind: `TRAINING` or `HELD_OUT`; their choices differ. cache_bytes: pictures are kept if all fit in here.
    """

    def __init__(
        self,
        found: TrainingSet,
        stretches: Sequence[Stretch],
        sample: Sample,
        *,
        seed: int,
        window: int,
        kind: int = TRAINING,
        cache_bytes: float = 0.0,
    ) -> None:
        self.order = Order(stretches, seed, window)
        self._stretches, self._sample, self._seed, self._kind = list(stretches), sample, seed, kind
        self._reader = ShardReader(found.shards)
        self._is_kept = decoded_bytes(found, stretches) <= cache_bytes
        self._clips: OrderedDict[int, TrainingClip] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """For the processes that make examples: they need no networks, and fill memories of their own."""
        return {**self.__dict__, "_clips": OrderedDict(), "_sample": without_networks(self._sample)}

    def __len__(self) -> int:
        return self.order.length

    def __getitem__(self, number: int) -> Example:
        """Example `number`; there is no last one.

        Raises:
            InputError: the set is damaged, or lacks what the system needs.
        """
        clip = self._clip(self.order.stretch(number))
        return self._sample(clip, np.random.default_rng((self._seed, self._kind, number)))

    def _clip(self, index: int) -> TrainingClip:
        if index in self._clips:
            self._clips.move_to_end(index)
            return self._clips[index]
        stretch = self._stretches[index]
        clip = part_of(self._reader.clip(stretch.place, stretch.references_before), stretch.first, stretch.last)
        if self._is_kept:
            references = Kept(clip.references)
            clip = replace(clip, images=Kept(clip.images), masks=Kept(clip.masks), references=references)
        elif len(self._clips) >= N_OPEN:
            self._clips.popitem(last=False)
        self._clips[index] = clip
        return clip


class Kept(Sequence[Any]):
    """Remembers what a sequence gave: pictures are decoded once.

    Args:
        values: the sequence.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self._values, self._kept = values, dict[int, Any]()

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place not in self._kept:
            self._kept[place] = self._values[place]
        return self._kept[place]


def part_of(clip: TrainingClip, first: int, last: int) -> TrainingClip:
    """Some frames of a clip, `first` to `last` (exclusive)."""
    if (first, last) == (0, len(clip.coeffs)):
        return clip
    part = slice(first, last)
    per_frame = 0 if clip.sound is None else len(clip.sound) // len(clip.coeffs)
    return replace(
        clip,
        start=clip.start + first,
        images=clip.images[part],
        masks=clip.masks[part],
        coeffs=clip.coeffs.at(part),
        sound=None if clip.sound is None else clip.sound[first * per_frame : last * per_frame],
        features={name: values[part] for name, values in clip.features.items()},
    )


def decoded_bytes(found: TrainingSet, stretches: Sequence[Stretch]) -> int:
    """Memory of all pictures of stretches, decoded: frames, references, masks."""
    per_picture = found.config.size**2 * (3 if found.config.masks == "none" else 4)
    return per_picture * sum(len(stretch) + found.config.n_references for stretch in stretches)


class Batches(Sampler[list[int]]):
    """Numbers of the examples of each batch of one process, from a step on, without end.

    Args:
        start: the first step. batch: examples of a process at a time. accumulate: batches of a step. rank,
            world: which process of how many.
    """

    def __init__(self, start: int, batch: int, accumulate: int, rank: int, world: int) -> None:
        self._start, self._batch, self._accumulate = start, batch, accumulate
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[list[int]]:
        number = self._start * self._accumulate
        while True:
            first = (number * self._world + self._rank) * self._batch
            yield list(range(first, first + self._batch))
            number += 1


def load(
    examples: Examples, batches: Batches, workers: int, pin: bool
) -> Generator[dict[str, torch.Tensor], None, None]:
    """Batches as tensors on the CPU, without end.

    Args:
        examples: by number. batches: which. workers: processes that make them. pin: into memory that a GPU reads fast.
    """
    loader = DataLoader(
        examples,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=stacked,
        pin_memory=pin,
        worker_init_fn=_start_worker if workers else None,
        # Threads of OpenCV, Numba and PyTorch do not survive a fork.
        multiprocessing_context="spawn" if workers else None,
        # Workers draw a seed from the global generator otherwise, whose state must not depend on their number.
        generator=torch.Generator().manual_seed(0),
    )
    yield from loader


def without_networks(sample: Sample) -> Sample:
    """A method that makes examples, bound to a copy of its object that holds no networks."""
    owner = getattr(sample, "__self__", None)
    if owner is None:
        return sample
    light = copy.copy(owner)
    for name, value in list(vars(light).items()):
        if _is_network(value) or (isinstance(value, Mapping) and any(map(_is_network, value.values()))):
            setattr(light, name, None)
    bound: Sample = getattr(light, sample.__name__)
    return bound


def _is_network(value: object) -> bool:
    return isinstance(value, torch.nn.Module) and next(value.parameters(), None) is not None


def stacked(examples: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, torch.Tensor]:
    """Examples of equal shapes as one batch."""
    return {name: torch.from_numpy(np.stack([example[name] for example in examples])) for name in examples[0]}


def _start_worker(number: int) -> None:
    del number
    import cv2

    cv2.setNumThreads(1)
