"""Which way a metric is better."""

from interpfer.metrics import METRICS


def higher_is_better(metric: str) -> bool:
    """Whether more is better; so it is taken to be of a metric that is not installed here."""
    return metric not in METRICS or METRICS.get(metric).facts.higher_is_better
