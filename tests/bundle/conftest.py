from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

import interpfer
from interpfer.bundle.write import write_bundle
from interpfer.models.small import SmallCNN

CLASSES = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]

Unzip = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="session")
def study(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Run folders of two networks under both protocols. Read only."""
    folder = tmp_path_factory.mktemp("study")
    runs = []
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        torch.save(SmallCNN(7, width=4).state_dict(), folder / f"{name}.pt")
        card = {"arch": "interpfer:small", "arch_args": {"width": 4}, "classes": CLASSES, "input": {"size": 48}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(card))
        for protocol in ("paper", "corrected"):
            runs.append(folder / "runs" / f"{name}-{protocol}")
            interpfer.score(
                folder / f"{name}.pt",
                "csv",
                data_root=faces,
                landmarks=faces / "landmarks.txt",
                maps="attention,gradcam,baseline:uniform,baseline:class-mean-au",
                protocol=protocol,
                limit=21,
                device="cpu",
                out=runs[-1],
            )
    return runs


@pytest.fixture(scope="session")
def bundle(study: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their bundle. Read only."""
    return write_bundle(study, out=tmp_path_factory.mktemp("bundle") / "study.zip").path


@pytest.fixture(scope="session")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the bundle in a folder. Read only."""
    import zipfile

    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder
