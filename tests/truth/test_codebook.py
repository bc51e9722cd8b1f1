"""The codebook as a truth: the same heatmaps and shares as the functions it is made of."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import interpfer
from interpfer.au.drawing import au_heatmaps, au_planes
from interpfer.errors import DataError, PluginError
from interpfer.truth import TRUTHS
from interpfer.truth.base import BACKGROUND, GRID, Truth
from interpfer.truth.codebook import CodebookTruth
from interpfer.truth.options import TruthOptions
from interpfer.types import CANVAS, Landmarks, Sample

LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"] * 2


def test_a_protocol_has_its_codebook_and_geometry_and_an_option_overrides_it() -> None:
    paper, corrected, mixed = (
        TRUTHS.get("codebook").create(options).settings
        for options in (
            TruthOptions(),
            TruthOptions(protocol="corrected"),
            TruthOptions(protocol="corrected", codebook="emfacs"),
        )
    )
    assert (paper["codebook"], paper["geometry"]) == ("belharbi2024", "reference")
    assert (corrected["codebook"], corrected["geometry"]) == ("belharbi2024-printed", "scaled")
    assert (mixed["codebook"], mixed["geometry"]) == ("emfacs", "scaled")
    assert len({settings["codebook_digest"] for settings in (paper, corrected, mixed)}) == 3


@pytest.mark.parametrize(("codebook", "geometry"), [("belharbi2024", "reference"), ("belharbi2024-printed", "scaled")])
def test_it_draws_the_heatmap_of_each_label(demo_points: torch.Tensor, codebook: str, geometry: str) -> None:
    samples = [Sample(str(i), label) for i, label in enumerate(LABELS)]
    truth = CodebookTruth(codebook, geometry).draw(samples, Landmarks.of(demo_points))
    maps, valid = au_heatmaps(demo_points, LABELS, CANVAS, codebook, geometry)
    torch.testing.assert_close(truth.maps, maps, rtol=0, atol=0, equal_nan=True)
    assert truth.valid.tolist() == valid.tolist() == [label != "neutral" for label in LABELS]
    assert truth.ignore is None


def test_a_one_sided_action_unit_changes_sides_in_a_mirrored_face(demo_points: torch.Tensor, tmp_path: Path) -> None:
    book = tmp_path / "sided.yaml"
    book.write_text("name: sided\nclasses:\n  happiness: [{au: 12, side: left}]\n")
    provider = CodebookTruth(str(book), "reference")
    samples = [Sample("a", "happiness"), Sample("b", "happiness")]
    points = demo_points[:1].expand(2, -1, -1)
    truth = provider.draw(samples, Landmarks.of(points), torch.tensor([False, True]))
    centre = [float((maps * torch.arange(CANVAS)).sum() / maps.sum()) for maps in truth.maps]
    middle = float(points[0, 33, 0])
    assert centre[0] < middle < centre[1]


def test_shares_divide_each_cell_over_parts_and_background(demo_points: torch.Tensor) -> None:
    provider = CodebookTruth()
    landmarks = Landmarks.of(torch.cat([demo_points[:3], torch.full((1, 68, 2), torch.nan)]))
    shares = provider.shares(landmarks)
    assert shares.shape == (4, len(provider.parts.names), GRID, GRID)
    torch.testing.assert_close(shares[:3].sum(1), torch.ones(3, GRID, GRID))
    assert shares[3].isnan().all()
    first = provider.parts.groups[0][0]
    alone = au_planes(demo_points[:3] * (GRID / CANVAS), [first], GRID).maps[:, 0]
    assert bool((shares[:3, 0] <= alone + 1e-6).all())


def test_parts_and_what_is_expected_of_a_label() -> None:
    provider = CodebookTruth()
    assert provider.parts.names[-1] == BACKGROUND
    assert provider.expected_aus("happiness") == (6, 12, 25)
    named = [
        name for name, wanted in zip(provider.parts.names, provider.expected_parts("happiness"), strict=True) if wanted
    ]
    assert named == ["6", "12+15", "25"]
    assert not provider.expected_parts("neutral").any()
    assert provider.expected_aus("neutral") == ()


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(PluginError, match="codebook 'martinez'"):
        CodebookTruth("martinez")
    with pytest.raises(PluginError, match="geometry.*'scale'"):
        CodebookTruth("belharbi2024", "scale")
    with pytest.raises(PluginError, match=r"truth 'codebok'.* Did you mean codebook"):
        TRUTHS.get("codebok")
    with pytest.raises(DataError, match="codebook file not found: nowhere.yaml"):
        CodebookTruth("nowhere.yaml")


def test_maps_and_validity_must_fit() -> None:
    pair = SimpleNamespace(maps=torch.zeros(2, 4, 4), valid=torch.ones(1, dtype=torch.bool))
    with pytest.raises(ValueError, match="2 maps and 1 validities differ"):
        Truth.__post_init__(pair)  # type: ignore[arg-type]


MAY_KNOW_CODEBOOKS = (
    *("truth/codebook.py", "truth/action_units.py", "truth/planes.py", "robustness/study.py"),
    *(
        "models/card.py",
        "models/image_text/prompts.py",
        "models/image_text/fields.py",
        "reports/page/au_scores.py",
        "__init__.py",
    ),
)


def test_no_other_module_asks_for_a_codebook() -> None:
    """Scoring, reports, explain and fine-tuning know the truth alone."""
    root = Path(interpfer.__file__).parent
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if name.startswith(("au/", "rationales/")) or name in MAY_KNOW_CODEBOOKS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("interpfer.au"):
                known = ("interpfer.au.names", "interpfer.au.face_regions")
                assert str(node.module) in known, f"{name}:{node.lineno} imports {node.module}"
