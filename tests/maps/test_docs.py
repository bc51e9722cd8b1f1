import re
from pathlib import Path

from interpfer.maps import MAPS

PAGE = Path(__file__).parents[2] / "docs" / "maps.md"


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
