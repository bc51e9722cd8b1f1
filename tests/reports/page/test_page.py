import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.colors import LogNorm, to_hex, to_rgb

from interpfer.errors import RunError
from interpfer.metrics import METRICS
from interpfer.metrics.base import Facts
from interpfer.reports.page import render_run, render_runs
from interpfer.reports.page.action_units import FARTHEST, au_sheets
from interpfer.reports.page.change import Move, change
from interpfer.reports.page.charts import score_chart, spread
from interpfer.reports.page.headline import headline
from interpfer.reports.page.provenance import command, left_out
from interpfer.reports.page.scores import Scores, number
from interpfer.reports.page.shades import STEPS, contrast, shade_rules
from interpfer.reports.page.side_by_side import comparison_context
from interpfer.reports.page.tables import confusion_sheet, layer_by_class, map_by_class
from interpfer.reports.style import LESS_MORE
from interpfer.results.metric_facts import write_readings
from interpfer.results.pictures import load_report_data
from interpfer.results.run import Run, load_run


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return load_run(run_folder)


def with_scores(run: Run, cosine: float, low: float, high: float, **others: float) -> Run:
    """The run with one value for every map of the model but ``others``, and baselines at 0.5, 0.7 and 0.9."""
    scores = run.scores.copy()
    own = (scores["metric"] == "cosine") & (scores["layer"] != "-")
    scores.loc[own, ["value", "ci_low", "ci_high"]] = (cosine, low, high)
    for name, value in others.items():
        scores.loc[own & (scores["map"] == name), ["value", "ci_low", "ci_high"]] = (value, value - 0.01, value + 0.01)
    for name, value in (("uniform", 0.5), ("mean-au", 0.7), ("class-mean-au", 0.9)):
        scores.loc[(scores["metric"] == "cosine") & (scores["map"] == f"baseline:{name}"), "value"] = value
    return replace(run, scores=scores)


@pytest.mark.parametrize(
    ("cosine", "low", "high", "said"),
    [
        (0.40, 0.38, 0.42, "less than a map that is the same everywhere would"),
        (0.50, 0.48, 0.52, "no more than a map that is the same everywhere would"),
        (0.51, 0.505, 0.52, "hardly more than a map that is the same everywhere would"),
        (0.58, 0.57, 0.59, "a little more than a map that is the same everywhere would"),
        (0.70, 0.69, 0.71, "clearly more than a map that is the same everywhere would"),
        (0.85, 0.84, 0.86, "almost as much as knowing the label alone would allow"),
        (0.95, 0.94, 0.96, "more than knowing the label alone would allow"),
        (0.901, 0.85, 0.95, "about as much as knowing the label alone would allow"),
    ],
)
def test_the_verdict_weighs_the_score_against_its_baselines(
    run: Run, cosine: float, low: float, high: float, said: str
) -> None:
    weighed = with_scores(run, cosine, low, high)
    found = headline(weighed, Scores(weighed))
    assert found.verdict == f"model looks at the expected action units {said}, and so does its class map (gradcam)."
    assert found.sentence.count(f"{cosine:.3f} [{low:.3f}, {high:.3f}]") == 2
    for text in ("On 36 faces the attention of stages.3 reaches", "a uniform map scores 0.500", "class scores 0.900."):
        assert text in found.sentence


SAME, LABEL = "a map that is the same everywhere would", "knowing the label alone would allow"


@pytest.mark.parametrize(
    ("attention", "gradcam", "looks", "lies"),
    [
        (0.7, 0.4, f"clearly more than {SAME}", "less"),
        (0.95, 0.5, f"more than {LABEL}", f"no more than {SAME}"),
        (0.85, 0.95, f"almost as much as {LABEL}", f"more than {LABEL}"),
    ],
)
def test_attention_and_class_map_are_told_apart(
    run: Run, attention: float, gradcam: float, looks: str, lies: str
) -> None:
    weighed = with_scores(run, 0, 0, 0, attention=attention, gradcam=gradcam)
    assert headline(weighed, Scores(weighed)).verdict == (
        f"model looks at the expected action units {looks}, and its class map (gradcam) lies on them {lies}."
    )


@pytest.mark.parametrize(
    ("cosine", "said"), [(0.4, "less than"), (0.5, "no more than"), (0.55, "a little more than"), (0.95, "more than")]
)
def test_without_an_interval_the_value_decides(run: Run, cosine: float, said: str) -> None:
    weighed = with_scores(run, cosine, math.nan, math.nan)
    assert headline(weighed, Scores(weighed)).verdict.startswith(f"model looks at the expected action units {said}")


