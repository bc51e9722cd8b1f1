"""A plugin of each kind is two files in a package of its own: a module and an entry point."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import interpfer

ROOT = Path(interpfer.__file__).parents[1]

ENTRY_POINTS = """\
[interpfer.maps]
upper-half = plug:upper_half
[interpfer.refiners]
lifted = plug:lifted
[interpfer.metrics]
half_energy = plug:half_energy
agreeing_pixels = plug:agreeing_pixels
blank_answer = plug:blank_answer
[interpfer.datasets]
plugfaces = plug:PlugFaces
[interpfer.truths]
lower-half = plug:LowerHalf
[interpfer.landmarks]
centred = plug:Centred
[interpfer.models]
plugnets = plug:build
[interpfer.heads]
plugmean = plug:PlugMean
"""

MODULE = '''\
import numpy as np
import torch
from torch import nn

from interpfer.datasets.base import Dataset, require_root
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.points import MEAN_FACE
from interpfer.maps.base import layer_map
from interpfer.maps.refiners.base import refiner
from interpfer.models.heads.base import ConvolutionHead
from interpfer.metrics.base import dataset_metric, image_metric, model_metric
from interpfer.truth.base import BACKGROUND, GRID, Parts, Truth, TruthProvider
from interpfer.types import CANVAS, Landmarks, Sample


@layer_map(source="plug", class_specific=False)
def upper_half(layer):
    """One above the middle, a hundredth below."""
    size = layer.activation.shape[2:]
    rows = torch.arange(size[0], device=layer.activation.device)[:, None] < size[0] // 2
    return torch.where(rows, 1.0, 0.01).expand(len(layer.activation), *size).contiguous()


@refiner(source="plug")
def lifted(maps, seen):
    """The map raised by its largest value."""
    return maps + maps.amax((1, 2), keepdim=True)


@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source="plug")
def half_energy(maps, heat):
    """Share of the map above the middle."""
    return maps[:, : maps.shape[1] // 2].sum((1, 2)) / maps.sum((1, 2))


def count_agreeing(maps, heat):
    agree = ((maps >= 0.5) == (heat >= 0.5)).sum((1, 2))
    total = torch.full_like(agree, maps[0].numel() if len(maps) else 0)
    return torch.stack([agree, total], 1) * (maps[:, 0, 0].isfinite() & heat[:, 0, 0].isfinite())[:, None]


@dataset_metric(count_agreeing, higher_is_better=True, bounds=(0.0, 1.0), source="plug")
def agreeing_pixels(counts):
    """Share of pixels on the same side of one half."""
    return counts[..., 0] / counts[..., 1]


@model_metric(higher_is_better=False, bounds=(0.0, 1.0), source="plug")
def blank_answer(maps, probe):
    """Probability of the target for a black picture."""
    return probe.probability(torch.zeros_like(probe.images))


class PlugFaces(Dataset):
    name = "plugfaces"
    summary = "one folder"

    @classmethod
    def open(cls, root, split, seed=0):
        folder = require_root(root, cls.name)
        paths = sorted((folder / "images").glob("*.png"))
        labels = ("anger", "happiness")
        return cls([Sample(path.name, labels[i % 2], path) for i, path in enumerate(paths)], split, folder)


class LowerHalf(TruthProvider):
    """The lower half of the picture."""

    name = "lower-half"
    summary = "lower half"

    @classmethod
    def create(cls, options):
        return cls()

    @property
    def settings(self):
        return {"lower_half": "1"}

    @property
    def parts(self):
        return Parts(((),), ("lower half", BACKGROUND))

    def draw(self, samples, landmarks, mirrored=None):
        maps = self._mask(CANVAS, landmarks).clone()
        return Truth(maps, torch.ones(len(samples), dtype=torch.bool, device=maps.device))

    def shares(self, landmarks):
        maps = self._mask(GRID, landmarks)
        return torch.stack([maps, 1 - maps], 1)

    def expected_parts(self, label):
        return np.array([True, False])

    def missing_reason(self, sample):
        return "without a lower half"

    def _mask(self, size, landmarks):
        below = torch.arange(size, device=landmarks.points.device)[:, None] >= size // 2
        return below.float().expand(len(landmarks.points), size, size)


class Centred:
    name = "centred"
    summary = "the same points for everybody"
    needs_images = True
    digest = "centred 1"

    def locate(self, ids, images):
        return Landmarks.of(torch.tensor(MEAN_FACE).mul(0.35).add(36).repeat(len(ids), 1, 1))


class PlugMean(ConvolutionHead):
    """The mean."""

    summary = "mean of the plug"
    source = "plug"

    def pool(self, scores):
        return scores.mean((2, 3))


def build(name, classes, **arguments):
    """Networks of the plug."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds an installed package of two files, as pip leaves it."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "plug.py").write_text(MODULE)
    info = folder / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def call(package: Path, *args: object) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(package), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "interpfer", *map(str, args)],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": paths, "COLUMNS": "200"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("maps", ["upper-half"]),
        ("refiners", ["lifted"]),
        ("metrics", ["half_energy", "agreeing_pixels", "blank_answer"]),
        ("datasets", ["plugfaces"]),
        ("truths", ["lower-half"]),
        ("landmarks", ["centred"]),
        ("models", ["plugnets"]),
        ("heads", ["plugmean"]),
    ],
)
def test_a_plugin_is_listed(package: Path, kind: str, names: list[str]) -> None:
    done = call(package, "ls", kind)
    assert done.returncode == 0, done.stderr
    for name in names:
        assert name in done.stdout


