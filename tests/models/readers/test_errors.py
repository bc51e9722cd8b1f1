"""Every file that cannot be used is one clear line with a remedy, in Python and on the command line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.errors import InterpferError, ModelError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN

CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"


def weights(classes: int = 7, width: int = 8) -> dict[str, torch.Tensor]:
    return SmallCNN(classes, width=width).state_dict()


def truncated(path: Path) -> None:
    torch.save(weights(), path)
    path.write_bytes(path.read_bytes()[:-500])


def content(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def saved(data: Any) -> Callable[[Path], Any]:
    return lambda path: torch.save(data, path)


def folder(*names: str) -> Callable[[Path], Any]:
    def write(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).write_text("{}")

    return write


UNUSABLE: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "missing": ("m.pt", lambda _: None, r"checkpoint not found: .*m\.pt\."),
    "empty": ("m.pt", content(b""), r"checkpoint .*m\.pt is empty; copy or download it again\."),
    "truncated": ("m.pt", truncated, r"m\.pt is not a readable checkpoint \(.*; copy or download it again\)\."),
    "junk": ("m.pt", content(b"\x07" * 99), r"m\.pt is not a readable checkpoint \(.*copy or download it again\)\."),
    "web page": ("m.pt", content(b"<!DOCTYPE html>"), r"\(it is a web page or XML; download the file itself\)\."),
    "lfs": ("m.pt", content(b"version https://git-lfs.github.com/spec/v1\n"), r"fetch the file itself with"),
    "keras": ("m.h5", content(b"\x89HDF\r\n\x1a\n" + b"\0" * 50), r"m\.h5 is not a readable HDF5 file \("),
    "gzip": ("m.tar", content(b"\x1f\x8b\x08" + b"\0" * 50), "it is a gzip archive; unpack it first"),
    "safetensors": (
        "m.safetensors",
        content(b"\x10\0\0\0\0\0\0\0{" + b"\0" * 50),
        "is a broken safetensors file .*copy or download it again",
    ),
    "onnx": ("m.onnx", content(b"\x08\x07" + b"\xff" * 50), r"is not a readable ONNX program \("),
    "optimizer": (
        "m.pt",
        saved(torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict()),
        r"holds no weights, only the state of an optimizer; its keys are state, param_groups; pass another file",
    ),
    "no weights": (
        "m.pt",
        saved({"names": ["a"], "history": [1.0]}),
        "holds no weights; its keys are names, history; expected a state_dict, plain or under state_dict",
    ),
    "wrong architecture": (
        "m.pt",
        saved(weights(width=12)),
        r"do not fit the architecture: stages\.0\.0\.weight is \(12, 3, 3, 3\) in the file and \(8, 3, 3, 3\) in the",
    ),
    "other network": (
        "m.pt",
        saved({"conv1.weight": torch.ones(2, 3, 1, 1), "fc.bias": torch.ones(7)}),
        r"missing: stages\.0\.0\.weight, stages\.0\.1\.weight, stages\.0\.1\.bias and \d+ more; unexpected: conv1",
    ),
    "class count": (
        "m.pt",
        saved(weights(classes=8)),
        r"The file has 8 classes, the card names 7: fix classes \(--classes\)\.",
    ),
    "empty folder": ("f", folder(), "is a folder without a checkpoint .it is empty.; pass a checkpoint file"),
    "other folder": ("f", folder("a.txt"), r"is a folder without a checkpoint \(it holds a\.txt\)"),
    "many": ("f", folder("a.pt", "b.pt"), r"is a folder of 2 checkpoints \(a\.pt, b\.pt\); pass the checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
def test_one_line_with_a_remedy(tmp_path: Path, case: str) -> None:
    name, write, message = UNUSABLE[case]
    write(tmp_path / name)
    arguments = ["--arch", "interpfer:small", "--classes", CLASSES, "--input-size", "48"]
    (tmp_path / "m.yaml").write_text("arch_args: {width: 8}\n")
    done = CliRunner().invoke(group, ["score", str(tmp_path / name), "--dataset", "demo", *arguments])
    assert done.exit_code == 1, done.output
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.output
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / name, arch="interpfer:small", classes=CLASSES)


@pytest.mark.parametrize("cut", range(0, 3000, 97))
def test_a_file_cut_anywhere(tmp_path: Path, cut: int) -> None:
    for legacy in (False, True):
        path = tmp_path / f"m{legacy}.pt"
        torch.save({"state_dict": weights(width=2)}, path, _use_new_zipfile_serialization=not legacy)
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(InterpferError, match=r"is empty|is not a readable checkpoint"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("package", "extra", "name"), [("transformers", "hf", "f"), ("onnx", "onnx", "m.onnx"), ("timm", "timm", "m.pt")]
)
def test_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, name: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    if name == "f":
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / "config.json").write_text('{"model_type": "vit"}')
        torch.save(weights(), tmp_path / "f" / "pytorch_model.bin")
    elif name == "m.onnx":
        (tmp_path / name).write_bytes(b"\x08\x07")
    else:
        torch.save(weights(), tmp_path / name)
    with pytest.raises(ModelError, match=rf"needs the package {package}, .*pip install 'interpfer\[{extra}\]'"):
        load_model(tmp_path / name, classes=CLASSES, arch="timm:resnet18" if extra == "timm" else None)


def test_a_config_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(
        ModelError, match=r"has a config\.json but no weights \(model\.safetensors or pytorch_model\.bin\)"
    ):
        read_checkpoint(tmp_path)
