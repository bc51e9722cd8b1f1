"""The inputs of a training: model and data sets as the caller passed them, opened and split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from interpfer.choices import is_library_name
from interpfer.datasets.base import Dataset
from interpfer.datasets.duplicates import find_copies, name_some
from interpfer.datasets.opening import open_dataset
from interpfer.errors import DataError, InterpferError, SplitError
from interpfer.faces.check import check_landmarks
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.methods import require_network
from interpfer.finetuning.options import NO_TEST, FinetuneOptions
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.split import hold_out
from interpfer.labels import list_names, resolve_classes
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.models.clips import require_pictures
from interpfer.models.heads.attach import attach_head
from interpfer.models.input import InputSpec
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.new_network import new_network
from interpfer.runtime.progress import Progress
from interpfer.statistics.subjects import count_unknown, unit_of
from interpfer.truth.base import TruthProvider

MARGIN = 8 / 7
"""Size of kept images over the input size, so that a crop keeps its sharpness (256 for 224)."""


@dataclass(frozen=True)
class TrainingFaces:
    """Faces to train on, and faces to choose the epoch on.

    Attributes:
        train: pool to train on.
        heldout: pool of the held-out faces.
        has_subjects: whether any image names its subject, or its clip, so that none is in both.
        without_subject: number of images without a subject, each its own person; 0 where none has one.
        notes: sentences on the split.
        copies: held-out images that are left out, with the pixels of a training image.
    """

    train: FacePool
    heldout: FacePool
    has_subjects: bool
    without_subject: int = 0

    notes: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    def load(self, progress: Progress) -> None:
        """Read all images; a held-out image with the same pixels as one to train on is left out.

        Raises:
            DataError: no image can be read, or every held-out one is such a copy.
        """
        for pool in (self.train, self.heldout):
            pool.load(progress)
        if implausible := self.train.implausible | self.heldout.implausible:
            names = name_some(f"{self.dataset.samples[row].id}: {note}" for row, note in implausible.items())
            self.notes.append(f"not guided, by their landmarks: {len(implausible)} ({names})")
        copies = find_copies({row: self.heldout.contents[row] for row in self.heldout.rows}, self._names(self.train))
        if not copies:
            return
        samples = self.dataset.samples
        self.copies.extend(samples[row].id for row in copies)
        names = name_some(f"{samples[row].id} = {name}" for row, name in copies.items())
        self.heldout.rows = tuple(row for row in self.heldout.rows if row not in copies)
        if not self.heldout.rows:
            raise DataError(f"every held-out image has the same pixels as a training image ({names}).")
        self.notes.append(
            f"left out of the held-out images, with the same pixels as a training image: {len(copies)} ({names})"
        )

    def counts(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return how many images of the data set are used for what, and how many are left out for which reason.

        Args:
            classes: of the model.
        """
        labels = Counter(sample.label for sample in self.dataset.samples)
        unreadable = self.train.skipped | self.heldout.skipped
        return {
            "images": len(self.dataset),
            "train": len(self.train.rows),
            "validation": len(self.heldout.rows),
            "unlabelled": labels.pop("", 0),
            "unknown_class": {label: count for label, count in labels.items() if label not in classes},
            "unreadable": len(unreadable),
            "copies": len(self.copies),
        }

    @property
    def contents(self) -> dict[str, str]:
        """Key of the pixels -> name of all images that were read."""
        return self._names(self.heldout) | self._names(self.train)

    def _names(self, pool: FacePool) -> dict[str, str]:
        return {key: self.dataset.samples[row].id for row, key in pool.contents.items()}

    @property
    def dataset(self) -> Dataset:
        """Data set that both are parts of."""
        return self.train.stream.dataset


