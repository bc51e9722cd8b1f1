from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from tests.finetuning.trainings import QUICK, same, train, weights


def test_each_training_of_a_process_chooses_its_precision(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    own = Accelerator(cpu=True)
    for precision in ("bf16", "no"):
        result = train(checkpoint, drawn, tmp_path / precision, replace(QUICK, epochs=1, precision=precision))
        assert len(result.history) == 1
    assert own.mixed_precision == "no"
    assert own.num_processes == 1
    assert not same(weights(tmp_path / "bf16"), weights(tmp_path / "no"))


def test_half_precision_on_a_cpu_is_refused_before_anything_is_read_or_written(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    with pytest.raises(InterpferError) as error:
        train(checkpoint, drawn, tmp_path / "out", replace(QUICK, epochs=1, precision="fp16"))
    assert str(error.value) == (
        "mixed precision fp16 is not available on the device cpu; pass --mixed-precision bf16 or no, or --device cuda."
    )
    assert not (tmp_path / "out").exists()
    result = train(checkpoint, drawn, tmp_path / "out", replace(QUICK, epochs=1, precision="no"))
    assert len(result.history) == 1
