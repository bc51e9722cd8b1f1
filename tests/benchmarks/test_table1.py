"""The paper's table: who is held out, what a cell trains, and how cells become lines."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.table1_faithfulness import explain_cell
from benchmarks.table1_pages import table_lines, write_pages
from benchmarks.table1_study import (
    PAPER,
    ROWS,
    Cell,
    mean_and_reach,
    measure,
    open_faces,
    options_of,
    summarise,
)
from interpfer.datasets.base import Dataset
from interpfer.finetuning.checkpoints import write_model
from interpfer.finetuning.methods import METHODS
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import make_recipe
from interpfer.maps import MAPS
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

DRAWN = Cell("drawn", None, "", "cam", "without", 0, 3, 8, 14, Path("work"), "cpu", "no")


def test_every_method_has_a_row_with_known_maps_and_published_numbers() -> None:
    names = {name for name, method in METHODS.items() if not (method.is_guide or method.is_ours)}
    assert set(ROWS) == names == set(PAPER)
    for row in ROWS.values():
        assert row.training in names
        assert {row.class_map, row.attention} <= set(MAPS)


@pytest.mark.parametrize("training", dict.fromkeys(row.training for row in ROWS.values()))
def test_cells_differ_by_head_trick_and_layer_alone(training: str) -> None:
    recipes = []
    for guide in ("without", "with"):
        cell = replace(DRAWN, training=training, guide=guide)
        recipes.append(make_recipe(FinetuneOptions.of({"model": cell.start} | options_of(cell))))
    assert [recipe.guide.weights for recipe in recipes] == [(0, 0), (4, 0)]
    assert {(recipe.epochs, recipe.batch_size, recipe.freeze) for recipe in recipes} == {(8, 32, ())}
    assert recipes[0].optim == recipes[1].optim
    assert recipes[0].augment == recipes[1].augment
    aligned = {"ts-cam": "token_attention", "apvit": "vit.pooling"}
    assert recipes[1].guide.align_layers == aligned.get(training, "last")


def test_no_person_is_on_both_sides_and_folds_hold_everybody_out_once(tmp_path: Path) -> None:
    lines = ["image,label,subject"]
    for i in range(36):
        subject = i // 3 if i < 24 else ""
        lines.append(f"{i}.png,{('anger', 'fear', 'sadness')[i % 3]},{subject}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    cell = replace(DRAWN, data="faces", faces=tmp_path)
    held = []
    for seed in range(3):
        train, test = open_faces(replace(cell, seed=seed))
        known = {sample.subject for sample in train.samples} & {sample.subject for sample in test.samples}
        assert not known
        held += [sample.id for sample in test.samples]
    assert len(held) == len(set(held)) == 36
    others = [open_faces(replace(DRAWN, seed=seed))[0].samples for seed in (0, 1)]
    assert others[0][0].aus != others[1][0].aus or others[0][1].aus != others[1][1].aus


def test_cells_become_lines(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for guide, shift in (("without", 0.0), ("with", 0.5)):
        for seed in range(3):
            cell = replace(DRAWN, guide=guide, seed=seed, work=tmp_path)
            cos = [0.1 * seed + shift, None, 0.3 + shift]
            maps = {
                name: {"cosine": cos, "cosine_skill": cos}
                for name in (
                    "attention",
                    "cam",
                    "gradcam",
                    "gradcam++",
                    "layercam",
                    "baseline:uniform",
                    "baseline:class-mean-au",
                )
            }
            content = {"labels": ["anger", "neutral", "fear"], "correct": [True, False, shift > 0], "maps": maps,
                       "seconds": 1.0}  # fmt: skip
            cell.result.parent.mkdir(parents=True)
            cell.result.write_text(json.dumps(content))
            if guide == "with":
                cell.explained.write_text(json.dumps({"faces": 2, "maps": {"cam": 0.25}}))
            rows += list(measure(cell))
    assert {row["method"] for row in rows} == {"cam", "gradcam", "gradcam++", "layercam"}
    assert rows[0]["accuracy"] == pytest.approx(1 / 3)
    assert rows[0]["cam_cos"] == pytest.approx(0.15)  # mean of the classes that are defined
    (line, *_) = summarise(rows, 0.0)
    assert (line["method"], line["seeds_with"]) == ("cam", 3)
    assert line["cam_cos_gain_with"] == pytest.approx(0.5)
    assert line["cam_cos_gain_with_reach"] == pytest.approx(0, abs=1e-6)
    # the means over seeds are .15, .2, .25: std .05, t of two degrees of freedom 4.3027
    assert line["cam_cos_without_reach"] == pytest.approx(4.3027 * 0.05 / math.sqrt(3), abs=1e-4)
    header, *table = table_lines(rows, summarise(rows, 0.0))
    assert len(header) == len(table[3])
    assert table[2][:3] == ("baseline: most frequent class", "", ".333")
    cells = dict(zip(header, table[3], strict=True))
    assert (cells["method"], cells["network"]) == ("CAM", "interpfer:small")
    assert cells["accuracy"] == ".333 ± .000 -> .667 ± .000"
    assert cells["CAM-COS"] == cells["ATT skill"] == ".200 ± .124 -> .700 ± .124"
    assert cells["CAM ins - del"] == "- -> .250 ± .000"
    assert cells["ATT ins - del"] == "- -> -"
    assert cells["gain CAM-COS"] == "+.500 ± .000"
    assert cells["gain CAM ins - del"] == "-"
    assert cells["paper: accuracy, CAM-COS, ATT-COS"] == "88.2 -> 88.95, 0.55 -> 0.7, 0.57 -> 0.85"
    assert table[0][:5] == ("baseline: uniform", "", "", ".450", ".450")
    poor = [row | {"accuracy": 0.1 * row["seed"]} for row in rows]
    assert table_lines(poor, summarise(poor, 0.0))[4][1] == "interpfer:small, at chance"
    write_pages(tmp_path / "table", rows, summarise(rows, 0.0))
    assert r"\begin{tabular}{ll" + "c" * (len(header) - 2) + "}" in (tmp_path / "table.tex").read_text()


def test_the_maps_of_a_finished_cell_are_explained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = replace(DRAWN, training="wildcat", work=tmp_path)
    explain_cell(cell, 2)
    assert not cell.explained.exists()
    network = load_model(SmallCNN(7, width=4), classes="rafdb", input_size=64, arch="interpfer:small",
                         arch_args={"width": 4})  # fmt: skip
    (cell.folder / "training").mkdir(parents=True)
    write_model(cell.folder / "training" / "model.pt", network.module, network.card)
    cell.result.write_text("{}")
    scores = pd.DataFrame(
        [
            {"map": name, "label": label, "insertion": value, "deletion": 0.1}
            for name, values in (("cam", (0.4, 0.6, 0.9)), ("attention", (0.2, 0.2, 0.2)))
            for label, value in zip(("anger", "anger", "fear"), values, strict=True)
        ]
    )
    asked: list[dict[str, Any]] = []

    def scored(model: Model, test: Dataset, **choices: Any) -> SimpleNamespace:
        asked.append(choices | {"faces": len(test), "classes": model.classes})
        return SimpleNamespace(per_image=scores)

    monkeypatch.setattr("benchmarks.table1_faithfulness.score", scored)
    for faces in (0, 5, 5, 100):
        explain_cell(cell, faces)
    assert [(each["maps"], each["limit"], each["metrics"]) for each in asked] == [
        (["attention", "cam"], limit, "insertion,deletion") for limit in (5, 7)
    ]
    maps = json.loads(cell.explained.read_text())["maps"]
    assert maps["cam"] == pytest.approx((0.5 + 0.9) / 2 - 0.1)  # mean of the classes
    assert maps["attention"] == pytest.approx(0.1)


def test_shared_faces_widen_the_interval() -> None:
    values = np.array([1.0, 2.0, 4.0])
    _, alone = mean_and_reach(values, 0.0)
    _, shared = mean_and_reach(values, 0.5)
    assert shared / alone == pytest.approx(math.sqrt((1 / 3 + 0.5) / (1 / 3)))
    assert math.isnan(mean_and_reach(values[:1], 0.0)[1])
