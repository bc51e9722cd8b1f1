"""Fills the templates."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from scipy.stats import binomtest

from interpfer.files import write_atomic
from interpfer.reports.page import action_units, provenance, tables
from interpfer.reports.page.charts import score_chart, spread
from interpfer.reports.page.headline import BLANK, LABEL, headline
from interpfer.reports.page.pictures import colour_stops, groups_of, pictures
from interpfer.reports.page.scores import Scores, interval, number
from interpfer.reports.page.shades import shade_class, shade_rules
from interpfer.reports.page.side_by_side import comparison_context
from interpfer.results.pictures import ReportData
from interpfer.results.run import Run


def render_run(run: Run, exhibit: ReportData | None = None) -> str:
    """Return the page of one run.

    Args:
        run: a finished score.
        exhibit: what it kept to be shown; without it the page has no pictures.
    """
    scores = Scores(run)
    facts = run.manifest
    same = facts.get("same", {})
    context = {
        "title": f"Where {facts['arguments']['model']} looks",
        "facts": facts["arguments"],
        "counts": facts["counts"],
        "classification": facts["classification"],
        "commonest": _commonest(run),
        "headline": headline(run, scores),
        "chart": score_chart(scores),
        "map_class": tables.map_by_class(scores, same),
        "layer_class": tables.layer_by_class(scores),
        "confusion": tables.confusion_sheet(run),
        "farthest": action_units.FARTHEST,
        "au": action_units.au_sheets(run, scores),
        "spread": spread(run, scores),
        "metrics": scores.metrics,
        "scores": scores,
        "uniform": scores.at(BLANK, scores.primary),
        "label": scores.at(LABEL, scores.primary),
        "accuracy_interval": _wilson(facts["classification"]),
        "nan": math.nan,
        "version": facts["versions"]["interpfer"],
        "classes": _present(run),
        "warnings": facts.get("warnings", []),
        "left_out": provenance.left_out(run),
        "setting": provenance.setting(run),
        "hashes": provenance.hashes(run),
        "versions": sorted(facts["versions"].items()),
        "seconds": facts.get("timings", {}).get("seconds"),
        "command": provenance.command(run),
        "paper": provenance.PAPER,
        "software": provenance.software(run),
        "sources": provenance.sources(run),
        "data": pictures([run], [exhibit], [str(facts["arguments"]["model"])]),
        "groups": groups_of([exhibit]),
        "pictured": bool(exhibit and exhibit.faces),
    }
    return _page("run.html.j2", context)


def render_runs(runs: Sequence[Run], exhibits: Sequence[ReportData | None], names: Sequence[str]) -> str:
    """Return one page of several runs side by side; the first is what the others are held against.

    Args:
        runs: at least two.
        exhibits: of each, or None.
        names: of each, as they are called on the page.

    Raises:
        RunError: the runs cannot be compared.
    """
    context = comparison_context(runs, names) | {
        "data": pictures(runs, exhibits, names),
        "groups": [],
        "classes": _present(runs[0]),
        "pictured": all(bool(one and one.faces) for one in exhibits),
    }
    return _page("runs.html.j2", context)


def write_page(run: Run, exhibit: ReportData | None, path: Path) -> None:
    """Write the page of one run."""
    write_atomic(path, page_bytes(render_run(run, exhibit)))


def page_bytes(page: str) -> bytes:
    """Return a page as it is written; a file name that is no Unicode is shown with backslashes."""
    return page.encode("utf-8", "backslashreplace")


def _commonest(run: Run) -> tuple[str, float]:
    """Return the class that most images are of, and the accuracy of always naming it."""
    counts = run.confusion.sum(axis=1)
    total = int(counts.sum())
    return (str(counts.idxmax()), float(counts.max()) / total) if total else ("", math.nan)


def _wilson(facts: dict[str, Any]) -> str:
    """Return the 95 % interval of an accuracy after Wilson; nothing where there is none."""
    if facts["accuracy"] is None or not facts["n"]:
        return ""
    found = binomtest(round(facts["accuracy"] * facts["n"]), facts["n"]).proportion_ci(method="wilson")
    return f"[{number(found.low)}, {number(found.high)}]"


def _present(run: Run) -> list[str]:
    return [str(name) for name in run.confusion.index]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("interpfer.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"number": number, "interval": interval, "shade_class": shade_class}
    return environment


def _page(template: str, context: dict[str, Any]) -> str:
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    own = {name: Markup(loader.get_source(environment, f"page.{name}")[0]) for name in ("css", "js")}  # noqa: S704
    scale = ", ".join(colour_stops())
    return environment.get_template(template).render(**context, **own, scale=scale, shades=Markup(shade_rules()))  # noqa: S704
