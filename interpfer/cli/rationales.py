"""interpfer rationales."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.rationales.options import RationaleOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from rich.table import Table


@verb("rationales", RationaleOptions, arguments=("file",))
@as_json
@quiet_option
def command(options: RationaleOptions, json_wanted: bool, quiet: bool) -> None:
    """Score what a language model says of faces: answers, action units, boxes.

    FILE holds a JSON object per line: the image, and what the model wrote, as text or in fields (answer, aus, boxes,
    label). The truth is the coded action units of a face, else the codebook's of its label.

    \b
    interpfer rationales answers.jsonl
    interpfer rationales answers.jsonl --dataset csv --data-root faces --out rationales
    interpfer rationales answers.jsonl --dataset csv --data-root faces --run runs/mine
    """
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.files import json_bytes
    from interpfer.rationales.page import verdicts
    from interpfer.rationales.write import score_rationales

    assert options.file is not None
    with progress_bars(not quiet) as update:
        results = score_rationales(options.file, options=options, progress=update)
    if json_wanted:
        click.echo(json_bytes(results.headline()), nl=False)
        return
    stdout().print(value_table(results.scores, "what is said of the faces"))
    if results.maps is not None:
        stdout().print(_map_table(results.maps))
    if quiet:
        return
    for sentence in verdicts(results.scores):
        print_note(sentence)
    counts = results.manifest["counts"]
    print_note(f"{counts['scored']} of {counts['rows']} rows scored; intervals: {results.manifest['intervals']}.")
    if counts["bad"]:
        print_note(f"{counts['bad']} rows could not be used, the first: {results.manifest['bad'][0]}.")
    for note in results.manifest["notes"]:
        print_note(note)
    print_note(f"page: {Path(options.out) / 'rationales.html'}" if options.out else "every row: --out DIR")


def value_table(scores: "pd.DataFrame", title: str) -> "Table":
    """Return a line per metric, with the texts and the baselines as columns."""
    from rich.table import Table
    from rich.text import Text

    kinds = list(scores["of"].unique())
    table = Table("metric", *map(str, kinds), title=title, title_justify="left")
    for metric, rows in scores.groupby("metric", sort=False):
        cells = {row["of"]: _cell(row) for row in rows.to_dict("records")}
        if any(cell != "-" for cell in cells.values()):
            table.add_row(str(metric), *(Text(cells[kind]) for kind in kinds))
    return table


def _map_table(maps: "pd.DataFrame") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("map", "of", "metric", "value", title="against the maps", title_justify="left")
    for row in maps.to_dict("records"):
        table.add_row(*map(Text, (f"{row['map']} @ {row['layer']}", row["of"], row["metric"], _cell(row))))
    return table


def _cell(row: "Mapping[Any, Any]") -> str:
    if row["value"] != row["value"]:
        return "-"
    if row["ci_low"] != row["ci_low"]:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
