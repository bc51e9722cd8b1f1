"""Two runs side by side."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpfer.errors import RunError
from interpfer.models.loading import load_model
from interpfer.results.comparison import COLUMNS, compare, describe_independence, find_better, subject_note
from interpfer.results.comparison_notes import overlap_note, shared_images
from interpfer.results.hypotheses import Hypotheses
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


def with_subjects(run: Run, number: int, prefix: str = "00") -> Run:
    """Return a run whose images show ``number`` people in turn."""
    order = {image: row for row, image in enumerate(dict.fromkeys(run.per_image["image"]))}
    return replace(run, per_image=run.per_image.assign(
        subject=[f"{prefix}{order[image] % number}" for image in run.per_image["image"]]
    ))  # fmt: skip


def test_without_subjects_images_are_taken_as_independent(runs: tuple[Run, Run]) -> None:
    table = compare(*runs)
    assert table["test"].tolist() == ["McNemar"] + ["sign flip"] * 6
    assert (table["n_subjects"] == 0).all()
    assert describe_independence(table) == "images taken as independent: no subject is known"
    assert subject_note(*runs) == ""


def test_subjects_of_the_runs_decide_intervals_and_tests(runs: tuple[Run, Run]) -> None:
    a, b = (with_subjects(run, 6) for run in runs)
    table, plain = compare(a, b), compare(*runs)
    assert set(table["test"]) == {"sign flip"}
    assert (table["n_subjects"] == 6).all()
    assert (table["p"] * 32 == (table["p"] * 32).round()).all()  # six people: all 2 ** 5 flips
    assert "subject" not in set(table["metric"])
    np.testing.assert_array_equal(table[["a", "b", "difference", "n"]], plain[["a", "b", "difference", "n"]])
    assert (table["ci_low"] != plain["ci_low"]).any()
    count = table["n"].max()
    assert describe_independence(table) == f"intervals and tests are over people: 6 on {count} images"
    assert subject_note(a, b) == ""


def test_subjects_of_one_run_serve_both_and_a_line_says_so(runs: tuple[Run, Run]) -> None:
    both = compare(*(with_subjects(run, 6) for run in runs))
    pd.testing.assert_frame_equal(compare(runs[0], with_subjects(runs[1], 6)), both)
    assert subject_note(runs[0], with_subjects(runs[1], 6)) == (
        "only the second run names subjects; they are used for both"
    )
    other = with_subjects(runs[1], 7)
    images = len(set(runs[0].per_image["image"]))
    differing = sum(row % 6 != row % 7 for row in range(images))
    assert subject_note(with_subjects(runs[0], 6), other) == (
        f"the runs name different subjects on {differing} of {images} images; those of the first run are used"
    )


def test_subjects_that_look_like_numbers_are_read_as_text(runs: tuple[Run, Run], tmp_path: Path) -> None:
    run = with_subjects(runs[0], 6)
    copytree(runs[0].path, tmp_path / "run")
    run.per_image.to_csv(tmp_path / "run" / "per_image.csv", index=False)
    assert set(load_run(tmp_path / "run").per_image["subject"]) == {f"00{number}" for number in range(6)}


def test_an_interval_stays_within_what_a_metric_allows(runs: tuple[Run, Run]) -> None:
    few = [replace(run, per_image=run.per_image[run.per_image["image"].isin(run.per_image["image"].unique()[:3])])
           for run in runs]  # fmt: skip
    table = compare(few[0], few[1]).query("metric != 'kl'")
    assert (table["ci_low"].dropna() >= -1).all()
    assert (table["ci_high"].dropna() <= 1).all()


STATES = ("both", "first", "second", "neither", "relabelled")


@settings(max_examples=8)
@given(states=st.lists(st.sampled_from(STATES), min_size=42, max_size=42))
def test_every_image_of_both_runs_is_accounted_for(runs: tuple[Run, Run], states: list[str]) -> None:
    names = list(dict.fromkeys(runs[0].per_image["image"]))
    of = dict(zip(names, ["both", *states[1:]], strict=True))  # one image is compared
    tables = [run.per_image[run.per_image["image"].map(of).isin(kept)].copy() for run, kept in zip(
        runs, (("both", "first", "relabelled"), ("both", "second", "relabelled")), strict=True)]  # fmt: skip
    other = tables[1]["image"].map(of) == "relabelled"
    tables[1].loc[other, "label"] = tables[1].loc[other, "label"].map(lambda label: f"no {label}")
    a, b = (replace(run, per_image=table) for run, table in zip(runs, tables, strict=True))
    count = Counter(of.values())
    shared = count["both"]
    apart = count["first"] + count["second"] + 2 * count["relabelled"]
    assert len(shared_images([a, b])) == shared
    note = overlap_note([a, b])
    assert note == overlap_note([b, a])
    if apart:
        assert f"{apart} of {apart + shared} faces are not in both runs; {shared} are compared" in note
        assert note.startswith("WARNING") == (shared < (apart + shared) / 2)
    else:
        assert note == ""
    accuracy = compare(a, b, hypotheses=Hypotheses(metrics=["accuracy"])).iloc[0]
    assert accuracy["n"] == shared
    both = tables[0][tables[0]["image"].map(of) == "both"].drop_duplicates("image")
    assert accuracy["a"] == pytest.approx((both["label"] == both["predicted"]).mean())
