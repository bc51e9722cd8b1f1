"""Which classes a model and a data set share, and what a reader must know of the others."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from interpfer.errors import DataError
from interpfer.labels import EXPRESSIONS, ask_about, list_names, sort_classes


def require_shared(outputs: Sequence[str], classes: Sequence[str], dataset: str) -> None:
    """Check that a model and a data set share a class; one without classes shares what maps need.

    Args:
        outputs: classes of the model.
        classes: those of the data set.
        dataset: its name.

    Raises:
        DataError: they have no name in common.
    """
    if outputs and classes and not set(outputs) & set(classes):
        raise DataError(
            f"the model and the data set {dataset} share no class: the model has {list_names(outputs)}; the data set "
            f"has {list_names(classes)}. Classes are matched by name: rename those of one of them (--classes)."
        )


def class_notes(confusion: pd.DataFrame, outputs: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on the classes outside the eight expressions, and on those that only one side has.

    A data set without labels has no classes, so nothing is said of those that it lacks.

    Args:
        confusion: counts; rows true classes of the data set, columns predicted classes.
        outputs: classes of the model; none where it has no classes.
    """
    if not outputs:
        return
    labels = [str(name) for name in confusion.index]
    if own := [ask_about(name) for name in sort_classes([*labels, *outputs]) if name not in EXPRESSIONS]:
        yield f"classes outside the eight expressions, matched by name: {list_names(own)}"
    absent = [name for name in outputs if name not in labels]
    totals = dict(zip(labels, confusion.to_numpy().sum(1).tolist(), strict=True))
    if lacking := {name: totals[name] for name in labels if name not in outputs}:
        facts, count = shared_facts(confusion, outputs)["shared"], sum(lacking.values())
        names = list_names([f"{name} ({images}{_ask(name, absent)})" for name, images in lacking.items()])
        rest = f"; accuracy over the other {facts['n']} is {facts['accuracy']:.1%}" if facts["n"] else ""
        yield (
            f"the model lacks classes of the data set: {names}: their {count} images count as wrong, and have no map "
            f"of their label{rest}"
        )
    if absent and labels:
        wrong = int(confusion[absent].to_numpy().sum())
        what = f"; {wrong} images were predicted as {'it' if len(absent) == 1 else 'them'}" if wrong else ""
        yield f"the data set has no images of classes of the model: {list_names(absent)}{what}"


def shared_facts(confusion: pd.DataFrame, outputs: Sequence[str]) -> dict[str, Any]:
    """Return the entry of run.json on images of classes that the model has; none where it has all.

    Args:
        confusion: counts; rows true classes, columns predicted classes.
        outputs: classes of the model.

    Examples:
        >>> counts = pd.DataFrame([[3, 1], [2, 0]], index=["anger", "pain"], columns=["anger", "fear"])
        >>> shared_facts(counts, ["anger", "fear"])
        {'shared': {'classes': ['anger'], 'n': 4, 'accuracy': 0.75}}
    """
    shared = [str(name) for name in confusion.index if name in outputs]
    if not outputs or len(shared) == len(confusion):
        return {}
    n = int(confusion.loc[shared].to_numpy().sum())
    right = int(confusion.loc[shared, shared].to_numpy().trace())
    return {"shared": {"classes": shared, "n": n, "accuracy": right / n if n else float("nan")}}


def _ask(name: str, others: Sequence[str]) -> str:
    close = get_close_matches(name, others, n=1, cutoff=0.75)
    return f", is {close[0]} meant?" if close else ""
