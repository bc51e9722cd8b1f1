"""interpfer report."""

from pathlib import Path

import click


@click.command("report")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="The page, e.g. --out before-after.html; by default RUN/report.html, or comparison.html for several runs.",
)
@click.option("--figures", is_flag=True, help="Write RUN/figures too: PDF, SVG and PNG of each figure.")
@click.option("--names", metavar="LIST", help="What the runs are called on the page, e.g. --names before,after.")
def command(runs: tuple[Path, ...], out: Path | None, figures: bool, names: str | None) -> None:
    """Draw the page of a finished RUN again, or of several runs side by side.

    Everything comes out of the run folders: neither the model nor the data are needed. Of several runs, the first is
    what the others are held against, on the faces that all of them scored.

    \b
    interpfer report runs/mine --figures
    interpfer report runs/before runs/after --out before-after.html
    """
    called = names.split(",") if names else _names(runs)
    if len(called) != len(runs):
        raise click.UsageError(f"--names says {len(called)} names for {len(runs)} runs.")

    from interpfer.cli.terminal import stderr
    from interpfer.files import write_atomic
    from interpfer.reports.figures import run_figures
    from interpfer.reports.page import page_bytes, render_run, render_runs
    from interpfer.results.folder import FIGURES, REPORT
    from interpfer.results.pictures import load_report_data
    from interpfer.results.run import load_run

    loaded = [load_run(path) for path in runs]
    exhibits = [load_report_data(path) for path in runs]
    several = len(runs) > 1
    page = render_runs(loaded, exhibits, called) if several else render_run(loaded[0], exhibits[0])
    target = out or (Path("comparison.html") if several else runs[0] / REPORT)
    write_atomic(target, page_bytes(page))
    click.echo(target)
    if None in exhibits:
        stderr.print("a run kept no pictures (--no-report), so the page shows none", markup=False)
    if figures:
        for path, run, exhibit in zip(runs, loaded, exhibits, strict=True):
            for figure in run_figures(run, exhibit, path / FIGURES):
                click.echo(figure)


def _names(runs: tuple[Path, ...]) -> list[str]:
    """Return the last parts of the folders, or the whole paths where those repeat."""
    short = [path.resolve().name for path in runs]
    return short if len(set(short)) == len(short) else [str(path) for path in runs]
