"""Whatever takes a path takes a string."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

import interpfer
from interpfer.config import read_config
from interpfer.datasets import DATASETS
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.datasets.images import read_image, read_size
from interpfer.landmarks.files import FileLandmarks
from interpfer.models.card import read_card
from interpfer.models.checkpoint import sha256_of
from interpfer.reports.figures import write_figures
from interpfer.reports.leaderboard.rows import append_rows, leaderboard_rows, read_rows, require_leaderboard
from interpfer.reports.page.render import write_page
from interpfer.results.pictures import load_report_data
from interpfer.results.run import load_run
from interpfer.types import Sample

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def documented() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every function and class on the pages of the reference, and the public methods of the classes."""
    targets = {name for page in REFERENCE.glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)}
    targets |= {f"interpfer.{name}" for name in interpfer.__all__}
    for target in sorted(targets):
        try:
            thing: Any = importlib.import_module(target)
        except ModuleNotFoundError:
            module, _, name = target.rpartition(".")
            thing = getattr(importlib.import_module(module), name)
        yield from members(thing, target)
    for name in DATASETS:
        yield from members(DATASETS.get(name), name)


def members(thing: Any, name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    if inspect.ismodule(thing):
        for key, value in vars(thing).items():
            if not key.startswith("_") and getattr(value, "__module__", None) == thing.__name__:
                yield from members(value, f"{name}.{key}")
    elif inspect.isclass(thing):
        if "__init__" in vars(thing) and not is_dataclass(thing):
            yield name, thing.__init__
        for key, value in vars(thing).items():
            function = getattr(value, "__func__", value)
            if not key.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{key}", function
    elif callable(thing):
        yield name, thing


HOOKS = ("list_clips", "labels", "write")
"""Methods of plugins that the package calls with a path."""


def test_no_documented_function_asks_for_a_path_alone() -> None:
    found = {name: each for name, each in documented() if name.rpartition(".")[2] not in HOOKS}
    assert len(found) > 300
    wrong = []
    for name, function in found.items():
        for parameter in inspect.signature(function).parameters.values():
            annotation = str(parameter.annotation)
            if "Path" in annotation and "str" not in annotation:
                wrong.append(f"{name}({parameter.name}: {annotation})")
    assert not wrong


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, faces: Path, checkpoint: Path) -> Path:
    out = tmp_path_factory.mktemp("run")
    interpfer.score(
        str(checkpoint),
        "csv",
        data_root=str(faces),
        landmarks=str(faces / "landmarks.txt"),
        maps="gradcam",
        limit=6,
        out=str(out / "run"),
        leaderboard=str(out / "board.csv"),
    )
    return out / "run"


def export(_: str, run: str) -> bool:
    write_csv_layout(DemoDataset("test", count=2, size=48), f"{run}-faces")
    return Path(run + "-faces/labels.csv").is_file()


def append(_: str, run: str) -> bool:
    require_leaderboard(f"{run}.csv")
    append_rows(f"{run}.csv", leaderboard_rows(load_run(run)))
    return len(read_rows([f"{run}.csv", run])) == 2 * len(read_rows([run]))


def page(_: str, run: str) -> bool:
    write_page(load_run(run), load_report_data(run), f"{run}.html")
    return Path(f"{run}.html").stat().st_size > 1000


def picture(faces: str, _: str) -> bool:
    name = next(iter(pd.read_csv(f"{faces}/labels.csv")["image"]))
    path = str(next(Path(faces).rglob(Path(name).name)))
    return read_image(path).size == read_size(path) == (72, 72)


CALLS: dict[str, Callable[[str, str], object]] = {
    "load_run": lambda _, run: len(load_run(run).scores) > 0,
    "read_config": lambda _, run: read_config(f"{run}/run.json")["dataset"] == "csv",
    "data set": lambda faces, _: len(CsvDataset.open(faces, "test")) == len(CsvDataset.open(Path(faces), "test")),
    "its splits": lambda faces, _: CsvDataset.available_splits(faces),
    "landmark file": lambda faces, _: FileLandmarks(f"{faces}/landmarks.txt").digest,
    "images": picture,
    "export": export,
    "leaderboard": append,
    "page": page,
    "figures": lambda _, run: list(write_figures(load_run(run), load_report_data(run), f"{run}-figures")),
}


@pytest.mark.parametrize("call", CALLS)
def test_strings_work(call: str, faces: Path, run_folder: Path) -> None:
    assert CALLS[call](str(faces), str(run_folder))


def test_strings_work_for_models(checkpoint: Path) -> None:
    assert interpfer.load_model(str(checkpoint)).sha256 == sha256_of(str(checkpoint))
    assert read_card(str(checkpoint.with_suffix(".yaml")))["classes"]


def test_an_image_of_a_sample_may_be_named_by_a_string(tmp_path: Path) -> None:
    Image.new("RGB", (5, 7)).save(tmp_path / "a.png")
    assert read_size(str(tmp_path / "a.png")) == (5, 7)
    assert Sample("a", "anger", str(tmp_path / "a.png")) == Sample("a", "anger", tmp_path / "a.png")
