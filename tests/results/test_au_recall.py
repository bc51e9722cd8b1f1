"""Precision and recall of the regions that maps use against the action units that were coded on each face."""

import numpy as np
import pytest
import torch

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.facs_text import parse_facs
from interpfer.metrics.au_profile import cells, profile
from interpfer.results.au_recall import COLUMNS, recall_table
from interpfer.statistics.proportions import wilson_interval
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.truth.base import Parts
from interpfer.types import CANVAS, CodedAU, CodedAUs, Sample

PARTS = Parts(((1,), (12, 15), (17,)), ("1", "12+15", "17", "background"))
UNIFORM, HEAT = [0.1, 0.1, 0.1, 0.7], [0.3, 0.3, 0.3, 0.1]


def face(*active: int, coded: tuple[int, ...] | None = None) -> CodedAUs:
    return CodedAUs(tuple(map(CodedAU, active)), None if coded is None else frozenset(coded))


def profiles(*rows: list[float]) -> np.ndarray:
    return np.array([[row, UNIFORM, HEAT] for row in rows])


def test_recall_and_precision_of_hand_made_faces() -> None:
    used_1, used_both, used_none = [0.2, 0.05, 0.05, 0.7], [0.12, 0.5, 0.0, 0.38], UNIFORM
    table = recall_table(
        profiles(used_1, used_both, used_none),
        [face(1, 12), face(12), face(1, 17)],
        PARTS,
        [("gradcam", "last")],
        seed=0,
    ).set_index("au")
    assert list(table.columns) == [name for name in COLUMNS if name != "au"]
    assert list(table.index) == ["all", "AU1", "AU12", "AU17"]
    assert table["n"].tolist() == [3, 2, 2, 1]
    assert table["recall"].tolist() == pytest.approx([(1 / 2 + 1 + 0) / 3, 1 / 2, 1 / 2, 0])
    assert table["n_used"].tolist() == [2, 2, 1, 0]
    assert table["precision"].tolist() == pytest.approx([(1 + 1 / 2) / 2, 1 / 2, 1, np.nan], nan_ok=True)
    low, high = wilson_interval(1, 2)
    assert table.loc["AU1", ["recall_low", "recall_high"]].tolist() == pytest.approx([low, high])


def test_what_is_not_coded_counts_neither_way() -> None:
    used_all = [0.2, 0.2, 0.2, 0.4]
    coded = [face(1, coded=(1, 12)), None, face(15, coded=(15,)), face(coded=(12, 15, 17))]
    table = recall_table(profiles(used_all, used_all, used_all, used_all), coded, PARTS, [("a", "-")], 0)
    by_au = table.set_index("au")
    assert by_au["n"].tolist() == [2, 1, 1]  # the second face is not coded, the last shows nothing
    assert by_au["recall"].tolist() == [1, 1, 1]
    # the first face: 12 is absent, and 15 unknown, so their common region is; the chin was not looked at
    assert by_au["n_used"].tolist() == [3, 1, 2]
    assert by_au["precision"].tolist() == pytest.approx([(1 + 1 + 0) / 3, 1, 1 / 2])


def test_an_undefined_map_and_an_action_unit_off_the_picture_do_not_count() -> None:
    table = recall_table(
        profiles([0.2, 0.2, 0.2, 0.4], [np.nan] * 4),
        [face(1, 17), face(1)],
        PARTS,
        [("a", "-")],
        0,
        drawn=[{1}, {1}],
    ).set_index("au")
    assert list(table.index) == ["all", "AU1"]
    assert table["n"].tolist() == [1, 1]
    assert table["n_used"].tolist() == [2 - 1, 1]


def test_intervals_of_few_people_are_wider() -> None:
    rows = profiles(*([[0.2, 0.05, 0.05, 0.7]] * 6 + [UNIFORM] * 6))
    coded = [face(1)] * 12
    alone, together = (
        recall_table(rows, coded, PARTS, [("a", "-")], 0, subjects).set_index("au").loc["AU1"]
        for subjects in (None, np.repeat(np.arange(4), 3).astype(np.intp))
    )
    assert alone["recall"] == together["recall"] == 0.5
    assert together["recall_low"] < alone["recall_low"] < alone["recall_high"] < together["recall_high"]


def test_the_action_unit_that_was_left_out_of_the_map_is_found() -> None:
    """A map made of the face's own action units, of all but the chin's."""
    faces = DemoDataset("test", count=7, size=CANVAS)
    points = faces.landmarks().locate([sample.id for sample in faces.samples], None)
    truth = ActionUnitTruth("scaled", normalise=True)

    def samples(text: str) -> list[Sample]:
        return [Sample(sample.id, sample.label, aus=parse_facs(text, "here")) for sample in faces.samples]

    complete, fewer = samples("1+2+6+17"), samples("1+2+6")
    shares = truth.shares(points)
    pictures = [truth.draw(each, points).maps for each in (complete, fewer)]
    values = [profile(cells(maps), shares) for maps in (*pictures, torch.ones(7, CANVAS, CANVAS), pictures[0])]
    table = recall_table(
        torch.stack(values, 1).double().numpy(),
        [sample.aus for sample in complete],
        truth.parts,
        [("own", "-"), ("fewer", "-")],
        seed=0,
    )
    own, left = (table[table["map"] == name].set_index("au")["recall"] for name in ("own", "fewer"))
    assert own.tolist() == [1, 1, 1, 1, 1]
    assert left.to_dict() == {"all": pytest.approx(0.75), "AU1": 1, "AU2": 1, "AU6": 1, "AU17": 0}