@dataclass(frozen=True)
class Inputs:
    """Model and faces of a training, as the caller passed them.

    Attributes:
        model: a model, or a checkpoint.
        dataset: data set to train on, or the name of one.
        test: data set to compare before and after on, a split of the one given by name, or None for no comparison.
        landmarks: a provider, its name, or a landmark file; None for the data set's own, else detected.
    """

    model: Model | str | Path
    dataset: Dataset | str
    test: Dataset | str | None
    landmarks: LandmarkProvider | str | Path | None

    def named_in(self, options: FinetuneOptions) -> FinetuneOptions:
        """Return options that name what was passed by name; the default of ``test`` leaves their split."""
        names: dict[str, Any] = {}
        if isinstance(self.model, str | Path):
            names["model"] = self.model
        if isinstance(self.dataset, str):
            names["dataset"] = self.dataset
        if isinstance(self.landmarks, str | Path):
            names["landmarks"] = str(self.landmarks)
        if self.test is None:
            names["test_split"] = NO_TEST
        elif isinstance(self.test, str) and self.test != FinetuneOptions.test_split:
            names["test_split"] = self.test
        return replace(options, **names)

    def open_model(self, options: FinetuneOptions) -> Model:
        """Return the model at the start of the training: loaded or new, with the head that was asked for.

        Raises:
            InterpferError: an option does not fit the model.
        """
        if isinstance(self.model, Model):
            replace(options, head=None, head_args=None).require_unset(self.model.name)
        if options.head is None and (options.large_maps or options.head_args):
            raise InterpferError("--large-maps and head_args need a head: pass --head NAME (see `interpfer ls heads`).")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)  # random weights are those of the seed
            model = self.model if isinstance(self.model, Model) else self._load(options)
            model.require_classes()
            require_pictures(model.frames, model.name, "finetune trains")
            require_network(options.method, model.name, model.card.arch)
            if options.head is None:
                return model
            named = options.classes.split(",") if isinstance(options.classes, str) else options.classes
            classes = resolve_classes(list(named)) if named else model.classes
            return attach_head(model, options.head, classes, options.large_maps, **dict(options.head_args or {}))

    def _load(self, options: FinetuneOptions) -> Model:
        assert not isinstance(self.model, Model)
        values = options.model_values() | {"head": None, "head_args": None}
        if is_library_name(str(self.model)):
            return new_network(str(self.model), options.pretrained, **values)
        if options.pretrained:
            raise InterpferError(
                f"--pretrained needs torchvision:NAME or timm:NAME as MODEL, got {self.model}; leave it out."
            )
        if options.head is not None:
            values["classes"] = None
        return load_model(self.model, **values)

    def open_datasets(self, options: FinetuneOptions, seed: int) -> tuple[Dataset, Dataset | None]:
        """Return the data set to train on, and the one to compare before and after on; None for no comparison.

        Args:
            options: folder and splits of a data set given by name.
            seed: seed of synthetic data sets.

        Raises:
            InterpferError: there is no such data set or split.
        """
        split = options.test_split
        is_default = split == FinetuneOptions.test_split
        training = open_dataset(self.dataset, options, seed) if isinstance(self.dataset, str) else self.dataset
        if isinstance(self.test, Dataset) or split == NO_TEST:
            return training, self.test if isinstance(self.test, Dataset) else None
        if not isinstance(self.dataset, str):
            if not is_default:
                raise InterpferError(f"test='{split}': an open data set has no other splits; pass a data set as test.")
            return training, training
        try:
            return training, open_dataset(self.dataset, options, seed, split)
        except SplitError:
            if not is_default:
                raise
            return training, training  # without a test split, the held-out images are compared

    def provider(self, options: FinetuneOptions, dataset: Dataset, truth: TruthProvider) -> LandmarkProvider:
        """Return the landmarks of a data set, none for a truth that needs none.

        Raises:
            InterpferError: they cannot be found, or most of them are implausible; or the truth is not of the data set.
        """
        truth.check(dataset.samples)
        choice = options.landmarks if isinstance(self.landmarks, str | Path) else self.landmarks or options.landmarks
        is_needed = truth.needs_landmarks or options.occlude_train is not None
        return check_landmarks(resolve_landmarks(choice, dataset.landmarks(), is_needed), dataset)


def usable_rows(dataset: Dataset, model: Model) -> tuple[int, ...]:
    """Return the positions of the images whose label the model knows.

    Raises:
        InterpferError: there is none.
    """
    rows = tuple(row for row, sample in enumerate(dataset.samples) if sample.label in model.classes)
    if not rows:
        raise InterpferError(
            f"no image of the data set {dataset.name} has a label that the model knows ({list_names(model.classes)}); "
            f"it has {list_names(dataset.classes) or 'none'}."
        )
    return rows


def split_faces(
    dataset: Dataset, rows: Sequence[int], provider: LandmarkProvider, spec: InputSpec, recipe: Recipe
) -> TrainingFaces:
    """Hold a part of the rows out; nothing is read yet. Frames of a clip without a subject stay together.

    Args:
        dataset: the data set.
        rows: positions of the images to use.
        provider: landmarks of the faces.
        spec: input of the model; images show what it sees of a picture.
        recipe: share to hold out, seed, and augmentations, which need larger images if they crop or rotate.

    Raises:
        InterpferError: there are too few images or subjects.
    """
    labels = [dataset.samples[row].label for row in rows]
    subjects = [unit_of(dataset.samples[row]) or None for row in rows]
    train, heldout = hold_out(labels, subjects, recipe.val_fraction, recipe.seed)
    is_warped = recipe.augment.crop < 1 or recipe.augment.rotate > 0
    train_size = round(spec.size * MARGIN) if is_warped else spec.size
    unknown = count_unknown(subjects) if any(subjects) else 0
    note = f"{unknown} of {len(rows)} images name no subject; each is split as a person of its own"
    return TrainingFaces(
        FacePool(FaceStream(dataset, provider, train_size, input=spec), tuple(rows[place] for place in train)),
        FacePool(FaceStream(dataset, provider, spec.size, input=spec), tuple(rows[place] for place in heldout)),
        any(subjects),
        unknown,
        [note] if unknown else [],
    )
