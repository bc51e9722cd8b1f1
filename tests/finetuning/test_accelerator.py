from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from interpfer.datasets.demo import DemoDataset
from tests.finetuning.trainings import QUICK, same, train, weights


def test_each_training_of_a_process_chooses_its_precision(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    own = Accelerator(cpu=True)
    for precision in ("bf16", "no"):
        result = train(checkpoint, drawn, tmp_path / precision, replace(QUICK, epochs=1, precision=precision))
        assert len(result.history) == 1
    assert own.mixed_precision == "no"
    assert own.num_processes == 1
    assert not same(weights(tmp_path / "bf16"), weights(tmp_path / "no"))
