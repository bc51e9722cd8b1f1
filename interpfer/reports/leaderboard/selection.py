"""Which rows of a leaderboard are ranked, and which entries of a ranking are shown."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from interpfer.errors import RunError, nearest
from interpfer.reports.leaderboard.entries import Entry, Leaderboard, Ranking

BASELINE_LAYER = "-"


def select_rows(
    table: pd.DataFrame,
    maps: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the rows of some maps, layers and models; baselines are chosen by ``maps`` alone.

    Args:
        table: rows, see ``interpfer.reports.leaderboard.rows.read_rows``.
        maps: names, "baselines" for all baselines; None for all maps.
        layers: names; None for all layers.
        models: names; None for all models.

    Raises:
        RunError: no row has a name.
    """
    is_baseline = table["layer"] == BASELINE_LAYER
    if maps is not None:
        _require("map", maps, [*table["map"], "baselines"])
        table = table[table["map"].isin(maps) | (is_baseline & ("baselines" in maps))]
    for column, wanted in (("layer", layers), ("model", models)):
        if wanted is not None:
            _require(column, wanted, [name for name in table[column] if name != BASELINE_LAYER])
            table = table[table[column].isin(wanted) | (is_baseline.loc[table.index] & (column == "layer"))]
    return table


def keep_best_layers(board: Leaderboard) -> Leaderboard:
    """Return a leaderboard that holds each map of a model at its best layer alone, and says so."""
    return replace(board, rankings=tuple(map(_keep_best_layers, board.rankings)))


def with_decimals(board: Leaderboard, decimals: int) -> Leaderboard:
    """Return a leaderboard whose scores are printed with so many decimal places."""
    rankings = []
    for ranking in board.rankings:
        entries = tuple(
            replace(entry, scores={name: replace(score, decimals=decimals) for name, score in entry.scores.items()})
            for entry in ranking.entries
        )
        rankings.append(replace(ranking, entries=entries))
    return replace(board, rankings=tuple(rankings))


def _keep_best_layers(ranking: Ranking) -> Ranking:
    kept: list[Entry] = []
    seen: set[tuple[str, str]] = set()
    for entry in ranking.entries:  # the best first
        key = entry.model, entry.map
        if entry.is_baseline or key not in seen:
            kept.append(entry)
            seen.add(key)
    if len(kept) == len(ranking.entries):
        return ranking
    note = f"the best layer of each map was chosen by {ranking.sort} on these images, which favours maps of many layers"
    return replace(ranking, entries=tuple(_rank_again(kept, ranking.sort)), notes=(*ranking.notes, note))


def _rank_again(entries: Sequence[Entry], sort: str) -> list[Entry]:
    """Return entries, best first, with their places among themselves."""
    ranks: list[Entry] = []
    means = [entry.scores[sort].mean for entry in entries if entry.rank is not None]
    for entry in entries:
        mean = entry.scores[sort].mean
        has_rank = entry.rank is not None and not math.isnan(mean)
        ranks.append(replace(entry, rank=means.index(mean) + 1 if has_rank else None))
    return ranks


def _require(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    names = list(dict.fromkeys(known))
    for name in wanted:
        if name not in names:
            raise RunError(f"no row has the {what} '{name}'.{nearest(name, names)} Known: {', '.join(names)}.")
