"""A model and a data set of other classes are compared on those that they share, and it is said which they are not."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.errors import DataError
from interpfer.labels import CLASS_ORDERS, class_indices, sort_classes
from interpfer.models.model import Model
from interpfer.results.run import Run
from interpfer.scoring.class_match import class_notes, require_shared, shared_facts

COUNT = 20
FORTY = ("happiness", "pain", *(f"kind {letter}{digit}" for letter in "abcd" for digit in range(9)), "fear", "anger")


class Colours(nn.Module):
    """Classifies by mean colours, so that predictions differ from face to face."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.norm(self.conv(x).relu().mean((2, 3))))
        return scores


class Drawn(DemoDataset):
    """Faces that are drawn once."""

    @cache  # noqa: B019
    def image(self, index: int) -> Image.Image:
        return super().image(index)


@pytest.fixture(scope="module")
def faces() -> DemoDataset:
    return Drawn("test", count=COUNT, size=48)


def make_model(faces: DemoDataset, classes: Sequence[str]) -> Model:
    """Return a model whose predictions are spread over its classes."""
    torch.manual_seed(3)
    network = Colours(len(classes))
    model = interpfer.load_model(network, classes=list(classes), input_size=48)
    network.train()
    with torch.no_grad():
        pictures = read(faces)
        for _ in range(30):
            network(pictures)
    network.eval()
    return model


@cache
def read(faces: DemoDataset) -> Tensor:
    pictures = [torch.from_numpy(np.array(faces.image(row))) for row in range(len(faces))]
    return torch.stack(pictures).permute(0, 3, 1, 2) / 255


def relabel(faces: DemoDataset, labels: Sequence[str]) -> Subset:
    named = Subset(faces, range(len(faces)), "test")
    named.samples = tuple(replace(sample, label=label) for sample, label in zip(faces.samples, labels, strict=True))
    named.classes = sort_classes(labels)
    return named


def run_score(model: Model, dataset: DemoDataset | Subset, **options: object) -> Run:
    return interpfer.score(model, dataset, maps="gradcam,attention", metrics="cosine", device="cpu", **options)  # type: ignore[arg-type]


def warnings_of(run: Run, start: str) -> list[str]:
    return [text for text in run.manifest["warnings"] if text.startswith(start)]


@pytest.mark.parametrize("classes", [CLASS_ORDERS["mafw"], FORTY, CLASS_ORDERS["alphabetical6"]])
def test_accuracy_is_that_of_a_plain_restatement(faces: DemoDataset, classes: tuple[str, ...]) -> None:
    model = make_model(faces, classes)
    run = run_score(model, faces)
    with torch.no_grad():
        guesses = [classes[i] for i in model.module(read(faces)).argmax(1).tolist()]
    labels = [sample.label for sample in faces.samples]
    right = [a == b for a, b in zip(labels, guesses, strict=True)]
    facts = run.manifest["classification"]
    assert (facts["n"], facts["accuracy"]) == (COUNT, pytest.approx(sum(right) / COUNT))
    table = run.per_image.drop_duplicates("image")
    assert table["predicted"].tolist() == guesses
    assert len(set(guesses)) > 2
    for true in faces.classes:
        for guess in run.confusion:
            expected = sum(a == true and b == guess for a, b in zip(labels, guesses, strict=True))
            assert run.confusion.loc[true, guess] == expected
    known = [label in classes for label in labels]
    if all(known):
        assert "shared" not in facts
    else:
        shared = sum(r for r, k in zip(right, known, strict=True) if k)
        assert facts["shared"]["n"] == sum(known) < COUNT
        assert facts["shared"]["accuracy"] == pytest.approx(shared / sum(known))
        assert facts["shared"]["classes"] == [name for name in faces.classes if name in classes]
    undefined = run.per_image[(run.per_image["map"] == "gradcam") & ~run.per_image["label"].isin(classes)]
    assert undefined["cosine"].isna().all()


def test_what_is_not_shared_is_named(faces: DemoDataset) -> None:
    labels = ["pain" if sample.label == "fear" else sample.label for sample in faces.samples]
    run = run_score(make_model(faces, CLASS_ORDERS["mafw"]), relabel(faces, labels))
    assert warnings_of(run, "classes outside") == [
        "classes outside the eight expressions, matched by name: anxiety, disappointment, helplessness, pain"
    ]
    count = labels.count("pain")
    assert warnings_of(run, "the model lacks")[0].startswith(
        f"the model lacks classes of the data set: pain ({count}): their {count} images count as wrong"
    )
    assert warnings_of(run, "the data set has no images")[0].startswith(
        "the data set has no images of classes of the model: fear, contempt, anxiety, helplessness, disappointment"
    )
    assert run.manifest["counts"]["without_truth"] == {"pain": count}
    assert run.manifest["counts"]["scored"] == COUNT - count - labels.count("neutral")


