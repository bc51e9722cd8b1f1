import json
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from PIL import Image

import interpfer
from interpfer.au.names import AU_NAMES, format_aus
from interpfer.choices import CROPS
from interpfer.errors import DataError, InterpferError, PluginError, RunError
from interpfer.explain.explainer import Explainer, explain_image, pictures_in
from interpfer.explain.explanation import ExplainedMap, Explanation, Region, Score
from interpfer.explain.facs import facts, sentence
from interpfer.explain.options import ExplainOptions
from interpfer.explain.sheet import STYLE, _draw, _rows, explanation_sheet
from interpfer.landmarks.alignment import face_crop_transform, invert_transform, resize_transform, transform_points
from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.points import MEAN_FACE
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.types import Landmarks


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return interpfer.load_model(checkpoint)


@pytest.fixture(scope="module")
def face(faces: Path) -> Path:
    return sorted((faces / "images").iterdir())[0]


@pytest.fixture(scope="module")
def explanation(model: Model, faces: Path, face: Path) -> Explanation:
    return explain_image(face, model, "happy", landmarks=faces / "landmarks.txt", device="cpu")


def test_scores_are_those_of_the_score(model: Model, faces: Path) -> None:
    run = interpfer.score(
        model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", target="predicted", device="cpu",
        metrics="cosine,cosine_skill",
    )  # fmt: skip
    for _, line in run.per_image[run.per_image["layer"] != "-"].iloc[:8].iterrows():
        explanation = explain_image(faces / "images" / line["image"], model, line["label"], maps=[line["map"]],
                              landmarks=faces / "landmarks.txt", device="cpu")  # fmt: skip
        assert explanation.predicted == line["predicted"]
        if line["label"] != "neutral":
            score = explanation.maps[0].scores[line["label"]]
            assert score.cosine == pytest.approx(line["cosine"], abs=2e-6)
            assert score.skill == pytest.approx(line["cosine_skill"], abs=2e-6)


def test_probabilities_add_up_and_the_uniform_map_is_beside_each_score(explanation: Explanation) -> None:
    assert sum(explanation.probabilities.values()) == pytest.approx(1)
    assert explanation.predicted == max(explanation.probabilities, key=lambda name: explanation.probabilities[name])
    assert explanation.label == "happiness"
    for item in explanation.maps:
        for name, score in item.scores.items():
            plane = explanation.heat[name][None]
            assert score.uniform == pytest.approx(float(cosine(torch.ones_like(plane), plane)))
        assert sum(region.share for region in item.regions) <= 1 + 1e-6


def test_a_face_in_a_larger_picture_is_cropped_and_the_map_projected_back(model: Model, face: Path) -> None:
    scene = Image.new("RGB", (400, 300), "white")
    scene.paste(Image.open(face).resize((96, 96)), (40, 120))

    class Known:
        name, summary, needs_images, digest = "known", "", False, "known"

        def locate(self, *_: object) -> Landmarks:
            points = torch.tensor(MEAN_FACE) * 0.36 + torch.tensor([88.0, 178.0])
            return Landmarks.of(points[None])

    for crop, cut in (("auto", True), ("face", True), ("whole", False)):
        explanation = explain_image(scene, model, landmarks=Known(), crop=crop, device="cpu", maps="gradcam")
        assert explanation.cropped == cut
    explanation = explain_image(scene, model, landmarks=Known(), device="cpu", maps="gradcam")
    values, seen = explanation.on_picture(torch.ones(224, 224))
    assert values.shape == (300, 400)
    corners = transform_points(
        torch.tensor([[0.0, 0.0], [224, 224]], dtype=torch.float64), invert_transform(explanation.transform)
    )
    inside = torch.zeros(300, 400, dtype=torch.bool)
    (left, top), (right, bottom) = corners.round().long().clamp(min=0).tolist()
    inside[top:bottom, left:right] = True
    assert float((inside == seen).float().mean()) > 0.99
    assert float(values[seen].mean()) > 0.97


