import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from click.testing import CliRunner

from interpfer.bundle import archive
from interpfer.bundle.archive import safe_names
from interpfer.bundle.commands import commands_script
from interpfer.bundle.page import index_page
from interpfer.bundle.run_members import open_runs, thin_gallery
from interpfer.bundle.write import write_bundle
from interpfer.cli import group
from interpfer.errors import RunError
from interpfer.results.comparison import compare
from interpfer.results.pictures import load_report_data
from interpfer.results.run import load_run

NAMES = ["first-paper", "first-corrected", "second-paper", "second-corrected"]
TABLES = ("scores.csv", "per_image.csv", "confusion.csv", "run.json", "au_profile.csv")


class Links(HTMLParser):
    """The targets of links, pictures and scripts on a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "srcset", "action", "poster")]


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_it_holds_everything_about_each_run(bundle: Path, study: list[Path]) -> None:
    found = members(bundle)
    for folder, name in zip(study, NAMES, strict=True):
        for table in TABLES:
            assert found[f"runs/{name}/{table}"] == (folder / table).read_bytes()
        card = folder.parents[1] / f"{name.partition('-')[0]}.yaml"
        assert found[f"runs/{name}/model-card.yaml"] == card.read_bytes()
        assert f"runs/{name}/report.html" in found
        for figure in ("scores", "confusion", "au-profile", "layers-by-class", "mean-maps"):
            assert found[f"runs/{name}/figures/{figure}.pdf"].startswith(b"%PDF")
    assert {"index.html", "manifest.json", "commands.sh", "leaderboard/leaderboard.html"} <= set(found)
    assert b"\\toprule" in found["leaderboard/table.tex"]
    assert b"@inproceedings{belharbi2024guided" in found["leaderboard/references.bib"]
    assert b"@misc{interpfer" in found["leaderboard/references.bib"]
    assert b"% gradcam: Selvaraju et al. 2017, arXiv 1610.02391\n" in found["leaderboard/references.bib"]
    assert bundle.stat().st_size < archive.MAX_BYTES / 5


def test_only_runs_of_the_same_rules_are_compared(bundle: Path, study: list[Path]) -> None:
    found = members(bundle)
    comparisons = [name for name in found if name.startswith("comparisons/")]
    expected = ["comparisons/first-corrected--second-corrected.csv", "comparisons/first-paper--second-paper.csv"]
    assert comparisons == expected
    table = pd.read_csv(io.BytesIO(found[comparisons[1]]))
    by_hand = compare(load_run(study[0]), load_run(study[2]))
    pd.testing.assert_frame_equal(table, by_hand, check_dtype=False, atol=1e-6)
    page = found["index.html"].decode()
    assert page.count("Not compared") == 2
    assert "one was scored with protocol paper, the other with corrected" in page


def test_both_protocols_stand_on_one_page(bundle: Path, study: list[Path]) -> None:
    page = members(bundle)["index.html"].decode()
    (head,) = set(re.findall(r"<thead><tr><th scope=\"col\">model.*?</thead>", page))
    assert head.count('class="number">paper') == 1
    assert head.count('class="number">corrected') == 1
    for folder in study:
        run = load_run(folder)
        for name in ("gradcam", "attention"):
            assert f"{run.score(name):.3f} [" in page
            assert f"{run.score(name, 'pxap', 'micro'):.1f} [" in page


def test_what_distinguishes_runs_is_said(study: list[Path]) -> None:
    (bundled,) = open_runs(study[:1], faces=False)
    manifest = bundled.run.manifest
    arguments = manifest["arguments"] | {"landmarks": "embedded", "dataset_name": "clinic", "model": "other"}
    network = {"architecture": "SmallCNN", "parameters": 1234, "lineage": "fine-tuned from first, seed 2"}
    other = replace(bundled.run, manifest=manifest | {"arguments": arguments, "network": network})
    same_data = replace(other, manifest=other.manifest | {"arguments": arguments | {"dataset_name": "faces"}})
    runs = [bundled, replace(bundled, name="b", run=same_data), replace(bundled, name="c", run=other)]
    page = index_page(runs, [], [], False).decode()
    assert "fine-tuned from first, seed 2" in page
    assert "SmallCNN, 1,234 parameters" in page
    assert "<h2>clinic (csv), split all</h2>" in page


def test_landmarks_get_columns_of_their_own(study: list[Path]) -> None:
    (bundled,) = open_runs(study[:1], faces=False)
    arguments = bundled.run.manifest["arguments"] | {"landmarks": "embedded"}
    other = replace(bundled.run, manifest=bundled.run.manifest | {"arguments": arguments})
    page = index_page([bundled, replace(bundled, name="b", run=other)], [], [], False).decode()
    assert '<th scope="col" class="number">paper, landmarks embedded</th>' in page
    assert page.count("<h3>cosine</h3>") == 1


def test_every_link_resolves_and_none_leaves_the_bundle(unpacked: Path) -> None:
    pages = sorted(unpacked.rglob("*.html"))
    assert len(pages) == 6
    count = 0
    for page in pages:
        for target in Links(page.read_text()).targets:
            if target.startswith(("#", "data:")) or (page.name != "index.html" and target.startswith("https://")):
                continue
            place = (page.parent / unquote(target)).resolve()
            assert place.is_file(), f"{page.name} links to {target}"
            assert place.is_relative_to(unpacked.resolve())
            count += 1
    assert count > 40
    linked = {unquote(target) for target in Links((unpacked / "index.html").read_text()).targets}
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert files - linked <= {"index.html"} | {name for name in files if name.endswith(".pdf") or "/figures/" in name}


def test_no_photograph_unless_asked(bundle: Path, study: list[Path], tmp_path: Path) -> None:
    photographs = []
    for folder in study:
        pictures = load_report_data(folder)
        assert pictures is not None
        photographs += [*pictures.faces, *(face for face in pictures.mean_faces if face)]
    assert len(photographs) > 20
    encoded = [base64.b64encode(photograph) for photograph in photographs]
    for name, content in members(bundle).items():
        assert not name.endswith((".jpg", ".jpeg", ".npz"))
        assert b'"/9j/' not in content, name  # the start of every JPEG in a page
        assert not any(each in content for each in (*encoded, *photographs)), name
    assert b"No photograph of a face is included" in members(bundle)["index.html"]
    shown = members(write_bundle(study[:1], out=tmp_path / "faces.zip", faces=True, figures=False).path)
    whole = load_report_data(study[0])
    assert whole is not None
    pictures = thin_gallery(whole)
    assert 7 <= len(pictures.faces) == len(pictures.ids) < len(whole.faces)
    for face in pictures.faces:
        assert base64.b64encode(face) in shown["runs/first-paper/report.html"]
    assert b"Photographs of faces are included" in shown["index.html"]


def test_a_gallery_keeps_a_face_of_each_expression_in_each_group(study: list[Path]) -> None:
    whole = load_report_data(study[0])
    assert whole is not None
    thin = thin_gallery(whole)
    pairs = [
        {(label, group) for label, groups in zip(each.labels, each.groups, strict=True) for group in groups}
        for each in (whole, thin)
    ]
    assert pairs[0] == pairs[1]
    for row, name in enumerate(thin.ids):
        place = whole.ids.index(name)
        assert (thin.maps[row] == whole.maps[place]).all()
        assert (thin.other[row] == whole.other[place]).all()
        assert thin.faces[row] == whole.faces[place]
        assert (thin.labels[row], thin.confidence[row]) == (whole.labels[place], whole.confidence[place])
    assert (thin.mean_maps == whole.mean_maps).all()


def test_the_manifest_has_the_hash_of_every_file_and_input(bundle: Path, study: list[Path], faces: Path) -> None:
    found = members(bundle)
    manifest = json.loads(found["manifest.json"])
    assert list(manifest["sha256"]) == sorted(set(found) - {"manifest.json"})
    for name, digest in manifest["sha256"].items():
        assert digest == hashlib.sha256(found[name]).hexdigest()
    checkpoint = (study[0].parents[1] / "first.pt").read_bytes()
    inputs = manifest["inputs"]["first-paper"]
    assert inputs["checkpoint (sha256)"] == hashlib.sha256(checkpoint).hexdigest()
    assert inputs["landmarks"] == hashlib.sha256((faces / "landmarks.txt").read_bytes()).hexdigest()
    assert set(manifest["inputs"]) == set(NAMES)


def test_the_same_runs_give_the_same_bytes(bundle: Path, study: list[Path], tmp_path: Path) -> None:
    compared = [str(folder) for folder in study[::2]]
    once, again = (write_bundle(compared, out=str(tmp_path / f"{n}.zip"), figures=False) for n in range(2))
    assert any(name.startswith("comparisons/") for name in once.members)
    assert again.path.read_bytes() == once.path.read_bytes()
    with zipfile.ZipFile(again.path) as opened:
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert opened.namelist() == sorted(opened.namelist()) == list(again.members)
    figures = members(write_bundle(study[:1], out=tmp_path / "figures.zip").path)
    found = members(bundle)  # of another call
    assert sum(name.endswith(".pdf") for name in figures) >= 5
    assert all(found[name] == content for name, content in figures.items() if name.startswith("runs/"))
    assert not list(tmp_path.glob(".*"))


def test_its_commands_reproduce_the_bytes(unpacked: Path, tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "interpfer"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m interpfer "$@"\n')
    binary.chmod(0o755)
    out = tmp_path / "re produced"
    script = (unpacked / "commands.sh").read_text()
    kept = [line for line in script.splitlines() if "second-" not in line and "first-paper" not in line]
    done = subprocess.run(
        ["sh", "-c", "\n".join(kept), "commands.sh", str(out)],
        env={"PATH": f"{binary.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for table in ("scores.csv", "per_image.csv", "confusion.csv"):
        reproduced = out / "first-corrected" / table
        assert reproduced.read_bytes() == (unpacked / "runs" / "first-corrected" / table).read_bytes()
    assert "interpfer leaderboard" in script
    assert script.count("interpfer compare") == 2


def test_runs_of_older_versions_and_other_metrics(study: list[Path], tmp_path: Path) -> None:
    old = Path(__file__).parents[1] / "results" / "old_run"
    found = members(write_bundle([old, study[0]], out=tmp_path / "old.zip", figures=False).path)
    assert found["runs/old_run/scores.csv"] == (old / "scores.csv").read_bytes()
    assert b"# old_run: replace MODEL and DIR by the inputs with the hashes of its run.json" in found["commands.sh"]
    assert found["index.html"].count(b"<h3>cosine</h3>") == 2  # one per data set


def test_names_are_safe_and_different() -> None:
    hostile = [
        "../../etc/passwd",
        "..",
        "",
        "a b",
        "a-b",
        "A-B",
        "CON",
        "lpt1.x",
        "x" * 300,
        "naïve",
        "$(rm -rf)",
        "-o",
    ]
    names = safe_names(hostile)
    assert len({name.casefold() for name in names}) == len(hostile)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,70}", name)
        assert ".." not in name
        assert name.casefold() not in ("con", "lpt1.x")


def test_hostile_names_on_the_page_are_text(study: list[Path]) -> None:
    (bundled,) = open_runs(study[:1], faces=False)
    hostile = "<img src=x onerror=owned=1>"
    run = replace(bundled.run, manifest=bundled.run.manifest | {
        "arguments": bundled.run.manifest["arguments"] | {"model": hostile, "dataset": hostile, "protocol": hostile},
        "command": ["interpfer", "score", "$(owned)", "--name", "a'; owned"],
    })  # fmt: skip
    page = index_page([replace(bundled, run=run)], [], ["runs/first-paper/scores.csv"], False).decode()
    assert "<img" not in page
    assert "&lt;img src=x" in page
    script = commands_script([replace(bundled, run=run)], [])
    assert "interpfer score '$(owned)' --name 'a'\"'\"'; owned' --out \"$OUT\"/first-paper" in script


def test_runs_of_one_folder_name_get_more_of_their_path(study: list[Path], tmp_path: Path) -> None:
    for place, folder in enumerate(study[:2]):
        (tmp_path / f"part{place}").mkdir()
        (tmp_path / f"part{place}" / "run").symlink_to(folder)
    names = [bundled.name for bundled in open_runs([tmp_path / "part0" / "run", tmp_path / "part1" / "run"], False)]
    assert names == ["first-paper", "first-corrected"]
    with pytest.raises(RunError, match=r"run folder .*first-paper is passed twice\."):
        open_runs([study[0], tmp_path / "part0" / "run"], False)


def test_what_is_too_large_is_refused(study: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 30_000)
    with pytest.raises(RunError) as error:
        write_bundle(study[:1], out=tmp_path / "study.zip", figures=False)
    assert re.fullmatch(
        r"the bundle would have 0\.\d MB, more than 0: pass fewer runs, leave out --faces, or pass --no-figures\.",
        str(error.value),
    )
    assert not list(tmp_path.iterdir())


def test_one_line_for_each_mistake(study: list[Path], tmp_path: Path) -> None:
    for runs, out, message in (
        ([str(tmp_path)], "study.zip", "holds no finished run"),
        ([str(study[0])], "study.tar", f"a bundle is a zip file: pass --out NAME.zip, got {tmp_path / 'study.tar'}."),
        ([str(tmp_path / "none")], "study.zip", "run folder not found"),
    ):
        done = CliRunner().invoke(group, ["bundle", *runs, "--out", str(tmp_path / out)])
        assert done.exit_code == 1
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    with pytest.raises(RunError, match="a bundle needs at least one run folder"):
        write_bundle([], out=tmp_path / "study.zip")


def test_the_command(study: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / "study.zip"
    call = ["bundle", *map(str, study[:2]), "--out", str(out), "--no-figures", "--quiet"]
    done = CliRunner().invoke(group, call)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out)
    assert not any("/figures/" in name for name in members(out))
