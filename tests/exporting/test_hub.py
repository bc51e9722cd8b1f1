"""What is for the Hugging Face hub, read by its own library."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.errors import RunError
from interpfer.exporting import EXPORTS
from interpfer.exporting.export import export
from interpfer.results.run import load_run

hub = pytest.importorskip("huggingface_hub", reason="needs interpfer[hub]")


def test_the_hub_reads_the_header_of_a_model_card(finished: Path, tmp_path: Path) -> None:
    exported = export(finished, "model-card", tmp_path, license="mit", hub_dataset="owner/faces")
    assert exported.files == ("README.md",)
    data = hub.ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.pipeline_tag, data.model_name) == ("mit", "image-classification", "model")
    run = load_run(finished)
    found = {result.metric_name: result for result in data.eval_results}
    facts = run.manifest["classification"]
    assert found["accuracy"].metric_value == pytest.approx(facts["accuracy"], abs=5e-5)
    assert found["accuracy"].metric_args["n"] == 14
    assert found["macro F1"].metric_type == "f1"
    (layer,) = run.manifest["arguments"]["layers"]
    own = found[f"cosine of gradcam at {layer} (macro)"]
    row = run.scores.query("map == 'gradcam' and metric == 'cosine' and group == 'macro'").iloc[0]
    assert own.metric_value == pytest.approx(row["value"], abs=5e-5)
    assert own.metric_args["ci_low"] == pytest.approx(row["ci_low"], abs=5e-5)
    assert own.metric_args["n"] == row["n"]
    assert (own.dataset_type, own.dataset_split, own.task_type) == ("owner/faces", "all", "image-classification")
    assert not any("baseline" in name for name in found)
    assert hub.repocard.metadata_load(tmp_path / "README.md")["model-index"][0]["name"] == "model"


def test_the_card_says_what_was_compared_and_what_it_does_not_show(finished: Path, tmp_path: Path) -> None:
    export(finished, "model-card", tmp_path)
    text = (tmp_path / "README.md").read_text()
    run = load_run(finished)
    counts = run.manifest["counts"]
    assert f"Of 14 images, {counts['scored']} were scored; left out: {counts['neutral']} neutral faces" in text
    assert "codebook belharbi2024, geometry reference" in text
    assert "Protocol paper: the rules of the published numbers" in text
    assert "A fixed mapping from expressions to action units is a convention" in text
    assert "| baseline:class-mean-au | - |" in text
    uniform = run.score("baseline:uniform")
    assert f"Against a uniform map ({uniform:.3f}): " in text
    assert str(finished.parent) not in text
    assert "--data-root faces0" in text or "--data-root faces" in text
    assert run.manifest["checkpoint_sha256"] in text


def test_each_map_is_placed_beside_the_baselines_by_its_interval(finished: Path) -> None:
    from interpfer.exporting.prose import found
    from interpfer.reports.page.scores import Scores

    run = load_run(finished)
    reference = run.score("baseline:uniform")
    rows = run.scores.query("metric == 'cosine' and group == 'macro' and layer != '-'")
    (sentence,) = [each for each in found(run, Scores(run)) if each.startswith("Against a uniform map")]
    for row in rows.to_dict("records"):
        side = (
            "better than"
            if row["ci_low"] > reference
            else "worse than"
            if row["ci_high"] < reference
            else "not clearly"
        )
        (part,) = [part for part in sentence.split(": ")[1].split("; ") if f"{row['map']} at" in part]
        assert side in part


def test_the_hub_reads_an_eval_result(finished: Path, tmp_path: Path) -> None:
    parse = pytest.importorskip("huggingface_hub._eval_results").parse_eval_result_entries
    choices = {"hub_dataset": "owner/faces", "hub_task": "default"}
    exported = export(finished, "hf-eval", tmp_path, **choices)
    assert exported.files == (".eval_results/faces_default_accuracy.yaml",)
    (entry,) = parse(yaml.safe_load((tmp_path / exported.files[0]).read_text()))
    run = load_run(finished)
    assert (entry.dataset_id, entry.task_id) == ("owner/faces", "default")
    assert entry.value == pytest.approx(run.manifest["classification"]["accuracy"], abs=1e-6)
    assert "accuracy in [0, 1], 95 % interval" in entry.notes
    assert run.manifest["checkpoint_sha256"] in entry.notes
    (other,) = export(finished, "hf-eval", tmp_path, value="cosine:gradcam", **choices).files
    (entry,) = parse(yaml.safe_load((tmp_path / other).read_text()))
    assert entry.value == pytest.approx(run.score("gradcam"), abs=1e-6)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "pass --hub-dataset OWNER/NAME and --hub-task ID"),
        ({"hub_dataset": "faces", "hub_task": "t"}, "--hub-dataset must be OWNER/NAME, got 'faces'"),
        (
            {"hub_dataset": "a/b", "hub_task": "t", "value": "auc"},
            "value must be one of accuracy, macro_f1, cosine:MAP",
        ),
        ({"hub_dataset": "a/b", "hub_task": "t", "value": "cosine:gradcan"}, "no map 'gradcan'. Did you mean gradcam"),
    ],
)
def test_what_an_eval_result_lacks_is_named(finished: Path, tmp_path: Path, choices: dict, message: str) -> None:
    with pytest.raises(RunError) as error:
        export(finished, "hf-eval", tmp_path / "out", **choices)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_the_command_line_writes_it_and_names_the_file(finished: Path, tmp_path: Path) -> None:
    call = ["export", str(finished), str(tmp_path), "--to", "model-card"]
    first = CliRunner().invoke(group, call)
    assert (first.exit_code, first.stdout) == (0, f"{tmp_path / 'README.md'}\n")
    assert "the header names no license: pass --license ID" in first.stderr
    second = CliRunner().invoke(group, call)
    assert second.exit_code == 1
    assert second.stderr == (
        f"error: {tmp_path} already holds README.md: pass --overwrite to replace it, or another folder.\n"
    )
    assert CliRunner().invoke(group, [*call, "--overwrite", "-q"]).exit_code == 0
    wrong = CliRunner().invoke(group, [*call[:-1], "model-cart"])
    assert "unknown export target 'model-cart'. Did you mean model-card?" in wrong.stderr
    missing = CliRunner().invoke(group, ["export", str(finished)])
    assert missing.exit_code == 2
    assert "missing: DIR, --to NAME" in missing.stderr


def test_targets_are_listed() -> None:
    listed = json.loads(CliRunner().invoke(group, ["ls", "exports", "--json"]).stdout)
    assert [each["name"] for each in listed][:4] == ["model-card", "hf-eval", "fiftyone", "coco"]
    assert all(each["what"] for each in listed)


def test_a_target_is_one_file(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(__file__).with_name("own_target.py")
    shown = (Path(__file__).parents[2] / "docs" / "howto" / "share.md").read_text()
    assert own.read_text().partition("\n\n")[2].strip().replace("  # noqa: ARG002", "") in shown
    monkeypatch.syspath_prepend(str(own.parent))
    monkeypatch.setitem(EXPORTS._targets, "names", ("own_target:NamesExport", "mine"))
    done = CliRunner().invoke(group, ["export", str(finished), str(tmp_path / "out"), "--to", "names"])
    assert (done.exit_code, done.stderr.strip()) == (0, "14 names")
    assert (tmp_path / "out" / "names.txt").read_text().splitlines() == list(
        dict.fromkeys(load_run(finished).per_image["image"])
    )
