"""The leaderboard's page in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from interpfer.reports.leaderboard import FORMATS
from interpfer.reports.leaderboard.ranking import rank_rows

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    common = {"dataset": "rafdb", "split": "test", "protocol": "paper"}
    names = ("model", "map", "layer", "cosine", "pxap", "checkpoint_sha256")
    rows = [common | dict(zip(names, line, strict=True)) for line in (
        ("<script>alert(1)</script>", "gradcam", "l4", "0.5", "9.5", "1"),
        ("b", "gradcam", "l4", "0.6", "10", "2"),
        ("c", "cam", "l4", "", "2", "3"),
        ("b", "baseline:uniform", "-", "0.55", "3", "2"),
        ("x" * 200, "gradcam", "l4", "0.4", "100", "5"),
    )]  # fmt: skip
    path = tmp_path_factory.mktemp("board") / "board.html"
    path.write_text(FORMATS.get("html")(rank_rows(pd.DataFrame(rows)).rankings, None))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_tables_sort_by_click_and_by_key_and_nothing_is_asked_of_anyone(
    browser: Any, board: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints, asked = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(board.as_uri())

    def column(place: int) -> list[str]:
        return [str(text) for text in page.locator(f"tbody tr td:nth-child({place})").all_inner_texts()]

    assert column(1) == ["1", "", "2", "3", ""]
    assert column(5) == ["0.600", "0.550", "0.500", "0.400", ""]
    head = page.get_by_role("columnheader", name="pxap")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(6) == ["100.0", "10.0", "9.5", "3.0", "2.0"]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(6) == ["2.0", "3.0", "9.5", "10.0", "100.0"]
    assert page.locator("th[aria-sort]").count() == 1
    page.get_by_role("button", name="model").focus()
    page.keyboard.press("Space")
    assert column(2)[:2] == ["<script>alert(1)</script>", "b"]
    assert column(2)[-1] == ""
    page.get_by_role("button", name="cosine").click()
    assert column(5)[-1] == ""

    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.locator("td.score:visible").evaluate_all(
        "cells => cells.map(cell => cell.getBoundingClientRect().right)"
    )
    assert boxes
    assert max(boxes) <= width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(250, 249, 247)") == (scheme == "light")
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [board.as_uri()]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    assert axe.Axe().run(page).response["violations"] == []
    page.close()
