"""`--by`: scores of groups of images, the tables, the page, the leaderboard, and comparison by group."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import interpfer
from interpfer.cli import group as cli
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.reports.page import render_run
from interpfer.results.attributes import find_groups, resolve_columns
from interpfer.results.by_comparison import compare_by, describe_groups
from interpfer.results.comparison import compare
from interpfer.results.run import load_run
from interpfer.types import Sample
from tests.conftest import EXPRESSIONS


class Lamps(DemoDataset):
    """Drawn faces; on those of the group ``on`` a lamp in the corner shines, which the attention follows.

    The groups ``left`` and ``right`` do not differ by construction.
    """

    def __init__(self, people: bool = False) -> None:
        super().__init__("test", count=42, size=48)
        rng = np.random.default_rng(0)
        seats = rng.permutation(["left"] * 21 + ["right"] * 21)
        places = range(len(self.samples))
        self.samples = tuple(
            replace(sample, subject=f"p{place // 3}" if people else None, attributes={
                "lamp": "on" if place // 3 % 2 else "off", "seat": str(seats[place]), "room": str(place // 12)})
            for place, sample in zip(places, self.samples, strict=True)
        )  # fmt: skip

    def image(self, index: int) -> Image.Image:
        picture = super().image(index)
        if self.samples[index].attributes["lamp"] == "on":
            picture.paste((255, 255, 255), (0, 0, 12, 12))
            picture = Image.eval(picture, lambda value: value if value == 255 else value // 4)
        return picture


class Light(torch.nn.Module):
    """Its last feature is the brightness of each place; the logits are those of a linear layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.pool = torch.nn.AvgPool2d(6)
        self.head = torch.nn.Linear(3, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.pool(x).mean((2, 3)))
        return logits


def model(seed: int = 0) -> Model:
    return load_model(Light(seed), name=f"light{seed}", classes=EXPRESSIONS, input_size=48)


