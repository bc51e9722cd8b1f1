from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpfer.reports.page import page_bytes, render_run
from interpfer.results.pictures import load_report_data
from interpfer.results.run import load_run
from interpfer.scoring.score import score

MODEL = "<img src=x onerror=owned=1>"
FACE = "</script><script>owned=1</script>\"'{{ 7 * 7 }}&.png"

Score = Callable[..., Path]


@pytest.fixture(scope="session")
def score_into(faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Score:
    def run(**options: Any) -> Path:
        out = tmp_path_factory.mktemp("runs") / "run"
        options = {"maps": "attention,gradcam,baselines", "layers": "stages.2,stages.3", "batch_size": 11} | options
        score(checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu", out=out, **options)
        return out

    return run


@pytest.fixture(scope="session")
def run_folder(score_into: Score) -> Path:
    """A finished run of two maps at two layers on drawn faces. Read only."""
    return score_into()


@pytest.fixture(scope="session")
def other_folder(score_into: Score) -> Path:
    """The same with the maps of the predicted class. Read only."""
    return score_into(target="predicted")


@pytest.fixture(scope="session")
def hostile_page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a run whose model, files, layers and reasons are called what they should not be."""
    run, report_data = load_run(run_folder), load_report_data(run_folder)
    assert report_data is not None
    first = report_data.ids[0]
    manifest = run.manifest | {
        "arguments": run.manifest["arguments"] | {"model": MODEL, "codebook": MODEL, "dataset": "a b;$(owned)"},
        "command": ["interpfer", "score", MODEL, "--dataset", "a b;$(owned)"],
        "sources": {MODEL: FACE},
        "warnings": [MODEL],
        "refused": {f"{MODEL}@{FACE}": FACE},
    }
    manifest["counts"] = manifest["counts"] | {"skipped": {"unreadable": {FACE: MODEL}, "no landmarks": [FACE]}}
    images = run.per_image.assign(image=run.per_image["image"].replace(first, FACE))
    layered = {name: table.assign(layer=table["layer"].replace("stages.3", FACE))
               for name, table in (("scores", run.scores), ("per_image", images))}  # fmt: skip
    hostile = replace(run, manifest=manifest, **layered)
    columns = tuple((name, FACE if layer == "stages.3" else layer) for name, layer in report_data.columns)
    shown = replace(
        report_data, ids=tuple(FACE if name == first else name for name in report_data.ids), columns=columns,
        labels=(MODEL, *report_data.labels[1:]),
    )  # fmt: skip
    page = tmp_path_factory.mktemp("hostile") / "page.html"
    page.write_bytes(page_bytes(render_run(hostile, shown)))
    assert np.isfinite(hostile.per_image["cosine"]).any()
    return page
