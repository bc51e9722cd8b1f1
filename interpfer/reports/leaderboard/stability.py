"""Stability of the rankings of a leaderboard, out of the run folders among its sources."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from interpfer.errors import RunError
from interpfer.reports.leaderboard.entries import Leaderboard, OrderStability, Ranking
from interpfer.reports.leaderboard.rows import leaderboard_rows
from interpfer.results.run import Run
from interpfer.results.stability import MAPS, MODELS, describe_order, rank_stability


def add_stability(board: Leaderboard, runs: Sequence[Run], seed: int = 0) -> Leaderboard:
    """Return a leaderboard whose rankings say how stable their orders of models and maps are.

    A row holds means alone; what resampling does to an order needs the scores per image, so only runs count.

    Args:
        board: the rankings.
        runs: the runs among its sources.
        seed: random seed of the resamples.
    """
    rows = [{str(name): str(value) for name, value in leaderboard_rows(run).iloc[0].items()} for run in runs]
    rankings = tuple(
        replace(ranking, stability=_orders(ranking, _distinct(ranking, runs, rows), seed)) for ranking in board.rankings
    )
    return replace(board, rankings=rankings)


def _distinct(ranking: Ranking, runs: Sequence[Run], rows: Sequence[dict[str, str]]) -> list[Run]:
    """Return the runs of a ranking, of identical ones the last."""
    chosen = {
        (row["model"], run.manifest["checkpoint_sha256"]): run
        for run, row in zip(runs, rows, strict=True)
        if all(row.get(name, "") == value for name, value in ranking.rules.items())
    }
    return list(chosen.values())


def _orders(ranking: Ranking, runs: Sequence[Run], seed: int) -> tuple[OrderStability, ...]:
    if not runs:
        return ()
    try:
        orders = rank_stability(runs, seed).orders
    except RunError:  # a single model with a single map
        return ()
    wanted = (orders["metric"] == ranking.sort) | ((orders["of"] == "-") & (orders["order"] == MODELS))
    groups = orders[wanted].groupby(["order", "of", "metric"], sort=False)
    return tuple(_describe(rows, str(order), str(of)) for (order, of, _), rows in groups)


def _describe(rows: pd.DataFrame, order: str, of: str) -> OrderStability:
    first = rows.iloc[0]
    what = describe_order(order, of) + (" by accuracy" if order != MAPS and of == "-" else "")
    items = tuple(zip(rows["item"].astype(str), rows["first"].astype(float), strict=True))
    return OrderStability(what, items, float(first["tau"]), int(first["n"]), int(first["n_subjects"]))
