"""interpfer explain."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.explain.options import ExplainOptions

if TYPE_CHECKING:
    from rich.table import Table

    from interpfer.explain.clip import ClipExplanation
    from interpfer.explain.explainer import Explainer
    from interpfer.explain.explanation import Explanation
    from interpfer.explain.output import OutputPaths


@verb("explain", ExplainOptions, arguments=("image",))
@as_json
@quiet_option
def command(options: ExplainOptions, json_wanted: bool, quiet: bool) -> None:
    """Show where MODEL looks in IMAGE, in FACS terms or beside a mask.

    IMAGE is a face, a photograph with a face in it, or a folder of such; with --truth masks --masks PATH, any picture.
    One picture is written per image: landmarks, probabilities, the AU heatmap of the prediction, attention and CAMs
    with their cosines beside that of a uniform map. Class-specific maps explain the prediction (--target) and are
    judged by it; of an expression without action units, such as neutral, nothing is judged. Of a folder there is a
    summary.csv and a summary.jsonl as well; a bad image is skipped, counted and named. IMAGE may also be a clip: a
    video, or with --clip a folder of frames; its picture is a strip of frames and maps over time.

    \b
    interpfer explain face.jpg --model model.pt --label happiness --out why.png
    interpfer explain photographs --model model.pt --out explained
    interpfer explain clip.mp4 --model model.pt --frames 8
    """
    from interpfer.datasets.clip_dataset import is_clip
    from interpfer.explain.clip import is_clip_path
    from interpfer.explain.explainer import Explainer
    from interpfer.explain.output import OutputPaths

    assert options.image is not None
    assert options.model is not None
    image, out = Path(options.image), None if options.out is None else Path(options.out)
    folder = image.is_dir()
    if not folder and not is_clip(image):
        OutputPaths.plan([image], out, folder, json_wanted)  # a wrong --out is said before a model is loaded
    explainer = Explainer.open(options, options.model)
    if is_clip_path(image, options, explainer.model):
        _explain_clip(explainer, image, options, json_wanted, quiet)
        return
    _explain_pictures(explainer, image, options, json_wanted, quiet)


def _explain_pictures(
    explainer: "Explainer", image: Path, options: ExplainOptions, json_wanted: bool, quiet: bool
) -> None:
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.datasets.images import read_image
    from interpfer.errors import DataError
    from interpfer.explain.explainer import pictures_in
    from interpfer.explain.facs import facts, rationale, rules_text, sentence
    from interpfer.explain.output import OutputPaths, write_explanation, write_rationales, write_summary
    from interpfer.files import json_bytes

    folder, out = image.is_dir(), None if options.out is None else Path(options.out)
    images = pictures_in(image) if folder else [image]
    target = OutputPaths.plan(images, out, folder, json_wanted)
    explanations: list[dict[str, Any]] = []
    rationales: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    with progress_bars(folder and not quiet) as update:
        for done, path in enumerate(images):
            update("explaining", done, len(images))
            try:
                explanation = explainer.explain(path.name, read_image(path), options.label)
            except DataError as error:
                if not folder:
                    raise
                skipped[path.name] = str(error)
                continue
            write_explanation(explanation, target.paths.get(path))
            explanations.append(facts(explanation))
            rationales.append(rationale(explanation))
        update("explaining", len(images), len(images))
    if folder and target.folder is not None:
        write_summary(explanations, skipped, target.folder)
    if options.rationale is not None:
        write_rationales(rationales, Path(options.rationale))
    if json_wanted:
        click.echo(json_bytes(explanations if folder else explanations[0]), nl=False)
    elif not folder:
        stdout().print(_table(explanation))
        stdout().print(sentence(explanation), markup=False)
        stdout().print(f"{rules_text(explanation).capitalize()}.", markup=False)
    else:
        click.echo(f"{len(explanations)} of {len(images)} pictures explained")
    for note in () if quiet else _notes(skipped, target):
        print_note(note)


def _explain_clip(explainer: "Explainer", clip: Path, options: ExplainOptions, json_wanted: bool, quiet: bool) -> None:
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.explain.clip import clip_facts, explain_clip
    from interpfer.explain.facs import rationale, rules_text
    from interpfer.explain.output import plan_clip, write_clip, write_rationales
    from interpfer.files import json_bytes

    target = plan_clip(clip, None if options.out is None else Path(options.out), json_wanted)
    explanation = explain_clip(explainer, clip, options.label)
    write_clip(explanation, target)
    if options.rationale is not None:
        write_rationales([rationale(frame) for frame in explanation.frames], Path(options.rationale))
    if json_wanted:
        click.echo(json_bytes(clip_facts(explanation)), nl=False)
    else:
        stdout().print(_clip_table(explanation))
        stdout().print(f"{rules_text(explanation.frames[0]).capitalize()}.", markup=False)
    if not quiet and explanation.bridged:
        print_note(f"landmarks of {len(explanation.bridged)} frames were interpolated over short gaps")
    if not quiet and target is not None:
        print_note(f"look at {target}")


def _clip_table(explanation: "ClipExplanation") -> "Table":
    """Return mean, lowest and highest cosine of each map over the frames on which it is defined."""
    import numpy as np
    from rich.table import Table
    from rich.text import Text

    from interpfer.explain.clip_sheet import cosine_of, uniform_of
    from interpfer.reports.escape import plain

    chance = f"{100 * explanation.probabilities[explanation.predicted]:.0f} %"
    title = f"{explanation.clip}: {explanation.model} predicts {explanation.predicted} ({chance})"
    table = Table(title=Text(plain(title)), title_justify="left")
    for column in ("map", "layer", f"cosine\n{explanation.explained}", "lowest", "highest", "frames"):
        table.add_column(column, justify="left" if column in ("map", "layer") else "right", overflow="fold")
    frames = explanation.frames
    lines = [
        (item.name, item.layer, [cosine_of(frame.maps[place], explanation.explained) for frame in frames])
        for place, item in enumerate(frames[0].maps)
    ]
    lines.append(("baseline:uniform", "-", [uniform_of(frame, explanation.explained) for frame in frames]))
    for name, layer, values in lines:
        known = [value for value in values if np.isfinite(value)]
        cells = [f"{pick(known):.3f}" for pick in (np.mean, min, max)] if known else ["-"] * 3
        table.add_row(name, layer, *cells, f"{len(known)}/{len(frames)}")
    return table


def _notes(skipped: Mapping[str, str], target: "OutputPaths") -> Iterator[str]:
    """Yield what was skipped, and where the pictures are."""
    for name, why in list(skipped.items())[:10]:
        yield f"skipped: {name}: {why}"
    if len(skipped) > 10:
        yield f"and {len(skipped) - 10} more: {target.folder}/summary.jsonl"
    if target.folder is not None:
        yield f"written to {target.folder}"
    elif target.paths:
        yield f"look at {next(iter(target.paths.values()))}"


def _table(explanation: "Explanation") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from interpfer.reports.escape import plain

    table = Table(
        title=Text(plain(f"{explanation.image}: {explanation.model} predicts {explanation.predicted}")),
        title_justify="left",
    )
    table.add_column("map", overflow="fold")
    table.add_column("layer", overflow="fold")
    for name in explanation.heat:
        for what in ("cosine", "skill"):
            table.add_column(f"{what}\n{name}", justify="right", no_wrap=True)
    for item in explanation.maps:
        cells = [f"{value:.3f}" for score in item.scores.values() for value in (score.cosine, score.skill)]
        table.add_row(item.name, item.layer, *(cells or ["-"] * 2 * len(explanation.heat)))
    judged = next((item for item in explanation.maps if item.scores), None)
    if judged is not None:
        table.add_section()
        uniform = [text for score in judged.scores.values() for text in (f"{score.uniform:.3f}", "0.000")]
        table.add_row("baseline:uniform", "-", *uniform)
    return table
