"""Every metric that another package has too: the differences that docs/metrics.md lists."""

import warnings
from typing import Any

import pytest

from interpfer.metrics import METRICS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that Quantus imports
    from benchmarks import metrics_peers

WITHOUT_PEER = {"cosine_skill", "deletion_blur", "insertion_blur", "adcc", "au_occlusion"} | {
    name for name in METRICS.builtin if name.startswith("region_")
}
"""Formulas of our own; plain loops in other tests restate them."""

LARGEST = {"pxap": 0.1, "spearman": 1e-3, "ap": 1e-3, "auroc": 1e-3, "rra": 1e-3, "iou_best": 1e-3, "dice_best": 1e-3}
"""Metrics that read 1,000 levels of a map."""
LARGEST |= {"road": 0.01, "maxboxacc": 1 / metrics_peers.FACES, "deletion": 1e-3}
"""Other noise; parts by pixels, not by contours; pixels that differ by less than 1e-6 in another order."""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(metrics_peers.measure())


def test_every_metric_with_a_peer_is_compared(rows: list[dict[str, Any]]) -> None:
    assert {row["metric"] for row in rows} == set(METRICS.builtin) - WITHOUT_PEER


def test_no_metric_differs_from_its_peer_by_more_than_its_levels(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        name, difference = row["metric"], row["largest_difference"]
        if "200 steps" in row["peer"]:
            assert 0 < difference < 0.02  # the source's number of steps
        else:
            assert difference <= LARGEST.get(name, 5e-5), row
