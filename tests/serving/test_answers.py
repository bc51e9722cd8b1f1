import socket
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.errors import InterpferError, PluginError
from interpfer.explain.explainer import explain_image
from interpfer.explain.facs import sentence
from interpfer.serving.answers import Answer, Answers, Choices
from interpfer.serving.cards import answer_html
from interpfer.serving.options import ServeOptions
from interpfer.serving.serve import open_page, require_free_port

CHOICES = Choices("", ("attention", "gradcam"), "last", "predicted", "whole")


@pytest.fixture(scope="module")
def face(faces: Path) -> Path:
    return sorted((faces / "images").iterdir())[0]


@pytest.fixture(scope="module")
def answers(faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    options = ServeOptions.of({"device": "cpu", "landmarks": str(faces / "landmarks.txt")})
    return Answers([checkpoint, checkpoint], options, tmp_path_factory.mktemp("sheets"))


def test_an_answer_is_what_explain_says(answers: Answers, face: Path, faces: Path, checkpoint: Path) -> None:
    first, second = answers.explain(face, face.name, CHOICES)
    assert (first.model, second.model) == ("model (1)", "model (2)")
    assert first.explanation is not None
    own = explain_image(
        face, checkpoint, landmarks=faces / "landmarks.txt", device="cpu", maps=CHOICES.maps, crop="whole"
    )
    assert first.explanation.probabilities == own.probabilities
    assert [item.name for item in first.explanation.maps] == ["attention", "gradcam"]
    assert [item.scores for item in first.explanation.maps] == [item.scores for item in own.maps]
    assert sentence(replace(first.explanation, model="model")) == sentence(own)
    paths = answers.write_sheets([first, Answer("other", problem="none")])
    assert paths[0] is not None
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1] is None


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_card_shows_probabilities_pictures_and_the_sentence(answers: Answers, face: Path) -> None:
    answer = answers.explain(face, face.name, replace(CHOICES, label="happiness"))[0]
    page = Tags(answer_html(answer))
    pictures = [attributes for tag, attributes in page.found if tag == "img"]
    assert answer.explanation is not None
    assert len(pictures) == 1 + len(answer.explanation.heat) + 2
    assert all(str(each["src"]).startswith("data:image/png;base64,") and each["alt"] for each in pictures)
    assert "happiness (label)" in page.text
    assert sentence(answer.explanation).replace(" %", "\N{NO-BREAK SPACE}%") in page.text
    for item in answer.explanation.maps:
        assert all(f"{name} {score.cosine:.2f}" in page.text for name, score in item.scores.items())
    bars = [str(attributes["style"]) for tag, attributes in page.found if tag == "i"]
    assert sum(float(each.removeprefix("width:").removesuffix("%")) for each in bars) == pytest.approx(100, abs=0.4)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (replace(CHOICES, target="label"), "The maps are to explain the label: choose the expression of the face."),
        (replace(CHOICES, maps=("gradcan",)), "unknown map or group of maps 'gradcan'. Did you mean gradcam"),
        (replace(CHOICES, layers="head.9"), "head.9"),
        (replace(CHOICES, maps=()), "Choose at least one map."),
    ],
)
def test_a_choice_that_fits_nothing_is_one_line(answers: Answers, face: Path, choices: Choices, message: str) -> None:
    for answer in answers.explain(face, face.name, choices):
        assert answer.explanation is None
        assert message in answer.problem
        assert "\n" not in answer.problem
        assert message.replace("'", "&#x27;") in answer_html(answer)


def test_a_bad_picture_is_a_message_without_the_path_of_the_upload(answers: Answers, tmp_path: Path) -> None:
    path = tmp_path / "upload.png"
    path.write_bytes(b"<script>alert(1)</script>")
    (answer, _) = answers.explain(path, "<b>mine.png", CHOICES)
    assert answer.problem.startswith("<b>mine.png: not a readable image")
    assert str(tmp_path) not in answer.problem
    assert "<b>mine" not in answer_html(answer)


def test_a_taken_port_and_a_missing_package_are_one_line(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InterpferError, match=rf"^port {port} of 127.0.0.1 is taken: pass another one, --port N.$"):
            require_free_port("127.0.0.1", port)
    with pytest.raises(InterpferError, match=r"host no.such.host is no address of this computer"):
        require_free_port("no.such.host", 7860)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(PluginError) as error, open_page([checkpoint], ServeOptions()):
        pass
    assert str(error.value) == "serve needs the package gradio, which is not installed: pip install 'interpfer[app]'"
    done = CliRunner().invoke(group, ["serve", str(checkpoint)])
    assert (done.exit_code, done.stderr) == (1, f"error: {error.value}\n")


def test_one_name_does_not_fit_two_models(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="--name names one model, got 2"):
        Answers([checkpoint, checkpoint], ServeOptions(name="x"), tmp_path)
