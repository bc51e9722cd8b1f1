"""Metrics: how well a map agrees with the AU heatmap, and how well the classifier classifies."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from interpfer.errors import PluginError, choices
from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.metrics.base import Metric

METRICS: "Registry[Metric]" = Registry(
    "metric",
    "interpfer.metrics",
    {
        "cosine": "interpfer.metrics.agreement:cosine",
        "cosine_skill": "interpfer.metrics.agreement:cosine_skill",
        "pxap": "interpfer.metrics.localisation:pxap",
        "pearson": "interpfer.metrics.agreement:pearson",
        "spearman": "interpfer.metrics.ranking:spearman",
        "ssim": "interpfer.metrics.ssim:ssim",
        "kl": "interpfer.metrics.agreement:kl",
        "ap": "interpfer.metrics.ranking:ap",
        "auroc": "interpfer.metrics.ranking:auroc",
        "iou": "interpfer.metrics.overlap:iou",
        "dice": "interpfer.metrics.overlap:dice",
        "iou_best": "interpfer.metrics.localisation:iou_best",
        "dice_best": "interpfer.metrics.localisation:dice_best",
        "maxboxacc": "interpfer.metrics.localisation:maxboxacc",
        "pointing": "interpfer.metrics.ranking:pointing",
        "ebpg": "interpfer.metrics.agreement:ebpg",
        "rra": "interpfer.metrics.ranking:rra",
        "deletion": "interpfer.metrics.faithfulness:deletion",
        "insertion": "interpfer.metrics.faithfulness:insertion",
        "pixel_flipping": "interpfer.metrics.faithfulness:pixel_flipping",
        "road": "interpfer.metrics.road:road",
        "average_drop": "interpfer.metrics.faithfulness:average_drop",
        "increase": "interpfer.metrics.faithfulness:increase",
        "au_occlusion": "interpfer.metrics.faithfulness:au_occlusion",
    },
)

FAITHFULNESS = ("deletion", "insertion", "pixel_flipping", "road", "average_drop", "increase", "au_occlusion")
"""Metrics that run the model again and again."""

DEFAULT_METRICS = ("cosine", "cosine_skill", "pxap")


def select_metrics(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Resolve a comma-separated text or a list of metric names and groups.

    The group ``agreement`` holds what compares a map with the AU heatmap, ``faithfulness`` what runs the model again
    and again, ``all`` both.

    Raises:
        PluginError: a name is neither a metric nor a group.
    """
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    groups = {
        "all": tuple(METRICS),
        "agreement": tuple(name for name in METRICS if name not in FAITHFULNESS),
        "faithfulness": FAITHFULNESS,
    }
    for name in names:
        if name not in METRICS and name not in groups:
            told = choices(name, [*groups, *METRICS], METRICS.command)
            raise PluginError(f"no metric or group of metrics is called '{name}'.{told}")
    return tuple(dict.fromkeys(name for entry in names for name in groups.get(entry, (entry,))))


def decimals(name: str) -> int:
    """Return how many places after the point tables show of a metric; 3 of one that is not installed."""
    return METRICS.get(name).facts.decimals if name in METRICS else 3


def __getattr__(name: str) -> "Metric":
    if name in METRICS.builtin:
        return METRICS.get(name)
    raise AttributeError(f"module {__name__} has no attribute '{name}'")
