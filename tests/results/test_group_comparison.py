"""Groups of runs, runs on different images, chosen hypotheses, and notes on what is compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interpfer.errors import RunError
from interpfer.models.loading import load_model
from interpfer.results.comparison import compare
from interpfer.results.comparison_notes import explain_tests, group_notes, landmark_note, overlap_note
from interpfer.results.group_comparison import absent_classes_note, compare_different_images, compare_run_groups
from interpfer.results.hypotheses import Hypotheses
from interpfer.results.run import Run
from interpfer.scoring.score import score


@pytest.fixture(scope="module")
def run(faces: Path, checkpoint: Path) -> Run:
    options = {"landmarks": faces / "landmarks.txt", "device": "cpu", "maps": "attention,gradcam,baselines"}
    return score(load_model(checkpoint), "csv", data_root=faces, metrics="cosine,cosine_skill", **options)


def moved(run: Run, by: float, seed: int = 0, noise: float = 0.0) -> Run:
    """Return a run whose cosines are higher, with noise of its own."""
    rng = np.random.default_rng(seed)
    shift = by + rng.normal(0, noise, len(run.per_image))
    return replace(run, per_image=run.per_image.assign(cosine=run.per_image["cosine"] + shift))


def images_of(run: Run, images: list[str]) -> Run:
    return replace(run, per_image=run.per_image[run.per_image["image"].isin(images)])


def test_groups_have_means_and_deviations_over_runs(run: Run) -> None:
    shifts_a, shifts_b = [0.0, 0.01, 0.03], [0.1, 0.13, 0.12]
    groups = {"plain": [moved(run, by) for by in shifts_a], "guided": [moved(run, by) for by in shifts_b]}
    table = compare_run_groups(groups, Hypotheses(maps="attention", metrics="cosine"))
    (line,) = table.to_dict("records")
    peer = stats.ttest_ind(shifts_b, shifts_a, equal_var=False)  # the images add the same to all
    assert line["p"] == pytest.approx(peer.pvalue)
    assert line["p_holm"] == line["p"]
    assert line["ci_low"] == pytest.approx(peer.confidence_interval().low)
    assert line["a"] == pytest.approx(run.score("attention") + np.mean(shifts_a), abs=1e-5)
    assert (line["std_a"], line["std_b"]) == pytest.approx((np.std(shifts_a, ddof=1), np.std(shifts_b, ddof=1)))
    assert (line["group_a"], line["group_b"], line["runs_a"], line["runs_b"]) == ("plain", "guided", 3, 3)


def test_each_pair_of_groups_is_compared_and_adjusted_together(run: Run) -> None:
    groups = {name: [moved(run, 0.0, seed, 0.05) for seed in (place, place + 1)]
              for name, place in (("a", 0), ("b", 2), ("c", 4))}  # fmt: skip
    table = compare_run_groups(groups, Hypotheses(metrics="accuracy,cosine"))
    assert len(table) == 3 * (1 + 2)
    assert list(table["group_a"] + table["group_b"])[::3] == ["ab", "ac", "bc"]
    accuracy = table[table["metric"] == "accuracy"]
    assert (accuracy["difference"] == 0).all()
    assert (accuracy["p"] == 1).all()


def test_groups_must_be_two_and_of_distinct_runs(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="at least two, each with a run"):
        compare_run_groups({"a": [run]})
    kept = replace(run, path=tmp_path)
    with pytest.raises(RunError, match="a run can be in one group once; repeated"):
        compare_run_groups({"a": [kept], "b": [kept]})


def test_a_single_run_and_few_runs_are_named(run: Run) -> None:
    notes = list(group_notes({"before": [run], "after": [run, run, run]}))
    assert notes[1:] == [
        "a single run, so the result holds for that run and not for its training: before",
        "few runs: after (3); intervals are wide, and small differences cannot be found",
    ]


def test_hypotheses_are_chosen_and_holm_counts_these_alone(run: Run) -> None:
    other = moved(run, 0.0, 1, 0.02)
    every, one = compare(run, other), compare(run, other, hypotheses=Hypotheses("Grad-CAM", "last", ["cosine"]))
    assert one[["map", "metric"]].to_numpy().tolist() == [["gradcam", "cosine"]]
    line = every[(every["map"] == "gradcam") & (every["metric"] == "cosine")]
    assert one["p"].item() == line["p"].item() == one["p_holm"].item()
    assert len(every) == 1 + 2 * 2
    for choice, message in (
        (Hypotheses(maps="cam"), "the runs have no map 'cam' in common; they have attention, gradcam"),
        (Hypotheses(metrics="kl"), "no metric 'kl' in common; they have accuracy, cosine, cosine_skill"),
        (Hypotheses(layers="x"), "no layer 'x' in common"),
    ):
        with pytest.raises(RunError, match=message):
            compare(run, other, hypotheses=choice)


def test_different_images_are_compared_by_welchs_test(run: Run) -> None:
    labels = run.per_image.drop_duplicates("image").set_index("image")["label"]
    happy = labels[labels == "happiness"].index.tolist()
    a, b = (images_of(run, [*happy[half::2], *(labels[labels == name].index)])
            for half, name in ((0, "anger"), (1, "fear")))  # fmt: skip
    table = compare_different_images(a, b, Hypotheses(maps="attention", metrics="cosine"))
    values = [rows[(rows["map"] == "attention") & (rows["label"] == "happiness")]["cosine"]
              for rows in (a.per_image, b.per_image)]  # fmt: skip
    peer = stats.ttest_ind(values[1], values[0], equal_var=False)
    assert table["p"].item() == pytest.approx(peer.pvalue)
    assert table["difference"].item() == pytest.approx(values[1].mean() - values[0].mean())
    assert table["n"].item() == len(happy)
    assert absent_classes_note(a, b) == "not compared, since only one run has them: anger, fear"
    with pytest.raises(RunError, match="no class in common"):
        compare_different_images(images_of(a, labels[labels == "anger"].index.tolist()),
                                 images_of(b, labels[labels == "fear"].index.tolist()))  # fmt: skip


def test_images_of_one_run_only_are_counted(run: Run) -> None:
    images = list(dict.fromkeys(run.per_image["image"]))
    n = len(images)
    assert overlap_note([run, run]) == ""
    assert (
        overlap_note([run, images_of(run, images[3:])]) == f"3 of {n} faces are not in both runs; {n - 3} are compared"
    )
    few = overlap_note([run, images_of(run, images[: n // 3]), run])
    assert few.startswith(f"WARNING: {n - n // 3} of {n} faces are not in all runs; {n // 3} are compared, fewer than")


def with_landmarks(run: Run, name: str, digest: str) -> Run:
    arguments = run.manifest["arguments"] | {"landmarks": name}
    return replace(run, manifest=run.manifest | {"arguments": arguments, "landmarks_digest": digest})


def test_landmarks_that_differ_are_named() -> None:
    empty = Run(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {"arguments": {}})
    a, b, c = (
        with_landmarks(empty, *facts) for facts in (("embedded", "1"), ("landmarks.csv", "2"), ("embedded", "3"))
    )
    assert landmark_note([a, a]) == ""
    assert landmark_note([a, b]).startswith("the landmarks differ: embedded and landmarks.csv; heatmaps move with them")
    assert landmark_note([a, c]).startswith("the landmarks differ: embedded 1 and embedded 3;")


def test_near_doubles_and_disagreements_are_explained() -> None:
    lines = [("cosine", -0.01, 0.2, 0.001), ("cosine_skill", 0.01, 0.2, 0.001)]
    table = pd.DataFrame(lines, columns=["metric", "ci_low", "ci_high", "p_holm"])
    near, disagree = explain_tests(table)
    assert near.startswith("cosine and cosine_skill ask nearly the same")
    assert disagree.startswith("1 lines have p < 0.05 and an interval that includes 0")
    assert list(explain_tests(table[1:])) == []