def test_two_files_are_enough_to_score_with_plugins_of_all_kinds(package: Path, faces: Path, tmp_path: Path) -> None:
    code = (
        "import torch, plug; torch.manual_seed(0); trunk = plug.build('any', 2)[:1].state_dict()\n"
        "head = {f'conv.{name}': value for name, value in plug.PlugMean(4, 2).conv.state_dict().items()}\n"
        "torch.save(trunk | head, 'net.pt')"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(package)}
    )
    (tmp_path / "net.yaml").write_text(
        "arch: plugnets:any\nhead: plugmean\nclasses: [anger, happiness]\ninput: {size: 32}\n"
    )
    done = call(
        package, "score", tmp_path / "net.pt", "--dataset", "plugfaces", "--data-root", faces, "--landmarks", "centred",
        "--truth", "lower-half", "--maps", "upper-half,upper-half.lifted,baseline:uniform,baseline:mean-au",
        "--metrics", "cosine,half_energy,agreeing_pixels,blank_answer", "--device", "cpu", "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores = pd.read_csv(tmp_path / "run" / "scores.csv").set_index(["map", "metric", "group"])["value"]
    assert scores["baseline:mean-au", "cosine", "macro"] == pytest.approx(1)
    assert scores["baseline:uniform", "cosine", "macro"] == pytest.approx(0.5**0.5, abs=1e-6)
    assert scores["baseline:uniform", "half_energy", "macro"] == pytest.approx(0.5)
    assert scores["baseline:uniform", "agreeing_pixels", "micro"] == pytest.approx(0.5)
    assert scores["upper-half", "agreeing_pixels", "micro"] < 0.1
    assert scores["upper-half.lifted", "cosine", "macro"] == pytest.approx(scores["upper-half", "cosine", "macro"])
    assert scores["baseline:uniform.lifted", "cosine", "macro"] == pytest.approx(0.5**0.5, abs=1e-6)
    assert 0 < scores["upper-half", "blank_answer", "macro"] < 1
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_the_files_to_open_are_counted_on_the_page(package: Path) -> None:
    files = [path for path in package.rglob("*") if path.is_file() and path.name != "METADATA"]
    assert len([path for path in files if "__pycache__" not in path.parts]) == 2
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line for line in page.partition("## Files to open")[2].partition("\n## ")[0].splitlines() if "|" in line][
        2:
    ]
    assert len(rows) == 10
    for row in rows:
        own, inside = row.split("|")[2:4]
        assert int(own.split(":")[0]) <= 2, row
        assert int(inside.split(":")[0]) <= 3, row