def test_face_square_keeps_the_shape_and_holds_the_face(demo_points: torch.Tensor) -> None:
    points = demo_points.double() * 3 + 50
    transform = face_crop_transform(points, 224)
    assert torch.equal(transform[:, 0, 0], transform[:, 1, 1])
    assert not transform[:, 0, 1].any()
    placed = transform_points(points, transform)
    assert bool(((placed > 0) & (placed < 224)).all())
    span = placed.amax(1) - placed.amin(1)
    assert bool(((span[:, 0] / 224 - 0.8).abs() < 1e-6).logical_or((span[:, 1] / 224 - 0.72).abs() < 1e-6).all())
    assert torch.allclose(transform_points(placed, invert_transform(transform)), points)


def test_without_a_face_there_is_a_prediction_and_no_score(model: Model, tmp_path: Path, face: Path) -> None:
    (tmp_path / "points.txt").write_text(f"{face.name}," + ",".join(["inf"] * 136) + "\n")
    explanation = explain_image(face, model, "anger", landmarks=tmp_path / "points.txt", device="cpu")
    assert not explanation.has_face
    assert explanation.heat == {}
    assert all(not item.scores and not item.regions for item in explanation.maps)
    assert sentence(explanation).endswith("No face was found, so there is no AU heatmap to compare the maps with.")
    assert torch.equal(explanation.transform, resize_transform(72, 72, 224))
    assert facts(explanation)["landmarks"] is None


def _changed(explanation: Explanation, predicted: str, label: str, expected: str, regions: list[Region]) -> Explanation:
    chances = dict.fromkeys(explanation.probabilities, 0.0) | {predicted: 0.75}
    item = ExplainedMap("gradcam", "layer4", True, torch.rand(4, 4), {}, tuple(regions))
    return replace(
        explanation,
        predicted=predicted,
        label=label,
        expected=expected,
        maps=(item,),
        probabilities=chances,
        model="net",
    )


def test_the_sentence_speaks_facs(explanation: Explanation) -> None:
    regions = [
        Region((6,), (6,), 0.3, 0.1, True),
        Region((12, 15), (12,), 0.05, 0.1, False),
        Region((4,), (), 0.2, 0.1, True),
        Region((9,), (), 0.05, 0.1, False),
    ]
    assert sentence(_changed(explanation, "happiness", "", "happiness", regions)) == (
        "net predicts happiness (75 %). 60 % of the energy of gradcam at layer4 lies on regions of action units (of a "
        "uniform map: 40 %), most on AU 6 Cheek Raiser (30 %) and AU 4 Brow Lowerer (20 %). Of the action units "
        "expected for happiness, it lies on the regions of AU 6 Cheek Raiser, not on those of AU 12 Lip Corner Puller. "
        "It also lies on regions of action units that are not expected: AU 4 Brow Lowerer."
    )
    both = sentence(_changed(explanation, "happiness", "anger", "happiness", regions[:1]))
    assert "net predicts happiness (75 %); the label is anger (0 %)." in both
    assert "It lies on the regions of all action units expected for happiness: AU 6 Cheek Raiser." in both
    none = sentence(_changed(explanation, "happiness", "happiness", "happiness", regions[1:2]))
    assert "as labelled" in none
    assert "It lies on the region of no action unit expected for happiness: AU 12 Lip Corner Puller." in none
    assert sentence(_changed(explanation, "neutral", "", "", regions)).endswith(
        "Neutral has no action units, so nothing is expected."
    )


def test_of_several_layers_the_sentence_uses_the_deepest_and_each_map_has_its_row(model: Model, face: Path) -> None:
    explanation = explain_image(face, model, maps="attention,gradcam", layers="stages.2,stages.3", device="cpu")
    assert explanation.main is not None
    assert (explanation.main.name, explanation.main.layer) == ("gradcam", "stages.3")
    assert [[item.name for item in row] for row in _rows(explanation.maps, 4)] == [["attention"] * 2, ["gradcam"] * 2]
    once = explain_image(face, model, device="cpu")
    assert [len(row) for row in _rows(once.maps, 3)] == [3, 1]


