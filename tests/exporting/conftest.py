from pathlib import Path

import pytest

import interpfer


@pytest.fixture(scope="session")
def finished(faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two maps on 14 drawn faces. Read only."""
    out = tmp_path_factory.mktemp("finished") / "run"
    interpfer.score(
        checkpoint,
        "csv",
        data_root=faces,
        landmarks=faces / "landmarks.txt",
        maps="attention,gradcam,baseline:uniform,baseline:class-mean-au",
        limit=14,
        device="cpu",
        report=False,
        out=out,
    )
    return out
