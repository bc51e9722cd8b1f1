"""Networks with outputs for action units: a map of each, against its own plane; F1; what cannot be scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, ModelError
from interpfer.maps.canvas import to_canvas
from interpfer.maps.compute import compute_maps
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.reports.leaderboard.rows import leaderboard_rows
from interpfer.results.run import Run, load_run
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.types import CANVAS, Landmarks
from tests.conftest import EXPRESSIONS

AUS = (1, 2, 4, 6, 12, 25)
FACES = 12
OPTIONS: dict[str, Any] = {
    "target": "au",
    "truth": "aus",
    "maps": "gradcam,hirescam,attention,saliency,baseline:class-mean-au",
    "metrics": "cosine,pxap,deletion",
    "device": "cpu",
    "batch_size": 5,
}


class ThreeHeads(nn.Module):
    """Expression, action units and valence with arousal, as a mapping, a tuple or one flat vector."""

    def __init__(self, form: str = "mapping", sigmoid: bool = False) -> None:
        super().__init__()
        self.features = SmallCNN(16)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(16, size) for name, size in (("expression", 7), ("au", len(AUS)), ("va", 2))}
        )
        self.form, self.sigmoid = form, sigmoid

    def forward(self, x: Tensor) -> Any:
        shared = self.features(x)
        out = {name: head(shared) for name, head in self.heads.items()}
        if self.sigmoid:
            out["au"] = out["au"].sigmoid()
        if self.form == "flat":
            return torch.cat(list(out.values()), 1)
        return out if self.form == "mapping" else tuple(out.values())


PLACES: dict[str, dict[str, Any]] = {
    "mapping": {"output": "expression", "aus_output": "au"},
    "tuple": {"output": 0, "aus_output": 1},
    "flat": {"output": ":7", "aus_output": "7:13"},
}


def open_model(form: str = "mapping", sigmoid: bool = False) -> Model:
    torch.manual_seed(0)
    network = ThreeHeads(form, sigmoid)
    return interpfer.load_model(
        network, classes=EXPRESSIONS, input_size=48, aus=list(AUS), layers=["features.stages.3"], **PLACES[form]
    )


@pytest.fixture(scope="module")
def dataset() -> DemoDataset:
    return DemoDataset("test", count=FACES, size=48)


@pytest.fixture(scope="module")
def folder(dataset: DemoDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("au") / "run"
    interpfer.score(open_model(), dataset, out=out, **OPTIONS)
    return out


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return load_run(folder)


def pairs_of(dataset: DemoDataset) -> list[tuple[int, str, Tensor]]:
    """Face, name and plane of each action unit that the model has an output for."""
    points = dataset.landmarks().locate([sample.id for sample in dataset.samples], None).points * (CANVAS / 48)
    planes = ActionUnitTruth().planes(dataset.samples, Landmarks.of(points))
    return [
        (int(planes.face[plane]), name, planes.maps[plane])
        for plane, name in zip(planes.plane.tolist(), planes.names, strict=True)
        if int(name[2:]) in AUS
    ]


def test_each_map_of_an_action_unit_meets_its_own_plane(run: Run, dataset: DemoDataset) -> None:
    head = open_model().for_aus()
    images = torch.stack(
        [torch.from_numpy(np.array(dataset.image(row))).permute(2, 0, 1) / 255 for row in range(FACES)]
    )
    values: dict[str, list[float]] = {}
    for face, name, plane in pairs_of(dataset):
        raw = compute_maps(head, images[face : face + 1], ["gradcam"], "last", name)
        large, _ = to_canvas(raw["gradcam", "features.stages.3"], False, "paper")
        values.setdefault(name, []).append(float(cosine(large, plane[None])))
    expected = {name: np.nanmean(of_au) for name, of_au in values.items() if np.isfinite(of_au).any()}
    for name, value in expected.items():
        assert run.score("gradcam", group=name) == pytest.approx(value, abs=1e-4)
    assert run.score("gradcam", group="macro") == pytest.approx(np.mean(list(expected.values())), abs=1e-4)
    pooled = np.concatenate(list(values.values()))
    assert run.score("gradcam", group="micro") == pytest.approx(np.nanmean(pooled), abs=1e-4)
    table = run.scores.set_index(["map", "metric", "group"])["n"]
    assert table["attention", "cosine", "micro"] == len(pooled)
    assert run.score("hirescam", "pxap", "AU12") == run.score("gradcam", "pxap", "AU12")
    assert run.score("hirescam", "deletion") == run.score("gradcam", "deletion")


def test_a_line_of_per_image_is_the_mean_over_the_action_units_of_a_face(run: Run, dataset: DemoDataset) -> None:
    own = run.per_image[run.per_image["map"] == "attention"]
    assert own["image"].tolist() == [sample.id for sample in dataset.samples]
    faces = [face for face, _, _ in pairs_of(dataset)]
    micro = np.average(own["cosine"].fillna(0), weights=np.bincount(faces, minlength=FACES))
    assert run.score("attention", group="micro") == pytest.approx(micro, abs=1e-6)
    assert set(own["predicted"]) <= set(EXPRESSIONS)


def test_f1_is_that_of_scikit_learn(run: Run, dataset: DemoDataset) -> None:
    model = open_model()
    images = torch.stack(
        [torch.from_numpy(np.array(dataset.image(row))).permute(2, 0, 1) / 255 for row in range(FACES)]
    )
    reported = model.for_aus().predict_logits(images).numpy() > 0
    facts = run.manifest["classification"]["aus"]
    present = np.array([[bool(sample.aus and sample.aus.is_present(au)) for au in AUS] for sample in dataset.samples])
    expected = [f1_score(present[:, i], reported[:, i]) for i in range(len(AUS)) if present[:, i].any()]
    assert [value for value in facts["f1"].values() if value is not None] == pytest.approx(expected)
    assert facts["mean_f1"] == pytest.approx(np.mean(expected))
    assert (facts["output"], facts["threshold"]) == ("logits", "0")
    assert list(facts["coded"].values()) == [FACES] * len(AUS)
    assert leaderboard_rows(run)["au_f1"].iloc[0] == pytest.approx(np.mean(expected))
    assert "mean AU F1" in repr(run)


def test_missing_outputs_are_named_and_recall_is_of_the_maps_own_region(run: Run, dataset: DemoDataset) -> None:
    coded = {unit.au for sample in dataset.samples if sample.aus for unit in sample.aus.active}
    note = next(line for line in run.manifest["warnings"] if line.startswith("the model has no output for"))
    assert all(f"AU {au} (" in note for au in coded - set(AUS))
    assert run.au_recall is not None
    assert set(run.au_recall["au"]) == {"all", *(name for _, name, _ in pairs_of(dataset))}


def test_the_page_shows_a_table_by_action_unit(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Scores by action unit" in page
    assert "Lip Corner Puller" in page
    assert "Mean AU F1" in page
    assert "F1 of the output" in page


@pytest.mark.parametrize("form", ["tuple", "flat"])
def test_every_form_of_the_output_gives_the_same_scores(form: str, run: Run, dataset: DemoDataset) -> None:
    options = OPTIONS | {"maps": "gradcam", "metrics": "cosine"}
    other = interpfer.score(open_model(form), dataset, **options)
    assert other.score("gradcam") == pytest.approx(run.score("gradcam"), abs=1e-6)
    assert other.manifest["classification"]["accuracy"] == run.manifest["classification"]["accuracy"]


def test_of_a_sigmoid_the_logits_before_it_count(run: Run, dataset: DemoDataset) -> None:
    other = interpfer.score(open_model(sigmoid=True), dataset, **OPTIONS | {"maps": "gradcam", "metrics": "cosine"})
    assert other.score("gradcam") == pytest.approx(run.score("gradcam"), abs=1e-6)
    facts = other.manifest["classification"]["aus"]
    assert (facts["output"], facts["threshold"]) == ("probabilities", "0.5")
    assert facts["mean_f1"] == pytest.approx(run.manifest["classification"]["aus"]["mean_f1"])
    assert any("take the logits before their sigmoid" in line for line in other.manifest["warnings"])


def test_a_network_with_action_units_alone(dataset: DemoDataset, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(8), input_size=48, aus="disfa8")
    options = {"device": "cpu", "maps": "gradcam", "metrics": "cosine"}
    run = interpfer.score(model, dataset, target="au", out=tmp_path / "a", **options)  # by the codebook of the labels
    assert run.manifest["classification"]["n"] == 0
    assert (run.per_image["predicted"].fillna("") == "").all()
    assert "accuracy nan" in load_run(tmp_path / "a").title
    assert run.manifest["classification"]["aus"]["mean_f1"] != run.manifest["classification"]["aus"]["mean_f1"]
    with pytest.raises(ModelError, match="has outputs for action units and no classes: pass --target au"):
        interpfer.score(model, dataset, **options)
    with pytest.raises(ModelError, match="has AU outputs and no classes: score it, with --target au"):
        interpfer.finetune(model, dataset, out=tmp_path / "b", device="cpu")


def test_what_the_target_needs(dataset: DemoDataset) -> None:
    plain = interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)
    options = {"device": "cpu", "maps": "gradcam", "metrics": "cosine"}
    with pytest.raises(ModelError, match="has no AU output: write aus .* and aus_output into its card, or leave out"):
        interpfer.score(plain, dataset, target="au", **options)
    with pytest.raises(InterpferError, match="--sanity checks maps of classes: leave it out with --target au"):
        interpfer.score(open_model(), dataset, target="au", sanity=True, **options)
    with pytest.raises(InterpferError, match=r"target must be one of label, predicted, au, or a class of .*'contempt'"):
        interpfer.score(plain, dataset, target="contempt", **options)
    wrong = interpfer.load_model(ThreeHeads(), classes=EXPRESSIONS, input_size=48, aus="1,2", output="expression",
                                 aus_output="au")  # fmt: skip
    with pytest.raises(ModelError, match=r"must return . x 2 logits, got .*, 6\); its action units are AU1, AU2"):
        interpfer.score(wrong, dataset, target="au", **options)


def test_maps_of_one_class_for_all_faces(dataset: DemoDataset) -> None:
    model = open_model()
    run = interpfer.score(model, dataset, target="Fearful", device="cpu", maps="gradcam", metrics="cosine")
    assert run.manifest["arguments"]["target"] == "fear"
    images = torch.stack(
        [torch.from_numpy(np.array(dataset.image(row))).permute(2, 0, 1) / 255 for row in range(FACES)]
    )
    raw = compute_maps(model, images, ["gradcam"], "last", "fear")["gradcam", "features.stages.3"]
    large, _ = to_canvas(raw, False, "paper")
    points = dataset.landmarks().locate([sample.id for sample in dataset.samples], None).points * (CANVAS / 48)
    heat, _ = interpfer.au_heatmaps(points, [sample.label for sample in dataset.samples])
    expected = cosine(large, heat).numpy()
    np.testing.assert_allclose(run.per_image["cosine"], expected, atol=1e-5)
