from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interpfer.errors import RunError
from interpfer.results.run import Run
from interpfer.results.stability import AGREEMENTS, ORDERS, describe_order, rank_stability

LABELS = ("anger", "fear", "surprise")


def make_run(model: str, maps: dict[tuple[str, str], dict[str, np.ndarray]], **arguments: Any) -> Run:
    """A run of 30 faces, ten of each label, with given scores per map and metric."""
    labels = np.repeat(LABELS, 10)
    frames = [
        pd.DataFrame(
            {
                "image": [f"{i}.png" for i in range(30)],
                "label": labels,
                "predicted": labels,
                "map": name,
                "layer": layer,
            }
            | scores
        )  # fmt: skip
        for (name, layer), scores in maps.items()
    ]
    table = pd.concat(frames, ignore_index=True)
    metrics = list(next(iter(maps.values())))
    scores = pd.DataFrame({"metric": metrics, "group": "macro", "map": "-", "layer": "-", "value": 0.0})
    rules = {"protocol": "paper", "codebook": "belharbi2024", "codebook_digest": "1", "geometry": "reference"}
    manifest = {"arguments": {"model": model} | rules | arguments, "landmarks_digest": "aa"}
    return Run(scores, table, pd.DataFrame(), manifest)


def values(mean: float, seed: int) -> np.ndarray:
    return mean + 0.01 * np.random.default_rng(seed).normal(size=30)


def test_models_and_maps_are_ordered_by_each_metric() -> None:
    """Model b is first by gradcam's cosine, a by its kl, where lower is better; maps of a are in the order of means."""
    a = make_run("a", {
        ("attention", "l4"): {"cosine": values(0.9, 0), "kl": values(3, 1)},
        ("gradcam", "l4"): {"cosine": values(0.3, 2), "kl": values(1, 3)},
        ("baseline:uniform", "-"): {"cosine": values(0.99, 9), "kl": values(0.1, 9)},
    })  # fmt: skip
    b = make_run("b", {
        ("attention", "l4"): {"cosine": values(0.5, 4), "kl": values(4, 5)},
        ("gradcam", "l4"): {"cosine": values(0.6, 6), "kl": values(2, 7)},
    })  # fmt: skip
    orders, agreements = rank_stability([a, b])
    assert list(orders) == ORDERS
    first = orders[orders["rank"] == 1].set_index(["order", "of", "metric"])["item"]
    assert first["models", "attention", "cosine"] == "a"
    assert first["models", "gradcam", "cosine"] == "b"
    assert first["models", "gradcam", "kl"] == "a"
    assert first["maps", "a", "cosine"] == "attention"
    assert first["maps", "b", "kl"] == "gradcam"
    assert not orders["item"].str.startswith("baseline").any()
    clear = orders[(orders["metric"] == "cosine") & (orders["rank"] == 1)]
    assert (clear["first"] == 1).all()
    assert (clear["tau"] == 1).all()
    means = a.per_image[a.per_image["map"] == "gradcam"].groupby("label")["cosine"].mean().mean()
    line = orders[(orders["of"] == "gradcam") & (orders["item"] == "a") & (orders["metric"] == "cosine")].iloc[0]
    assert line["value"] == pytest.approx(means)
    assert (line["n"], line["n_subjects"]) == (30, 0)
    tau = agreements.set_index(["order", "of", "metric_a", "metric_b"])["tau"]
    assert tau["models", "gradcam", "cosine", "kl"] == -1
    assert tau["models", "attention", "cosine", "kl"] == 1
    assert list(agreements) == AGREEMENTS


def test_equal_models_tie() -> None:
    """The accuracy of both is the same on every draw: each is first in half of them, and no tau is defined."""
    run = make_run("a", {("gradcam", "l4"): {"cosine": values(0.3, 0)}})
    twin = make_run("b", {("gradcam", "l4"): {"cosine": values(0.4, 0)}})
    orders = rank_stability([run, twin]).orders
    accuracy = orders[orders["metric"] == "accuracy"]
    assert accuracy["first"].tolist() == [0.5, 0.5]
    assert accuracy["rank"].tolist() == [1, 1]
    assert accuracy["tau"].isna().all()


def test_runs_of_other_rules_are_ordered_apart_and_compared() -> None:
    runs = [
        make_run("a", {("gradcam", "l4"): {"cosine": values(0.3, 0)}}),
        make_run("b", {("gradcam", "l4"): {"cosine": values(0.4, 1)}}),
        make_run("a", {("gradcam", "l4"): {"cosine": values(0.6, 2)}}, protocol="corrected", codebook_digest="2"),
        make_run("b", {("gradcam", "l4"): {"cosine": values(0.5, 3)}}, protocol="corrected", codebook_digest="2"),
    ]
    stability = rank_stability(runs)
    names = set(stability.orders["rules"])
    assert names == {"protocol paper, codebook belharbi2024", "protocol corrected, codebook belharbi2024"}
    (line,) = stability.agreements[stability.agreements["metric_a"] == "cosine"].to_dict("records")
    assert (line["order"], line["of"], line["tau"], line["same_first"], line["items"]) == (
        "models", "gradcam", -1, False, 2)  # fmt: skip


def test_layers_and_models_of_one_name_are_told_apart() -> None:
    maps = {("gradcam", "l3"): {"cosine": values(0.3, 0)}, ("gradcam", "l4"): {"cosine": values(0.4, 1)}}
    runs = [replace(make_run("a", maps), path=Path(name)) for name in ("seed0", "seed1")]
    orders = rank_stability(runs).orders
    assert set(orders[orders["order"] == "maps"]["item"]) == {"gradcam@l3", "gradcam@l4"}
    assert set(orders[orders["order"] == "models"]["item"]) == {"a (seed0)", "a (seed1)"}
    by_model = orders[(orders["order"] == "models") & (orders["metric"] == "cosine")]
    assert by_model["value"].iloc[0] == pytest.approx(values(0.4, 1).mean()), "models are ordered by the last layer"


def test_people_are_counted() -> None:
    runs = [make_run(name, {("gradcam", "l4"): {"cosine": values(mean, 0)}}) for name, mean in (("a", 0.3), ("b", 0.4))]
    named = [replace(run, per_image=run.per_image.assign(subject=["S1"] * 15 + [np.nan] * 15)) for run in runs]
    orders = rank_stability([named[0], runs[1]]).orders
    assert set(orders["n_subjects"]) == {16}


def test_identical_maps_count_once_and_one_map_of_one_model_is_nothing_to_order() -> None:
    maps = {("gradcam", "l4"): {"cosine": values(0.3, 0)}, ("hirescam", "l4"): {"cosine": values(0.3, 0)}}
    run = make_run("a", maps)
    run.manifest["same"] = {"hirescam@l4": "gradcam@l4"}
    with pytest.raises(RunError, match="nothing to rank: pass runs of at least two models, or runs of at least two"):
        rank_stability([run])


def test_orders_in_words() -> None:
    assert describe_order("maps", "poster") == "maps of poster"
