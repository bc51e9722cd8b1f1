"""The page, the terminal and run.json count the same images, whatever is wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import interpfer
from interpfer.cli.run_tables import notes
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.reports.page.provenance import left_out
from interpfer.results.run import Run
from tests.conftest import EXPRESSIONS
from tests.scoring.test_accounts import count_images

LABELS = ("happy", "neutral", "", "contempt", "anxiety")
FAULTS = ("", "", "unreadable", "implausible", "off the picture", "no landmarks")
FACE = st.tuples(st.sampled_from(LABELS), st.sampled_from(FAULTS))


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(8), classes=[*EXPRESSIONS, "anxiety"], input_size=48)


def write_faces(folder: Path, faces: Path, kinds: Sequence[tuple[str, str]]) -> Path:
    """Write one face per kind, with landmarks.txt; a fault of its landmarks is that of its kind."""
    (folder / "images").mkdir(parents=True)
    lines = [line.split(",") for line in (faces / "landmarks.txt").read_text().splitlines()]
    labels, points = ["image,label"], []
    for place, (label, fault) in enumerate(kinds):
        name, (source, *numbers) = f"{place}.png", lines[place % len(lines)]
        picture = folder / "images" / name
        picture.write_bytes(b"x" if fault == "unreadable" else (faces / "images" / source).read_bytes())
        labels.append(f"{name},{label}")
        x, y = [float(value) for value in numbers[:68]], [float(value) for value in numbers[68:]]
        if fault == "implausible":
            x, y = [x[0]] * 68, [y[0]] * 68
        if fault == "off the picture":
            x = [value + 1000 for value in x]
        if fault != "no landmarks":
            points.append(",".join([name, *(f"{value:.2f}" for value in (*x, *y))]))
    (folder / "labels.csv").write_text("\n".join(labels))
    (folder / "landmarks.txt").write_text("\n".join(points))
    return folder


def count_on_page(run: Run) -> int:
    rows = [count for reason, count, _ in left_out(run) if not reason.startswith(("maps", "faces partly"))]
    return int(run.manifest["counts"]["scored"]) + sum(rows)


def count_in_terminal(run: Run) -> int:
    line = next(note for note in notes(run) if note.startswith("scored "))
    scored, _, reasons = line.partition("; left out: ")
    return int(scored.split()[1]) + sum(int(reason.split()[0]) for reason in reasons.split("; ") if reason)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(FACE, max_size=9))
def test_page_terminal_and_manifest_agree(
    kinds: list[tuple[str, str]], model: Model, faces: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kinds = [*[("happy", "")] * 10, *kinds]  # most landmarks are plausible, else the file is refused
    folder = write_faces(tmp_path_factory.mktemp("counts") / "set", faces, kinds)
    options = {"landmarks": folder / "landmarks.txt", "maps": "attention", "metrics": "cosine", "device": "cpu"}
    run = interpfer.score(model, "csv", data_root=folder, **options)
    counts = run.manifest["counts"]
    assert counts["images"] == len(kinds) == count_images(counts) == count_on_page(run) == count_in_terminal(run)
    assert counts["scored"] == kinds.count(("happy", ""))
    assert len(counts["skipped"]["unreadable"]) == sum(fault == "unreadable" for _, fault in kinds)
    read = [(label, fault) for label, fault in kinds if fault != "unreadable"]
    assert counts["neutral"] == sum(label == "neutral" for label, _ in read)
    assert counts["unlabelled"] == sum(not label for label, _ in read)
    named = [fault for label, fault in read if label not in ("", "neutral")]
    assert len(counts["skipped"]["no landmarks"]) == named.count("no landmarks")
    away = len(counts["skipped"]["implausible landmarks"]) + len(counts["skipped"]["heatmap off the picture"])
    assert away + sum(counts["without_truth"].values()) == len(named) - named.count("no landmarks") - counts["scored"]
