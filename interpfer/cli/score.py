"""interpfer score."""

from pathlib import Path
from typing import Any

import click

from interpfer.cli.options import MODEL_OVERRIDES, Command, as_json, data_options, model_options, quiet_option


def _batch_size(_: click.Context, param: click.Parameter, value: str) -> int | str:
    if value == "auto":
        return value
    if not value.isdigit() or int(value) < 1:
        raise click.BadParameter(f"'{value}' is neither a number of images nor auto.", param=param)
    return int(value)


@click.command("score", cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@click.option("--maps", metavar="LIST", help="Maps or groups, e.g. --maps gradcam,attention,baselines or --maps all.")
@click.option(
    "--layers",
    default="last",
    show_default=True,
    metavar="LIST",
    help="last, all, or names, e.g. --layers layer3,layer4.",
)
@click.option(
    "--target",
    type=click.Choice(["label", "predicted"]),
    default="label",
    show_default=True,
    help="The class that class-specific maps explain, e.g. --target predicted.",
)
@click.option(
    "--protocol",
    type=click.Choice(["paper", "corrected"]),
    default="paper",
    show_default=True,
    help="paper compares with published numbers, corrected mends their slips, e.g. --protocol corrected.",
)
@click.option("--codebook", metavar="NAME|FILE", help="AUs per expression, e.g. --codebook emfacs, --codebook my.yaml.")
@click.option(
    "--geometry", type=click.Choice(["reference", "scaled"]), help="How AUs are placed, e.g. --geometry scaled."
)
@click.option(
    "--metrics", metavar="LIST", help="Metrics or groups (agreement, faithfulness, all), e.g. --metrics cosine,pxap."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder, e.g. --out runs/mine.")
@click.option(
    "--leaderboard", type=click.Path(path_type=Path), metavar="FILE", help="Append rows, e.g. --leaderboard board.csv."
)
@click.option(
    "--batch-size",
    callback=_batch_size,
    default="32",
    show_default=True,
    metavar="N|auto",
    help="e.g. --batch-size 64 or auto.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="e.g. --device cuda.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random, e.g. --seed 1.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Score a random sample, e.g. --limit 100.")
@click.option("--align", is_flag=True, help="Turn, scale and move each face by its landmarks first.")
@click.option(
    "--autocast",
    type=click.Choice(["off", "bf16", "fp16"]),
    default="off",
    show_default=True,
    help="Compute in half precision where possible: faster, but maps of early layers move, e.g. --autocast bf16.",
)
@click.option("--sanity", is_flag=True, help="Also check a sample: do maps depend on the weights, are they faithful?")
@click.option("--resume", is_flag=True, help="Continue the interrupted run in --out.")
@click.option("--overwrite", is_flag=True, help="Replace the run in --out.")
@click.option("--no-report", "report", is_flag=True, default=True, flag_value=False, help="Write no report.html.")
@click.option(
    "--no-faces",
    "faces",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Copy no photograph into --out: the report draws landmarks instead.",
)
@click.option("--figures", is_flag=True, help="Write figures for a paper into --out too (PDF, SVG, PNG).")
@as_json
@quiet_option
@model_options
def command(model: Path, json_wanted: bool, quiet: bool, **options: Any) -> None:
    """Score where MODEL looks: its maps against the AU heatmap of each face.

    MODEL is a checkpoint with a model card beside it (same name, .yaml). The table shows, per map and layer, the
    cosine with the heatmap (CAM-COS, ATT-COS), the skill over a uniform map, and PxAP, with 95 % intervals, above the
    baselines that a score has to beat.

    \b
    interpfer score model.pt --dataset csv --data-root faces --landmarks faces/landmarks.txt --out runs/mine
    """
    if options["resume"] and options["overwrite"]:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    if options["resume"] and options["out"] is None:
        raise click.UsageError("--resume needs --out.")

    from interpfer.cli.run_tables import notes, run_facts, score_tables
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.files import json_bytes
    from interpfer.models.loading import load_model
    from interpfer.runtime.processes import processes, shut_down
    from interpfer.scoring.score import score

    loaded = load_model(model, **{name: options.pop(name) for name in MODEL_OVERRIDES})
    given = {name: value for name, value in options.items() if value is not None}
    group = processes(given["device"])
    try:
        with progress_bars(group.main and not quiet) as update:
            run = score(loaded, progress=update, **given)
    finally:
        shut_down()
    if not group.main:
        return
    if json_wanted:
        click.echo(json_bytes(run_facts(run)), nl=False)
    else:
        console = stdout()
        for table in score_tables(run, console.width):
            console.print(table)
    for note in () if quiet else notes(run):
        print_note(note)
