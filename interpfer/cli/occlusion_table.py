"""The table of occlusions for the terminal."""

from rich.table import Table
from rich.text import Text

from interpfer.results.occluded import OccludedTables, occlusion_lines


def occlusion_table(occluded: OccludedTables) -> Table:
    """Return one line per occlusion: accuracy, and leak and shift of the first map of the classifier."""
    columns, lines, note = occlusion_lines(occluded)
    table = Table(title="under occlusion, beside the same faces as they are", title_justify="left", caption=note)
    table.caption_justify = "left"
    for place, title in enumerate(columns):
        table.add_column(title, justify="right" if place else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    return table
