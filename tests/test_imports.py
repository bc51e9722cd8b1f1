import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import interpfer

HEAVY = {"torch", "torchvision", "timm", "pandas", "matplotlib", "sklearn", "skimage", "scipy", "captum", "cv2", "PIL"}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running ``code``."""
    root = str(Path(interpfer.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_the_package_is_light() -> None:
    assert not loaded_by("import interpfer") & (HEAVY | {"numpy"})


@pytest.mark.skipif(importlib.util.find_spec("interpfer.cli") is None, reason="there is no command line yet")
def test_importing_the_command_line_is_light() -> None:
    assert not loaded_by("import interpfer.cli") & {"torch", "torchvision", "matplotlib", "sklearn", "pandas"}


def test_a_leaderboard_is_ranked_without_torch(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    board, run = tmp_path / "board.csv", tmp_path / "run"
    board.write_text("model,map,layer,cosine,kl,pxap,lower_is_better,decimals\na,gradcam,l4,0.5,2,9,kl,pxap:1\n")
    interpfer.score(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu", maps="gradcam",
        metrics="cosine,kl", limit=12, out=run, report=False,
    )  # fmt: skip
    table = tmp_path / "table.csv"
    call = f"main(['leaderboard', {str(board)!r}, {str(run)!r}, '--sort', 'kl', '--out', {str(table)!r}])"
    code = f"from interpfer.cli import main\ntry: {call}\nexcept SystemExit as end: assert not end.code, end.code"
    assert not loaded_by(code) & {"torch", "matplotlib", "sklearn", "scipy"}
    assert [line.split(",")[:2] for line in table.read_text().splitlines()[1:]] == [["1", "kl"]] * 2


def test_names_of_plugins_are_listed_without_importing_them() -> None:
    loaded_by("""
import importlib
from interpfer.registry import Registry
names = ("maps", "metrics", "models", "datasets", "landmarks")
packages = [importlib.import_module(f"interpfer.{name}") for name in names]
before = set(sys.modules)
registries = [value for package in packages for value in vars(package).values() if isinstance(value, Registry)]
assert len(registries) >= len(packages) and all(registry.names() for registry in registries)
assert not [name for name in set(sys.modules) - before if name.startswith("interpfer.")]
""")


def test_every_public_name_is_there() -> None:
    for name in interpfer.__all__:
        assert getattr(interpfer, name) is not None
    assert interpfer.metrics.cosine is not None
    assert sorted(interpfer.__all__) == interpfer.__all__
    with pytest.raises(AttributeError, match="module 'interpfer' has no attribute 'scores'"):
        interpfer.scores  # noqa: B018
