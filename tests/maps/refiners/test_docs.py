"""The page of refiners says what they say, and shows each."""

import re
from pathlib import Path

import pandas as pd
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


def test_three_cheap_refiners_cost_at_most_a_quarter_of_a_pass() -> None:
    table = pd.read_csv(RESULTS / "refiners_cost.csv")
    cheap = table[table["maps"] == "six maps, three cheap refiners each"].set_index("network")["over_six_maps"]
    assert set(cheap.index) == {"resnet50", "vit_tiny_patch16_224"}
    assert (cheap <= 1.25).all()
    page = PAGE.read_text()
    for value in cheap:
        assert f"{value:.2f} times" in page
