import sys
from pathlib import Path

import pytest
import torch

from interpfer.errors import ModelError
from interpfer.models.architectures import build
from interpfer.models.card import ModelCard
from interpfer.models.import_file import import_file, importable

NET = "from torch import nn\n\n\nclass Net(nn.Module):\n    width = {width}\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def width(folder: Path, arch: str = "build.py:Net") -> int:
    return build(ModelCard(arch, ("anger",), folder=folder), trust=True).width  # type: ignore[return-value]


def test_what_lies_beside_a_file_is_importable(tmp_path: Path) -> None:
    """A build.py in a clone imports the package of the clone; a file of a package imports its neighbours relatively."""
    clone = write(tmp_path / "clone", {
        "build.py": "from models.net import Net\n",
        "models/net.py": "from .parts import WIDTH\n" + NET.format(width="WIDTH"),
        "models/parts.py": "WIDTH = 3\n",
    })  # fmt: skip
    assert width(clone) == 3
    assert width(clone, "models/net.py:Net") == 3
    package = write(tmp_path / "package", {
        "lib/__init__.py": "", "lib/nets/__init__.py": "", "lib/width.py": "WIDTH = 5\n",
        "lib/nets/net.py": "from ..width import WIDTH\n" + NET.format(width="WIDTH"),
    })  # fmt: skip
    assert width(package, "lib/nets/net.py:Net") == 5
    assert str(clone) not in sys.path


def test_modules_of_two_projects_are_not_mixed(tmp_path: Path) -> None:
    """Both have a package ``models``: each file gets its own, also when the first is built again."""
    folders = [
        write(tmp_path / name, {"build.py": "from models.net import Net\n", "models/net.py": NET.format(width=number)})
        for name, number in (("one", 1), ("two", 2))
    ]
    assert [width(folder) for folder in (*folders, folders[0])] == [1, 2, 1]


def test_an_installed_module_of_the_same_name_is_hidden_meanwhile(tmp_path: Path) -> None:
    project = write(
        tmp_path,
        {"build.py": "from pytest.net import Net\n", "pytest/__init__.py": "", "pytest/net.py": NET.format(width=7)},
    )
    assert width(project) == 7
    assert sys.modules["pytest"] is pytest


def test_imports_inside_the_constructor_work(tmp_path: Path) -> None:
    text = "def make():\n    from parts_of_it import Net\n    return Net()\n"
    project = write(tmp_path, {"build.py": text, "parts_of_it.py": NET.format(width=9)})
    assert width(project, "build.py:make") == 9


def test_a_script_that_reads_the_command_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('data')\nparser.parse_args()\n"
    path = write(tmp_path, {"train.py": text}) / "train.py"
    with pytest.raises(ModelError, match=r"train.py ended the program while it was imported, .* \(argparse\)"):
        import_file(path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import surely_missing\n",
            r"cannot be imported: ModuleNotFoundError: .*Install it, or put it beside",
        ),
        ("1 / 0\n", r"cannot be imported: ZeroDivisionError: division by zero\.$"),
        ("from . import surely_missing\n", r"cannot be imported: ImportError"),
    ],
)
def test_what_fails_is_named(tmp_path: Path, text: str, message: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ModelError, match=message):
        import_file(write(tmp_path, {"broken.py": text}) / "broken.py")
    assert not {name for name in set(sys.modules) - before if "broken" in name}


def test_a_file_may_be_imported_again(tmp_path: Path) -> None:
    path = write(tmp_path, {"net.py": NET.format(width=1)}) / "net.py"
    with importable(path):
        assert import_file(path).Net.width == 1
    path.write_text(NET.format(width=11))
    assert import_file(path).Net.width == 11
    assert isinstance(import_file(path).Net(), torch.nn.Module)
