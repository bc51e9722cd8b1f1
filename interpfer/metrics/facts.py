"""What is true of a metric: direction, bounds, source, headline and group."""

from dataclasses import dataclass

MACRO, MICRO = "macro", "micro"
"""Headlines: the mean of the class means, and the value of all images together."""

AGREEMENT, FAITHFULNESS = "agreement", "faithfulness"
"""Groups of metrics: those that compare maps with the heatmap, and those that run the model on altered images."""


@dataclass(frozen=True)
class Facts:
    """What is true of a metric.

    Attributes:
        higher_is_better: direction.
        bounds: least and largest value.
        source: where the formula comes from.
        summary: one line for ``interpfer ls metrics``.
        decimals: decimal places that tables show.
        headline: "macro" or "micro", the group of rows whose value stands for the metric.
        group: name of the group of metrics that it belongs to, for ``--metrics``.
        difference: how the formula differs from its source, "" where it does not.
        definition: number of the formula under this name, raised whenever scores of the same name change their meaning.
    """

    higher_is_better: bool
    bounds: tuple[float, float]
    source: str
    summary: str
    decimals: int = 3
    headline: str = MACRO
    group: str = AGREEMENT
    difference: str = ""
    definition: int = 1

    def __post_init__(self) -> None:
        if self.headline not in (MACRO, MICRO):
            raise ValueError(f"headline must be one of {MACRO}, {MICRO}, got '{self.headline}'")


class BaseMetric:
    """What all kinds of metrics have in common: their facts, as ``interpfer ls metrics`` lists them."""

    facts: Facts

    def listing(self) -> dict[str, str]:
        """Return column -> text."""
        return {
            "what": self.facts.summary,
            "better": "higher" if self.facts.higher_is_better else "lower",
            "bounds": "{:g} .. {:g}".format(*self.facts.bounds),
            "group": self.facts.group,
            "headline": self.facts.headline,
            "source": self.facts.source,
            "difference": self.facts.difference,
        }
