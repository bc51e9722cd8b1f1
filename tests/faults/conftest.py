"""A stage for runs under faults: drawn faces and a tiny classifier, once for all."""

from pathlib import Path

import pytest
import torch

from benchmarks.faults.kills import make_stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return make_stage(tmp_path_factory.mktemp("faults"))