def test_a_metric_that_is_better_low_gets_its_numbers_and_no_verdict(run: Run) -> None:
    falling = replace(run, scores=run.scores[run.scores["metric"] == "cosine"].replace({"metric": {"cosine": "kl"}}))
    assert headline(falling, Scores(falling)).verdict.startswith("model was scored in kl, of which less is better")
    bare = replace(falling, scores=falling.scores[falling.scores["layer"] != "-"])
    assert "without a uniform map" in headline(bare, Scores(bare)).verdict


def twins(run: Run, name: str, of: str) -> Run:
    """The run with a map before all others that is the same thing as one it has, which repeats it."""
    tables = [
        pd.concat([table[table["map"] == of].assign(map=name), table], ignore_index=True)
        for table in (run.scores, run.per_image, run.au_profile)
        if table is not None
    ]
    same = {f"{of}@{layer}": f"{name}@{layer}" for layer in ("stages.2", "stages.3")}
    scores, images, profile = tables
    return replace(run, scores=scores, per_image=images, au_profile=profile, manifest=run.manifest | {"same": same})


def test_the_page_shows_the_map_that_the_headline_speaks_of(run: Run) -> None:
    twin = twins(run, "hirescam", "gradcam")
    scores = Scores(twin)
    assert headline(twin, scores).headline_maps == (("attention", "stages.3"), ("gradcam", "stages.3"))
    assert [(bar.name, bar.detail) for bar in score_chart(scores).bars if bar.headline_maps] == [
        ("attention", "stages.3"), ("gradcam", "stages.3"),
    ]  # fmt: skip
    assert len(scores.distinct) == 4
    assert scores.best("cosine") in scores.distinct
    assert next(sheet.key["map"] for sheet in au_sheets(twin, scores)) == "gradcam stages.3"


def test_more_maps_do_not_flatter_the_verdict(run: Run) -> None:
    lucky = run.scores[run.scores["map"] == "gradcam"].assign(map="layercam", value=0.99, ci_low=0.98, ci_high=1.0)
    more = replace(run, scores=pd.concat([run.scores, lucky], ignore_index=True))
    few, many = (headline(one, Scores(one)) for one in (run, more))
    assert (few.verdict, few.sentence, few.headline_maps) == (many.verdict, many.sentence, many.headline_maps)
    assert "Of all 6 maps the median cosine is" in many.notes[0]
    assert many.notes[0].endswith("the best is layercam of stages.2 with 0.990.")
    twins = {f"layercam@{layer}": f"gradcam@{layer}" for layer in ("stages.2", "stages.3")}
    same = replace(more, manifest=more.manifest | {"same": twins})
    assert "Of all 4 maps" in headline(same, Scores(same)).notes[0]


def test_a_run_without_attention_speaks_of_its_class_map(run: Run) -> None:
    weighed = with_scores(run, 0.4, 0.38, 0.42)
    alone = replace(weighed, scores=weighed.scores[weighed.scores["map"] != "attention"])
    assert headline(alone, Scores(alone)).verdict == (
        f"The class map (gradcam) of model lies on the expected action units less than {SAME}."
    )
    renamed = replace(alone, scores=alone.scores.replace({"map": {"gradcam": "eigencam"}}))
    assert headline(renamed, Scores(renamed)).verdict.startswith("The map eigencam of model lies on")


def test_classes_of_few_faces_are_named(run: Run) -> None:
    assert headline(run, Scores(run)).notes[-1].startswith("Few faces, yet each of these classes weighs as much")
    scores = run.scores.assign(n=run.scores["n"].where(run.scores["group"] != "fear", 3) + 7)
    many = replace(run, scores=scores)
    assert not any("Few faces" in note for note in headline(many, Scores(many)).notes)


def with_counts(run: Run, name: str, group: str, n: int) -> Run:
    """The run with another count of faces for a map and a group; of all other classes there are many."""
    scores = run.scores.assign(n=run.scores["n"] + 30)
    scores.loc[(scores["map"] == name) & (scores["group"] == group), "n"] = n
    return replace(run, scores=scores)


