"""Texts of the panels of an explanation: no wider than a panel."""

from bisect import bisect_left

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from interpfer.explain.explanation import ExplainedMap, Explanation
from interpfer.reports.escape import plain

PANEL = 1.85
"""Inches from panel to panel."""

TITLE, CAPTION = FontProperties(size=8, weight="bold"), FontProperties(size=6.8)
"""Fonts of a panel's title and of the lines below it."""

GAP = 0.08
"""Inches left free between the texts of neighbouring panels."""

MAX_CLASSES = 11
"""Most classes whose probabilities are drawn."""


def map_caption(explanation: Explanation, item: ExplainedMap) -> str:
    """Return the caption of a map: its layer, the expression that it explains, and its cosines."""
    explained = explanation.explained or explanation.predicted
    whom = f" for {explained}" if item.class_specific else ""
    head = f"at {item.layer}{whom}"
    if len(item.scores) == 1:
        name, score = next(iter(item.scores.items()))
        skill = f"{round(score.skill, 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")
        return f"{head}\ncosine with {name} {score.cosine:.2f}\nuniform {score.uniform:.2f}, skill {skill}"
    pairs = [f"{name} {score.cosine:.2f} (uniform {score.uniform:.2f})" for name, score in item.scores.items()]
    if pairs:
        return "\n".join([f"{head}, cosine with", *pairs])
    return f"{head}, not judged" if explanation.heat else head


def _inches(text: str, font: FontProperties) -> float:
    """Return the width of a line of text."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrap_caption(text: str) -> list[str]:
    """Break a caption into lines as wide as a panel, at blanks where there are any."""
    lines = []
    for line in text.split("\n"):
        current = ""
        for word in plain(line).split(" "):
            joined = f"{current} {word}" if current else word
            if current and _inches(joined, CAPTION) > PANEL - GAP:
                lines.append(current)
                joined = word
            while len(joined) > 1 and _inches(joined, CAPTION) > PANEL - GAP:
                fits = _fitting(joined)
                lines.append(joined[:fits])
                joined = joined[fits:]
            current = joined
        lines.append(current)
    return lines


def _fitting(word: str) -> int:
    """Return how many letters of a word that is too wide for a line fit on it; at least one."""
    return 1 + bisect_left(range(2, len(word)), True, key=lambda letters: not _fits(word[:letters], CAPTION))


def _fits(text: str, font: FontProperties) -> bool:
    return _inches(text, font) <= PANEL - GAP


def fit_title(text: str) -> str:
    """Shorten the title of a panel in its middle, so that it is not wider than the panel."""
    text = plain(text)
    length = len(text)
    while not _fits(shorten(text, length), TITLE) and length > 3:
        length -= 1
    return shorten(text, length)


def shorten(name: str, length: int = 26) -> str:
    """Leave out the middle of a name that is longer than so many letters."""
    return name if len(name) <= length else f"{name[: length // 2 - 1]}…{name[-length // 2 + 1 :]}"


def shown_classes(explanation: Explanation) -> list[str]:
    """Return the classes whose probabilities are drawn: of many, the most probable and the label, in output order."""
    names = list(explanation.probabilities)
    ranked = sorted(names, key=lambda name: (name != explanation.label, -explanation.probabilities[name]))
    return [name for name in names if name in ranked[:MAX_CLASSES]]
