"""Tables of the stability of rankings for the terminal."""

from collections.abc import Iterator

import pandas as pd
from rich.table import Table
from rich.text import Text

from interpfer.results.stability import Stability, describe_order
from interpfer.statistics.bootstrap import RESAMPLES


def order_table(orders: pd.DataFrame) -> Table:
    """Return one line per order: its items, best first, with the share of resamples in which each is first."""
    has_rules = orders["rules"].nunique() > 1
    table = Table(title="order under resampling of the images", title_justify="left", show_lines=True)
    for title in ("order of", *(["rules"] if has_rules else []), "metric", "best first (share of first places)"):
        table.add_column(title, overflow="fold")
    for title in ("tau", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for (order, of, rules, metric), rows in orders.groupby(["order", "of", "rules", "metric"], sort=False):
        what = describe_order(str(order), str(of))
        names = [what, *([str(rules)] if has_rules else []), str(metric), _items(rows)]
        tau = rows["tau"].iloc[0]
        table.add_row(*map(Text, names), "" if tau != tau else f"{tau:.2f}", str(rows["n"].iloc[0]))
    return table


def agreement_table(agreements: pd.DataFrame) -> Table:
    """Return one line per list of items: how far the orders by other metrics, and by other rules, agree."""
    table = Table(title="agreement between orders", title_justify="left")
    for title in ("order of", "between"):
        table.add_column(title, overflow="fold")
    for title in ("pairs", "mean tau", "least tau", "same first"):
        table.add_column(title, justify="right", no_wrap=True)
    by_rules = agreements["rules_a"] != agreements["rules_b"]
    for (order, of), group in agreements.groupby(["order", "of"], sort=False):
        for between, rows in (("metrics", group[~by_rules[group.index]]), ("rules", group[by_rules[group.index]])):
            if not rows.empty:
                values = (f"{rows['tau'].mean():.2f}", f"{rows['tau'].min():.2f}", f"{rows['same_first'].mean():.0%}")
                table.add_row(Text(describe_order(str(order), str(of))), between, str(len(rows)), *values)
    return table


def stability_notes(stability: Stability) -> Iterator[str]:
    """Yield what the numbers are."""
    people = int(stability.orders["n_subjects"].max())
    drawn = f"people ({people} known or single)" if people else "images, taken as independent"
    tau = "tau: Kendall's tau between the order of all images and that of a resample"
    yield f"{tau}, mean of {RESAMPLES:,} resamples of {drawn}"
    yield "every pair of orders: --json, or --out FILE.csv"


def _items(rows: pd.DataFrame) -> str:
    return ", ".join(f"{line['item']} {line['value']:.3f} ({line['first']:.0%})" for line in rows.to_dict("records"))
