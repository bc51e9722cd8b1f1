"""Heads against plain restatements, known answers and finite differences."""

import itertools
import statistics

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.heads import HEADS
from interpfer.models.heads.acol import AcolHead
from interpfer.models.heads.base import Head
from interpfer.models.heads.peaks import find_peaks, mean_of_window_maxima
from interpfer.models.heads.wildcat import WildcatHead, WildcatReferenceHead, pool_extremes

SEEDS = st.integers(0, 2**31)


def make(name: str, channels: int = 6, classes: int = 3) -> Head:
    return HEADS.get(name)(channels, classes, **({"width": 8} if name in ("acol", "expand-shrink") else {}))


@pytest.mark.parametrize("name", list(HEADS))
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_maps_of_a_head_pool_to_its_logits(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    head, features = make(name).eval(), torch.randn(4, 6, 5, 5)
    torch.testing.assert_close(head.pool(head.scores(features)), head(features))
    assert head.class_map(features, torch.tensor([0, 2, 1, 0])).shape == (4, 5, 5)
    assert HEADS.get(name).source
    assert HEADS.get(name).summary


@pytest.mark.parametrize("name", list(HEADS))
def test_an_image_has_the_same_map_alone_and_in_a_batch(name: str) -> None:
    torch.manual_seed(1)
    head, features, classes = make(name).eval(), torch.randn(5, 6, 7, 7), torch.tensor([2, 0, 1, 1, 2])
    together = head.class_map(features, classes)
    alone = torch.cat([head.class_map(features[i : i + 1], classes[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", [name for name in HEADS if name != "acol"])
def test_gradients_are_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    head = make(name, 3, 2).double().eval()
    features = (torch.randperm(2 * 3 * 16).reshape(2, 3, 4, 4).double() / 7).requires_grad_()
    assert torch.autograd.gradcheck(head, features)


def test_the_gradients_of_both_classifiers_of_acol_are_finite_differences() -> None:
    torch.manual_seed(0)
    head, targets = AcolHead(3, 2, width=5).double(), torch.tensor([0, 1])
    features = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, features)
    assert torch.autograd.gradcheck(lambda x: head.training_loss(x, targets), features)


@given(seed=SEEDS, kmax=st.sampled_from([0.2, 0.5, 3, 1.0]), kmin=st.sampled_from([0, 0.1, 0.3, 2]))
@settings(max_examples=30, deadline=None)
def test_wildcat_is_the_mean_of_both_ends_of_the_sorted_values(seed: int, kmax: float, kmin: float) -> None:
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    got = pool_extremes(maps, kmax, kmin, 0.7)

    def number(share: float) -> int:
        return round(20 * share) if share < 1 else 20 if share == 1.0 else int(share)

    for n, k in itertools.product(range(2), range(3)):
        values = sorted(maps[n, k].flatten().tolist(), reverse=True)
        wanted = statistics.fmean(values[: number(kmax)])
        if number(kmin):
            wanted = (wanted + 0.7 * statistics.fmean(values[-number(kmin) :])) / 2
        assert got[n, k].item() == pytest.approx(wanted, abs=1e-5)


def test_wildcat_known_answers() -> None:
    maps = torch.arange(4.0, -6.0, -1.0).reshape(1, 1, 2, 5)
    as_meant = WildcatHead(4, 1, kmax=0.5, kmin=0.1, alpha=0.6)
    reference = WildcatReferenceHead(4, 1)
    assert as_meant.pool(maps).item() == pytest.approx(-0.5)
    assert reference.pool(maps).item() == pytest.approx(2.0)


def test_dropout_of_wildcat_is_off_in_evaluation() -> None:
    torch.manual_seed(0)
    head, maps = WildcatHead(4, 2, dropout=0.5), torch.randn(1, 2, 6, 6)
    assert not torch.equal(head.pool(maps), head.pool(maps))
    head.eval()
    assert torch.equal(head.pool(maps), head.pool(maps))


def test_prm_known_answers() -> None:
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 0, 0] = 4
    assert make("prm").pool(maps).item() == 4
    assert make("prm-reference").pool(maps).item() == 1


def plain_peaks(values: Tensor) -> set[tuple[int, int]]:
    """Read row by row: a peak is larger than all before it in its window, and not smaller than any after it."""
    height, width = values.shape
    median = sorted(values.flatten().tolist())[(values.numel() - 1) // 2]
    peaks = set()
    for y, x in itertools.product(range(height), range(width)):
        window = [
            (j, i)
            for j, i in itertools.product(range(y - 1, y + 2), range(x - 1, x + 2))
            if 0 <= j < height and 0 <= i < width
        ]
        first = max(window, key=lambda place: (values[place].item(), [-place[0], -place[1]]))
        if first == (y, x) and values[y, x] >= median:
            peaks.add((y, x))
    return peaks


@given(seed=SEEDS, height=st.integers(1, 5), width=st.integers(2, 5), levels=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_peaks_are_those_of_a_plain_search(seed: int, height: int, width: int, levels: int) -> None:
    maps = torch.randint(0, levels, (1, 1, height, width), generator=torch.Generator().manual_seed(seed)).float()
    found = {(int(y), int(x)) for y, x in find_peaks(maps)[0, 0].nonzero()}
    assert found == plain_peaks(maps[0, 0])


def test_gradients_of_prm_reach_peaks_alone() -> None:
    maps = torch.tensor([[[[5.0, 1.0, 1.0, 3.0]]]], requires_grad=True)
    make("prm").pool(maps).sum().backward()
    assert maps.grad is not None
    assert maps.grad.tolist() == [[[[0.5, 0.0, 0.0, 0.5]]]]


def test_window_maxima_by_hand() -> None:
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert mean_of_window_maxima(maps).item() == (10 + 11 + 14 + 15) / 4


def test_acol_erases_what_the_first_classifier_uses_and_merges_both_maps() -> None:
    torch.manual_seed(3)
    head, features, classes = AcolHead(4, 2, threshold=0.6, width=5), torch.rand(3, 4, 4, 4), torch.tensor([0, 1, 1])
    for row in range(3):
        own = features[row : row + 1]
        first = head.first(own)[0, classes[row]]
        unit = (first - first.min()) / (first.max() - first.min())
        erased = own.clone()
        for y, x in itertools.product(range(4), range(4)):
            if unit[y, x] >= 0.6:
                erased[0, :, y, x] = 0
        second = head.second(erased)[0, classes[row]]
        merged = torch.maximum(unit, (second - second.min()) / (second.max() - second.min()))
        torch.testing.assert_close(head.class_map(own, classes[row : row + 1])[0], merged)
    torch.testing.assert_close(head(features), head.first(features).mean((2, 3)))
    erased = head.erase(features, head.scores(features), classes)
    loss = head.training_loss(features, classes)
    assert loss is not None
    torch.testing.assert_close(loss, F.cross_entropy(head.second(erased).mean((2, 3)), classes))
    loss.backward()
    assert all(p.grad is None for p in head.first.parameters())
    assert all(p.grad is not None for p in head.second.parameters())


def test_acol_leaves_out_faces_without_a_class() -> None:
    head, features = AcolHead(4, 2, width=3), torch.rand(3, 4, 4, 4)
    assert head.training_loss(features, torch.tensor([-1, -1, -1])) is None
    one = head.training_loss(features[1:2], torch.tensor([1]))
    torch.testing.assert_close(head.training_loss(features, torch.tensor([-1, 1, -1])), one)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("acol", {"threshold": 1.5}, "head acol: threshold must be between 0 and 1, got 1.5."),
        ("wildcat", {"kmax": 0.0}, "head wildcat: kmax must be at least 1e-09, got 0."),
        ("wildcat", {"modalities": 0}, "head wildcat: modalities must be at least 1, got 0."),
        ("lse", {"r": 0}, "head lse: r must be at least 0.001, got 0."),
        ("wgap", {"dense": (1, 2, 3)}, "head wgap: dense must have at most two widths, got 3."),
    ],
)
def test_arguments_out_of_range_are_refused(name: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        HEADS.get(name)(4, 2, **arguments)
    assert str(caught.value) == message
