"""Opens a data set by its name, with the frames of clips that are asked for."""

from collections import Counter
from pathlib import Path

from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.datasets.clip_dataset import REPEAT
from interpfer.datasets.frames import FrameDataset
from interpfer.datasets.options import DataOptions
from interpfer.datasets.sampling import Sampling, resolve_sampling
from interpfer.datasets.subset import Subset
from interpfer.errors import InterpferError


def open_dataset(name: str, options: DataOptions, seed: int = 0, split: str | None = None) -> Dataset:
    """Open a data set with the options of a verb.

    Args:
        name: name of the data set.
        options: folder, split, and the frames of clips.
        seed: random seed of synthetic data sets.
        split: split in place of that of the options.

    Raises:
        InterpferError: there is no such data set, or frames are chosen and it has no clips.
        DataError: it cannot be read.
    """
    kind, root = DATASETS.get(name), Path(options.data_root) if options.data_root else None
    chosen = options.split if split is None else split
    if options.sampling is None and options.frames is None:
        return kind.open(root, chosen, seed)
    sampling = resolve_sampling(options.sampling, options.frames)
    if kind.has_clips:
        return kind.open(root, chosen, seed, sampling=sampling)  # type: ignore[call-arg]
    if issubclass(kind, FrameDataset):
        return group_into_clips(kind.open(root, chosen, seed), sampling)
    raise InterpferError(f"data set {name} has no clips: leave out --sampling and --frames.")


def group_into_clips(dataset: Dataset, sampling: Sampling) -> Subset:
    """Return the sampled frames of a data set of frames, whose videos become its clips.

    The frames of a video are those that the data set has, in order, under one folder of their names.

    Args:
        dataset: a data set of the frames of videos.
        sampling: which frames are sampled.
    """
    videos: dict[str, list[int]] = {}
    for row, sample in enumerate(dataset.samples):
        videos.setdefault(sample.id.rpartition("/")[0], []).append(row)
    rows, names, places = list[int](), list[str](), list[tuple[str, int]]()
    for video, own in videos.items():
        seen = Counter[int]()
        for frame in sampling.choose(len(own)):
            seen[frame] += 1
            rows.append(own[frame])
            names.append(f"{dataset.samples[own[frame]].id}{f'{REPEAT}{seen[frame]}' if seen[frame] > 1 else ''}")
            places.append((video, frame))
    clips = Subset(dataset, rows, dataset.split, names, places)
    clips.notes = (*dataset.notes, f"frames of clips: {sampling}; a clip is a video of the data set")
    clips.left_out = dict(dataset.left_out)
    return clips
