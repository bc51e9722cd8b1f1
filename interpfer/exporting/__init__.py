"""Hands a finished run on to other programs and pages: one file per target."""

from interpfer.exporting.base import ExportTarget
from interpfer.registry import Registry

EXPORTS: Registry[type[ExportTarget]] = Registry(
    "export target",
    "interpfer.exports",
    {
        "model-card": "interpfer.exporting.model_card:ModelCardExport",
        "hf-eval": "interpfer.exporting.hf_eval:HubEvalExport",
        "fiftyone": "interpfer.exporting.fiftyone:FiftyOneExport",
        "coco": "interpfer.exporting.coco:CocoExport",
    },
)
"""What a run can be exported to, for ``--to``."""
