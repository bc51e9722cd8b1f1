"""interpfer serve."""

from pathlib import Path

import click

from interpfer.cli.options import verb
from interpfer.serving.options import ServeOptions


@verb("serve", ServeOptions)
@click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="MODEL...")
def command(models: tuple[Path, ...], options: ServeOptions) -> None:
    """Serve a page on which a face is dropped, to see where each MODEL looks in it: what `interpfer explain` shows.

    Several models stand side by side. Maps, layer, label and crop are chosen on the page; options here are what it
    begins with. It is reachable from this computer alone, asks nothing of the network, and deletes what was uploaded
    when it ends. It needs gradio: pip install 'interpfer[app]'.

    \b
    interpfer serve model.pt
    interpfer serve before.pt after.pt --maps gradcam,attention --port 8000
    """
    from interpfer.serving.serve import serve

    serve(models, options, report=lambda line: click.echo(line))
