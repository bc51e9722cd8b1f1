from dataclasses import replace
from pathlib import Path

import interpfer
from interpfer.au import CODEBOOKS


def test_a_run_shows_its_headlines(faces: Path, checkpoint: Path) -> None:
    run = interpfer.score(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu",
        maps="attention,gradcam,baseline:uniform",
    )  # fmt: skip
    assert run.summary.index.tolist() == [("attention", "stages.3"), ("gradcam", "stages.3"), ("baseline:uniform", "-")]
    assert list(run.summary) == ["cosine", "cosine_skill", "pxap"]
    assert run.summary.loc[("gradcam", "stages.3"), "pxap"] == run.score("gradcam", "pxap", "micro")
    assert repr(run).startswith(f"Run: model on {faces.name} (csv) all, protocol paper: accuracy ")
    assert "36 of 42 images scored" in repr(run)
    assert len(repr(run)) < 1000
    hostile = replace(run, manifest=run.manifest | {"arguments": run.manifest["arguments"] | {"model": "<b>x"}})
    assert "<b>" not in hostile._repr_html_()
    assert f"&lt;b&gt;x on {faces.name} (csv) all" in hostile._repr_html_()


def test_a_model_shows_its_card(checkpoint: Path) -> None:
    model = interpfer.load_model(checkpoint, name="<i>net")
    page = model._repr_html_()
    for text in ("&lt;i&gt;net", "SmallCNN", "anger, disgust", "48 x 48 rgb", "cpu"):
        assert text in page
    assert "<i>" not in page


def test_a_registry_lists_its_plugins() -> None:
    assert repr(CODEBOOKS) == "codebooks: belharbi2024, belharbi2024-printed, emfacs, du2014"
