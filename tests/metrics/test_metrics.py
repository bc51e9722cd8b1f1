"""The registry of metrics: names, groups and facts."""

import re
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from interpfer import metrics, registry
from interpfer.errors import PluginError
from interpfer.metrics import DEFAULT_METRICS, METRICS, metric_groups, select_metrics
from interpfer.metrics.base import (
    DatasetMetric,
    Facts,
    LandmarkMetric,
    ModelMetric,
    dataset_metric,
    image_metric,
    model_metric,
)
from interpfer.registry import Registry

MODEL_METRICS = {
    *("deletion", "insertion", "deletion_blur", "insertion_blur", "pixel_flipping"),
    *("road", "average_drop", "increase", "adcc", "au_occlusion"),
}


def test_names_and_groups() -> None:
    assert select_metrics("cosine, pxap,cosine") == ("cosine", "pxap")
    assert select_metrics(["pxap", "all"])[0] == "pxap"
    assert set(select_metrics("faithfulness")) == MODEL_METRICS
    regions = {name for name in METRICS if name.startswith("region_")}
    assert set(select_metrics("regions")) == regions
    assert set(select_metrics("agreement")) == set(METRICS) - MODEL_METRICS - regions
    assert select_metrics("all") == tuple(METRICS)
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_an_unknown_metric() -> None:
    message = r"unknown metric or group of metrics 'cosin'\. Did you mean cosine\? `interpfer ls metrics` lists them"
    with pytest.raises(PluginError, match=message):
        select_metrics("cosin")


def test_metrics_are_attributes_of_the_package() -> None:
    for name in METRICS.builtin:
        METRICS.get(name)  # a module of the same name would take its place
        assert getattr(metrics, name) is METRICS.get(name)
    with pytest.raises(AttributeError, match="no attribute 'cosin'"):
        metrics.cosin  # noqa: B018


@pytest.mark.parametrize("name", METRICS.builtin)
def test_facts(name: str) -> None:
    metric = METRICS.get(name)
    facts = metric.facts
    assert facts.bounds[0] < facts.bounds[1]
    assert facts.source
    assert facts.summary.endswith(".")
    assert facts.headline == ("micro" if isinstance(metric, DatasetMetric) else "macro")
    groups = {ModelMetric: "faithfulness", LandmarkMetric: "regions"}
    assert facts.group == groups.get(type(metric), "agreement")
    assert metric.listing()["group"] == facts.group
    assert metric.listing()["headline"] == facts.headline
    assert metric.listing()["difference"] == facts.difference


def test_metrics_whose_name_has_changed_its_meaning_have_a_new_number() -> None:
    changed = {name for name in METRICS.builtin if METRICS.get(name).facts.definition > 1}
    assert changed == {"pointing", "deletion", "insertion", "road", "maxboxacc"}


def test_a_headline_is_macro_or_micro() -> None:
    with pytest.raises(ValueError, match=re.escape("headline must be one of macro, micro, got 'mean'")):
        Facts(True, (0.0, 1.0), "someone", "Something.", headline="mean")


def test_each_decorator_passes_the_facts_on() -> None:
    facts = {"bounds": (0, 2), "source": "a", "decimals": 1, "headline": "micro", "group": "own"}
    facts |= {"difference": "twice", "definition": 3}
    made = [
        image_metric(False, **facts)(lambda maps, heat: maps.sum((1, 2))),
        dataset_metric(lambda maps, heat: maps.sum((1, 2)).long()[:, None], False, **facts)(lambda counts: counts[0]),
        model_metric(False, **facts)(lambda maps, probe: maps.sum((1, 2))),
    ]
    for metric in made:
        assert metric.facts == Facts(False, (0, 2), "a", "", 1, "micro", "own", "twice", 3)


def test_help_shows_the_docstring_of_a_metric() -> None:
    assert str(metrics.cosine.__doc__).startswith("Cosine of map and heatmap as vectors")
    assert metrics.cosine.__name__ == "cosine"
    assert metrics.cosine.__module__ == "interpfer.metrics.agreement"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry of metrics with two of another package: one in a group of its own, one broken."""
    points = [
        EntryPoint(name, value, "interpfer.metrics")._for(SimpleNamespace(name="other-package"))  # type: ignore[attr-defined]
        for name, value in (("own", "tests.metrics.test_metrics:own"), ("broken", "nowhere:metric"))
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "interpfer.metrics" else [])
    extended: Registry = Registry("metric", "interpfer.metrics", METRICS.builtin)
    monkeypatch.setattr(metrics, "METRICS", extended)
    return extended


@image_metric(True, (0.0, 1.0), "someone", group="own-group")
def own(maps, _):  # type: ignore[no-untyped-def]
    """Something else."""
    return maps.sum((1, 2))


@pytest.mark.usefixtures("plugins")
def test_a_plugin_is_in_its_own_group_and_a_broken_one_in_none() -> None:
    assert select_metrics("own-group") == ("own",)
    assert "own" in select_metrics("all")
    assert "own" not in select_metrics("agreement")
    assert not any("broken" in members for members in metric_groups().values())
    assert select_metrics("broken") == ("broken",)


def test_a_broken_plugin_fails_when_asked_for_by_name(plugins: Registry) -> None:
    with pytest.raises(PluginError, match="metric 'broken' of other-package cannot be loaded"):
        plugins.get("broken")
