import re
from pathlib import Path

import pandas as pd

from interpfer.maps import MAPS

ROOT = Path(__file__).parents[2]
PAGE, RESULTS = ROOT / "docs" / "maps.md", ROOT / "benchmarks" / "results"


def test_every_trap_has_the_test_that_the_page_names() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE.read_text())
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}(" in (Path(__file__).parent / file).read_text(), test


def test_the_table_of_maps_says_what_the_maps_say() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    table = {row[0].strip("`"): row for row in rows if len(row) == 7}
    assert list(table) == list(MAPS)
    for name, (_, summary, needs, specific, _, provider, source) in table.items():
        method = MAPS.get(name)
        assert (summary, provider, source) == (method.summary, method.provider, method.source)
        assert specific == ("yes" if method.class_specific else "no")
        assert needs == method.listing()["needs"]


def test_the_page_has_the_measured_distances_to_other_libraries() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    table = [row for row in rows if len(row) == 6]
    measured = pd.read_csv(RESULTS / "maps_peers.csv")
    expected = [
        (row["map"], row["peer"], f"{row['median']:.3f}", f"{row['smallest']:.3f}")
        for _, row in measured[measured["network"] == "all"].iterrows()
    ]
    assert [(name.strip("`"), peer, median, least) for name, peer, _, median, least, _ in table] == expected
    assert {name for name, *_ in expected} <= set(MAPS)
    assert all(reason and reason != "?" for *_, reason in table)


def test_the_page_has_the_measured_cost_of_single_maps() -> None:
    measured = pd.read_csv(RESULTS / "single_maps.csv")
    page = PAGE.read_text()
    for _, row in measured[measured["contestant"] != "floor"].iterrows():
        seconds, ratio = f"{row['processor_seconds']:.2f} s", f"{row['times_floor']:.2f}"
        assert f"| {row['model']} | {row['contestant']} | {seconds} | {ratio} |" in page
    names = set(measured["contestant"])
    assert {"interpfer legrad", "torchcam LeGrad", "interpfer relevance", "captum LRP"} < names
