"""The card that ``inspect --write`` writes beside the checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.errors import ModelError, RunError
from interpfer.inspection.candidates import Candidate
from interpfer.inspection.card_search import CHECK_CARD, CardSearch, apply_suggestion
from interpfer.inspection.report import Report
from interpfer.inspection.write import write_card
from interpfer.models.input import InputSpec
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN

CLASSES = ("anger", "fear")


def make_report(folder: Path) -> Report:
    card = {"classes": list(CLASSES), "input": {"size": 64, "color": "rgb"}}
    return Report(str(folder / "net.h5"), "Keras model", "0", card=card, card_file=str(folder / "net.yaml"))


def make_search(accuracy: float, is_other: bool = True) -> CardSearch:
    card = Candidate(InputSpec(64), "card", CLASSES, accuracy, 100)
    best = (
        Candidate(InputSpec(64, mean=(0.5,), std=(0.5,)), "order", CLASSES[::-1], accuracy, 100) if is_other else card
    )
    return CardSearch((best, card), card, best, 100, "no card classifies significantly better than chance")


def test_the_suggested_card_is_written(tmp_path: Path) -> None:
    search = make_search(0.9)
    report = apply_suggestion(make_report(tmp_path), search)
    assert report.missing == (CHECK_CARD,)
    path = write_card(report, search)
    assert path == tmp_path / "net.yaml"
    fields = yaml.safe_load(path.read_text())
    assert fields["classes"] == ["fear", "anger"]
    assert fields["input"] == {"size": 64, "color": "rgb", "mean": "half"}
    assert "suggested by 100 labelled faces" in path.read_text()


def test_what_is_missing_or_uncertain_is_not_written(tmp_path: Path) -> None:
    report = make_report(tmp_path)
    with pytest.raises(ModelError, match=r"net\.yaml is not written: classes: 7 expressions\."):
        write_card(replace(report, missing=("classes: 7 expressions", CHECK_CARD)))
    with pytest.raises(ModelError, match=r"net\.yaml is not written: no card classifies .* better than chance\."):
        write_card(report, make_search(0.51))
    assert not (tmp_path / "net.yaml").exists()
    with pytest.raises(RunError, match="cannot write"):
        write_card(replace(report, card_file=str(tmp_path / "none" / "net.yaml")))


def test_a_card_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("classes: rafdb\n")
    with pytest.raises(
        ModelError, match=r"net\.yaml is there already: edit it, or move it away and pass --write again"
    ):
        write_card(make_report(tmp_path), make_search(0.9))
    assert write_card(make_report(tmp_path), make_search(0.9, is_other=False)) == path
    assert path.read_text() == "classes: rafdb\n"


def test_score_reads_the_card(tmp_path: Path) -> None:
    torch.save(SmallCNN(7, width=8).state_dict(), tmp_path / "m.pt")
    options = ["--arch", "interpfer:small", "--classes", "fer2013", "--input-size", "48"]
    (tmp_path / "m.yaml").write_text("arch_args: {width: 8}\n")
    moved = CliRunner().invoke(group, ["inspect", str(tmp_path / "m.pt"), *options, "--write"])
    assert moved.exit_code == 1
    assert "m.yaml is there already" in moved.stderr
    (tmp_path / "m.yaml").unlink()
    torch.save(SmallCNN(7).state_dict(), tmp_path / "m.pt")
    done = CliRunner().invoke(group, ["inspect", str(tmp_path / "m.pt"), *options, "--write"])
    assert done.exit_code == 0, done.output
    assert "card written to" in done.stderr
    model = load_model(tmp_path / "m.pt")
    assert (model.classes[0], model.card.input.size, model.card.arch) == ("anger", 48, "interpfer:small")
