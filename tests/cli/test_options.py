from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.cli.options import OTHERS, verb
from interpfer.robustness.options import RobustnessOptions


@pytest.mark.parametrize("name", ["robustness", "score"])
def test_a_printed_config_keeps_all_models(name: str) -> None:
    words = [name, "a.pt", "b.pt", "c d.pt", "--dataset", "demo", "--print-config"]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    config = yaml.safe_load(done.stdout)
    assert (config["model"], config[OTHERS]) == ("a.pt", ["b.pt", "c d.pt"])
    alone = yaml.safe_load(CliRunner().invoke(group, [name, "a.pt", "--dataset", "demo", "--print-config"]).stdout)
    assert OTHERS not in alone


def test_a_config_gives_all_models_back_unless_one_is_passed(tmp_path: Path) -> None:
    seen: list[tuple[object, tuple[Path, ...]]] = []

    @verb("robustness", RobustnessOptions, arguments=("model",))
    @click.argument("others", type=click.Path(path_type=Path), nargs=-1)
    def command(others: tuple[Path, ...], options: RobustnessOptions) -> None:
        seen.append((str(options.model), others))

    config = tmp_path / "c.yaml"
    config.write_text(f"model: a.pt\n{OTHERS}: [b.pt, c.pt]\ndataset: demo\n")
    for words in ([], ["z.pt"], ["z.pt", "y.pt"]):
        done = CliRunner().invoke(command, [*words, "--config", str(config)])
        assert done.exit_code == 0, done.output
    assert seen == [("a.pt", (Path("b.pt"), Path("c.pt"))), ("z.pt", ()), ("z.pt", (Path("y.pt"),))]
