"""Heads: how the grid of a network becomes logits, and which map of a class that makes."""

from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.models.heads.base import Head

HEADS: "Registry[type[Head]]" = Registry(
    "head",
    "interpfer.heads",
    {
        "wgap": "interpfer.models.heads.linear:LinearHead",
        "gap": "interpfer.models.heads.average:AverageHead",
        "max": "interpfer.models.heads.maximum:MaximumHead",
        "lse": "interpfer.models.heads.log_sum_exp:LogSumExpHead",
        "wildcat": "interpfer.models.heads.wildcat:WildcatHead",
        "wildcat-reference": "interpfer.models.heads.wildcat:WildcatReferenceHead",
        "acol": "interpfer.models.heads.acol:AcolHead",
        "prm": "interpfer.models.heads.peaks:PeakHead",
        "prm-reference": "interpfer.models.heads.peaks:PeakReferenceHead",
        "ts-cam": "interpfer.models.heads.ts_cam:TsCamHead",
        "expand-shrink": "interpfer.models.heads.deformable:DeformableHead",
    },
)
