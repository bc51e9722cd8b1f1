"""The page in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interpfer.reports.page import page_bytes, render_run, render_runs
from interpfer.results.pictures import load_report_data
from interpfer.results.run import load_run

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


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, run_folder: Path, other_folder: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    paths = [run_folder, other_folder]
    runs, report_data = [load_run(path) for path in paths], [load_report_data(path) for path in paths]
    pages = {"run": render_run(runs[0], report_data[0]), "runs": render_runs(runs, report_data, ["before", "after"])}
    for name, page in pages.items():
        (folder / f"{name}.html").write_bytes(page_bytes(page))
    return {name: folder / f"{name}.html" for name in pages}


class Visit:
    """An open page that remembers what it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *_: object) -> None:
        outside = [url for url in self.requests[1:] if not url.startswith("data:")]
        self.page.close()
        assert self.complaints == []
        assert outside == []

    def cards(self) -> Any:
        return self.page.locator("#gallery .card")

    def choose(self, chooser: str, value: str) -> None:
        self.page.select_option(chooser, value)


@pytest.mark.parametrize("name", ["run", "runs"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_fits_any_width_and_axe_finds_no_problems(
    browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with Visit(browser, pages[name], width, scheme) as visit:
        visit.page.wait_for_selector("#gallery .card canvas")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(visit.page)
        violations = {each["id"]: [node["target"] for node in each["nodes"]] for each in found.response["violations"]}
        assert violations == {}


def test_the_gallery_filters_by_class_prediction_and_group(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["run"]) as visit:
        every = int(visit.page.inner_text("#count").split("; ")[1].split()[0])
        assert visit.cards().count() == min(every, 24)
        visit.choose("#by-class", "fear")
        labels = visit.cards().evaluate_all("cards => cards.map(card => card.dataset.label)")
        assert set(labels) == {"fear"}
        visit.choose("#by-class", "")
        visit.choose("#by-right", "wrong")
        assert visit.page.locator("#gallery .right").count() == 0
        wrong = int(visit.page.inner_text("#count").split(" of ")[1].split()[0])
        visit.choose("#by-right", "right")
        assert visit.page.locator("#gallery .wrong").count() == 0
        assert int(visit.page.inner_text("#count").split(" of ")[1].split()[0]) + wrong == every
        visit.choose("#by-right", "")
        visit.choose("#by-group", "best")
        assert all("best" in text for text in visit.cards().locator("header").all_inner_texts())
        visit.choose("#by-group", "")
        if every > 24:
            visit.page.click("#more")
            assert visit.cards().count() == min(every, 48)


def test_the_slider_sets_the_opacity_of_all_overlays_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["run"]) as visit:
        opacity = "() => getComputedStyle(document.querySelector('#gallery canvas')).opacity"
        assert float(visit.page.evaluate(opacity)) == pytest.approx(0.6)
        visit.page.focus("#gallery-opacity")
        visit.page.keyboard.press("End")
        assert float(visit.page.evaluate(opacity)) == 1
        assert visit.page.input_value("#means-opacity") == "100"
        visit.page.keyboard.press("Home")
        assert float(visit.page.evaluate(opacity)) == 0


def test_the_layer_chooser_changes_the_maps(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["run"]) as visit:
        shown = "() => document.querySelectorAll('#gallery canvas')[1].getAttribute('aria-label')"
        assert "stages.3" in visit.page.evaluate(shown)
        visit.choose("#gallery-level", "1")
        assert "stages.2" in visit.page.evaluate(shown)
        assert visit.page.input_value("#means-level") == "1"


def test_maps_are_painted_in_the_colours_of_the_scale(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["run"]) as visit:
        extremes = visit.page.evaluate(
            """() => {
                const canvas = document.querySelector('#gallery canvas');
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                const sums = [];
                for (let i = 0; i < data.length; i += 4) sums.push(data[i] + data[i + 1] + data[i + 2]);
                return [Math.min(...sums), Math.max(...sums)];
            }"""
        )
        assert extremes[0] < 30
        assert extremes[1] > 500


def test_tables_sort_both_ways_and_choosers_swap_them(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["run"]) as visit:
        table = visit.page.locator("#tables .sheet:visible").first
        heads = table.locator("thead button")
        for order, reverse in (("descending", True), ("ascending", False)):
            heads.nth(1).focus()
            visit.page.keyboard.press("Enter")
            assert table.locator("thead th").nth(1).get_attribute("aria-sort") == order
            values = [float(text) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]
            assert values == sorted(values, reverse=reverse)
        heads.nth(0).click()
        names = table.locator("tbody th").all_inner_texts()
        assert names[0].startswith("attention")
        assert names[-1] == "uniform baseline"
        visit.page.locator("#tables select").first.select_option("pxap")
        assert (
            visit.page.locator("#tables table:visible caption").first.text_content() == "pxap of each map by expression"
        )


@pytest.mark.parametrize("name", ["run", "runs"])
def test_a_printed_page_cuts_no_table_and_says_what_each_is(browser: Any, pages: dict[str, Path], name: str) -> None:
    with Visit(browser, pages[name], 703, "dark") as visit:
        visit.page.emulate_media(media="print", color_scheme="dark")
        tables = visit.page.locator(".scroll:visible")
        assert tables.count() > 0
        assert tables.evaluate_all("boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length") == 0
        assert all(
            box["height"] > 5 for box in (each.bounding_box() for each in tables.locator("caption").all()) if box
        )
        assert (
            visit.page.evaluate("getComputedStyle(document.querySelector('td[class^=t]')).color")
            != "rgb(231, 233, 238)"
        )
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 703


def test_runs_side_by_side_show_each_face_once_per_run(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["runs"]) as visit:
        first = visit.cards().first
        assert [text.split()[0] for text in first.locator(".row:has(b:first-child)").all_inner_texts()][:1] == [
            "before"
        ]
        assert first.locator(".tiles").count() >= 2
        visit.choose("#order", "rise")
        assert visit.cards().count() > 0


def test_a_page_without_script_or_pictures_still_reads(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "bare.html"
    page.write_bytes(page_bytes(render_run(load_run(run_folder), None)))
    with Visit(browser, page) as visit:
        assert visit.page.locator("#gallery").count() == 0
        assert visit.page.locator("#confusion td").count() > 0


def test_hostile_names_are_shown_and_not_run(browser: Any, hostile_page: Path) -> None:
    with Visit(browser, hostile_page) as visit:
        visit.page.wait_for_selector("#gallery .card")
        assert visit.page.evaluate("window.owned") is None
        assert visit.page.locator("img[src='x']").count() == 0
        assert "<img src=x onerror=owned=1>" in visit.page.inner_text("h1")
        assert "</script><script>owned=1</script>" in visit.page.inner_text("#gallery")
