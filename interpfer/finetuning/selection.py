"""Which epoch of a training is the best."""

import math

from interpfer.finetuning.history import Line


def is_better(new: Line, old: Line | None, top: float, faces: int, tradeoff: float = 0.0) -> bool:
    """Return whether an epoch replaces the best one so far.

    Accuracies on the held-out images within one standard error of the highest count as equal, and agreement decides
    between them: the rule of one standard error (Breiman et al. 1984). With a trade-off, accuracy + tradeoff x
    agreement decides.

    Args:
        new: its line of the history.
        old: line of the best epoch so far; None for none.
        top: highest accuracy of all epochs so far.
        faces: number of held-out images.
        tradeoff: weight of agreement; 0 for the rule of one standard error.

    Examples:
        >>> accurate = {"val_accuracy": 0.62, "att_cos": 0.4, "cam_cos": 0.4}
        >>> aligned = {"val_accuracy": 0.60, "att_cos": 0.7, "cam_cos": 0.6}
        >>> is_better(aligned, accurate, top=0.62, faces=100), is_better(aligned, accurate, top=0.62, faces=10_000)
        (True, False)
    """
    if old is None:
        return True
    if tradeoff:
        return bool(_traded(new, tradeoff) > _traded(old, tradeoff))
    least = top - math.sqrt(top * (1 - top) / faces)
    if new["val_accuracy"] < least:
        return False
    return bool(old["val_accuracy"] < least) or _agreement_first(new) > _agreement_first(old)


def _traded(line: Line, tradeoff: float) -> float:
    return float(line["val_accuracy"] + tradeoff * _agreement(line))


def _agreement_first(line: Line) -> tuple[float, float]:
    return _agreement(line), line["val_accuracy"]


def _agreement(line: Line) -> float:
    """Return the mean of the agreements that are defined, 0 where none is."""
    defined = [value for value in (line["att_cos"], line["cam_cos"]) if value == value]
    return sum(defined) / len(defined) if defined else 0.0
