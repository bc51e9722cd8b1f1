import json
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

import interpfer
from interpfer.au.face_regions import FACE_REGIONS
from interpfer.au.names import AU_NAMES, format_aus
from interpfer.choices import CROPS
from interpfer.errors import DataError, InterpferError, PluginError, RunError
from interpfer.explain.captions import CAPTION, PANEL, map_caption, shown_classes, wrap_caption
from interpfer.explain.explainer import Explainer, explain_image, pictures_in
from interpfer.explain.explanation import ExplainedMap, Explanation, FaceRegion, Region, Score
from interpfer.explain.facs import facts, rules_text, sentence
from interpfer.explain.options import ExplainOptions
from interpfer.explain.sheet import _draw, _rows, explanation_sheet
from interpfer.explain.sheet_file import STYLE
from interpfer.landmarks.alignment import face_crop_transform, invert_transform, resize_transform, transform_points
from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.points import MEAN_FACE
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.truth import open_truth
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
        metrics="cosine,cosine_skill", protocol="corrected",
    )  # fmt: skip
    for _, line in run.per_image[run.per_image["layer"] != "-"].iloc[:8].iterrows():
        explanation = explain_image(faces / "images" / line["image"], model, line["label"], maps=[line["map"]],
                              landmarks=faces / "landmarks.txt", device="cpu")  # fmt: skip
        assert explanation.predicted == line["predicted"]
        if explanation.predicted == "neutral" and explanation.maps[0].class_specific:
            assert not explanation.maps[0].scores
        elif line["label"] != "neutral":
            score = explanation.maps[0].scores[line["label"]]
            assert score.cosine == pytest.approx(line["cosine"], abs=2e-6)
            assert score.skill == pytest.approx(line["cosine_skill"], abs=2e-6)


def test_of_many_classes_the_most_probable_and_the_label_are_drawn(explanation: Explanation) -> None:
    names = [f"kind {chr(97 + i)}" for i in range(26)]
    many = replace(
        explanation,
        probabilities={name: (i + 1) / 351 for i, name in enumerate(names)},
        predicted="kind z",
        label="kind b",
        explained="kind z",
        heat={},
        maps=(),
    )
    assert shown_classes(many) == ["kind b", *names[-10:]]
    assert shown_classes(explanation) == list(explanation.probabilities)


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
        explained=predicted,
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
        "It also lies on regions of action units that are not expected: AU 4 Brow Lowerer. A map lies on a region "
        "where it has at least 1.1 times the energy of a uniform map."
    )
    both = sentence(_changed(explanation, "happiness", "anger", "happiness", regions[:1]))
    assert "net predicts happiness (75 %); the label is anger (0 %)." in both
    assert "It lies on the regions of all action units expected for happiness: AU 6 Cheek Raiser." in both
    none = sentence(_changed(explanation, "happiness", "happiness", "happiness", regions[1:2]))
    assert "as labelled" in none
    assert "It lies on the region of no action unit expected for happiness: AU 12 Lip Corner Puller." in none
    assert sentence(_changed(explanation, "neutral", "", "", regions)).endswith(
        "Neutral has no action units, so nothing is judged."
    )


def test_the_sentence_names_the_region_of_the_face_that_stands_out(explanation: Explanation) -> None:
    def of(*regions: FaceRegion) -> str:
        changed = _changed(explanation, "happiness", "", "", [Region((6,), (), 0.3, 0.1, True)])
        return sentence(replace(changed, maps=(replace(changed.maps[0], face_regions=regions),)))

    outside = FaceRegion("outside", 0.5, 0.77)
    mouth, nose = FaceRegion("mouth", 0.312, 0.13), FaceRegion("nose", 0.188, 0.1)
    assert "It looks at the mouth with 31 % of its energy, 2.4 times what a uniform map would." in of(
        nose, mouth, outside
    )
    weak = of(FaceRegion("mouth", 0.14, 0.13), FaceRegion("nose", 0.06, 0.1), FaceRegion("outside", 0.8, 0.77))
    assert (
        "It looks at no named region of the face with 1.1 times what a uniform map would; 80 % of its energy lies "
        "outside of these (of a uniform map: 77 %)."
    ) in weak
    assert "It looks at" not in of()


