"""Two runs side by side."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from interpfer.errors import RunError
from interpfer.models.loading import load_model
from interpfer.results.comparison import COLUMNS, compare, find_better
from interpfer.results.run import Run, load_run
from interpfer.scoring.score import score


@pytest.fixture(scope="module")
def runs(faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("runs")
    model = load_model(checkpoint)
    found = []
    for name in ("a", "b"):
        if name == "b":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                for parameter in model.module.parameters():
                    parameter.data = torch.randn_like(parameter)
        options = {"landmarks": faces / "landmarks.txt", "device": "cpu", "maps": "attention,gradcam,baselines"}
        score(model, "csv", data_root=faces, metrics="cosine,kl,pxap", out=folder / name, **options)
        found.append(load_run(folder / name))
    return found[0], found[1]


def test_a_run_does_not_differ_from_itself(runs: tuple[Run, Run]) -> None:
    table = compare(runs[0], runs[0])
    assert list(table) == COLUMNS
    assert (table["difference"] == 0).all()
    assert (table["p_holm"] == 1).all()
    assert set(find_better(table)) == {""}


def test_no_run_is_better_where_p_and_interval_disagree() -> None:
    table = pd.DataFrame(
        [("cosine", 0.1, -0.01, 0.2, 0.001), ("cosine", 0.1, 0.01, 0.2, 0.001), ("cosine", -0.1, -0.2, -0.01, 0.2)],
        columns=["metric", "difference", "ci_low", "ci_high", "p_holm"],
    )
    assert find_better(table) == ["", "b", ""]


def test_lines_are_accuracy_and_each_map_with_each_metric(runs: tuple[Run, Run]) -> None:
    table = compare(*runs)
    assert table["metric"].tolist() == ["accuracy"] + ["cosine", "kl", "pxap"] * 2
    assert table["map"].tolist() == ["-"] + ["attention"] * 3 + ["gradcam"] * 3
    assert table["a"].iloc[0] == pytest.approx(runs[0].manifest["classification"]["accuracy"])
    assert table["a"].iloc[1] == pytest.approx(runs[0].score("attention"), abs=1e-5)
    back = compare(runs[1], runs[0])
    np.testing.assert_allclose(back["difference"], -table["difference"])
    np.testing.assert_allclose(back["p"], table["p"])


def test_runs_of_different_rules_or_images_are_refused(runs: tuple[Run, Run]) -> None:
    a, b = runs
    other = replace(b, manifest=b.manifest | {"arguments": b.manifest["arguments"] | {"protocol": "corrected"}})
    with pytest.raises(RunError, match="protocol paper, the other with corrected"):
        compare(a, other)
    with pytest.raises(RunError, match="no image"):
        compare(a, replace(b, per_image=b.per_image.assign(image="x")))
    with pytest.raises(RunError, match="no map"):
        compare(a, replace(b, per_image=b.per_image[b.per_image["layer"] == "-"]))