@pytest.mark.parametrize("name", ["attention", "gradcam"])
def test_few_faces_of_either_map_are_told(run: Run, name: str) -> None:
    few = with_counts(run, name, "fear", 3)
    assert headline(few, Scores(few)).notes[-1].endswith("weighs as much as any other: fear (3).")
    unknown = with_counts(run, name, "fear", 0)
    assert not any("Few faces" in note for note in headline(unknown, Scores(unknown)).notes)
    pooled = replace(few, scores=few.scores[few.scores["metric"] == "pxap"])
    assert not any("Few faces" in note for note in headline(pooled, Scores(pooled)).notes)


def test_a_map_of_other_faces_says_on_how_many(run: Run) -> None:
    fewer = with_counts(run, "gradcam", "macro", 1234)
    said = headline(fewer, Scores(fewer)).sentence
    assert said.startswith("On 66 faces the attention")
    assert re.search(r"gradcam 0\.\d+ \[0\.\d+, 0\.\d+\] on 1,234;", said)
    assert " on 36" not in headline(run, Scores(run)).sentence


def test_without_a_baseline_the_sentence_says_that_the_number_has_no_scale(run: Run) -> None:
    bare = replace(run, scores=run.scores[run.scores["layer"] != "-"])
    found = headline(bare, Scores(bare))
    assert "without a uniform map" in found.verdict
    assert "the number has no scale" in found.sentence


def test_nothing_defined_still_makes_a_page(run: Run) -> None:
    scores = run.scores.assign(value=math.nan, ci_low=math.nan, ci_high=math.nan, n=0)
    images = run.per_image.assign(cosine=math.nan, cosine_skill=math.nan, pxap=math.nan)
    empty = replace(run, scores=scores, per_image=images, au_profile=None)
    assert "No map of model could be scored." in render_run(empty)


def test_tables_hold_the_numbers_of_the_run(run: Run) -> None:
    scores = Scores(run)
    sheet = next(sheet for sheet in map_by_class(scores, {}) if sheet.key["metric"] == "cosine")
    assert sheet.columns == ["all", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "correct", "wrong"]
    assert [line.name for line in sheet.lines[:4]] == ["attention", "attention", "gradcam", "gradcam"]
    assert sheet.lines[3].cells[0].value == pytest.approx(run.score("gradcam", layer="stages.3"))
    assert sheet.lines[3].cells[3].value == pytest.approx(run.score("gradcam", group="fear", layer="stages.3"))
    assert {line.baseline for line in sheet.lines[4:]} == {True}
    shades = [cell.shade for line in sheet.lines for cell in line.cells if cell.shade is not None]
    assert (min(shades), max(shades)) == (0, 1)
    layers = layer_by_class(scores)
    assert len(layers) == 3 * 2
    assert [line.name for line in layers[0].lines] == ["stages.2", "stages.3"]
    counts = confusion_sheet(run)
    assert sum(cell.value for line in counts.lines for cell in line.cells[:-1]) == 42


def test_action_units_are_multiples_of_a_uniform_map_the_class_map_first(run: Run) -> None:
    scores = Scores(run)
    main = scores.main
    assert main == ("gradcam", "stages.3")
    assert run.au_profile is not None
    sheets = au_sheets(run, scores)
    assert [sheet.key["map"] for sheet in sheets][:2] == ["gradcam stages.3", "attention stages.3"]
    table = run.au_profile.query("by == 'true' and map == @main[0] and layer == @main[1] and expression == 'fear'")
    line = next(line for line in sheets[0].lines if line.name == "fear")
    for cell, row in zip(line.cells, table.to_dict("records"), strict=False):
        share, uniform = float(row["share"]), float(row["uniform"])
        if row["au"] == "background":
            assert cell.value == pytest.approx(share)
            assert cell.shade is None
        else:
            assert cell.value == pytest.approx(share / uniform)
            assert cell.scale == ("less" if share < uniform else "more")
            middle = 0.5 + 0.5 * cell.shade * (1 if cell.scale == "more" else -1)
            assert middle == pytest.approx(
                float(LogNorm(1 / FARTHEST, FARTHEST)(min(max(share / uniform, 0.25), 4))), abs=1e-3
            )
            assert ("expected" in cell.mark.split()) == bool(row["expected"])


