"""interpfer bundle."""

from pathlib import Path

import click

from interpfer.bundle.options import BundleOptions
from interpfer.cli.options import quiet_option, verb


@verb("bundle", BundleOptions)
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN...")
@quiet_option
def command(runs: tuple[Path, ...], options: BundleOptions, quiet: bool) -> None:
    """Pack finished RUNs into one zip to send: index.html with all of them, and everything behind it.

    It holds the tables, report and figures of each run, paired comparisons of the runs that were scored by the same
    rules, the ranking as a page, CSV and LaTeX, BibTeX, model cards, hashes of all files and inputs, and the commands
    that repeat it. Photographs of faces are left out unless --faces is passed. It needs neither models nor data.

    \b
    interpfer bundle runs/paper runs/corrected --out study.zip
    interpfer bundle runs/* --out study.zip --no-figures
    """
    from interpfer.bundle.write import write_bundle
    from interpfer.cli.terminal import print_note, progress_bars

    with progress_bars(not quiet) as update:
        bundle = write_bundle(runs, options=options, progress=update)
    click.echo(bundle.path)
    for note in () if quiet else bundle.notes:
        print_note(note)
