import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner

import interpfer
from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.results.comparison import compare, find_better
from interpfer.results.hypotheses import Hypotheses
from interpfer.robustness.conclusions import find_conclusions
from interpfer.robustness.options import RobustnessOptions
from interpfer.robustness.study import Study, list_choices
from interpfer.robustness.write import FILES, Robustness, score_robustness

CLASSES = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
MAPS = "attention,gradcam,layercam,baseline:uniform,baseline:class-mean-au"
OPTIONS: dict[str, Any] = {"maps": MAPS, "metrics": "cosine,pxap", "device": "cpu", "batch_size": 8}
CODEBOOKS = "belharbi2024,emfacs"


def network(seed: int) -> Model:
    torch.manual_seed(seed)
    name = f"net{seed}"
    return interpfer.load_model(SmallCNN(7, width=4), classes=CLASSES, input_size=48, name=name)


def count_passes(work: Callable[[Model], Any]) -> tuple[int, int]:
    """Return how many images pass forward through a new network during some work, and how many backward."""
    model, forwards, backwards = network(0), list[int](), list[int]()

    def count(_: Any, __: Any, output: torch.Tensor) -> None:
        forwards.append(len(output))
        if output.requires_grad:
            output.register_hook(lambda gradient: backwards.append(len(gradient)))

    handle = model.module.head.register_forward_hook(count)
    try:
        work(model)
    finally:
        handle.remove()
    return sum(forwards), sum(backwards)


@pytest.fixture(scope="module")
def faces() -> DemoDataset:
    return DemoDataset("test", count=14, size=48)


@pytest.fixture(scope="module")
def results(faces: DemoDataset, tmp_path_factory: pytest.TempPathFactory) -> Robustness:
    out = tmp_path_factory.mktemp("robustness")
    models = [network(0), network(1)]
    return score_robustness(models, faces, codebooks=CODEBOOKS, out=out, **OPTIONS)


def test_every_value_is_that_of_a_score_with_the_same_options(results: Robustness, faces: DemoDataset) -> None:
    for protocol, codebook, seed in (("paper", "belharbi2024", 0), ("corrected", "emfacs", 1)):
        run = interpfer.score(network(seed), faces, protocol=protocol, codebook=codebook, **OPTIONS)
        own = results.values.query("protocol == @protocol and codebook == @codebook and model == @name", local_dict={
            "protocol": protocol, "codebook": codebook, "name": f"net{seed}",
        })  # fmt: skip
        expected = run.scores[run.scores["group"] == "macro"]
        assert len(own) == len(expected) > 0
        for column in ("map", "layer", "metric"):
            assert own[column].tolist() == expected[column].tolist()
        for column in ("value", "ci_low", "ci_high", "n"):
            np.testing.assert_allclose(own[column].astype(float), expected[column].astype(float), 1e-6, 1e-6)


def test_choices_cost_no_further_pass(faces: DemoDataset) -> None:
    of_score = count_passes(lambda model: interpfer.score(model, faces, **OPTIONS))
    of_study = count_passes(lambda model: score_robustness(model, faces, codebooks=CODEBOOKS, **OPTIONS))
    assert of_study == of_score
    assert min(of_study) >= len(faces)


def test_every_combination_is_tried_by_default() -> None:
    choices = list_choices(RobustnessOptions(model="a.pt", dataset="demo", landmarks="a.csv,b.csv"))
    assert len(choices) == 8
    assert {choice.protocol for choice in choices} == {"paper", "corrected"}
    assert {choice.codebook for choice in choices} == {"belharbi2024", "belharbi2024-printed"}
    assert {choice.geometry for choice in choices} == {""}


def test_verdicts_follow_the_paired_test_of_each_choice(results: Robustness) -> None:
    scores = [
        {"gradcam": 0.9, "baseline:uniform": 0.5},
        {"gradcam": 0.9, "baseline:uniform": 0.5},
        {"gradcam": 0.3, "baseline:uniform": 0.5},
        {"gradcam": 0.5, "baseline:uniform": 0.5},
    ]
    runs = results.study.runs["net0"]
    kept = [replace(run, per_image=run.per_image[run.per_image["map"].isin(scores[0])]) for run in runs]
    own = tuple(
        replace(run, per_image=with_cosine(run.per_image, values).drop(columns="pxap"))
        for run, values in zip(kept, scores, strict=True)
    )
    study = Study(results.study.choices, {"net0": own})
    table = find_conclusions(study).table
    (row,) = table[table["kind"] == "map and baseline"].to_dict("records")
    assert row["conclusion"] == "gradcam above baseline:uniform"
    assert (row["holds"], row["choices"], row["reversed"]) == (0.5, 4, 1)
    third, fourth = (study.name(choice) for choice in study.choices[2:])
    assert row["flips"] == (
        f"gradcam below baseline:uniform: {third} | gradcam not told apart from baseline:uniform: {fourth}"
    )


