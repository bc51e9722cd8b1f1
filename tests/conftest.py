import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

from interpfer.datasets.demo import DemoDataset

settings.register_profile("interpfer", deadline=None, max_examples=25, derandomize=True, database=None)
settings.load_profile("interpfer")

SHARED = Path(os.environ.get("INTERPFER_SHARED") or Path(__file__).parents[2] / "shared")

Golden = Callable[[str], dict[str, NDArray[np.generic]]]


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Numbers of the public reference implementations by file stem; skips where they are not at hand."""

    def load(name: str) -> dict[str, NDArray[np.generic]]:
        path = SHARED / "golden" / f"{name}.npz"
        if not path.is_file():
            pytest.skip(f"no golden values at {path}; name the folder above golden/ in INTERPFER_SHARED")
        with np.load(path) as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session")
def demo_points() -> torch.Tensor:
    """The 68 points of 14 drawn faces, two per expression, on a canvas of 224 pixels."""
    dataset = DemoDataset("test", count=14, size=224)
    return dataset.landmarks().locate([sample.id for sample in dataset.samples]).points


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)