def test_a_data_set_of_forty_classes(faces: DemoDataset) -> None:
    labels = [FORTY[7 * row % 40] if row % 2 else "anger" for row in range(COUNT)]
    run = run_score(make_model(faces, CLASS_ORDERS["rafdb"]), relabel(faces, labels))
    assert run.confusion.index.tolist() == list(sort_classes(labels))
    assert run.manifest["counts"]["scored"] == sum(label in CLASS_ORDERS["rafdb"] for label in labels)
    assert all(len(text) < 420 for text in run.manifest["warnings"])
    only_anger = run.scores[(run.scores["map"] == "attention") & (run.scores["group"] == "anger")]
    assert only_anger["n"].tolist() == [labels.count("anger")]


def test_none_shared_is_one_clear_error(faces: DemoDataset) -> None:
    model = make_model(faces, FORTY[2:-2])
    with pytest.raises(DataError) as error:
        run_score(model, faces)
    assert str(error.value) == (
        "the model and the data set demo share no class: the model has kind a0, kind a1, kind a2, kind a3, kind a4, "
        "kind a5, kind a6, kind a7, kind a8, kind b0, kind b1 and 25 more; the data set has anger, disgust, fear, "
        "happiness, sadness, surprise, neutral. Classes are matched by name: rename those of one of them (--classes)."
    )
    require_shared((), ("anger",), "x")
    require_shared(("anger",), (), "x")


def test_names_of_classes_do_not_change_maps_of_coded_action_units(faces: DemoDataset) -> None:
    renamed = {name: f"kind {name[::-1]}" for name in faces.classes}
    labels = [renamed[sample.label] for sample in faces.samples]
    runs = [
        run_score(make_model(faces, faces.classes), faces, truth="aus"),
        run_score(make_model(faces, [renamed[name] for name in faces.classes]), relabel(faces, labels), truth="aus"),
    ]
    one, other = (run.per_image.drop(columns=["label", "predicted"]) for run in runs)
    pd.testing.assert_frame_equal(one, other)
    tables = [run.scores.assign(group=run.scores["group"].replace(renamed)) for run in runs]
    columns = ["map", "layer", "metric", "group"]
    one, other = (table.set_index(columns).sort_index() for table in tables)
    pd.testing.assert_series_equal(one["value"], other["value"])
    pd.testing.assert_series_equal(one["n"], other["n"])
    assert runs[0].manifest["classification"]["accuracy"] == runs[1].manifest["classification"]["accuracy"]


def test_slips_between_model_and_data_set_are_asked_about() -> None:
    counts = pd.DataFrame([[2, 0], [1, 3]], index=["anger", "helpless"], columns=["anger", "helplessness"])
    notes = list(class_notes(counts, ["anger", "helplessness"]))
    assert notes[1] == (
        "the model lacks classes of the data set: helpless (4, is helplessness meant?): their 4 images count as wrong, "
        "and have no map of their label; accuracy over the other 2 is 100.0%"
    )
    assert notes[2] == (
        "the data set has no images of classes of the model: helplessness; 3 images were predicted as it"
    )
    assert list(class_notes(counts, ())) == []
    unlabelled = pd.DataFrame(np.zeros((0, 2), int), columns=["anger", "fear"])
    assert list(class_notes(unlabelled, ["anger", "fear"])) == []
    assert shared_facts(counts, ["anger", "helpless"]) == {}
    assert class_indices(["helpless"], ["helplessness"]) == [-1]


def test_a_codebook_file_may_name_other_classes(faces: DemoDataset, tmp_path: Path) -> None:
    for name in ("Pain", "anger"):
        (tmp_path / f"{name}.yaml").write_text(f"name: mine\nclasses: {{{name}: [4, 6, 7], joy: [12]}}")
    labels = ["pain" if sample.label == "anger" else sample.label for sample in faces.samples]
    classes = ["pain" if name == "anger" else name for name in CLASS_ORDERS["rafdb"]]
    run = run_score(make_model(faces, classes), relabel(faces, labels), codebook=str(tmp_path / "Pain.yaml"))
    usual = run_score(make_model(faces, CLASS_ORDERS["rafdb"]), faces, codebook=str(tmp_path / "anger.yaml"))
    scored = labels.count("pain") + labels.count("happiness")
    assert run.manifest["counts"]["scored"] == usual.manifest["counts"]["scored"] == scored
    pd.testing.assert_series_equal(run.per_image["cosine"], usual.per_image["cosine"])
    assert "pain" in set(run.scores["group"])
    assert "pain" in run.manifest["classification"]["recall"]
