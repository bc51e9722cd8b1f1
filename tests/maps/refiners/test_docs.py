"""The page of refiners says what they say, and shows each."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from interpfer.maps.refiners import REFINERS

ROOT = Path(__file__).parents[3]
PAGE, PICTURES, RESULTS = ROOT / "docs/refiners.md", ROOT / "docs/img/refiners", ROOT / "benchmarks/results"


def test_the_table_of_refiners_says_what_the_refiners_say() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    table = {row[0].strip("`"): row for row in rows if len(row) == 6 and row[0].strip("`") in REFINERS}
    assert list(table) == list(REFINERS)
    for name, (_, summary, needs, costs, for_baselines, source) in table.items():
        refiner = REFINERS.get(name)
        listing = refiner.listing()
        assert (summary, needs, costs, source) == (
            listing["what"], listing["needs"], listing["costs"], listing["source"],
        )  # fmt: skip
        assert for_baselines == ("yes" if refiner.for_baselines else "no")


def test_every_refiner_has_a_section_with_its_picture() -> None:
    page = PAGE.read_text()
    sections = re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert sections == list(REFINERS)
    for name in REFINERS:
        assert f"(img/refiners/{name}.jpg)" in page
        with Image.open(PICTURES / f"{name}.jpg") as picture:
            assert picture.width > picture.height > 200


def _read(cell: str) -> list[float | None]:
    """Return the numbers of a cell such as ``0.46 / – / −0.10``."""
    return [None if each == "–" else float(each.replace("−", "-")) for each in cell.split(" / ")]


def test_the_measured_tables_are_those_of_the_benchmark() -> None:
    part = PAGE.read_text().partition("## Measured")[2].partition("What helps")[0]
    measured = pd.read_csv(RESULTS / "refiners.csv")
    settings = json.loads((RESULTS / "refiners.json").read_text())["settings"]
    assert f"Of {settings['limit']} photographs of faces (insertion and deletion: {settings['probed']} of them)" in part
    seen = set()
    for block in re.split(r"\n(?=`[\w-]+` \(uniform map)", part)[1:]:
        model = block.partition("`")[2].partition("`")[0]
        rows = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("| ")][1:]
        table = {row[0]: row[1:] for row in rows}
        own = measured[measured["model"] == model]
        assert set(table) == set(own["refiner"].replace("-", "none"))
        for refiner, lines in own.groupby("refiner"):
            lines = lines.set_index("map").reindex(["gradcam", "attention", "layercam"])
            columns = ["cosine", "pxap", "insertion_minus_deletion", None, "random_weights"]
            for cell, column in zip(table["none" if refiner == "-" else refiner], columns, strict=True):
                values = lines["alone_random"].dropna()[:1] if column is None else lines[column]
                margin = 0.051 if column == "pxap" else 0.0051
                found = [float("nan") if each is None else each for each in _read(cell)]
                assert found == pytest.approx(values.tolist() or [float("nan")], abs=margin, nan_ok=True), (
                    model,
                    refiner,
                )
        seen.add(model)
    assert seen == set(measured["model"])
    assert len(seen) == 3


def test_three_cheap_refiners_cost_at_most_a_quarter_of_a_pass() -> None:
    table = pd.read_csv(RESULTS / "refiners_cost.csv")
    cheap = table[table["maps"] == "six maps, three cheap refiners each"].set_index("network")
    assert set(cheap.index) == {"resnet50", "vit_tiny_patch16_224"}
    page = PAGE.read_text()
    for ratio in ("over_one_pass", "over_six_maps"):
        assert (cheap[ratio] <= 1.25).all()
        for value in cheap[ratio]:
            assert f"{value:.2f} times" in page
