"""What every data set states of itself."""

from pathlib import Path

import pytest

from interpfer.datasets import DATASETS
from interpfer.labels import EXPRESSIONS

OPEN = ("csv", "folder", "demo", "parquet", "webdataset", "imagefolder", "zip", "hub", "demo-clips", "clips")
OFFICIAL = [name for name in DATASETS if name not in OPEN]

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
    ("ckplus", "all"): {327, 593, 981},
    ("ckplus-neutral", "all"): {654, 920},
    ("expw", "all"): {91793},
    ("kdef", "all"): {980},
    ("jaffe", "all"): {213},
    ("sfew", "train"): {958, 891},
    ("sfew", "val"): {436, 431},
    ("rafau", "all"): {4601},
    ("rafce", "all"): {4549},
}

WITH_ACTION_UNITS = {"casme2", "ckplus", "ckplus-neutral", "rafau", "rafce", "affwild2", "csv", "demo"}
WITH_THESE_ALONE = {"disfa", "disfaplus", "bp4d", "bp4dplus", "emotionet", "unbc"}


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
    assert kind.has_labels is (name not in WITH_THESE_ALONE)
    assert kind.has_labels or not kind.order
    assert bool(kind.action_units) is (name in WITH_ACTION_UNITS | WITH_THESE_ALONE)
    is_numbered = bool(kind.order) or name not in WITH_ACTION_UNITS | WITH_THESE_ALONE | {"mafw-compound"}
    assert 6 * is_numbered <= len(set(kind.order)) == len(kind.order)
    others = {"other", "calm", "anxiety", "helplessness", "disappointment"}
    assert all(part in {*EXPRESSIONS, *others} for label in kind.order for part in label.split("+"))
    assert set(kind.published) <= set(kind.splits)
    assert set(kind.aliases.values()) <= {*kind.splits, "train", "val"}
    for published in kind.published.values():
        assert all(set(counts) <= {*kind.order, ""} for counts in published)


def test_each_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    headings = {name for line in page.splitlines() if line.startswith("## ") for name in line[3:].split(", ")}
    assert set(OFFICIAL) <= headings
    assert all(f"`{name}`" in page for name in OFFICIAL)
