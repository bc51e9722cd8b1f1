"""BibTeX entries for the tool, and for the maps and metrics of rankings, out of their sources."""

import re
from collections.abc import Iterable, Sequence

from interpfer import __version__
from interpfer.errors import PluginError
from interpfer.maps import MAPS
from interpfer.metrics import METRICS
from interpfer.reports.leaderboard.entries import Ranking

REFERENCE = re.compile(r"(?P<authors>[A-Z][\w-]+(?: and [A-Z][\w-]+| et al\.)?),? (?P<year>(?:19|20)\d\d)\b")
ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")
DOI = re.compile(r"doi (10\.\S+?)(?=[;,\s]|$)")

TOOL = f"@misc{{interpfer,\n  key   = {{interpfer}},\n  title = {{interpfer}},\n  note  = {{version {__version__}}}\n}}"


def to_bibtex(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    """Return BibTeX entries: the tool, then the sources of the maps and metrics that tables of these rankings show."""
    used: dict[str, list[str]] = {}
    for name, source in _sources(rankings, wanted):
        used.setdefault(source, []).append(name)
    entries = (make_entry(source, names) for source, names in used.items())
    return "\n\n".join([TOOL, *filter(None, entries)]) + "\n"


def make_entry(source: str, names: Iterable[str]) -> str:
    """Return the entry of a source, "" for one without author and year.

    Args:
        source: reference of a map or metric, such as "Selvaraju et al. 2017, arXiv 1610.02391".
        names: what it is cited for.

    Examples:
        >>> print(make_entry("Selvaraju et al. 2017, arXiv 1610.02391", ["gradcam"]))
        @misc{selvaraju2017-1610.02391,
          author        = {Selvaraju and others},
          year          = {2017},
          eprint        = {1610.02391},
          archiveprefix = {arXiv},
          note          = {Selvaraju et al. 2017, arXiv 1610.02391; for gradcam}
        }
        >>> make_entry("interpfer", ["auroc"])
        ''
    """
    match = REFERENCE.search(source)
    if match is None:
        return ""
    authors = match["authors"].replace(" et al.", " and others")
    arxiv, doi = ARXIV.search(source), DOI.search(source)
    identifier = arxiv[1] if arxiv else ""
    first = re.sub(r"\W", "", authors.split(" ")[0]).lower()
    fields = {"author": authors, "year": match["year"]}
    fields |= {"eprint": identifier, "archiveprefix": "arXiv"} if arxiv else {}
    fields |= {"doi": doi[1]} if doi else {}
    fields["note"] = f"{source}; for {', '.join(names)}"
    width = max(map(len, fields))
    lines = [f"  {name.ljust(width)} = {{{value}}}" for name, value in fields.items()]
    return f"@misc{{{first}{match['year']}{'-' if identifier else ''}{identifier},\n" + ",\n".join(lines) + "\n}"


def _sources(rankings: Sequence[Ranking], wanted: Sequence[str] | None) -> Iterable[tuple[str, str]]:
    maps = dict.fromkeys(
        name for ranking in rankings for entry in ranking.entries for name in (entry.map, *entry.aliases)
    )
    metrics = dict.fromkeys(name for ranking in rankings for name in ranking.select_metrics(wanted))
    for name in maps:
        try:
            yield name, MAPS.get(name).source
        except PluginError:
            continue
    for name in metrics:
        try:
            yield name, METRICS.get(name).facts.source
        except PluginError:
            continue