OPTIONS: dict[str, Any] = {
    "maps": "attention",
    "metrics": "cosine,cosine_skill",
    "by": "lamp,seat,room",
    "report": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in the classifier, and a leaderboard."""
    root = tmp_path_factory.mktemp("by")
    for seed in (0, 1):
        interpfer.score(model(seed), Lamps(), out=root / str(seed), leaderboard=root / "board.csv", **OPTIONS)
    return root


def test_a_gap_by_construction_is_found_and_one_by_chance_is_not(folder: Path) -> None:
    gaps = pd.read_csv(folder / "0" / "group_gaps.csv")
    lamp, seat = (
        gaps[(gaps["column"] == column) & (gaps["metric"] == "cosine")].iloc[0] for column in ("lamp", "seat")
    )
    assert (lamp["lowest"], lamp["highest"]) == ("on", "off")
    assert lamp["gap"] == pytest.approx(lamp["high"] - lamp["low"])
    assert lamp["gap"] > 0.1
    assert lamp["p_holm"] < 0.05
    assert (gaps[gaps["column"] == "seat"]["p_holm"] > 0.05).all()
    assert set(gaps["units"]) == {"images"}
    assert list(gaps["metric"]) == ["accuracy", "macro_f1", "cosine", "cosine_skill"] * 3
    assert seat["n"] == 36


def test_groups_in_the_tables_are_means_over_their_images(folder: Path) -> None:
    scores, images = (pd.read_csv(folder / "0" / name) for name in ("scores.csv", "per_image.csv"))
    assert list(images)[3:6] == ["lamp", "seat", "room"]
    rows = images[(images["map"] == "attention") & (images["lamp"] == "on")]
    line = scores[(scores["map"] == "attention") & (scores["metric"] == "cosine") & (scores["group"] == "lamp=on")]
    assert line["value"].item() == pytest.approx(rows["cosine"].mean(), abs=1e-6)
    assert line["n"].item() == rows["cosine"].notna().sum()
    assert line["ci_low"].item() < line["value"].item() < line["ci_high"].item()
    groups = pd.read_csv(folder / "0" / "groups.csv").set_index(["column", "group"])
    assert list(groups.index)[:2] == [("lamp", "off"), ("lamp", "on")]
    faces = rows.drop_duplicates("image")
    assert groups.loc[("lamp", "on"), "accuracy"] == pytest.approx((faces["label"] == faces["predicted"]).mean())
    assert groups.loc[("lamp", "on"), "n"] == len(faces) == 21
    facts = json.loads((folder / "0" / "run.json").read_text())
    assert facts["groups"]["left_out"]["room"] == {"3": 6}
    assert facts["arguments"]["by"] == ["lamp", "seat", "room"]


def test_the_page_the_notes_and_the_leaderboard(folder: Path) -> None:
    page = render_run(load_run(folder / "0"))
    assert '<section id="by-group">' in page
    assert "room: groups of fewer than 10 images are left out (3 6)" in page
    board = pd.read_csv(folder / "board.csv").set_index(["model", "map"])
    assert board.loc[("light0", "attention"), "worst_group"].startswith("lamp=on cosine 0.")
    shown = CliRunner().invoke(cli, ["compare", str(folder / "0"), str(folder / "1"), "--by", "lamp"])
    assert shown.exit_code == 0, shown.output
    assert "lamp=off" in shown.stdout
    assert "of all groups (Holm)" in shown.stderr


def test_a_run_without_the_option_has_none_of_it(tmp_path: Path) -> None:
    options = {name: value for name, value in OPTIONS.items() if name != "by"}
    run = interpfer.score(model(), Lamps(), out=tmp_path / "run", limit=14, **options)
    assert not run.scores["group"].str.contains("=").any()
    assert "lamp" not in run.per_image
    assert not {"groups", "by"} & ({*run.manifest} | {*run.manifest["arguments"]})
    assert not (tmp_path / "run" / "groups.csv").exists()


def test_people_are_the_units_where_they_are_known() -> None:
    run = interpfer.score(model(), Lamps(people=True), **(OPTIONS | {"by": "lamp,seat", "metrics": "cosine"}))
    units = {(row["column"], row["units"]) for row in run.manifest["groups"]["gaps"]}
    assert units == {("lamp", "people"), ("seat", "images within people")}
    assert [row["n_subjects"] for row in run.manifest["groups"]["groups"]][:2] == [7, 7]


def test_comparison_by_group_is_that_of_the_images_of_each_group(folder: Path) -> None:
    runs = [load_run(folder / name) for name in ("0", "1")]
    table = compare_by(runs[0], runs[1], "lamp")
    assert list(dict.fromkeys(table["group"])) == ["lamp=off", "lamp=on"]
    own = [replace(run, per_image=run.per_image[run.per_image["lamp"] == "on"]) for run in runs]
    expected = compare(own[0], own[1])
    mine = table[table["group"] == "lamp=on"].drop(columns=["group", "p_holm"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected.drop(columns="p_holm"))
    assert (table["p_holm"] >= table["p"]).all()
    better = table.assign(p_holm=0.01, ci_low=0.1, ci_high=0.2, difference=0.15)
    assert describe_groups(better, runs[0])[0] == "accuracy: b is better in every group"
    better.loc[better["group"] == "lamp=on", ["ci_low", "ci_high"]] = -0.1, 0.2
    assert describe_groups(better, runs[0])[0] == (
        "accuracy: b is better in lamp=off, not significantly different in lamp=on"
    )
    with pytest.raises(InterpferError, match="no column 'age': score it again with --by age"):
        compare_by(runs[0], runs[1], "age")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"by": "lmap"}, "data set demo has no such column; it has lamp, seat, room. Did you mean lamp?"),
        ({"by": "room", "min_group": 20}, "none of its 4 values has 20 images or more; pass a smaller --min-group"),
        ({"target": "au", "truth": "aus"}, "no AU output"),
    ],
)
def test_what_cannot_be_grouped(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InterpferError, match=message.replace("?", r"\?")):
        interpfer.score(model(), Lamps(), **(OPTIONS | changes))


def test_names_of_columns() -> None:
    samples = [Sample("a", "fear", subject="p", attributes={"map": "x", "age": "20"}), Sample("b", "fear")]
    assert resolve_columns(["age", "subject,age"], samples, "d") == ("age", "subject")
    assert resolve_columns(None, samples, "d") == ()
    with pytest.raises(InterpferError, match=r"--by map: per_image.csv has another column of that name"):
        resolve_columns("map", samples, "d")
    assert find_groups(["b", "a", "b", "a", "c"], 2) == (["a", "b"], {"c": 1})


def test_drawn_faces_have_attributes() -> None:
    samples = DemoDataset("test", count=60, size=48).samples
    assert {*samples[0].attributes} == {"skin", "glasses", "beard"}
    assert {sample.attributes["skin"] for sample in samples} == {"lighter", "darker"}
    assert len({sample.attributes["glasses"] for sample in samples}) == 2
