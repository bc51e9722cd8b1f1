"""Tables of trainings with several seeds for the terminal."""

import pandas as pd
from rich.table import Table
from rich.text import Text

from interpfer.results.metric_facts import facts_of


def seeds_line(seed: int, table: pd.DataFrame) -> str:
    """Format the gains of one seed as a line: accuracy, then the first metric of each map."""
    parts = [
        f"{line['metric'] if line['map'] == '-' else line['map']} {line['difference']:+.3f}"
        for line in table.drop_duplicates("map").to_dict("records")
    ]
    return f"seed {seed}, after - before: {'  '.join(parts)}"


def seeds_table(table: pd.DataFrame) -> Table:
    """Return the result of ``interpfer.finetuning.seeds.train_seeds`` as a table."""
    title = f"before and after, mean +- standard deviation over {table['n_seeds'].max()} seeds"
    layout = Table(title=title, title_justify="left")
    for name in ("map", "layer", "metric", "before", "after", "after - before", "95 %", "p", "p (Holm)"):
        is_name = name in ("map", "layer", "metric")
        layout.add_column(name, justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold")
    for line in table.to_dict("records"):
        places = facts_of(str(line["metric"])).decimals
        means = [f"{line[name]:.{places}f}{_std(line[f'{name}_std'], places)}" for name in ("before", "after")]
        change = f"{line['difference']:+.{places}f}{_std(line['difference_std'], places)}"
        interval = f"[{line['ci_low']:+.{places}f}, {line['ci_high']:+.{places}f}]"
        tests = [f"{line[name]:.2g}" for name in ("p", "p_holm")]
        known = [interval, *tests] if line["p"] == line["p"] else ["-"] * 3
        cells = [str(line[name]) for name in ("map", "layer", "metric")] + [*means, change, *known]
        layout.add_row(*map(Text, cells))
    return layout


def _std(value: float, places: int) -> str:
    return f" +- {value:.{places}f}" if value == value else ""
