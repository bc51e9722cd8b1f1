"""The answer of one model as HTML: prediction, sentence, and the face with each map, readable at any width."""

import base64
import io
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from interpfer.explain.captions import map_caption, shown_classes
from interpfer.explain.explanation import Explanation
from interpfer.explain.facs import rules_text, sentence
from interpfer.explain.overlay import blend_map, face_pixels, grey_face
from interpfer.reports.escape import plain
from interpfer.serving.answers import Answer

DOT, RADIUS = (86, 180, 233), 1
"""Colour of landmarks, and their half width in pixels of the canvas."""

STYLE = """
.ife { font-size: 0.95rem; line-height: 1.45; overflow-wrap: anywhere; color: var(--body-text-color, inherit); }
.ife h2 { font-size: 1.15rem; margin: 0 0 .4rem; }
.ife table { border-collapse: collapse; width: 100%; max-width: 30rem; margin: .3rem 0 .8rem; table-layout: fixed; }
.ife table, .ife tr, .ife td { border: 0 !important; background: none !important; }
.ife td { padding: .1rem .4rem .1rem 0 !important; vertical-align: middle; line-height: 1.35; }
.ife td.name { width: 42%; }
.ife td.value { width: 3.6rem; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.ife .bar { height: .55rem; border-radius: .28rem; background: rgba(128, 128, 128, .28); }
.ife .bar i { display: block; height: 100%; border-radius: .28rem; background: #7f8b99; }
.ife tr.top { font-weight: 700; } .ife tr.top .bar i { background: #2f75b5; }
.ife .tiles { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); margin: .8rem 0 }
.ife figure { margin: 0; } .ife img { width: 100%; height: auto; border-radius: 4px; display: block; }
.ife figcaption b { display: block; } .ife figcaption { font-size: .84rem; line-height: 1.35; margin-top: .25rem; }
.ife .note { font-size: .84rem; } .ife p { margin: .4rem 0; }
@media (max-width: 640px) {
  #picture-side { display: contents; }
  #picture { order: 1; } #answers { order: 2; } #controls { order: 3; }
}
.ife .problem { border-left: 4px solid #c96212; padding: .5rem .8rem; background: rgba(201, 98, 18, .12); }
"""


def answer_html(answer: Answer) -> str:
    """Return the card of one model."""
    head = f"<h2>{_text(answer.model)}</h2>"
    if answer.explanation is None:
        body = f'<p class="problem" role="alert">{_text(answer.problem)}</p>'
    else:
        body = _explained(answer.explanation)
    return f'<section class="ife" aria-label="{_text(answer.model)}">{head}{body}</section>'


def _explained(explanation: Explanation) -> str:
    figures = "".join(_figure(explanation, *each) for each in _tiles(explanation))
    refused = "".join(f"<p class='note'>{_text(key)}: {_text(why)}</p>" for key, why in explanation.refused.items())
    where = "where the mask is" if explanation.has_masks else "where the codebook says"
    rules = f"{rules_text(explanation).capitalize()}. A high score means that a map lies {where}, no more."
    return (
        f"{_chances(explanation)}<div class='tiles'>{figures}</div>{refused}<p>{_text(sentence(explanation))}</p>"
        f"<p class='note'>{_text(rules)} Dark: the minimum of a map, bright: its maximum.</p>"
    )


def _chances(explanation: Explanation) -> str:
    rows = []
    for name in shown_classes(explanation):
        share = 100 * explanation.probabilities[name]
        mark = " (label)" if name == explanation.label else ""
        top = ' class="top"' if name == explanation.predicted else ""
        rows.append(
            f'<tr{top}><td class="name">{_text(name)}{mark}</td><td><div class="bar"><i style="width:{share:.1f}%"></i>'
            f'</div></td><td class="value">{share:.0f} %</td></tr>'
        )
    return f'<table aria-label="probabilities">{"".join(rows)}</table>'


def _tiles(explanation: Explanation) -> Iterator[tuple[Any, str, str]]:
    """Yield pixels, title and caption of each picture."""
    found = "with 68 landmarks" if explanation.has_face else "" if explanation.has_masks else "no face found"
    yield _dotted(explanation), "model input", found
    what, grey = "mask" if explanation.has_masks else "AUs", grey_face(explanation.face)
    for name, plane in explanation.heat.items():
        pairs = (("prediction", explanation.predicted), ("label", explanation.label))
        roles = [role for role, who in pairs if who == name]
        yield blend_map(grey, plane.numpy()), f"{what} of {name}", f"the {' and the '.join(roles)}"
    for item in explanation.maps:
        if bool(item.values.isfinite().all()):
            yield blend_map(grey, item.values.numpy()), item.name, map_caption(explanation, item)
        else:
            yield grey, item.name, f"at {item.layer}\nundefined: constant, zero or not finite"


def _dotted(explanation: Explanation) -> Any:
    pixels = face_pixels(explanation.face).copy()
    if explanation.has_face:
        side = pixels.shape[0]
        places = explanation.points.round().long().clamp(RADIUS, side - 1 - RADIUS)
        for x, y in places.tolist():
            pixels[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1] = np.array(DOT) / 255
    return pixels


def _figure(explanation: Explanation, pixels: Any, title: str, caption: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)).save(buffer, "PNG")
    content = base64.b64encode(buffer.getvalue()).decode()
    lines = "<br>".join(_text(line) for line in caption.split("\n"))
    return (
        f'<figure><img src="data:image/png;base64,{content}" width="224" height="224" '
        f'alt="{_text(title)} by {_text(explanation.model)}">'
        f"<figcaption><b>{_text(title)}</b>{lines}</figcaption></figure>"
    )


def _text(text: str) -> str:
    return escape(plain(text).replace(" %", "\N{NO-BREAK SPACE}%"))