def test_shares_of_the_face_are_those_of_a_score(model: Model, faces: Path) -> None:
    run = interpfer.score(
        model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", target="predicted", device="cpu",
        metrics="regions", maps="gradcam", protocol="corrected",
    )  # fmt: skip
    for _, line in run.per_image[run.per_image["label"] != "neutral"].iloc[:3].iterrows():
        explained = explain_image(faces / "images" / line["image"], model, maps="gradcam", device="cpu",
                                  landmarks=faces / "landmarks.txt")  # fmt: skip
        regions = explained.maps[0].face_regions
        assert [region.name for region in regions] == list(FACE_REGIONS)
        for region, written in zip(regions, facts(explained)["maps"][0]["face_regions"], strict=True):
            assert region.share == pytest.approx(line[f"region_{region.name}"], abs=2e-6)
            assert region.skill == pytest.approx(line[f"region_{region.name}_skill"], abs=2e-6)
            assert written["ratio"] == pytest.approx(region.share / region.uniform)


def test_a_map_is_judged_by_the_expression_that_it_explains_or_not_at_all(
    model: Model, faces: Path, face: Path, tmp_path: Path
) -> None:
    usual = {"landmarks": faces / "landmarks.txt", "device": "cpu", "maps": "attention,gradcam"}
    first = explain_image(face, model, **usual)
    others = [name for name in model.classes if name != "neutral"]
    others.insert(model.classes.index(first.predicted), "neutral")
    turned = Model("turned", model.module, replace(model.card, classes=tuple(others)))
    explained = explain_image(face, turned, "happiness", **usual)
    assert (explained.predicted, explained.explained, explained.expected) == ("neutral", "neutral", "")
    attention, gradcam = explained.maps
    assert set(attention.scores) == {"happiness"}
    assert not gradcam.scores
    assert not any(region.expected_aus for region in gradcam.regions)
    assert sentence(explained).endswith(
        "Neutral has no action units, so nothing is judged. To explain happiness and judge the map by it, pass "
        "--target label."
    )
    assert facts(explained)["judged_by"] is None
    assert map_caption(explained, gradcam).endswith("for neutral, not judged")
    assert "cosine with happiness" in map_caption(explained, attention)
    explanation_sheet(explained, tmp_path / "neutral.png")
    by_label = explain_image(face, turned, "happiness", target="label", **usual)
    assert (by_label.predicted, by_label.explained, by_label.expected) == ("neutral", "happiness", "happiness")
    assert set(by_label.maps[1].scores) == {"happiness"}
    assert "expected for happiness" in sentence(by_label)
    assert not torch.equal(by_label.maps[1].values, gradcam.values)
    with pytest.raises(InterpferError, match="--target label explains the label of the picture; pass --label"):
        explain_image(face, turned, target="label", **usual)
    with pytest.raises(DataError, match="label must be one of .* with --target label, got 'contempt'"):
        explain_image(face, turned, "contempt", target="label", **usual)


def test_the_corrected_protocol_is_the_default_and_is_said(explanation: Explanation) -> None:
    assert explanation.rules["protocol"] == "corrected"
    assert rules_text(explanation) == "protocol corrected, codebook belharbi2024-printed, geometry scaled"
    assert facts(explanation)["protocol"] == "corrected"
    paper, corrected = (
        open_truth(ExplainOptions(protocol=name) if name else ExplainOptions()).expected_aus("disgust")
        for name in ("paper", "")
    )
    assert 5 in paper
    assert 5 not in corrected