def test_every_shade_of_a_table_is_readable_and_those_of_the_figures() -> None:
    rules = re.findall(r"\.([tml]\d+) { background: (#\w+); color: (#\w+); }", shade_rules())
    assert len(rules) == 2 * 3 * (STEPS + 1)
    for _, ground, ink in rules:
        assert contrast(to_rgb(ground), to_rgb(ink)) >= 4.5
    light = dict(reversed([(name, ground) for name, ground, _ in rules]))
    assert light["m0"] == light["l0"] == light["t0"]
    for name, end in ((f"m{STEPS}", 1.0), (f"l{STEPS}", 0.0)):
        assert light[name] == to_hex(LESS_MORE(end))


def test_charts_place_values_between_round_ends(run: Run) -> None:
    scores = Scores(run)
    chart = score_chart(scores)
    assert len(chart.bars) == 4
    assert chart.ticks[0] == (0, "0")
    assert chart.ticks[-1][0] == 100
    top = float(chart.ticks[-1][1])
    assert chart.bars[0].at == pytest.approx(100 * run.score("attention", layer="stages.2") / top, abs=0.01)
    found = spread(run, scores)
    assert [panel.name for panel in found.panels] == ["attention", "gradcam"]
    assert all(max(a + b for a, b in zip(p.right, p.wrong, strict=True)) == pytest.approx(100) for p in found.panels)
    assert len(found.boxes) == 6


def test_numbers_have_the_digits_of_their_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    assert number(0.5, "cosine") == "0.500"
    assert number(-0.0513, "cosine_skill") == "−0.051"
    assert number(25.67, "pxap") == "25.7"
    assert number(math.nan, "cosine") == "–"
    assert number(0.5, "a metric of a package that is gone") == "0.500"
    assert [number(25.67, metric, short=True) for metric in ("cosine", "pxap")] == ["25.67", "25.7"]
    fine = SimpleNamespace(facts=Facts(True, (0.0, 100.0), "a paper", "a share", decimals=4))
    monkeypatch.setattr(METRICS, "get", lambda _: fine)
    assert (number(25.67, "pxap"), write_readings(["pxap"])["decimals"]) == ("25.6700", "pxap:4")


def test_the_command_makes_the_run_again(run: Run) -> None:
    facts = run.manifest["arguments"] | {"codebook": "my book.yaml", "align": True}
    found = command(replace(run, manifest=run.manifest | {"arguments": facts, "limit": 7}))
    for text in ("interpfer score MODEL", "--maps attention,gradcam,baselines", "--layers stages.2,stages.3",
                 "--codebook 'my book.yaml'", "--limit 7", "--align"):  # fmt: skip
        assert text in found


def test_what_was_left_out_is_named_and_counted(run: Run) -> None:
    counts = run.manifest["counts"] | {
        "unlabelled": 2,
        "skipped": {"unreadable": {"a.png": "a.png is no image", "b.png": "b.png is no image"}, "no landmarks": ["c"]},
        "undefined_maps": {"gradcam@stages.3": 4},
    }
    manifest = run.manifest | {"counts": counts, "refused": {"rollout@x": "no attention", "rollout@y": "no attention"}}
    found = left_out(replace(run, manifest=manifest))
    assert [(count, names) for _, count, names in found] == [
        (6, []), (2, []), (1, ["c"]), (2, ["a.png", "b.png"]), (4, []), (2, ["rollout@x", "rollout@y"]),
    ]  # fmt: skip


def test_the_page_is_one_file_that_asks_for_nothing(run_folder: Path) -> None:
    page = (run_folder / "report.html").read_text()
    assert page == render_run(load_run(run_folder), load_report_data(run_folder))
    assert len(page) < 3_000_000
    places = re.findall(r"""(?:src|href)=["']?([^"'\s>]*)""", re.sub(r"<script[\s\S]*?</script>", "", page))
    assert {place.partition(":")[0] for place in places if not place.startswith("#")} == {"data"}
    assert "default-src 'none'" in page
    assert "no more. A fixed mapping" in page


def test_hostile_names_are_escaped_in_html_and_json(hostile_page: Path) -> None:
    page = hostile_page.read_text()
    assert "<img src=x" not in page
    assert "<script>owned" not in page
    assert "{{ 7 * 7 }}" in page
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert inside is not None
    assert any("</script><script>owned=1</script>" in face["id"] for face in json.loads(inside[1])["faces"])
    assert "--dataset &#39;a b;$(owned)&#39;" in page


