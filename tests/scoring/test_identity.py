"""A run says which model, landmarks and data set its numbers are of, and rows that differ in them stay apart."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import interpfer
from interpfer.datasets.csv import CsvDataset
from interpfer.errors import ModelError
from interpfer.files import json_bytes
from interpfer.finetuning.checkpoints import write_model
from interpfer.finetuning.facts import describe_lineage
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import make_recipe
from interpfer.models.card import parse_card
from interpfer.models.small import SmallCNN
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import append_rows, leaderboard_rows, read_rows
from interpfer.reports.page.provenance import describe_model, reproduce_command, scoring_rules
from interpfer.reports.page.render import render_run, render_runs
from interpfer.results.run import Run, load_run
from tests.conftest import EXPRESSIONS

OPTIONS = {"maps": "gradcam,baseline:center", "metrics": "cosine", "device": "cpu", "limit": 14, "report": False}


def checkpoint(path: Path, seed: int, width: int = 8) -> Path:
    torch.manual_seed(seed)
    network = SmallCNN(7, width=width)
    card = {"arch": "interpfer.models.small:SmallCNN", "arch_args": {"classes": 7, "width": width}}
    model = interpfer.load_model(network, classes=EXPRESSIONS, input_size=48, **card)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_model(path, network, model.card)
    return path


def score(path: Path, faces: Path, **more: object) -> Run:
    options = OPTIONS | {"data_root": faces, "landmarks": faces / "landmarks.txt", "trust": True} | more
    return interpfer.score(path, options.pop("dataset", "csv"), **options)


def test_a_run_names_model_landmarks_and_data_set(faces: Path, tmp_path: Path) -> None:
    run = score(checkpoint(tmp_path / "small.pt", 0), faces)
    arguments, network = run.manifest["arguments"], run.network
    assert (arguments["model"], arguments["landmarks"]) == ("small", "landmarks.txt")
    assert (arguments["dataset"], arguments["dataset_name"]) == ("csv", faces.name)
    assert arguments["landmarks_digest"] == run.manifest["landmarks_digest"]
    assert network["architecture"] == "interpfer.models.small:SmallCNN"
    assert network["parameters"] == sum(each.numel() for each in SmallCNN(7, width=8).parameters())
    assert run.title.startswith(f"small on {faces.name} (csv) all, protocol paper")
    named = score(tmp_path / "small.pt", faces, name="mine", dataset_name="clinic")
    assert named.title.startswith("mine on clinic (csv) all")
    rules = dict(scoring_rules(named))
    assert rules["landmarks"] == "landmarks.txt"
    assert rules["model"] == f"mine, interpfer.models.small:SmallCNN, {network['parameters']:,} parameters"


def test_the_name_of_the_card_is_that_of_the_model(faces: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model.pt", 0)
    card = path.with_suffix(".yaml")
    card.write_text(f"name: poster\nlineage: trained by hand\n{card.read_text()}")
    run = score(path, faces)
    assert run.manifest["arguments"]["model"] == "poster"
    assert run.network["lineage"] == "trained by hand"


def test_a_fine_tuned_model_keeps_its_name_and_says_what_was_done(faces: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "poster.pt", 0)
    dataset = CsvDataset.open(faces, "test")
    for seed, weight in ((2, 1.0), (3, 0.0)):
        interpfer.finetune(
            interpfer.load_model(path, trust=True),
            dataset,
            out=tmp_path / f"tuned-{seed}",
            test=None,
            epochs=1,
            device="cpu",
            seed=seed,
            weight=weight,
            blend=0,
        )
    guided, plain = (interpfer.load_model(tmp_path / f"tuned-{seed}" / "model.pt", trust=True) for seed in (2, 3))
    assert guided.name == plain.name == "poster"
    assert guided.card.lineage == "fine-tuned from poster, guide 1 + 1.5, seed 2"
    assert plain.card.lineage == "fine-tuned from poster, without guide, seed 3"
    again = interpfer.finetune(
        guided, dataset, out=tmp_path / "again", test=None, epochs=1, device="cpu", seed=0, weight=0.0
    )
    assert again.model.card.lineage == (
        "fine-tuned from poster (fine-tuned from poster, guide 1 + 1.5, seed 2), without guide, seed 0"
    )


@pytest.mark.parametrize("field", ["name", "lineage"])
def test_name_and_lineage_of_a_card_are_texts(field: str) -> None:
    with pytest.raises(ModelError, match=rf"model card model.yaml: {field} must be a text, got \['a'\]\."):
        parse_card({"arch": "resnet18", "classes": list(EXPRESSIONS), field: ["a"]}, "model.yaml", Path())


def test_pages_name_data_set_landmarks_and_models(faces: Path, tmp_path: Path) -> None:
    runs = [score(checkpoint(tmp_path / f"{seed}.pt", seed), faces, dataset_name="clinic") for seed in (0, 1)]
    heading = "data set clinic (csv), split all · landmarks landmarks.txt · protocol paper"
    assert heading in render_run(runs[0])
    page = render_runs(runs, [None, None], ["first", "second"])
    assert heading in page
    for run in runs:
        assert describe_model(run) in page


def test_networks_of_one_name_are_averaged_only_as_seeds(faces: Path, tmp_path: Path) -> None:
    board = tmp_path / "board.csv"
    for folder, seed, width in (("a", 0, 8), ("b", 1, 8), ("c", 0, 4)):
        append_rows(
            board, leaderboard_rows(score(checkpoint(tmp_path / folder / "model.pt", seed, width), faces, name="m"))
        )
    (ranking,) = rank_rows(read_rows([board])).rankings
    found = {entry.model: entry.runs for entry in ranking.entries if not entry.is_baseline}
    sizes = [sum(each.numel() for each in SmallCNN(7, width=width).parameters()) for width in (8, 4)]
    assert found == {f"m ({sizes[0]})": 2, f"m ({sizes[1]})": 1}
    assert ranking.title.startswith(f"{faces.name} all, protocol paper")
    assert "landmarks landmarks.txt" in ranking.title


def test_seeds_of_one_training_are_one_entry_and_the_original_another(faces: Path, tmp_path: Path) -> None:
    tables = []
    for seed, lineage in enumerate(
        ("", "fine-tuned from m, guide 1 + 1.5, seed 0", "fine-tuned from m, guide 1 + 1.5, seed 1")
    ):
        table = leaderboard_rows(score(checkpoint(tmp_path / f"{seed}" / "model.pt", seed), faces, name="m"))
        tables.append(table.assign(lineage=lineage))
    append_rows(tmp_path / "board.csv", pd.concat(tables))
    (ranking,) = rank_rows(read_rows([tmp_path / "board.csv"])).rankings
    found = {entry.model: entry.runs for entry in ranking.entries if not entry.is_baseline}
    assert found == {"m (not fine-tuned)": 1, "m (fine-tuned from m, guide 1 + 1.5)": 2}


def test_other_landmarks_are_ranked_apart(faces: Path, tmp_path: Path) -> None:
    path, board = checkpoint(tmp_path / "small.pt", 0), tmp_path / "board.csv"
    other = tmp_path / "moved.txt"
    lines = [line.split(",") for line in (faces / "landmarks.txt").read_text().splitlines()]
    other.write_text("\n".join(",".join([name, *(f"{float(x) + 1:.2f}" for x in points)]) for name, *points in lines))
    runs = [score(path, faces, landmarks=landmarks) for landmarks in (faces / "landmarks.txt", other)]
    for run in runs:
        append_rows(board, leaderboard_rows(run))
    page = render_runs(runs, [None, None], ["first", "second"])
    assert "The landmarks differ: landmarks.txt and moved.txt;" in page
    rankings = rank_rows(read_rows([board])).rankings
    assert [ranking.landmarks for ranking in rankings] == ["landmarks.txt", "moved.txt"]


def test_a_run_of_an_older_version_stays_readable(faces: Path, tmp_path: Path) -> None:
    run = score(checkpoint(tmp_path / "small.pt", 0), faces, out=tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    del manifest["network"]
    arguments = manifest["arguments"]
    arguments["landmarks"] = arguments.pop("landmarks_digest")
    del arguments["dataset_name"]
    (tmp_path / "run" / "run.json").write_bytes(json_bytes(manifest))
    old = load_run(tmp_path / "run")
    assert old.landmarks == f"#{run.manifest['landmarks_digest'][:8]}"
    assert old.title.startswith("small on csv all")
    assert leaderboard_rows(old)["architecture"].tolist() == ["", ""]


@pytest.mark.parametrize(
    "more", [[], ["--name", "mine", "--dataset-name", "clinic", "--color", "bgr", "--sample-seed", "3"]]
)
def test_the_command_of_a_report_repeats_the_bytes(faces: Path, tmp_path: Path, more: list[str]) -> None:
    path = checkpoint(tmp_path / "my models" / "small.pt", 0)
    (tmp_path / "two.yaml").write_text("classes: {happiness: [6, 12], anger: [4]}")
    words = ["interpfer", "score", str(path), "--trust", "--dataset", "csv", "--data-root", str(faces)]
    words += ["--landmarks", str(faces / "landmarks.txt"), "--codebook", str(tmp_path / "two.yaml"), "--limit", "20"]
    words += ["--maps", "gradcam,baseline:random", "--out", str(tmp_path / "first"), *more]
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    command = shlex.split(reproduce_command(load_run(tmp_path / "first")).replace("\\\n", " "))
    assert command[-2:] == ["--out", "RUN"]
    subprocess.run([sys.executable, "-m", *command[:-1], str(tmp_path / "second")], check=True, capture_output=True)
    for name in ("scores.csv", "per_image.csv", "confusion.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_lineage_names_the_published_recipe() -> None:
    network = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48, name="first")
    recipe = make_recipe(FinetuneOptions.of({"method": "belharbi2024", "seed": 2}, "finetune"))
    assert "fine-tuned from first, method belharbi2024, guide " in describe_lineage(network, recipe)
    assert "method" not in recipe.to_dict()
