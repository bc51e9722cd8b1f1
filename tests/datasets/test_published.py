"""What every data set states of itself."""

import pytest

from interpfer.datasets import DATASETS
from interpfer.labels import EXPRESSIONS

OFFICIAL = [name for name in DATASETS if name not in ("csv", "folder", "demo")]

TOTALS = {
    ("rafdb", "train"): {12271},
    ("rafdb", "test"): {3068},
    ("affectnet", "train"): {287651},
    ("affectnet", "val"): {3999, 4000},
    ("affectnet7", "train"): {283901},
    ("affectnet7", "val"): {3500},
    ("fer2013", "train"): {28709},
    ("fer2013", "val"): {3589},
    ("fer2013", "test"): {3589, 7178},
    ("ckplus", "all"): {327, 981},
    ("ckplus-neutral", "all"): {654},
    ("expw", "all"): {91793},
    ("kdef", "all"): {980},
    ("jaffe", "all"): {213},
    ("sfew", "train"): {958, 891},
    ("sfew", "val"): {436, 431},
}


def test_counts_add_up_to_the_totals_that_papers_give() -> None:
    stated = {
        (name, split): {sum(counts.values()) for counts in published}
        for name in DATASETS
        for split, published in DATASETS.get(name).published.items()
    }
    assert stated == TOTALS


@pytest.mark.parametrize("name", OFFICIAL)
def test_facts(name: str) -> None:
    kind = DATASETS.get(name)
    assert kind.name == name
    assert kind.summary
    assert kind.licence
    assert kind.request.startswith("http")
    assert 7 <= len(set(kind.order)) == len(kind.order)
    assert set(kind.order) <= set(EXPRESSIONS)
    assert set(kind.published) <= set(kind.splits)
    assert set(kind.aliases.values()) <= {*kind.splits, "train", "val"}
    for published in kind.published.values():
        assert all(set(counts) <= {*kind.order, ""} for counts in published)