def test_of_several_layers_the_sentence_uses_the_deepest_and_each_map_has_its_row(model: Model, face: Path) -> None:
    explanation = explain_image(face, model, maps="attention,gradcam", layers="stages.2,stages.3", device="cpu")
    assert explanation.main is not None
    assert (explanation.main.name, explanation.main.layer) == ("gradcam", "stages.3")
    assert [[item.name for item in row] for row in _rows(explanation.maps, 4)] == [["attention"] * 2, ["gradcam"] * 2]
    once = explain_image(face, model, device="cpu")
    assert [len(row) for row in _rows(once.maps, 3)] == [3, 1]


def _texts(explanation: Explanation) -> list[Bbox]:
    """Return the boxes of all texts of a sheet, in pixels, after they were drawn."""
    with mpl.rc_context(STYLE):
        figure = _draw(explanation)
        figure.draw_without_rendering()
    texts = [text for axis in figure.axes for text in (axis.title, axis._right_title, axis.xaxis.label, *axis.texts)]
    return [text.get_window_extent() for text in [*texts, *figure.texts] if text.get_text()]


@pytest.mark.parametrize(
    ("layer", "layers"),
    [("layer4", 1), ("layer4", 5), ("encoder.layers.encoder_layer_11.ln_1 and more", 5), ("block" * 30, 2)],
)
def test_no_text_of_a_sheet_overlaps_another(explanation: Explanation, layer: str, layers: int) -> None:
    heat = explanation.heat | {"fear": explanation.heat["happiness"]}
    maps = tuple(
        replace(
            _scored(item), layer=f"{place}{layer}", name=item.name + ("" if layer == "layer4" else "-of-a-plugin" * 3)
        )
        for item in explanation.maps
        for name in (item.name,)
        for place in range(layers)
    )
    many = replace(explanation, label="fear", heat=heat, maps=maps)
    boxes = _texts(many)
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


@pytest.mark.parametrize("letters", [5, 150, 400])
def test_a_long_sentence_does_not_overlap_the_rules_below_it(explanation: Explanation, letters: int) -> None:
    alone = replace(explanation, label="", model="name " * (letters // 5))
    assert len(alone.maps) == 4
    boxes = _texts(replace(alone, heat={alone.predicted: explanation.heat["happiness"]}))
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_a_caption_is_wrapped_without_losing_a_letter() -> None:
    text = "at encoder.layers.encoder_layer_11.ln_1 for happiness, cosine with\nhappiness 0.50 (uniform 0.40)"
    lines = wrap_caption(text)
    assert lines[0] == "at"
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert lines[-1] == "happiness 0.50 (uniform 0.40)"
    assert wrap_caption("short") == ["short"]
    with mpl.rc_context(STYLE):
        figure = Figure(dpi=72)
        for line in lines:
            drawn = figure.text(0, 0, line, fontproperties=CAPTION)
            assert drawn.get_window_extent().width / 72 < PANEL


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


def test_the_legend_names_the_factor_where_something_is_judged(explanation: Explanation) -> None:
    def legend(expected: str) -> str:
        with mpl.rc_context(STYLE):
            figure = _draw(replace(explanation, expected=expected))
        return figure.axes[-2].get_xlabel()

    assert legend("happiness") == (
        "% of the map's energy; tick: uniform map\nblue: expected, at least 1.1 x uniform\n"
        "orange: expected, missed (less than 1.1 x uniform)"
    )
    assert legend("") == "% of the map's energy; tick: uniform map"


def test_a_covered_face_is_explained_as_it_is_scored(model: Model, faces: Path, face: Path) -> None:
    options = {"maps": ["attention"], "landmarks": faces / "landmarks.txt", "device": "cpu"}
    plain, covered = (explain_image(face, model, occlude=kind, **options) for kind in (None, "mask"))
    below, above = plain.points[33, 1].long(), plain.points[27, 1].long()
    changed = (plain.face - covered.face).abs().amax(0) > 1e-4
    assert changed[below:].any()
    assert not changed[: above - 5].any()
    assert covered.probabilities != plain.probabilities
    with pytest.raises(InterpferError, match="occluder au needs a truth: choose another for a picture"):
        explain_image(face, model, occlude="au", **options)
