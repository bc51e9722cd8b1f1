"""The page in a real browser: a face is dropped, choices change the answer, nothing is asked of the network."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interpfer.serving.options import ServeOptions
from interpfer.serving.serve import open_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip

WAIT = 60_000
"""Milliseconds: other work may run beside."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:starlette"),
]


@pytest.fixture(scope="module")
def address(faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("gradio", reason="needs interpfer[app]")
    other = tmp_path_factory.mktemp("other") / "other.pt"
    for suffix in (".pt", ".yaml"):
        shutil.copy(checkpoint.with_suffix(suffix), other.with_suffix(suffix))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ServeOptions.of({"device": "cpu", "port": port, "landmarks": str(faces / "landmarks.txt")})
    with open_page([checkpoint, other], options) as (_, found):
        yield found
        uploads = Path(os.environ["GRADIO_TEMP_DIR"])
        assert list(uploads.rglob("test_0001*"))  # what was dropped is here, and nowhere else
    assert not uploads.exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


def drop(page: Any, path: Path) -> None:
    page.set_input_files("#picture input[type=file]", path)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_a_dropped_face_is_explained_by_both_models_at_any_width(
    browser: Any, address: str, faces: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#picture input[type=file]", state="attached", timeout=WAIT)
    drop(page, sorted((faces / "images").iterdir())[0])
    page.wait_for_selector("section.ife figure", timeout=WAIT)
    assert page.locator("section.ife h2").all_inner_texts() == ["model", "other"]
    assert page.locator("section.ife img").count() >= 2 * 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first, second = (page.locator("section.ife").nth(place).bounding_box() for place in (0, 1))
    assert (first["y"] == second["y"]) == (width == 1280)  # side by side, or below each other
    choices, picture = (page.locator(name).bounding_box() for name in ("#controls", "#picture"))
    below = second["y"] + second["height"]
    assert (choices["x"] + choices["width"] <= first["x"]) == (width == 1280)
    assert (picture["y"] < first["y"] and choices["y"] >= below) == (width == 360)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, context=".ife")
    assert {each["id"]: [node["target"] for node in each["nodes"]] for each in found.response["violations"]} == {}
    page.close()
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
    assert faults == []


def test_choices_change_the_answer_and_a_bad_file_is_a_message(
    browser: Any, address: str, faces: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#picture input[type=file]", state="attached", timeout=WAIT)
    drop(page, sorted((faces / "images").iterdir())[0])
    page.wait_for_selector("section.ife figure", timeout=WAIT)
    with page.expect_download(timeout=WAIT) as download:
        page.click("button:has-text('Download as one picture') >> nth=0", timeout=WAIT)
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.click("#target label:has-text('label')")
    page.wait_for_selector("section.ife .problem:has-text('choose the expression of the face')", timeout=WAIT)
    page.click("#label input")
    page.click("#label [role=option]:has-text('sadness')")
    page.wait_for_selector("section.ife figure:has-text('for sadness')", timeout=WAIT)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    page.click("#picture button[aria-label='Remove Image']")
    page.wait_for_selector("p.ife:has-text('No picture yet')", timeout=WAIT)
    drop(page, bad)
    page.wait_for_selector("section.ife .problem:has-text('bad.png: not a readable image')", timeout=WAIT)
    page.close()
    assert "Traceback" not in "".join(capfd.readouterr())
