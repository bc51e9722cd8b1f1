"""The table of named regions: shares and skills of the scores, and a paired test against the uniform map."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interpfer
from interpfer.au.face_regions import FACE_REGIONS
from interpfer.results.regions import COLUMNS, region_table
from interpfer.results.run import Run, load_run
from interpfer.statistics.comparison import compare_scores, holm


@pytest.fixture(scope="module")
def run(checkpoint: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return interpfer.score(
        interpfer.load_model(checkpoint), "csv", data_root=faces, landmarks=faces / "landmarks.txt",
        metrics="cosine,regions", maps="gradcam,baseline:uniform", device="cpu",
        out=tmp_path_factory.mktemp("regions") / "run",
    )  # fmt: skip


def test_the_run_folder_has_the_table(run: Run) -> None:
    assert run.path is not None
    written = pd.read_csv(run.path / "regions.csv")
    assert list(written) == COLUMNS
    table = region_table(run)
    pd.testing.assert_frame_equal(written, table, check_dtype=False, atol=1e-5)
    again = region_table(load_run(run.path))
    columns = ["share", "skill", "uniform", "ratio", "n"]
    assert np.allclose(again[columns].to_numpy(float), table[columns].to_numpy(float), atol=1e-4, equal_nan=True)


def test_values_are_those_of_the_scores_and_of_the_images(run: Run) -> None:
    table = region_table(run)
    assert set(table["region"]) == set(FACE_REGIONS)
    for _, row in table.iterrows():
        key = {"map_name": row["map"], "group": row["group"], "layer": row["layer"]}
        assert row["share"] == run.score(metric=f"region_{row['region']}", **key)
        assert row["skill"] == run.score(metric=f"region_{row['region']}_skill", **key)
        assert row["share_low"] <= row["share"] <= row["share_high"]
        assert row["skill_low"] <= row["skill"] <= row["skill_high"]
    maps, uniform = (table[table["map"] == name] for name in ("gradcam", "baseline:uniform"))
    assert uniform["uniform"].tolist() == pytest.approx(uniform["share"].tolist(), abs=1e-6)
    assert uniform["p"].tolist() == [1] * len(uniform)
    images = run.per_image.set_index(["map", "image"])
    defined = images.loc["gradcam"].index[images.loc["gradcam"]["region_nose"].notna()]
    means = images.loc["baseline:uniform"].loc[defined].groupby("label")["region_nose"].mean()
    noses = maps[maps["region"] == "nose"].set_index("group")
    assert noses["uniform"].drop("macro").to_dict() == pytest.approx(means.to_dict(), abs=1e-6)
    assert noses.loc["macro", "uniform"] == pytest.approx(means.mean(), abs=1e-6)
    assert maps["ratio"].tolist() == pytest.approx((maps["share"] / maps["uniform"]).tolist())
    sums = maps.groupby("group")["share"].sum().tolist()
    assert sums == pytest.approx([1] * len(sums), abs=1e-5)


def test_p_is_that_of_the_paired_comparison_with_a_map_of_no_skill(run: Run) -> None:
    table = region_table(run)
    lines = run.per_image[(run.per_image["map"] == "gradcam") & run.per_image["cosine"].notna()]
    names = tuple(dict.fromkeys(lines["label"]))
    for group, region in itertools.product(("macro", *names[:2]), ("mouth", "outside")):
        own = lines if group == "macro" else lines[lines["label"] == group]
        skills = own[f"region_{region}_skill"].to_numpy()[:, None]
        classes = np.array([names.index(name) for name in own["label"]])
        (peer,) = compare_scores(np.zeros_like(skills), skills, classes, names, run.manifest["seed"])
        row = table[(table["map"] == "gradcam") & (table["group"] == group) & (table["region"] == region)].iloc[0]
        assert row["skill"] == pytest.approx(peer.difference)
        few = np.isfinite(skills).sum() <= 14
        assert row["p"] == pytest.approx(peer.p, abs=1e-9 if few else 0.02)
        assert row["n"] == peer.n
    for _, rows in table.groupby(["map", "layer", "group"]):
        assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].tolist()), nan_ok=True)


def _by_hand(subjects: list[str] | None) -> Run:
    """Return a run of one map and five images, with all that the table reads."""
    skills, shares = [0.5, 0.3, -0.1, 0.2, 0.4], [0.6, 0.44, 0.12, 0.36, 0.52]
    images = pd.DataFrame({
        "image": list("abcde"), "label": ["anger"] * 3 + ["fear"] * 2, "predicted": "anger", "map": "m", "layer": "l",
        "region_mouth": shares, "region_mouth_skill": skills,
    })  # fmt: skip
    if subjects:
        images["subject"] = subjects
    rows = [
        ("m", "l", metric, group, value, value - 0.1, value + 0.1, n)
        for metric, values in (("region_mouth", shares), ("region_mouth_skill", skills))
        for group, value, n in (
            ("macro", (np.mean(values[:3]) + np.mean(values[3:])) / 2, 5),
            ("anger", np.mean(values[:3]), 3),
            ("fear", np.mean(values[3:]), 2),
        )
    ]
    scores = pd.DataFrame(rows, columns=["map", "layer", "metric", "group", "value", "ci_low", "ci_high", "n"])
    return Run(scores, images, pd.DataFrame(), {"seed": 0})


def test_by_hand() -> None:
    table = region_table(_by_hand(None)).set_index("group")
    assert table["uniform"].tolist() == pytest.approx([0.2, 0.2, 0.2])  # share = 0.2 + 0.8 skill
    assert table["ratio"].tolist() == pytest.approx([(1.16 / 3 + 0.44) / 0.4, 1.16 / 0.6, 2.2])
    assert table.loc["anger", "p"] == 0.5  # of 8 sign flips of .5, .3 and -.1, 4 give at least .7 in magnitude
    assert table.loc["fear", "p"] == 0.5
    assert table["n_subjects"].tolist() == [0, 0, 0]
    parts = np.array([0.5 / 3, 0.1, -0.1 / 3, 0.1, 0.2])
    flipped = [abs(np.dot(signs, parts)) >= abs(parts.sum()) - 1e-9 for signs in itertools.product((1, -1), repeat=5)]
    assert table.loc["macro", "p"] == pytest.approx(np.mean(flipped))


def test_people_are_flipped_as_a_whole() -> None:
    table = region_table(_by_hand(["x", "x", "y", "x", "y"])).set_index("group")
    assert table["n_subjects"].tolist() == [2, 2, 2]
    assert table.loc["anger", "p"] == 1  # .8 and -.1: flips of two people give .7 (twice) or .9 (twice)
    assert table.loc["macro", "p"] == 0.5


def test_a_run_without_these_metrics_has_no_table() -> None:
    run = _by_hand(None)
    other = Run(run.scores[run.scores["metric"] == "region_mouth"], run.per_image, run.confusion, run.manifest)
    assert region_table(other).empty
    assert list(region_table(other)) == COLUMNS
