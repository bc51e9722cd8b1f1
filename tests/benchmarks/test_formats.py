"""A few formats of the sweep; `python -m benchmarks.formats` does all."""

from pathlib import Path

import pytest

from benchmarks import formats
from benchmarks.formats import KINDS, WRITERS, draw_page, list_results


def test_onnx_and_tflite_give_the_same_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setattr(formats, "FACES", 3)
    monkeypatch.setattr(formats, "MAPS", ("gradcam", "occlusion"))
    rows = list_results(tmp_path, ["ONNX, opset 13", "TensorFlow Lite"])
    assert [(row["format"], row["result"], row["maps"]) for row in rows] == [
        ("ONNX, opset 13", "same", KINDS[2]), ("TensorFlow Lite", "same", KINDS[1]),
    ]  # fmt: skip
    assert all(float(row[name]) < 1e-4 for row in rows for name in ("logits", "cosine"))


def test_the_page_lists_every_row() -> None:
    row = {"format": "a", "result": "refused", "maps": "", "logits": "", "cosine": "", "reason": "no | reader"}
    assert draw_page([row]).endswith("| a | refused: no / reader |  |  |  |\n")
    assert {"ONNX, opset 7", "ONNX, opset 21", "ONNX, int8", "safetensors"} <= set(WRITERS)
