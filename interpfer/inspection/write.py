"""Writes the card that an inspection found beside the checkpoint."""

import shlex
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.files import write_atomic
from interpfer.inspection.card_search import CHECK_CARD, CardSearch
from interpfer.inspection.report import Report
from interpfer.models.hub import locate


def write_card(report: Report, search: CardSearch | None = None) -> Path:
    """Write the card of a report beside its checkpoint; a card that is there and fits stays as it is.

    Args:
        report: of an inspection, with the suggested card.
        search: the comparison of cards on labelled faces; None if there was none.

    Returns:
        The file.

    Raises:
        ModelError: something that a score needs is missing, no card classifies better than chance, or another card is
            there already.
        RunError: the file cannot be written.
    """
    if report.path.startswith("hf://"):
        source = locate(report.path)
        copied = Path(source.name).with_suffix(source.path.suffix) if source.path.is_file() else Path(source.name)
        raise ModelError(
            f"no card is written into the cache of the hub: run cp -rL {shlex.quote(str(source.path))} {copied}, then "
            f"interpfer inspect {copied} with the same options and --write; interpfer score {copied} reads it."
        )
    path = Path(report.card_file)
    missing = [line for line in report.missing if line != CHECK_CARD]
    if missing:
        raise ModelError(f"{path} is not written: {missing[0]}.")
    if search is not None and not search.beats_chance:
        raise ModelError(f"{path} is not written: {search.verdict}.")
    if path.exists():
        if search is not None and search.best == search.card:
            return path
        raise ModelError(f"{path} is there already: edit it, or move it away and pass --write again.")
    write_atomic(path, report.card_yaml().encode())
    return path
