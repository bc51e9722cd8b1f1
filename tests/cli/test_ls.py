import pytest
from click.testing import CliRunner

from interpfer.cli import COMMANDS, group
from interpfer.cli.ls import listing


def test_addresses_are_in_one_piece() -> None:
    lines = CliRunner().invoke(group, ["ls", "datasets"]).stdout.splitlines()
    long = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
    assert f"  fer2013: {long}" in lines
    assert lines[0].strip() == "Data sets, for --dataset"


def test_a_plugin_lists_its_facts() -> None:
    class Foreign:
        """A landmark provider of another package.

        It has no listing of its own.
        """

    assert listing(Foreign) == {"what": "A landmark provider of another package."}
    Foreign.summary = "finds points"
    assert listing(Foreign) == {"what": "finds points"}
    Foreign.listing = staticmethod(lambda: {"what": "finds", "speed": "slow"})
    assert listing(Foreign) == {"what": "finds", "speed": "slow"}


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("maps", ["gradcam++", "arXiv 1610.02391", "backward", "baseline:uniform"]),
        ("metrics", ["cosine_skill", "higher", "0 .. 100"]),
        ("datasets", ["csv", "folder", "demo", "labels.csv", "rafdb", "kdef.se", "non-commercial", "train, val, test"]),
        ("landmarks", ["file"]),
        ("codebooks", ["belharbi2024", "disgust: 5 9 16 17 25 26", "emfacs"]),
        ("models", ["torchvision", "timm", "interpfer"]),
        ("presets", ["poster_v2/rafdb", "RecorderMeter", "Toisoul", "github.com/yaoing/DAN"]),
        ("classes", ["rafdb", "hsemotion", "surprise, fear, disgust, happiness, sadness, anger, neutral"]),
    ],
)
def test_ls_prints_the_facts(kind: str, texts: list[str]) -> None:
    done = CliRunner().invoke(group, ["ls", kind])
    assert done.exit_code == 0, done.output
    for text in texts:
        assert text in done.stdout


def test_help_of_every_command_shows_examples() -> None:
    overview = CliRunner().invoke(group, ["--help"]).stdout
    for name, line in COMMANDS.items():
        assert line.split(".")[0][:40] in overview
        page = CliRunner().invoke(group, [name, "--help"]).stdout
        assert f"interpfer {name} " in page
