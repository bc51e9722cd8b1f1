"""The pages of a bundle in a real browser, from disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_index_fits_any_width_and_axe_finds_no_problems(
    browser: Any, unpacked: Path, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((unpacked / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page)
    assert {each["id"]: [node["target"] for node in each["nodes"]] for each in found.response["violations"]} == {}
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [(unpacked / "index.html").as_uri()]


def test_its_links_open_the_report_and_the_leaderboard(browser: Any, unpacked: Path) -> None:
    page = browser.new_page()
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url))
    page.goto((unpacked / "index.html").as_uri())
    page.click("text=first-corrected >> nth=0")
    page.wait_for_selector("#gallery .card canvas")
    assert page.url == (unpacked / "runs" / "first-corrected" / "report.html").as_uri()
    assert "first" in page.inner_text("h1")
    page.go_back()
    page.click("text=leaderboard/leaderboard.html")
    assert page.inner_text("h1") == "Leaderboard"
    page.close()
    assert all(url.startswith(("file:", "data:")) for url in outside)
