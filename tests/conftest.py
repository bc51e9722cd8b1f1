import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.models.small import SmallCNN
from interpfer.results.batch_file import BatchResult
from interpfer.results.folder import RunFolder

# more threads wait for each other longer than they compute on tensors this small
THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1"))  # processes inherit it
torch.set_num_threads(THREADS)
threadpool_limits(THREADS)  # of numpy, which is there before this file is read

settings.register_profile("interpfer", deadline=None, max_examples=25, derandomize=True, database=None)
settings.load_profile("interpfer")

SHARED = Path(os.environ.get("INTERPFER_SHARED") or Path(__file__).parents[2] / "shared")

EXPRESSIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]

Golden = Callable[[str], dict[str, NDArray[np.generic]]]
Interrupted = Callable[[int], AbstractContextManager[None]]


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


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 42 drawn faces in the layout of ``--dataset csv``, with landmarks.txt. Read only."""
    folder = tmp_path_factory.mktemp("faces")
    write_csv_layout(DemoDataset("test", count=42, size=72), folder)
    return folder


@pytest.fixture(scope="session")
def few_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with 21 faces of 48 pixels, for what trains, or scores several times. Read only."""
    folder = tmp_path_factory.mktemp("few")
    write_csv_layout(DemoDataset("test", count=21, size=48), folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained classifier, model.pt beside model.yaml. Read only."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(SmallCNN(7, width=8).state_dict(), path)
    card = {
        "arch": "interpfer:small",
        "arch_args": {"width": 8},
        "classes": EXPRESSIONS,
        "input": {"size": 48, "mean": 0.5, "std": 0.25},
    }
    path.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    return path


@pytest.fixture(scope="session")
def interrupted() -> Interrupted:
    """``with interrupted(3): ...``: the run inside is stopped, as by Ctrl-C, when it has kept three batches."""

    @contextmanager
    def interrupt(batches: int) -> Iterator[None]:
        add, added = RunFolder.add, []

        def add_or_stop(self: RunFolder, part: BatchResult) -> None:
            if len(added) == batches:
                raise KeyboardInterrupt
            added.append(part)
            add(self, part)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunFolder, "add", add_or_stop)
            with pytest.raises(KeyboardInterrupt):
                yield

    return interrupt


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """One thread, then two: each rounds in its own way, and must do so every time."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests find out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
