"""The history of a training: one line per epoch, and the sums it is made of."""

import math
from typing import Any

import torch
from accelerate import Accelerator

Line = dict[str, Any]
"""One epoch of the history, by column."""

COLUMNS = {
    "loss": "loss",
    "cross_entropy": "ce",
    "head": "head",
    "attention": "att",
    "cam": "cam",
    "patches": "patch",
    "flip": "flip",
    "keep": "keep",
    "aus": "aus",
    "accuracy": "acc",
}
"""Columns that are means over the training faces -> their short names behind the progress bar."""

OPTIONAL = frozenset({"head", "patches", "flip", "keep", "aus"})
"""Columns of terms that most trainings do not have; left out where there is none."""


class EpochSums:
    """Running sums over faces of the columns of an epoch."""

    def __init__(self) -> None:
        self._sums = torch.zeros(2, len(COLUMNS), dtype=torch.float64)

    def add(self, name: str, mean: float, faces: int) -> None:
        """Add the mean of some faces."""
        self._sums[:, list(COLUMNS).index(name)] += torch.tensor([mean * faces, faces], dtype=torch.float64)

    def over_processes(self, accelerator: Accelerator) -> "EpochSums":
        """Return the sums of all processes."""
        whole = EpochSums()
        whole._sums = accelerator.reduce(self._sums.float().to(accelerator.device)).cpu().double()
        return whole

    def means(self) -> dict[str, float]:
        """Return the mean per column, NaN where no face was counted."""
        total, faces = self._sums
        means = dict(zip(COLUMNS, (total / faces).tolist(), strict=True))
        return {name: value for name, value in means.items() if name not in OPTIONAL or not math.isnan(value)}

    def note(self) -> str:
        """Return the means in short, for a progress bar."""
        return "  ".join(f"{COLUMNS[name]} {value:.3f}" for name, value in self.means().items() if value == value)