def test_runs_side_by_side(run_folder: Path, other_folder: Path) -> None:
    runs, exhibits = [], []
    for folder in (run_folder, other_folder):
        runs.append(load_run(folder))
        exhibits.append(load_report_data(folder))
    page = render_runs(runs, exhibits, ["before", "<b>after"])
    assert "before → &lt;b&gt;after" in page
    assert "accuracy stays within chance, and attention is no closer to the expected action units, gradcam is" in page
    assert re.search(r"cosine of gradcam</dt><dd>0\.\d+ → 0\.\d+<small>[+−]0\.\d+ \[", page)
    assert "Of all 4 maps, closer: " in page
    assert "<b>after" not in page
    three = render_runs([*runs, runs[0]], [*exhibits, exhibits[0]], ["a", "b", "c"])
    assert "3 runs side by side" in three
    assert "c against a" in three
    other = replace(
        runs[1], manifest=runs[1].manifest | {"arguments": runs[1].manifest["arguments"] | {"protocol": "x"}}
    )
    with pytest.raises(RunError, match="one was scored with protocol paper, the other with x"):
        render_runs([runs[0], other], exhibits, ["a", "b"])


def test_runs_of_twins_are_counted_as_in_their_headlines(run: Run) -> None:
    twin = twins(run, "hirescam", "gradcam")
    assert "Of all 4 maps, closer: " in render_runs([twin, twin], [None, None], ["a", "b"])
    apart = replace(twin, manifest=twin.manifest | {"same": {}})
    assert "Of all 6 maps, closer: " in render_runs([twin, apart], [None, None], ["a", "b"])


def test_runs_have_their_own_baselines(run: Run) -> None:
    def uniform(*runs: Run) -> list[str]:
        sheet = comparison_context(runs, ["a", "b"])["by_class"][0]
        return [line.detail for line in sheet.lines if line.name == "uniform"]

    other, bare = with_scores(run, 0.6, 0.5, 0.7), replace(run, scores=run.scores[run.scores["layer"] != "-"])
    assert uniform(run, run) == ["baseline"]
    assert uniform(run, other) == ["baseline of a", "baseline of b"]
    assert uniform(bare, run) == ["baseline of b"]
    assert uniform(bare, bare) == []
    assert ", beside a uniform map;" not in render_runs([bare, bare], [None, None], ["a", "b"])
    both = render_runs([run, other], [None, None], ["a", "b"])
    assert ", beside a uniform map;" in both
    assert re.search(
        r"To be beaten in cosine: in a a uniform map scores 0\.\d+; .*; in b a uniform map scores 0.500;", both
    )


def test_paired_faces_are_the_same_faces(run_folder: Path, other_folder: Path) -> None:
    page = render_runs(
        [load_run(path) for path in (run_folder, other_folder)],
        [load_report_data(path) for path in (run_folder, other_folder)], ["a", "b"],
    )  # fmt: skip
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert inside is not None
    data = json.loads(inside[1])
    tables = [pd.read_csv(path / "per_image.csv", keep_default_na=False) for path in (run_folder, other_folder)]
    for face in data["faces"]:
        for index, table in enumerate(tables):
            rows = table[(table["image"] == face["id"]) & (table["map"] == "gradcam") & (table["layer"] == "stages.3")]
            place = data["runs"][index]["columns"].index(["gradcam", "stages.3"])
            held = face["scores"][index][place]
            said = rows["cosine"].item()
            assert held == (None if said == "" else pytest.approx(float(said), abs=1e-4))


def test_two_maps_that_go_the_same_way_are_told_at_once() -> None:
    line = {"layer_a": "l", "layer_b": "l", "a": 0.5, "b": 0.6, "difference": 0.1, "ci_low": 0.05, "ci_high": 0.15,
            "p_holm": 0.001}  # fmt: skip
    still = {"map": "-", "metric": "accuracy", "p_holm": 1.0, "ci_low": -0.1}
    lines = [line | still, *(line | {"map": name, "metric": "cosine"} for name in ("attention", "gradcam", "cam"))]
    told = change(pd.DataFrame(lines), [("attention", "l"), ("gradcam", "l")], "cosine", "a", "b")
    assert told.words == (
        "From a to b, accuracy stays within chance, and attention and gradcam are closer to the expected action units."
    )
    assert told.moves[1] == Move("cosine of attention", "0.500 → 0.600", "+0.100 [+0.050, +0.150]")
    assert told.counts == "Of all 3 maps, closer: 3, farther: 0, within chance: 0."
    assert change(pd.DataFrame(lines[:1]), [], "cosine", "a", "b").words == "From a to b, accuracy stays within chance."
