"""Notes on the groups of images of a run, for the terminal."""

from collections.abc import Iterator

from interpfer.reports.page.by_group import describe_left_out
from interpfer.results.comparison import SIGNIFICANCE
from interpfer.results.run import GROUPS, Run


def group_notes(run: Run) -> Iterator[str]:
    """Yield a note per attribute on the accuracy of its groups and on significant gaps; none without ``--by``."""
    facts = run.manifest.get(GROUPS, {})
    for column in facts.get("columns", ()):
        groups = [row for row in facts["groups"] if row["column"] == column]
        shown = ", ".join(
            f"{row['group']} {_share(row['accuracy'])} (n {row['n']})"
            for row in sorted(groups, key=lambda row: row["accuracy"] or 0)
        )
        yield f"by {column}, as annotated: accuracy {shown}"
        gaps = [row for row in facts["gaps"] if row["column"] == column]
        found = [row for row in gaps if row["p_holm"] is not None and row["p_holm"] < SIGNIFICANCE]
        for row in found:
            name = "" if row["layer"] == "-" else f" of {row['map']} at {row['layer']}"
            yield (
                f"by {column}: {row['metric']}{name} differs, from {row['low']:.3f} ({row['lowest']}) to "
                f"{row['high']:.3f} ({row['highest']}) with classes weighted alike, p {row['p_holm']:.2g} (Holm)"
            )
        if not found and len(groups) > 1:
            yield f"by {column}: no gap is significant ({len(gaps)} tested over {gaps[0]['units']})"
        if note := describe_left_out(facts, column):
            yield note


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
