"""interpfer export."""

import click

from interpfer.cli.options import quiet_option, verb
from interpfer.exporting.options import ExportOptions


@verb("export", ExportOptions, arguments=("run", "out"))
@quiet_option
def command(options: ExportOptions, quiet: bool) -> None:
    """Hand the finished RUN on to another program or page, as files in the folder DIR.

    model-card is the README.md of a model on the Hugging Face hub, with a header that the hub reads and what the
    numbers do not show; hf-eval a number for a benchmark there. fiftyone and coco hold maps: these are computed again
    from the model and the data that the run names, and nothing is written if anything changed since.

    \b
    interpfer export runs/mine model --to model-card --license mit
    interpfer export runs/mine model --to hf-eval --hub-dataset owner/faces --hub-task default
    interpfer export runs/mine heatmaps --to fiftyone --maps gradcam,attention
    interpfer export runs/mine masks --to coco --maps gradcam@layer4 --threshold 0.7
    """
    from interpfer.cli.terminal import print_note, progress_bars
    from interpfer.exporting.export import export

    assert options.run is not None
    with progress_bars(not quiet) as update:
        exported = export(options.run, options=options, progress=update)
    for name in exported.files:
        click.echo(exported.path / name)
    for note in () if quiet else exported.notes:
        print_note(note)
