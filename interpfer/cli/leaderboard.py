"""interpfer leaderboard."""

from pathlib import Path

import click

from interpfer.cli.options import as_json, quiet_option
from interpfer.reports.leaderboard import FORMATS, SUFFIXES


@click.command("leaderboard")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|RUN...")
@click.option("--sort", default="cosine", show_default=True, metavar="METRIC", help="Rank by it, e.g. --sort pxap.")
@click.option("--metrics", metavar="LIST", help="Columns to show, e.g. --metrics accuracy,cosine,pxap.")
@click.option(
    "--format", "kind", metavar="NAME", help=f"{', '.join(FORMATS)}, e.g. --format latex; by default a table to read."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it, e.g. --out board.html; the name may tell."
)
@click.option("--each", is_flag=True, help="One line per checkpoint, no mean over those of one name.")
@as_json
@quiet_option
def command(
    sources: tuple[Path, ...],
    sort: str,
    metrics: str | None,
    kind: str | None,
    out: Path | None,
    each: bool,
    json_wanted: bool,
    quiet: bool,
) -> None:
    """Rank the rows of leaderboard files and run folders.

    Rows are ranked together only if data set, split, protocol, target, codebook, geometry and alignment agree, and the
    images are the same. Identical runs count once, told by their hashes. Checkpoints of one model name are seeds: mean
    and standard deviation. Baselines have no rank.

    \b
    interpfer leaderboard leaderboard.csv
    interpfer leaderboard a.csv b.csv runs/mine --sort pxap --out board.html
    interpfer leaderboard leaderboard.csv --format latex --metrics accuracy,cosine
    """
    from interpfer.cli.board_table import board_table
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.errors import RunError
    from interpfer.files import json_bytes, write_atomic
    from interpfer.reports.leaderboard.ranking import rank
    from interpfer.reports.leaderboard.rows import gather
    from interpfer.reports.leaderboard.text import records

    if json_wanted and (kind or out):
        raise click.UsageError("--json goes with neither --format nor --out.")
    if kind is None and out is not None:
        if out.suffix.lower() not in SUFFIXES:
            raise RunError(f"{out} does not tell the format: say --format {'|'.join(FORMATS)}.")
        kind = SUFFIXES[out.suffix.lower()]
    write = FORMATS.get(kind) if kind else None
    ranked = rank(gather(sources), sort, each)
    wanted = None if metrics is None else [name.strip() for name in metrics.split(",")]
    if wanted is not None:
        _require_known(wanted, {name for ranking in ranked.rankings for name in ranking.metrics})
    gone: dict[str, None] = {}
    if json_wanted:
        click.echo(json_bytes(records(ranked.rankings, wanted)), nl=False)
    elif write is not None and out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, write(ranked.rankings, wanted).encode())
    elif write is not None:
        click.echo(write(ranked.rankings, wanted), nl=False)
    else:
        console = stdout()
        for ranking in ranked.rankings:
            table, left = board_table(ranking, wanted, console.width)
            console.print(table)
            gone |= dict.fromkeys(left)
    if not quiet:
        if gone:
            print_note(f"no room for {', '.join(gone)}: --metrics chooses columns, --json and --format csv tell all")
        if ranked.repeated:
            print_note(f"left out: {ranked.repeated} rows that repeat identical runs")
        if len(ranked.rankings) > 1:
            print_note(f"{len(ranked.rankings)} rankings: data sets, protocols and settings are never mixed")
        if out is not None:
            print_note(f"written to {out}")


def _require_known(wanted: list[str], known: set[str]) -> None:
    from interpfer.errors import RunError, nearest

    for name in wanted:
        if name not in known:
            raise RunError(
                f"no row has a metric '{name}'.{nearest(name, known)} There are: {', '.join(sorted(known))}."
            )
