"""interpfer robustness."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.robustness.options import RobustnessOptions

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


@verb("robustness", RobustnessOptions, arguments=("model",))
@click.argument("others", type=click.Path(path_type=Path), nargs=-1, metavar="[MODEL]...")
@as_json
@quiet_option
def command(others: tuple[Path, ...], options: RobustnessOptions, json_wanted: bool, quiet: bool) -> None:
    """Show how conclusions on MODELs depend on choices: protocol, codebook, geometry, landmarks.

    Each image is passed once through each model; its maps are compared with the truth of every combination. The table
    has a line per conclusion (order of maps, order of models, verdict against each baseline): how often it holds.
    --out gets all values, the conclusions with the choices under which they flip, and a page.

    \b
    interpfer robustness model.pt --dataset csv --data-root faces --out robustness
    interpfer robustness a.pt b.pt --dataset csv --data-root faces --codebooks belharbi2024,emfacs
    interpfer robustness a.pt b.pt --dataset csv --data-root faces --landmarks faces/landmarks.txt,embedded
    """
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.files import json_bytes
    from interpfer.robustness.write import score_robustness

    assert options.model is not None
    assert options.dataset is not None
    with progress_bars(not quiet) as update:
        results = score_robustness([options.model, *others], options.dataset, options=options, progress=update)
    if json_wanted:
        click.echo(json_bytes(results.conclusions.to_dict("records")), nl=False)
        return
    stdout().print(conclusion_table(results.conclusions))
    count = len(results.study.choices)
    notes = [f"{count} combinations of choices; intervals: {results.manifest['intervals']}"]
    notes.append("every value: --out DIR" if options.out is None else f"page: {Path(options.out) / 'robustness.html'}")
    for note in () if quiet else notes:
        print_note(note)


def conclusion_table(conclusions: "pd.DataFrame") -> "Table":
    """Return one line per conclusion: how often it holds, and where it flips."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="how conclusions depend on choices", title_justify="left")
    for title in ("conclusion", "of", "metric", "holds", "flips under"):
        table.add_column(title, overflow="fold")
    for row in conclusions.to_dict("records"):
        of = str(row["of"]) if row["layer"] == "last" else f"{row['of']} @ {row['layer']}"
        holds = f"{round(row['holds'] * row['choices'])} of {row['choices']}"
        cells = (str(row["conclusion"]), of, str(row["metric"]), holds, str(row["flips"]))
        table.add_row(*map(Text, cells))
    return table
