"""Brings the rows of a file together with the images that they are about, and with what is true of those."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from interpfer.au.codebook import ActionUnit, Codebook
from interpfer.errors import DataError
from interpfer.labels import NEUTRAL
from interpfer.rationales.rows import BadRow, Rationale
from interpfer.types import CodedAUs, Sample

CODED, CODEBOOK, NONE = "coded", "codebook", "none"
"""Where the action units of a face come from."""

MAX_NAMED = 5
"""How many rows or images a note names."""

Flags = NDArray[np.bool_]


@dataclass
class RationaleTable:
    """The n rows of a file that are about a known image, as arrays over their a action units.

    Attributes:
        aus: the a FACS numbers.
        images: name of the image of each row.
        rows: its position in the data set.
        labels: true class, "" where unknown.
        answers: class that the text answers, "" for none.
        subjects: the person on each image; None where unknown.
        units: action units on the face, of which sides.
        source: ``CODED``, ``CODEBOOK`` or ``NONE``.
        named: (n, a) action units that the text names.
        present: (n, a) those that are there.
        coded: (n, a) whether it is known that they are there or not.
        of_answer: (n, a) those that the codebook lists for the answer.
        box_rows: (b,) row of each box.
        box_columns: (b,) action unit of each box.
        boxes: (b, 4) corners as written.
        bad: rows that could not be read or used, and why.
        notes: what a reader has to know, in sentences.
    """

    aus: tuple[int, ...]
    images: list[str]
    rows: list[int]
    labels: list[str]
    answers: list[str]
    subjects: list[str | None]
    units: list[tuple[ActionUnit, ...]]
    source: list[str]
    named: Flags
    present: Flags
    coded: Flags
    of_answer: Flags
    box_rows: NDArray[np.intp]
    box_columns: NDArray[np.intp]
    boxes: NDArray[np.float64]
    bad: list[BadRow]
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def has_answer_units(self) -> Flags:
        """(n,) whether the codebook lists action units for the answer."""
        flags: Flags = np.logical_or.reduce(self.of_answer, 1)
        return flags


@dataclass
class _Draft:
    """What is collected row by row; sets of action units are shared between rows that agree."""

    images: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    named: list[frozenset[int]] = field(default_factory=list)
    box_rows: list[int] = field(default_factory=list)
    box_aus: list[int] = field(default_factory=list)
    corners: list[tuple[float, float, float, float]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    other_labels: list[str] = field(default_factory=list)


def collect(
    rationales: Iterable[Rationale | BadRow],
    samples: Sequence[Sample] | None,
    codes: Callable[[Sample], CodedAUs | None],
    codebook: Codebook,
) -> RationaleTable:
    """Return the rows that are about an image of the data set.

    Args:
        rationales: rows of a file.
        samples: images of the data set; None to take image and label from the rows.
        codes: function that returns the coded action units of a sample, as sides of the picture.
        codebook: action units of an expression, where none are coded.

    Raises:
        DataError: no row can be used, or there is nothing to compare with.
    """
    draft, own = _Draft(), [] if samples is None else list(samples)
    find = None if samples is None else _NameIndex([sample.id for sample in own])
    seen: dict[str, int] = {}
    shared: dict[frozenset[int], frozenset[int]] = {}
    for row in rationales:
        if isinstance(row, BadRow):
            draft.bad.append(row)
            continue
        if find is None:
            place, image = len(own), row.image
        else:
            found = find(row.image)
            if isinstance(found, str):
                draft.bad.append(BadRow(row.line, f"{row.image}: {found}"))
                continue
            place, image = found, own[found].id
        if image in seen:
            draft.bad.append(BadRow(row.line, f"{row.image}: line {seen[image]} is about this image, too"))
            continue
        seen[image] = row.line
        if find is None:
            own.append(Sample(row.image, row.label))
        label = own[place].label
        if row.label and label and row.label != label:
            draft.other_labels.append(image)
        draft.images.append(image)
        draft.rows.append(place)
        draft.labels.append(sys.intern(label or row.label))
        draft.answers.append(sys.intern(row.answer))
        draft.named.append(shared.setdefault(row.aus, row.aus))
        for box in row.boxes:
            draft.box_rows.append(len(draft.images) - 1)
            draft.box_aus.append(box.au)
            draft.corners.append(box.corners)
    if not draft.images:
        first = f" (first: line {draft.bad[0].line}: {draft.bad[0].reason})" if draft.bad else ""
        raise DataError(f"no row is about a known image; {len(draft.bad)} rows could not be used{first}.")
    table = _to_table(draft, own, codes, codebook, None if samples is None else len(own))
    if not any(table.labels) and set(table.source) == {NONE}:
        where = "the rows state no label" if samples is None else "the data set has neither labels nor action units"
        raise DataError(f"nothing to compare with: {where}; pass --dataset with labels, or --aus.")
    return table


def _to_table(
    draft: _Draft,
    samples: Sequence[Sample],
    codes: Callable[[Sample], CodedAUs | None],
    codebook: Codebook,
    images: int | None,
) -> RationaleTable:
    coded = [codes(samples[place]) for place in draft.rows]
    units = [_units(seen, label, codebook) for seen, label in zip(coded, draft.labels, strict=True)]
    in_use = {unit.au for face in units for unit in face} | set(draft.box_aus) | set(codebook.aus())
    aus = tuple(sorted(in_use.union(*set(draft.named))))
    column = {au: place for place, au in enumerate(aus)}
    of_class = {name: _flags([codebook.aus([name])], column)[0] for name in set(draft.answers)}
    return RationaleTable(
        aus=aus,
        images=draft.images,
        rows=draft.rows,
        labels=draft.labels,
        answers=draft.answers,
        subjects=[samples[place].subject for place in draft.rows],
        units=units,
        source=[_source(*pair) for pair in zip(coded, units, strict=True)],
        named=_flags(draft.named, column),
        present=_flags([[unit.au for unit in face] for face in units], column),
        coded=_coded(coded, units, aus, column),
        of_answer=np.array([of_class[name] for name in draft.answers], bool),
        box_rows=np.array(draft.box_rows, np.intp),
        box_columns=np.array([column[au] for au in draft.box_aus], np.intp),
        boxes=np.array(draft.corners, np.float64).reshape(-1, 4),
        bad=draft.bad,
        notes=_notes(draft, coded, units, images),
    )


def _units(seen: CodedAUs | None, label: str, codebook: Codebook) -> tuple[ActionUnit, ...]:
    if seen is None:
        return codebook.units(label)
    return tuple(ActionUnit(unit.au, side=unit.side) for unit in seen.active)


def _source(seen: CodedAUs | None, face: tuple[ActionUnit, ...]) -> str:
    return CODED if seen is not None else CODEBOOK if face else NONE


def _coded(
    coded: Sequence[CodedAUs | None],
    units: Sequence[tuple[ActionUnit, ...]],
    aus: tuple[int, ...],
    column: Mapping[int, int],
) -> Flags:
    known = np.zeros((len(coded), len(aus)), np.bool_)
    for row, (seen, face) in enumerate(zip(coded, units, strict=True)):
        if seen is None:
            known[row] = bool(face)
        elif seen.coded is None:
            known[row] = True
        else:
            known[row, [column[au] for au in seen.coded if au in column]] = True
    return known


def _flags(sets: Sequence[Iterable[int]], column: Mapping[int, int]) -> Flags:
    flags = np.zeros((len(sets), len(column)), np.bool_)
    for row, members in enumerate(sets):
        flags[row, [column[au] for au in members]] = True
    return flags


def _notes(
    draft: _Draft, coded: Sequence[CodedAUs | None], units: Sequence[tuple[ActionUnit, ...]], images: int | None
) -> list[str]:
    notes = []
    if images is not None and images > len(draft.images):
        notes.append(f"{images - len(draft.images)} of {images} images have no row; they are left out.")
    if draft.other_labels:
        notes.append(
            f"{len(draft.other_labels)} rows state another label than the data set, whose label is taken: "
            f"{_some(draft.other_labels)}."
        )
    unanswered = [image for image, answer in zip(draft.images, draft.answers, strict=True) if not answer]
    if unanswered:
        notes.append(f"{len(unanswered)} rows answer no class, or several; they count as wrong: {_some(unanswered)}.")
    kinds = Counter(_source(*pair) for pair in zip(coded, units, strict=True))
    if kinds[CODED] and kinds[CODEBOOK]:
        notes.append(
            f"The action units of {kinds[CODED]} faces are coded; those of {kinds[CODEBOOK]} are the codebook's of the "
            "label."
        )
    if kinds[NONE]:
        notes.append(
            f"{kinds[NONE]} faces have no action units to compare with (no codes, and {NEUTRAL}, no label, or a class "
            "that the codebook does not list)."
        )
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")


class _NameIndex:
    """Finds images by the names that rows use: with more or fewer folders, and without ending where that is clear."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._exact = {name: place for place, name in enumerate(ids)}
        self._by_name: dict[str, list[int]] = {}
        for place, name in enumerate(ids):
            path = PurePosixPath(name)
            for key in {path.name, path.stem}:
                self._by_name.setdefault(key, []).append(place)

    def __call__(self, image: str) -> int | str:
        """Return the position of an image, or why there is none."""
        if image in self._exact:
            return self._exact[image]
        path = PurePosixPath(image.replace("\\", "/"))
        found = self._by_name.get(path.name) or self._by_name.get(path.stem) or []
        if len(found) == 1:
            return found[0]
        return f"names {len(found)} images of the data set" if found else "is not in the data set"