def test_two_models_are_compared_as_compare_does(results: Robustness) -> None:
    first = results.study.choices[:1]
    kept = {
        name: (replace(runs[0], per_image=runs[0].per_image.query("map == 'gradcam'").drop(columns="pxap")),)
        for name, runs in results.study.runs.items()
    }
    better = {"net0": {"gradcam": 0.2}, "net1": {"gradcam": 0.6}}
    for scores in (None, better):
        runs = {
            name: (run if scores is None else replace(run, per_image=with_cosine(run.per_image, scores[name])),)
            for name, (run,) in kept.items()
        }
        (row,) = find_conclusions(Study(first, runs)).table.query("kind == 'two models'").to_dict("records")
        line = compare(runs["net0"][0], runs["net1"][0], 0, Hypotheses("gradcam", None, "cosine"))
        verdict = {"b": "below", "a": "above", "": "not told apart from"}[find_better(line)[0]]
        assert row["conclusion"] == f"net0 {verdict} net1"
    assert verdict == "below"


def with_cosine(table: pd.DataFrame, scores: dict[str, float]) -> pd.DataFrame:
    spread = np.random.default_rng(1).normal(0, 0.01, len(table))
    values = (table["map"].map(scores).astype(float) + spread).where(table["label"] != "neutral")
    return table.assign(cosine=values)


def test_the_order_of_maps_is_that_of_the_values(results: Robustness) -> None:
    table, values = results.conclusions, results.values
    (row,) = table.query("kind == 'order of maps' and of == 'net0' and metric == 'cosine'").to_dict("records")
    orders = []
    for _, rows in values.query("model == 'net0' and metric == 'cosine' and layer != '-'").groupby(
        ["protocol", "codebook"], sort=False
    ):
        known = [name for name in row["conclusion"].split(" > ")]
        rows = rows[rows["map"].isin(known)].sort_values("value", ascending=False)
        orders.append(" > ".join(rows["map"]))
    assert row["choices"] == len(orders) == 4
    assert row["holds"] == orders.count(row["conclusion"]) / 4 == max(map(orders.count, orders)) / 4
    for other in set(orders) - {row["conclusion"]}:
        assert other in row["flips"]


def test_a_clear_baseline_is_told_apart_and_flips_name_their_choices(results: Robustness) -> None:
    table = results.conclusions
    of_baselines = table[table["kind"] == "map and baseline"]
    assert of_baselines["conclusion"].str.contains("baseline:class-mean-au").any()
    assert set(of_baselines["of"]) == {"net0", "net1"}
    held = of_baselines[of_baselines["holds"] == 1]
    assert (held["flips"] == "").all()
    flipping = table[table["holds"] < 1]
    assert flipping["flips"].str.contains("paper|corrected").all()


def test_files_hold_the_tables_and_the_page_asks_for_nothing(faces: DemoDataset, tmp_path: Path) -> None:
    results = score_robustness(network(0), faces, out=tmp_path / "study", **OPTIONS)
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == sorted(FILES)
    values = pd.read_csv(tmp_path / "study" / "robustness.csv")
    pd.testing.assert_frame_equal(values, results.values, check_dtype=False)
    table = pd.read_csv(tmp_path / "study" / "conclusions.csv", keep_default_na=False)
    assert table["conclusion"].tolist() == results.conclusions["conclusion"].tolist()
    manifest = json.loads((tmp_path / "study" / "robustness.json").read_text())
    assert [choice["codebook"] for choice in manifest["choices"]] == ["belharbi2024", "belharbi2024-printed"] * 2
    page = (tmp_path / "study" / "robustness.html").read_text()
    assert page.count("<circle") >= 4 * 5
    assert "http" not in page.replace("http-equiv", "")
    assert "gradcam" in page
    assert "not told apart" in page
    with pytest.raises(InterpferError, match=r"already holds robustness.csv; pass --overwrite to replace it\.$"):
        score_robustness(network(0), faces, out=tmp_path / "study", **OPTIONS)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"protocols": "papers"}, "--protocols must be of paper, corrected, got 'papers'. Did you mean paper?"),
        ({"geometries": "round"}, "--geometries must be of reference, scaled, got 'round'."),
        ({"codebooks": ","}, "--codebooks is empty: pass at least one name, or leave it out."),
        ({"metrics": "cosine,deletion"}, "--metrics deletion: run the model again for each choice"),
    ],
)
def test_errors_are_one_clear_line(faces: DemoDataset, choices: dict[str, str], message: str) -> None:
    with pytest.raises(InterpferError) as caught:
        score_robustness(network(0), faces, device="cpu", **choices)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_command_prints_the_conclusions(tmp_path: Path) -> None:
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(SmallCNN(7, width=4).state_dict(), tmp_path / f"net{seed}.pt")
        card = {"arch": "interpfer:small", "arch_args": {"width": 4}, "classes": CLASSES, "input": {"size": 48}}
        (tmp_path / f"net{seed}.yaml").write_text(yaml.safe_dump(card))
    arguments = ["robustness", str(tmp_path / "net0.pt"), str(tmp_path / "net1.pt"), "--dataset", "demo", "--limit"]
    arguments += ["10", "--maps", "gradcam,attention,baseline:uniform", "--metrics", "cosine", "--device", "cpu"]
    done = CliRunner().invoke(group, [*arguments, "--out", str(tmp_path / "study"), "--quiet"])
    assert done.exit_code == 0, done.output
    assert "how conclusions depend on choices" in done.output
    assert (tmp_path / "study" / "robustness.html").is_file()
    done = CliRunner().invoke(group, [*arguments, "--name", "mine", "--quiet"])
    assert done.exit_code == 1
    assert done.stderr == "error: --name names one model: leave it out where several are passed.\n"
