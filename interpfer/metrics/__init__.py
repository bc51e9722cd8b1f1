"""Metrics: how well a map agrees with the AU heatmap, and how faithful it is to the classifier."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from interpfer.errors import PluginError, suggest_names
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
        "ssim": "interpfer.metrics.structural_similarity:ssim",
        "kl": "interpfer.metrics.agreement:kl",
        "ap": "interpfer.metrics.ranking:ap",
        "auroc": "interpfer.metrics.ranking:auroc",
        "iou": "interpfer.metrics.overlap:iou",
        "dice": "interpfer.metrics.overlap:dice",
        "hausdorff": "interpfer.metrics.outline:hausdorff",
        "iou_best": "interpfer.metrics.localisation:iou_best",
        "dice_best": "interpfer.metrics.localisation:dice_best",
        "maxboxacc": "interpfer.metrics.boxes:maxboxacc",
        "maxboxacc_all": "interpfer.metrics.boxes:maxboxacc_all",
        "pointing": "interpfer.metrics.pointing_game:pointing",
        "pointing_strict": "interpfer.metrics.pointing_game:pointing_strict",
        "ebpg": "interpfer.metrics.agreement:ebpg",
        "rra": "interpfer.metrics.ranking:rra",
        "deletion": "interpfer.metrics.faithfulness:deletion",
        "insertion": "interpfer.metrics.faithfulness:insertion",
        "deletion_blur": "interpfer.metrics.faithfulness:deletion_blur",
        "insertion_blur": "interpfer.metrics.faithfulness:insertion_blur",
        "pixel_flipping": "interpfer.metrics.faithfulness:pixel_flipping",
        "road": "interpfer.metrics.remove_and_debias:road",
        "average_drop": "interpfer.metrics.faithfulness:average_drop",
        "increase": "interpfer.metrics.faithfulness:increase",
        "adcc": "interpfer.metrics.composite:adcc",
        "au_occlusion": "interpfer.metrics.faithfulness:au_occlusion",
        "region_mouth": "interpfer.metrics.regions:region_mouth",
        "region_mouth_skill": "interpfer.metrics.regions:region_mouth_skill",
        "region_eyes": "interpfer.metrics.regions:region_eyes",
        "region_eyes_skill": "interpfer.metrics.regions:region_eyes_skill",
        "region_brows": "interpfer.metrics.regions:region_brows",
        "region_brows_skill": "interpfer.metrics.regions:region_brows_skill",
        "region_nose": "interpfer.metrics.regions:region_nose",
        "region_nose_skill": "interpfer.metrics.regions:region_nose_skill",
        "region_cheeks": "interpfer.metrics.regions:region_cheeks",
        "region_cheeks_skill": "interpfer.metrics.regions:region_cheeks_skill",
        "region_chin": "interpfer.metrics.regions:region_chin",
        "region_chin_skill": "interpfer.metrics.regions:region_chin_skill",
        "region_outside": "interpfer.metrics.regions:region_outside",
        "region_outside_skill": "interpfer.metrics.regions:region_outside_skill",
    },
)

ALL = "all"
"""The group of every metric."""

DEFAULT_METRICS = ("cosine", "cosine_skill", "pxap")


def select_metrics(selection: str | Iterable[str]) -> tuple[str, ...]:
    """Resolve a comma-separated text or a list of metric names and groups, each metric once.

    Groups are those of ``metric_groups``. Names alone import no metric; they may be written as papers do (PxAP), or be
    an alias that a metric states (CAM-COS, ATT-COS).

    Raises:
        PluginError: a name is neither a metric nor a group.

    Examples:
        >>> select_metrics("PxAP, CAM-COS, cosine")
        ('pxap', 'cosine')
        >>> "deletion" in select_metrics("faithfulness")
        True
    """
    names = [name.strip() for name in selection.split(",")] if isinstance(selection, str) else list(selection)
    groups = {} if all(name in METRICS for name in names) else metric_groups()
    names = [name if name in groups else METRICS.resolve(name) or name for name in names]
    for name in names:
        if name not in METRICS and name not in groups:
            known = suggest_names(name, [*groups, *METRICS], METRICS.command)
            raise PluginError(f"unknown metric or group of metrics '{name}'.{known}")
    return tuple(dict.fromkeys(name for entry in names for name in groups.get(entry, (entry,))))


def metric_groups() -> dict[str, tuple[str, ...]]:
    """Return the metrics of each group, by the facts of the metrics; ``all`` holds every one.

    A plugin that cannot be imported is in no group, so that it fails only where its own name is asked for.

    Examples:
        >>> sorted(metric_groups())
        ['agreement', 'all', 'faithfulness', 'regions']
    """
    groups: dict[str, tuple[str, ...]] = {ALL: ()}
    for name in METRICS:
        try:
            group = METRICS.get(name).facts.group
        except PluginError:
            if METRICS.origin(name) == "interpfer":
                raise
            continue
        for key in (ALL, group):
            groups[key] = (*groups.get(key, ()), name)
    return groups


def __getattr__(name: str) -> "Metric":
    if name in METRICS.builtin:
        return METRICS.get(name)
    raise AttributeError(f"module {__name__} has no attribute '{name}'")
