"""interpfer explain."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interpfer.cli.options import MODEL_OVERRIDES, as_json, model_options, quiet_option

if TYPE_CHECKING:
    from rich.table import Table

    from interpfer.explain.explanation import Explanation

EXPLAINED = "explained"


@click.command("explain")
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Checkpoint, e.g. --model model.pt.",
)
@click.option("--label", metavar="NAME", help="What the face shows, e.g. --label happiness; its AUs are drawn too.")
@click.option("--maps", metavar="LIST", help="Maps or groups, e.g. --maps attention,gradcam.")
@click.option(
    "--layers", default="last", show_default=True, metavar="LIST", help="last, all, or names, e.g. --layers layer4."
)
@click.option(
    "--landmarks",
    metavar="FILE|PROVIDER",
    help="68 points, e.g. --landmarks points.txt; by default found by `embedded`.",
)
@click.option(
    "--crop",
    type=click.Choice(["auto", "face", "aligned", "whole"]),
    default="auto",
    show_default=True,
    help="What the model is shown, e.g. --crop face; auto cuts out a face that is small in the picture.",
)
@click.option(
    "--protocol", type=click.Choice(["paper", "corrected"]), default="paper", show_default=True,
    help="As for score, e.g. --protocol corrected.",
)  # fmt: skip
@click.option("--codebook", metavar="NAME|FILE", help="AUs per expression, e.g. --codebook emfacs.")
@click.option(
    "--geometry", type=click.Choice(["reference", "scaled"]), help="How AUs are placed, e.g. --geometry scaled."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="A .png, .svg, .pdf or .json, or a folder, e.g. --out why.svg; by default beside where you are.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="e.g. --device cuda.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of maps that draw at random, e.g. --seed 1.")
@as_json
@quiet_option
@model_options
def command(image: Path, model: Path, json_wanted: bool, quiet: bool, **options: Any) -> None:
    """Show where MODEL looks in IMAGE, and say it in FACS terms.

    IMAGE is a face, a photograph with a face in it, or a folder of such. One picture is written per image: landmarks,
    probabilities, the AU heatmap of the prediction, attention and CAMs with their cosines beside that of a uniform
    map. Of a folder there is a summary.csv and a summary.jsonl as well; a bad image is skipped, counted and named.

    \b
    interpfer explain face.jpg --model model.pt --label happiness --out why.png
    interpfer explain photographs --model model.pt --out explained
    """
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.datasets.images import read_image
    from interpfer.errors import DataError
    from interpfer.explain.explainer import Explainer, pictures_in
    from interpfer.explain.facs import facts, sentence
    from interpfer.explain.output import OutputPaths, write_explanation, write_summary
    from interpfer.files import json_bytes
    from interpfer.models.loading import load_model

    out: Path | None = options.pop("out")
    label: str | None = options.pop("label")
    folder = image.is_dir()
    images = pictures_in(image) if folder else [image]
    target = OutputPaths.plan(images, out, folder, json_wanted)
    loaded = load_model(model, **{name: options.pop(name) for name in MODEL_OVERRIDES})
    explainer = Explainer.make(loaded, **{name: value for name, value in options.items() if value is not None})
    told, skipped = [], {}
    with progress_bars(folder and not quiet) as update:
        for done, path in enumerate(images):
            update("explaining", done, len(images))
            try:
                shown = explainer.explain(path.name, read_image(path), label)
            except DataError as error:
                if not folder:
                    raise
                skipped[path.name] = str(error)
                continue
            write_explanation(shown, target.paths.get(path))
            told.append(facts(shown))
        update("explaining", len(images), len(images))
    if folder and target.folder is not None:
        write_summary(told, skipped, target.folder)
    if json_wanted:
        click.echo(json_bytes(told if folder else told[0]), nl=False)
    elif not folder:
        stdout().print(_table(shown))
        stdout().print(sentence(shown), markup=False)
    else:
        click.echo(f"{len(told)} of {len(images)} pictures explained")
    if quiet:
        return
    for name, why in list(skipped.items())[:10]:
        print_note(f"skipped: {name}: {why}")
    if len(skipped) > 10:
        print_note(f"and {len(skipped) - 10} more: {target.folder}/summary.jsonl")
    if folder and target.folder is not None:
        print_note(f"written to {target.folder}")
    elif not folder and target.paths:
        print_note(f"look at {target.paths[image]}")


def _table(told: "Explanation") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from interpfer.reports.escape import plain

    table = Table(title=Text(plain(f"{told.image}: {told.model} says {told.predicted}")), title_justify="left")
    table.add_column("map", overflow="fold")
    table.add_column("layer", overflow="fold")
    for name in told.heat:
        for what in ("cosine", "skill"):
            table.add_column(f"{what}\n{name}", justify="right", no_wrap=True)
    for shown in told.maps:
        cells = [f"{value:.3f}" for score in shown.scores.values() for value in (score.cosine, score.skill)]
        table.add_row(shown.name, shown.layer, *cells)
    if told.heat and told.maps:
        table.add_section()
        uniform = [text for score in told.maps[0].scores.values() for text in (f"{score.uniform:.3f}", "0.000")]
        table.add_row("baseline:uniform", "-", *uniform)
    return table
