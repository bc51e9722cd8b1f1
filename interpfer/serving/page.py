"""The page: a face on the left, what the models say of it on the right; below each other on a narrow screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from interpfer.choices import CROPS, TARGETS
from interpfer.labels import sort_classes
from interpfer.maps import MAPS
from interpfer.maps.base import BaselineMap
from interpfer.serving.answers import Answer, Answers, Choices
from interpfer.serving.cards import STYLE, answer_html

NO_LABEL = "not known"

TITLE = "Where the classifier looks"

LEAD = (
    "Drop a face. The maps show where in it each classifier finds evidence; they are compared with the action units "
    "of the expression. Choices take effect at once. Everything stays on the computer that runs this page."
)

WAITING = "<p class='ife'>No picture yet.</p>"


def build_page(gradio: Any, answers: Answers) -> Any:
    """Return the page as ``gradio.Blocks``.

    Args:
        gradio: the module.
        answers: the open models.
    """
    with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
        gradio.HTML(f"<style>{STYLE}</style><h1>{TITLE}</h1><p>{LEAD}</p>")
        with gradio.Row():
            with gradio.Column(scale=1, min_width=280, elem_id="picture-side"):
                picture = _picture(gradio)
                with gradio.Column(elem_id="controls"):
                    controls = _controls(gradio, answers)
            with gradio.Column(scale=3, min_width=280, elem_id="answers"), gradio.Row():
                results = [_result(gradio) for _ in answers.models]
        last, cards, buttons = gradio.State(((), [])), [card for card, _ in results], [button for _, button in results]
        explain, write_sheets = _explain(gradio, answers), _write_sheets(gradio, answers)
        events = [picture.upload, picture.clear, *(each.input for each in controls)]
        for event in events:
            shown = event(
                explain,
                [last, picture, *controls],
                [last, *cards, *buttons],
                show_progress="minimal",
                trigger_mode="always_last",
                api_visibility="private",
            )
            shown.then(write_sheets, [last], buttons, show_progress="hidden", api_visibility="private")
    return page


def _picture(gradio: Any) -> Any:
    """Return the field for the picture; it is read as `explain` reads it, so a bad one gets the same message."""
    picture = gradio.Image(
        label="Face, or a photograph with a face in it",
        type="filepath",
        sources=["upload", "clipboard"],
        height=280,
        elem_id="picture",
        buttons=[],
    )
    picture.preprocess = _path_and_name
    return picture


def _path_and_name(payload: Any) -> tuple[str, str] | None:
    """Return path and name of an uploaded file, which is not opened yet."""
    return None if payload is None else (str(payload.path), str(payload.orig_name or "picture"))


def _controls(gradio: Any, answers: Answers) -> list[Any]:
    options = answers.options
    own = [name for name in MAPS if not isinstance(MAPS.get(name), BaselineMap)]
    wanted = options.maps.split(",") if isinstance(options.maps, str) else list(options.maps)
    layers = options.layers if isinstance(options.layers, str) else ",".join(options.layers)
    return [
        gradio.Dropdown(
            [NO_LABEL, *sort_classes(answers.classes)], value=NO_LABEL, label="Expression of the face", elem_id="label"
        ),
        gradio.Dropdown(
            list(dict.fromkeys((*wanted, *own))),
            value=wanted,
            multiselect=True,
            allow_custom_value=True,
            label="Maps",
            info="A name with refiners can be typed: gradcam.flip",
            elem_id="maps",
        ),
        gradio.Dropdown(
            list(dict.fromkeys((layers, *answers.layers))),
            value=layers,
            allow_custom_value=True,
            label="Layer",
            elem_id="layer",
        ),
        gradio.Radio(list(TARGETS), value=options.target, label="Class that the maps explain", elem_id="target"),
        gradio.Dropdown(list(CROPS), value=options.crop, label="Part of the picture", elem_id="crop"),
    ]


def _result(gradio: Any) -> tuple[Any, Any]:
    with gradio.Column(min_width=280):
        return gradio.HTML(WAITING), gradio.DownloadButton("Download as one picture", visible=False, size="sm")


def _explain(gradio: Any, answers: Answers) -> Callable[..., list[Any]]:
    """Return the function behind all events: from the picture and the controls to the cards of the models.

    A field that is left as it was fires an event, too: then the page stays as it is.
    """

    def explain(
        last: tuple[Any, list[Answer]],
        picture: tuple[str, str] | None,
        label: str,
        maps: list[str],
        layers: str,
        target: str,
        crop: str,
    ) -> list[Any]:
        asked = (picture, label, tuple(maps), layers, target, crop)
        if asked == last[0]:
            return [gradio.skip()] * (1 + 2 * len(answers.models))
        hidden = [gradio.update(visible=False)] * len(answers.models)
        if picture is None:
            return [(asked, []), *[WAITING] * len(answers.models), *hidden]
        known = "" if label == NO_LABEL else label
        choices = Choices(known, tuple(maps), layers, target, crop)
        found = answers.explain(Path(picture[0]), picture[1], choices)
        return [(asked, found), *map(answer_html, found), *hidden]

    return explain


def _write_sheets(gradio: Any, answers: Answers) -> Callable[[tuple[Any, list[Answer]]], Any]:
    """Return the function that makes the pictures to download, after the cards are shown."""

    def write_sheets(last: tuple[Any, list[Answer]]) -> Any:
        paths = answers.write_sheets(last[1]) or [None] * len(answers.models)
        updates = [gradio.update(value=None if path is None else str(path), visible=path is not None) for path in paths]
        return updates[0] if len(updates) == 1 else updates

    return write_sheets
