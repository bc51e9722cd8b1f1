"""Metrics: how well a map agrees with the AU heatmap, and how well the classifier classifies."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from interpfer.errors import PluginError, nearest
from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.metrics.base import Metric

METRICS: "Registry[Metric]" = Registry(
    "metric",
    "interpfer.metrics",
    {
        "cosine": "interpfer.metrics.functional:cosine",
        "cosine_skill": "interpfer.metrics.functional:cosine_skill",
        "pxap": "interpfer.metrics.localisation:pxap",
        "pearson": "interpfer.metrics.functional:pearson",
        "spearman": "interpfer.metrics.ranking:spearman",
        "ssim": "interpfer.metrics.structure:ssim",
        "kl": "interpfer.metrics.functional:kl",
        "ap": "interpfer.metrics.ranking:ap",
        "auroc": "interpfer.metrics.ranking:auroc",
        "iou": "interpfer.metrics.overlap:iou",
        "dice": "interpfer.metrics.overlap:dice",
        "iou_best": "interpfer.metrics.localisation:iou_best",
        "dice_best": "interpfer.metrics.localisation:dice_best",
        "pointing": "interpfer.metrics.ranking:pointing",
        "ebpg": "interpfer.metrics.functional:ebpg",
        "rra": "interpfer.metrics.ranking:rra",
    },
)

DEFAULT_METRICS = ("cosine", "cosine_skill", "pxap")


def select_metrics(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Resolve a comma-separated text or a list of metric names and of the group ``all``.

    Raises:
        PluginError: a name is neither a metric nor a group.
    """
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in METRICS and name != "all":
            raise PluginError(
                f"no metric is called '{name}'.{nearest(name, METRICS)} Known: all, {', '.join(METRICS)}."
            )
    return tuple(dict.fromkeys(name for entry in names for name in (METRICS if entry == "all" else (entry,))))


def __getattr__(name: str) -> "Metric":
    if name in METRICS.builtin:
        return METRICS.get(name)
    raise AttributeError(f"module {__name__} has no attribute '{name}'")
