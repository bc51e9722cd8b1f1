"""The three jobs of the README, run as they stand there."""

import io
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import interpfer
from interpfer.cli import group
from interpfer.results.run import load_run
from tests.docs.test_pages import commands

ROOT = Path(interpfer.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Three jobs\n")[2].partition("\n## ")[0]
TABLE, PLUGINS, QUESTION = re.split(r"^\*\*", SECTION, flags=re.MULTILINE)[1:]


@pytest.fixture(scope="module")
def demo(few_faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which demo/ is as `interpfer demo` leaves it, as far as the jobs use it, with few faces."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "demo" / "tuned").mkdir(parents=True)
    (folder / "demo" / "test").symlink_to(few_faces)
    for suffix in (".pt", ".yaml"):
        for place in ("demo", "demo/tuned"):
            (folder / place / f"model{suffix}").symlink_to(checkpoint.with_suffix(suffix))
    return folder


@pytest.fixture(scope="module")
def answered(demo: Path) -> dict[str, str]:
    """Output of the commands of the first and the third job, in order."""
    outputs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(demo)
        for call in [*commands(TABLE), *commands(QUESTION)]:
            done = CliRunner().invoke(group, shlex.split(call)[1:])
            assert done.exit_code == 0, f"{call}: {done.output}"
            outputs[call] = done.stdout
    return outputs


def test_a_papers_table(demo: Path, answered: dict[str, str]) -> None:
    assert len([call for call in answered if call in list(commands(TABLE))]) == 5
    table = (demo / "table.tex").read_text()
    assert "\\toprule" in table
    assert "gradcam" in table
    with zipfile.ZipFile(demo / "study.zip") as bundle:
        assert {"index.html", "runs/plain/scores.csv", "runs/guided/scores.csv"} <= set(bundle.namelist())
        assert "comparisons/plain--guided.csv" in bundle.namelist()


def test_a_reviewers_question(demo: Path, answered: dict[str, str]) -> None:
    assert len(list(commands(QUESTION))) == 4
    assert (demo / "study" / "robustness" / "conclusions.csv").is_file()
    assert load_run(demo / "study" / "corrected").manifest["sanity"]
    assert (demo / "answer.png").stat().st_size > 10_000
    stability = next(output for call, output in answered.items() if "--stability" in call)
    assert "corrected" in stability


def test_a_network_with_plugins_of_ones_own(demo: Path, tmp_path: Path) -> None:
    for block in re.finditer(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", PLUGINS, re.MULTILINE | re.DOTALL):
        path = tmp_path / block[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block[2])
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "demo").symlink_to(demo / "demo")
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    points = (tmp_path / "pyproject.toml").read_text().replace('[project.entry-points."', "[").replace('"]', "]")
    (info / "entry_points.txt").write_text(points.replace('"', ""))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    steps = "import runpy; runpy.run_path('study.py')\nfrom interpfer.cli import main; main(['ls', 'maps', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", steps], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = load_run(tmp_path / "study" / "mine")
    assert run.manifest["arguments"]["model"] == "mine"
    assert list(dict.fromkeys(run.scores["map"]))[:2] == ["positive-cam", "gradcam"]
    assert set(run.scores["metric"]) == {"cosine", "heat_under_map"}
    rows = run.scores[(run.scores["metric"] == "heat_under_map") & (run.scores["group"] == "macro")]
    values = rows.set_index("map")["value"]
    assert values["baseline:class-mean-au"] > values["baseline:uniform"] > 0
    listed = done.stdout[done.stdout.index("\n[") :]  # after the summary of the study
    facts = pd.read_json(io.StringIO(listed)).set_index("name")
    assert facts.loc["positive-cam", "by"] == "my-package"
    assert facts.loc["gradcam", "by"] == "interpfer"
