"""Published recipes of fine-tuning by name (``--method``): the values that they give to other options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """A published recipe.

    Attributes:
        source: where it is published.
        values: option -> value; an option that the caller passes keeps the caller's value.
        by_dataset: data set -> values that differ there.
    """

    source: str
    values: Mapping[str, Any]
    by_dataset: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def values_for(self, dataset: str | None) -> dict[str, Any]:
        """Return option -> value on a data set.

        Examples:
            >>> METHODS["belharbi2024"].values_for("rafdb")["weight"], METHODS["belharbi2024"].values_for(None)["lr"]
            (4.0, 0.002)
        """
        return {**self.values, **self.by_dataset.get(dataset or "", {})}


METHODS: Mapping[str, Method] = {
    "belharbi2024": Method(
        source="Belharbi et al. 2024, arXiv 2402.00281; training as in their code for AffectNet",
        values={
            "protocol": "paper",
            "align": "attention",
            "weight": 4.0,
            "loss": "cosine",
            "align_layers": "last",
            "attention_map": "attention",
            "loss_resize": "grid",
            "loss_shift": False,
            "freeze": "none",
            "freeze_bn": False,
            "optimizer": "sgd",
            "lr": 2e-3,
            "weight_decay": 5e-4,
            "schedule": "step",
            "epochs": 20,
            "batch_size": 224,
            "augment": "paper",
        },
        by_dataset={"affectnet": {"weight": 9.0}},
    )
}
"""Name -> recipe. Mixed precision is left to the caller: it is the machine's."""
