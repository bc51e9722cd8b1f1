import pytest

from interpfer import metrics
from interpfer.errors import PluginError
from interpfer.metrics import DEFAULT_METRICS, FAITHFULNESS, METRICS, select_metrics


def test_names_and_groups() -> None:
    assert select_metrics("cosine, pxap,cosine") == ("cosine", "pxap")
    assert select_metrics(["pxap", "all"])[0] == "pxap"
    assert set(select_metrics("agreement")) == set(METRICS) - set(FAITHFULNESS)
    assert set(select_metrics("all")) == set(METRICS)
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_an_unknown_metric() -> None:
    told = r"no metric or group .* 'cosin'\. Did you mean cosine\? `interpfer ls metrics` lists them"
    with pytest.raises(PluginError, match=told):
        select_metrics("cosin")


def test_metrics_are_attributes_of_the_package() -> None:
    assert metrics.cosine is METRICS.get("cosine")
    with pytest.raises(AttributeError, match="no attribute 'cosin'"):
        metrics.cosin  # noqa: B018


@pytest.mark.parametrize("name", METRICS.builtin)
def test_facts(name: str) -> None:
    facts = METRICS.get(name).facts
    assert facts.bounds[0] < facts.bounds[1]
    assert facts.source
    assert facts.summary.endswith(".")
