"""A run as the README.md of a model on the Hugging Face hub: a header with ``model-index``, and what the numbers mean.

The header follows https://github.com/huggingface/hub-docs/blob/main/modelcard.md; the tests read it with
``huggingface_hub``.
"""

import math
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from interpfer.errors import RunError
from interpfer.exporting.base import ExportRequest, ExportTarget
from interpfer.exporting.prose import compared, found, not_shown, table
from interpfer.files import write_atomic
from interpfer.reports.escape import plain
from interpfer.reports.page.provenance import (
    PAPER,
    cite_software,
    describe_model,
    input_hashes,
    placeholder_note,
    reproduce_command,
    scoring_rules,
)
from interpfer.reports.page.scores import Estimate, Scores, interval, number, summarise_metric
from interpfer.results.run import Run

README = "README.md"

DIGITS = 4

CLASSIFICATION = {"accuracy": ("accuracy", "accuracy"), "macro_f1": ("f1", "macro F1")}
"""Key of the classification in run.json -> type and name of a metric in the header."""


class ModelCardExport(ExportTarget):
    """A README.md for the Hugging Face hub."""

    summary: ClassVar[str] = "README.md of a model on the Hugging Face hub: model-index, results, what they do not show"

    def files(self, request: ExportRequest) -> tuple[str, ...]:  # noqa: ARG002
        """Return the name of the file."""
        return (README,)

    def write(self, request: ExportRequest, folder: Path) -> list[str]:
        """Write it."""
        write_atomic(folder / README, card_text(request).encode())
        notes = [] if request.options.license else ["the header names no license: pass --license ID"]
        if request.options.hub_dataset is None:
            notes.append(
                "the header names the data set as the run does: pass --hub-dataset OWNER/NAME if the hub has it"
            )
        return notes


