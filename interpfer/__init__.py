"""interpfer: where does a facial-expression classifier look, and is it where the action units are?

The public names are imported when they are first used, so that ``import interpfer`` is light.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from interpfer.au.drawing import au_heatmaps, au_planes
    from interpfer.explain.explainer import explain_image
    from interpfer.exporting.export import export
    from interpfer.finetuning.guide import alignment_loss
    from interpfer.finetuning.run import finetune
    from interpfer.maps.compute import compute_maps
    from interpfer.maps.watch import Watch
    from interpfer.models.loading import load_model
    from interpfer.models.model import Model
    from interpfer.results.run import Run, load_run
    from interpfer.scoring.merge import merge
    from interpfer.scoring.score import score

_PUBLIC = {
    "Model": "interpfer.models.model",
    "Run": "interpfer.results.run",
    "Watch": "interpfer.maps.watch",
    "alignment_loss": "interpfer.finetuning.guide",
    "au_heatmaps": "interpfer.au.drawing",
    "au_planes": "interpfer.au.drawing",
    "compute_maps": "interpfer.maps.compute",
    "explain_image": "interpfer.explain.explainer",
    "export": "interpfer.exporting.export",
    "finetune": "interpfer.finetuning.run",
    "load_model": "interpfer.models.loading",
    "load_run": "interpfer.results.run",
    "merge": "interpfer.scoring.merge",
    "score": "interpfer.scoring.score",
}

__all__ = [
    "Model",
    "Run",
    "Watch",
    "alignment_loss",
    "au_heatmaps",
    "au_planes",
    "compute_maps",
    "explain_image",
    "export",
    "finetune",
    "load_model",
    "load_run",
    "merge",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name == "metrics":
        return importlib.import_module("interpfer.metrics")
    raise AttributeError(f"module 'interpfer' has no attribute '{name}'")
