"""Batches of frames: whole clips, where there are any."""

from collections.abc import Sequence
from itertools import groupby, islice

from interpfer.datasets.base import Dataset
from interpfer.errors import ModelError
from interpfer.types import Sample


def plan_batches(
    samples: Sequence[Sample], rows: Sequence[int], batch_size: int, frames: int = 1
) -> list[tuple[int, ...]]:
    """Divide rows into batches of at most ``batch_size``; the frames of a clip stay together where they fit.

    Args:
        samples: those of the data set.
        rows: positions of the images.
        batch_size: images per batch; for a network that takes clips at least as many as it takes.
        frames: frames that the network takes at a time: clips that are divided are divided between them.

    Examples:
        >>> clips = [Sample(f"{clip}{frame}", "", clip=clip, frame=frame) for clip in "ab" for frame in range(3)]
        >>> plan_batches(clips, range(6), 4)
        [(0, 1, 2), (3, 4, 5)]
        >>> plan_batches([Sample("a", ""), Sample("b", ""), Sample("c", "")], range(3), 2)
        [(0, 1), (2,)]
    """
    most = max(batch_size // frames, 1) * frames
    batches: list[tuple[int, ...]] = []
    batch: list[int] = []
    for clip, own in groupby(rows, lambda row: samples[row].clip):
        while piece := list(islice(own, most if clip else 1)):
            if len(batch) + len(piece) > most:
                batches.append(tuple(batch))
                batch = []
            batch += piece
    return [*batches, tuple(batch)] if batch else batches


def find_incomplete(
    samples: Sequence[Sample], rows: Sequence[int], unreadable: dict[int, str], frames: int
) -> dict[int, str]:
    """Return row -> reason of the frames that a network of clips cannot take, because others of their clip are missing.

    Args:
        samples: those of the data set.
        rows: positions of the images of a batch.
        unreadable: position -> reason of those that cannot be read.
        frames: frames that the network takes at a time.
    """
    missing: dict[int, str] = {}
    for clip, own in groupby(rows, lambda row: samples[row].clip):
        members = list(own)
        faults = [unreadable[row] for row in members if row in unreadable]
        if faults:
            missing |= {row: unreadable.get(row, f"clip {clip}: a frame is missing ({faults[0]})") for row in members}
        elif len(members) % frames:
            reason = f"clip {clip or samples[members[0]].id} has {len(members)} frames, and the network takes {frames}"
            missing |= dict.fromkeys(members, reason)
    return missing


def require_frames(dataset: Dataset, frames: int, model: str) -> None:
    """Check that a network of clips gets clips of the length that it takes.

    Args:
        dataset: the data set.
        frames: frames that the network takes at a time; 1 for one of pictures.
        model: name of the model, for messages.

    Raises:
        ModelError: the data set has no clips, or all of other lengths.
    """
    if frames == 1:
        return
    lengths: dict[str, int] = {}
    for sample in dataset.samples:
        lengths[sample.clip] = lengths.get(sample.clip, 0) + 1
    lengths.pop("", None)
    if not lengths:
        raise ModelError(
            f"model {model} takes clips of {frames} frames, and the data set {dataset.name} has pictures: pass one "
            "of clips, see `interpfer ls datasets`."
        )
    if all(length % frames for length in lengths.values()):
        clip, length = next(iter(lengths.items()))
        raise ModelError(
            f"model {model} takes clips of {frames} frames, and those of the data set {dataset.name} have others: "
            f"{clip} with {length}: pass --frames {frames}."
        )