def card_text(request: ExportRequest) -> str:
    """Return the whole README.md."""
    run, scores = request.run, request.scores
    header = yaml.safe_dump(card_header(request), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{header}---\n\n{_body(run, scores)}"


def card_header(request: ExportRequest) -> dict[str, Any]:
    """Return the values of the header.

    Raises:
        RunError: the run has no number to report.
    """
    run, options = request.run, request.options
    arguments = run.manifest["arguments"]
    metrics = [*_classification(run), *_agreement(request.scores)]
    if not metrics:
        raise RunError("the run has neither an accuracy nor a score: a model card needs a number.")
    dataset = {
        "type": options.hub_dataset or str(arguments["dataset"]),
        "name": run.dataset,
        "split": str(arguments["split"]),
    }
    header: dict[str, Any] = {} if options.license is None else {"license": options.license}
    return header | {
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "facial-expression-recognition", "explainability", "interpfer"],
        "model-index": [
            {
                "name": str(arguments["model"]),
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image Classification"},
                        "dataset": dataset,
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


def _classification(run: Run) -> list[dict[str, Any]]:
    facts = run.manifest["classification"]
    entries = []
    for key, (kind, name) in CLASSIFICATION.items():
        value = facts.get(key)
        if isinstance(value, int | float) and math.isfinite(value):
            low, high = facts.get(f"{key}_ci") or (None, None)
            entries.append(_entry(kind, name, float(value), low, high, facts.get("n")))
    return entries


def _agreement(scores: Scores) -> list[dict[str, Any]]:
    """Return the headline value of each metric for each map; those of baselines say nothing about the model."""
    entries = []
    for metric in scores.metrics:
        for key in scores.distinct:
            estimate: Estimate = scores.at(key, metric)
            if estimate.is_defined:
                name = f"{metric} of {key[0]} at {key[1]} ({scores.facts(metric).headline})"
                entries.append(_entry(metric, name, *estimate))
    return entries


def _entry(
    kind: str, name: str, value: float, low: float | None, high: float | None, n: int | None = None
) -> dict[str, Any]:
    ends = {"ci_low": low, "ci_high": high}
    args: dict[str, Any] = {
        key: round(float(end), DIGITS) for key, end in ends.items() if end is not None and math.isfinite(end)
    }
    args |= {} if n is None else {"n": int(n)}
    return {"type": kind, "value": round(value, DIGITS), "name": name} | ({"args": args} if args else {})


def _body(run: Run, scores: Scores) -> str:
    arguments, facts = run.manifest["arguments"], run.manifest["classification"]
    sections = [
        f"# {_text(str(arguments['model']))}",
        f"Network: {_text(describe_model(run))}. Classes: {_text(', '.join(map(str, run.confusion.columns)))}.",
        "## Accuracy",
        _accuracy(facts, run),
        "## Where it looks",
        _text(compared(run, scores)),
        "\n".join(f"- {_text(sentence)}" for sentence in found(run, scores)),
        "\n".join(table(scores)),
        "95 % intervals in brackets. Baselines know nothing of the network; read the numbers against them.",
        "\n".join(f"- {metric}: {_text(_what(scores, metric))}" for metric in scores.metrics),
        *_groups(run, scores),
        "## What this does not show",
        "\n".join(f"- {_text(sentence)}" for sentence in not_shown(run, scores)),
        *_warnings(run),
        "## How to repeat it",
        f"```sh\n{_command(run)}\n```",
        _text(placeholder_note(run)),
        "\n".join(f"- {_text(name)}: {_text(value)}" for name, value in scoring_rules(run)),
        "\n".join(f"- {name}: `{value}`" for name, value in input_hashes(run)),
        "## Citation",
        f"```bibtex\n{PAPER}\n\n{cite_software(run)}\n```",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _what(scores: Scores, metric: str) -> str:
    """Say what a metric is, which direction is better, and over what its values are averaged."""
    facts = scores.facts(metric)
    better = "higher is better" if facts.higher_is_better else "lower is better"
    means = {"macro": "mean of the means of the classes", "micro": f"over all {scores.words.many}"}
    return "; ".join(filter(None, (summarise_metric(metric).rstrip("."), better, means.get(facts.headline))))


def _groups(run: Run, scores: Scores) -> list[str]:
    """Return a table of the groups of images, for the maps of the headline."""
    names = list(dict.fromkeys(str(group) for group in run.scores["group"] if "=" in str(group)))
    keys, metric = scores.headline_maps, scores.primary
    if not run.attributes or not names or not keys:
        return []
    head = [f"{key[0]} at {key[1]}" for key in keys]
    lines = [f"| {metric} by group | {' | '.join(head)} | n |", f"|---|{'---|' * len(keys)}---|"]
    for name in names:
        estimates = [scores.at(key, metric, name) for key in keys]
        cells = [f"{number(each.value)} {interval(each)}".strip() for each in estimates]
        lines.append(f"| {_text(name)} | {' | '.join(cells)} | {estimates[0].n:,} |")
    return ["\n".join(lines)]


def _command(run: Run) -> str:
    """Return the command that repeats a run; of the folders of the user's machine the last name is kept."""
    return re.sub(r"(?<=\s)'?(?:/[^\s/']+)+/([^\s/']+)'?", r"\1", reproduce_command(run))


def _accuracy(facts: dict[str, Any], run: Run) -> str:
    value = facts.get("accuracy")
    if value is None or not math.isfinite(value):
        return "The images have no labels that the model knows, so there is no accuracy."
    low, high = facts.get("accuracy_ci") or (None, None)
    ends = "" if low is None or not math.isfinite(low) else f" [{low:.3f}, {high:.3f}]"
    f1 = facts.get("macro_f1")
    more = "" if f1 is None or not math.isfinite(f1) else f", macro F1 {f1:.3f}"
    how = facts.get("accuracy_interval")
    return (
        f"Accuracy {value:.3f}{ends}{more} on {facts.get('n', run.manifest['counts']['images']):,} labelled images"
        + (f" (interval: {how})." if how else ".")
    )


def _warnings(run: Run) -> list[str]:
    warnings = run.manifest.get("warnings") or []
    return ["Notes of the run:", "\n".join(f"- {_text(str(warning))}" for warning in warnings)] if warnings else []


def _text(text: str) -> str:
    """Return a text without characters that Markdown or HTML would act on."""
    shown = plain(text)
    for character in "\\`*_[]<>":
        shown = shown.replace(character, f"\\{character}")
    return shown
