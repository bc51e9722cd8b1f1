"""Rendering of report pages from templates."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from interpfer.files import write_atomic
from interpfer.reports.environment import template_environment
from interpfer.reports.page import action_units, provenance, tables
from interpfer.reports.page.au_scores import au_score_sheets
from interpfer.reports.page.by_group import by_group_sheets
from interpfer.reports.page.charts import distributions, score_chart
from interpfer.reports.page.clip_figures import clip_figures
from interpfer.reports.page.groups import group_context
from interpfer.reports.page.headline import summarise_run
from interpfer.reports.page.occlusion import occlusion_examples, occlusion_sheets
from interpfer.reports.page.pictures import colour_stops, gallery_groups, picture_data
from interpfer.reports.page.refiners import refiner_sheets
from interpfer.reports.page.regions import region_sheets
from interpfer.reports.page.scores import UNIFORM, Scores, interval, number
from interpfer.reports.page.shades import shade_class, shade_rules
from interpfer.reports.page.side_by_side import comparison_context
from interpfer.reports.page.strips import strip_sheets
from interpfer.reports.words import words_of
from interpfer.results.pictures import ReportData
from interpfer.results.published import PUBLISHED, describe_published
from interpfer.results.run import Run
from interpfer.results.sources import read_sources
from interpfer.statistics.proportions import wilson_interval


def render_run(run: Run, report_data: ReportData | None = None) -> str:
    """Return the page of one run as HTML.

    Args:
        run: a finished score.
        report_data: its pictures; None for a page without pictures.
    """
    scores, of_clips = Scores(run), clip_figures(run)
    manifest = run.manifest
    context = {
        "title": f"Where {manifest['arguments']['model']} looks",
        "arguments": manifest["arguments"],
        "dataset": run.dataset,
        "landmarks": run.landmarks,
        "counts": manifest["counts"],
        "classification": manifest["classification"],
        "commonest": _commonest_class(run),
        "headline": summarise_run(run, scores),
        "chart": score_chart(scores),
        "map_class": tables.map_by_class(scores, manifest.get("same", {})),
        "layer_class": tables.layer_by_class(scores),
        "confusion": tables.confusion_sheet(run),
        "max_ratio": action_units.MAX_RATIO,
        "au": action_units.au_sheets(run, scores),
        "au_scores": au_score_sheets(run, scores),
        "regions": region_sheets(run, scores),
        "refiners": refiner_sheets(run, scores),
        "by_group": by_group_sheets(run, scores),
        "occlusion": occlusion_sheets(run),
        "occlusion_examples": occlusion_examples(run),
        "strips": strip_sheets(run, report_data),
        "distributions": distributions(run, scores),
        "scores": scores,
        "words": scores.words,
        "facts": scores.facts(scores.primary),
        "uniform": scores.at(UNIFORM, scores.primary),
        "class_mean": scores.at(scores.class_mean, scores.primary),
        "accuracy_interval": _accuracy_interval(manifest["classification"]),
        "published": describe_published(manifest[PUBLISHED]) if PUBLISHED in manifest else "",
        "nan": math.nan,
        "version": manifest["versions"]["interpfer"],
        "classes": _classes(run),
        "of_clips": of_clips,
        "warnings": [text for text in manifest.get("warnings", []) if of_clips is None or text != of_clips.sentence],
        "left_out": provenance.left_out(run),
        "rules": provenance.scoring_rules(run),
        "hashes": provenance.input_hashes(run),
        "versions": sorted(manifest["versions"].items()),
        "seconds": manifest.get("timings", {}).get("seconds"),
        "command": provenance.reproduce_command(run),
        "placeholders": provenance.placeholder_note(run),
        "paper": provenance.PAPER,
        "software": provenance.cite_software(run),
        "sources": list(read_sources(manifest).items()),
        "data": picture_data([run], [report_data], [str(manifest["arguments"]["model"])]),
        "groups": gallery_groups(report_data),
        "has_photographs": bool(report_data and report_data.faces),
    }
    return _render("run.html.j2", context)


def render_runs(
    runs: Sequence[Run],
    report_data: Sequence[ReportData | None],
    names: Sequence[str],
    groups: Sequence[str] | None = None,
) -> str:
    """Return one page of several runs side by side as HTML; the others are compared with the first.

    Args:
        runs: at least two.
        report_data: pictures of each run, or None.
        names: name of each run on the page.
        groups: name of the group of each run; None for no groups.

    Raises:
        RunError: the runs cannot be compared.
    """
    context = comparison_context(runs, names) | {
        "data": picture_data(runs, report_data, names),
        "words": words_of(runs[0].truth, runs[0].noun),
        "groups": [],
        "run_groups": [] if groups is None else group_context(runs, groups),
        "classes": _classes(runs[0]),
        "has_photographs": all(bool(each and each.faces) for each in report_data),
    }
    return _render("runs.html.j2", context)


def write_page(run: Run, report_data: ReportData | None, path: str | Path) -> None:
    """Write the page of one run."""
    path = Path(path)
    write_atomic(path, page_bytes(render_run(run, report_data)))


def page_bytes(page: str) -> bytes:
    """Return the bytes of a page; characters that are not valid Unicode become backslash escapes."""
    return page.encode("utf-8", "backslashreplace")


def _commonest_class(run: Run) -> tuple[str, float]:
    """Return the most frequent class, and the accuracy of always predicting it."""
    counts = run.confusion.sum(axis=1)
    total = int(counts.sum())
    return (str(counts.idxmax()), float(counts.max()) / total) if total else ("", math.nan)


def _accuracy_interval(classification: dict[str, Any]) -> str:
    """Return the 95 % confidence interval of the accuracy, "" where there is none; Wilson's where none is recorded."""
    accuracy, n = classification["accuracy"], classification["n"]
    if accuracy is None or not n:
        return ""
    low, high = classification.get("accuracy_ci") or wilson_interval(round(accuracy * n), n)
    if low is None or low != low:
        return ""
    return f"[{number(low)}, {number(high)}]"


def _classes(run: Run) -> list[str]:
    return [str(name) for name in run.confusion.index]


@cache
def _environment() -> Environment:
    environment = template_environment("interpfer.reports.page")
    environment.globals |= {"number": number, "interval": interval, "shade_class": shade_class}
    return environment


def _render(template: str, context: dict[str, Any]) -> str:
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    assets = {name: Markup(loader.get_source(environment, f"page.{name}")[0]) for name in ("css", "js")}  # noqa: S704
    scale = ", ".join(colour_stops())
    return environment.get_template(template).render(**context, **assets, scale=scale, shades=Markup(shade_rules()))  # noqa: S704
