import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.errors import InterpferError
from interpfer.finetuning.split import hold_out

CLASSES = ("anger", "fear", "happiness")


@given(
    labels=st.lists(st.sampled_from(CLASSES), min_size=6, max_size=80),
    fraction=st.sampled_from([0.1, 0.2, 0.25, 0.5]),
    seed=st.integers(0, 99),
)
def test_every_class_is_held_out_in_proportion(labels: list[str], fraction: float, seed: int) -> None:
    try:
        train, heldout = hold_out(labels, [None] * len(labels), fraction, seed)
    except InterpferError:
        return
    assert sorted((*train, *heldout)) == list(range(len(labels)))
    assert (train, heldout) == hold_out(labels, [None] * len(labels), fraction, seed)
    for name in set(labels):
        total, out = labels.count(name), sum(labels[row] == name for row in heldout)
        assert abs(out - fraction * total) <= 1
        assert total == 1 or 0 < out < total


@given(seed=st.integers(0, 99))
def test_no_subject_is_on_both_sides(seed: int) -> None:
    labels = [CLASSES[i % 3] for i in range(60)]
    subjects = [f"S{i // 6}" for i in range(60)]
    train, heldout = hold_out(labels, subjects, 0.2, seed)
    assert not {subjects[row] for row in train} & {subjects[row] for row in heldout}
    assert len(heldout) == 12
    assert {labels[row] for row in heldout} == set(CLASSES)


@given(
    people=st.integers(2, 12),
    images=st.integers(1, 4),
    fraction=st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.6, 0.8]),
    seed=st.integers(0, 9),
)
def test_few_subjects_stay_whole_and_their_share_is_near(people: int, images: int, fraction: float, seed: int) -> None:
    subjects = [f"S{i}" for i in range(people) for _ in range(images)]
    labels = [CLASSES[i % 2] for i in range(len(subjects))]
    train, heldout = hold_out(labels, subjects, fraction, seed)
    assert sorted((*train, *heldout)) == list(range(len(subjects)))
    out = {subjects[row] for row in heldout}
    assert not out & {subjects[row] for row in train}
    assert abs(len(out) - fraction * people) <= 2


@given(seed=st.integers(0, 99), unknown=st.integers(1, 40))
def test_images_without_a_subject_are_people_of_their_own(seed: int, unknown: int) -> None:
    subjects = [f"S{i // 6}" if i >= unknown else None for i in range(60)]
    labels = [CLASSES[i % 3] for i in range(60)]
    train, heldout = hold_out(labels, subjects, 0.2, seed)
    assert sorted((*train, *heldout)) == list(range(60))
    assert not {subjects[row] for row in train} & {subjects[row] for row in heldout} - {None}
    assert 6 <= len(heldout) <= 18
    named = [subject or f"own {row}" for row, subject in enumerate(subjects)]
    assert not {named[row] for row in train} & {named[row] for row in heldout}


@pytest.mark.parametrize("fraction", [0.01, 0.02, 0.05, 0.97])
def test_small_shares_of_many_subjects(fraction: float) -> None:
    subjects = [f"S{i}" for i in range(400)]
    train, heldout = hold_out([CLASSES[i % 2] for i in range(400)], subjects, fraction, 0)
    assert len(heldout) == pytest.approx(fraction * 400, abs=2)
    assert len(train) + len(heldout) == 400


def test_one_image_per_class_and_subject_is_split_by_subject() -> None:
    train, heldout = hold_out(["anger", "fear", "happiness"], ["S1", "S2", "S3"], 0.3, 0)
    assert (len(train), len(heldout)) == (2, 1)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(InterpferError, match=r"all 3 images are of one subject \(S1\), so no subject can be held out"):
        hold_out(["anger", "fear", "anger"], ["S1"] * 3, 0.2, 0)
    with pytest.raises(InterpferError, match="val fraction must be above 0 and below 1, got 1.5"):
        hold_out(["anger"] * 4, [None] * 4, 1.5, 0)
    with pytest.raises(InterpferError, match="1 usable images cannot be split"):
        hold_out(["anger"], [None], 0.2, 0)