def test_no_caption_of_a_sheet_runs_into_the_title_below(explanation: Explanation) -> None:
    heat = explanation.heat | {"fear": explanation.heat["happiness"]}
    many = replace(explanation, label="fear", heat=heat, maps=tuple(_scored(item) for item in explanation.maps * 2))
    with mpl.rc_context(STYLE):
        figure = _draw(many)
        figure.draw_without_rendering()
    boxes = [text.get_window_extent() for axis in figure.axes for text in (axis.title, axis.xaxis.label)
             if text.get_text()]  # fmt: skip
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def _scored(explanation: ExplainedMap) -> ExplainedMap:
    return ExplainedMap(**(vars(explanation) | {"scores": dict.fromkeys(("happiness", "fear"), Score(0.5, 0.1, 0.4))}))


def test_every_action_unit_of_the_codebooks_has_a_name() -> None:
    from interpfer.au import CODEBOOKS

    for name in CODEBOOKS:
        assert set(CODEBOOKS.get(name).aus()) <= set(AU_NAMES)
    assert format_aus([99]) == "AU 99"


def test_facts_are_strict_json_with_landmarks_in_pixels_of_the_picture(explanation: Explanation, faces: Path) -> None:
    values = json.loads(json.dumps(facts(explanation)))
    points = FileLandmarks(faces / "landmarks.txt").locate([explanation.image], None).points[0]
    assert torch.allclose(torch.tensor(values["landmarks"]), points.float(), atol=0.01)
    assert values["predicted"] == explanation.predicted
    assert [item["map"] for item in values["maps"]] == ["attention", "gradcam", "gradcam++", "layercam"]


def test_a_picture_takes_the_options_of_an_explainer(model: Model, face: Path, faces: Path) -> None:
    options = ExplainOptions(maps="gradcam", crop="whole", device="cpu", landmarks=str(faces / "landmarks.txt"))
    keywords = {"maps": "gradcam", "crop": "whole", "device": "cpu", "landmarks": faces / "landmarks.txt"}
    one, many = explain_image(face, model, options=options), explain_image(face, model, **keywords)
    assert facts(one) == facts(many)
    assert not one.cropped
    with pytest.raises(InterpferError, match="interpfer explain has no option 'corp'. Did you mean crop"):
        explain_image(face, model, corp="face")


def test_wrong_words_are_changed(model: Model, face: Path, tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="crop must be one of auto, face, aligned, whole, got 'fce'"):
        explain_image(face, model, crop="fce")
    with pytest.raises(DataError, match="unknown expression 'hapy'"):
        explain_image(face, model, "hapy", device="cpu")
    with pytest.raises(PluginError, match="map 'baseline:mean-au' is a baseline"):
        explain_image(face, model, maps="gradcam,baseline:mean-au")
    with pytest.raises(DataError, match="no pictures in the folder"):
        pictures_in(tmp_path)


@pytest.mark.parametrize("crop", CROPS)
def test_a_picture_of_any_name_shape_and_crop_is_drawn(model: Model, face: Path, tmp_path: Path, crop: str) -> None:
    wide = Image.open(face).convert("LA").resize((300, 60))
    explainer = Explainer.open(ExplainOptions(device="cpu", crop=crop, maps="gradcam"), model)
    for name, picture in (("模型 $x^2 <b> \x1b[31m" + "long" * 40, wide), ("tiny", Image.new("RGB", (1, 3)))):
        explanation = explainer.explain(name, picture, "sadness")
        explanation_sheet(explanation, tmp_path / "why.svg")
        assert (tmp_path / "why.svg").stat().st_size > 10_000
    assert "cosine" not in repr(explanation)
    with pytest.raises(RunError, match=r"why\.gif: the suffix must be one of \.png, \.svg, \.pdf"):
        explanation_sheet(explanation, tmp_path / "why.gif")
