import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import LogNorm, to_hex, to_rgb

from interpfer.errors import RunError
from interpfer.reports.page import render_run, render_runs
from interpfer.reports.page.action_units import MAX_RATIO, au_sheets
from interpfer.reports.page.change import Difference, summarise_change
from interpfer.reports.page.charts import distributions, score_chart
from interpfer.reports.page.headline import summarise_run
from interpfer.reports.page.provenance import left_out
from interpfer.reports.page.scores import Scores, number
from interpfer.reports.page.shades import STEPS, contrast, shade_rules
from interpfer.reports.page.side_by_side import comparison_context
from interpfer.reports.page.tables import confusion_sheet, layer_by_class, map_by_class
from interpfer.reports.style import LESS_MORE
from interpfer.results.metric_facts import MetricFacts
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
    ("cosine", "low", "high", "phrase"),
    [
        (0.40, 0.38, 0.42, "less than a uniform map"),
        (0.50, 0.48, 0.52, "no more than a uniform map"),
        (0.51, 0.505, 0.52, "hardly more than a uniform map"),
        (0.58, 0.57, 0.59, "a little more than a uniform map"),
        (0.70, 0.69, 0.71, "clearly more than a uniform map"),
        (0.85, 0.84, 0.86, "almost as much as the class-mean heatmap"),
        (0.95, 0.94, 0.96, "more than the class-mean heatmap"),
        (0.901, 0.85, 0.95, "about as much as the class-mean heatmap"),
    ],
)
def test_the_verdict_compares_the_score_with_its_baselines(
    run: Run, cosine: float, low: float, high: float, phrase: str
) -> None:
    changed = with_scores(run, cosine, low, high)
    headline = summarise_run(changed, Scores(changed))
    assert headline.verdict == (
        f"The attention of model agrees with the expected action units {phrase}, and so does its class map (gradcam)."
    )
    assert headline.sentence.count(f"{cosine:.3f} [{low:.3f}, {high:.3f}]") == 2
    for text in ("On 36 faces, the attention at stages.3 reaches", "a uniform map scores 0.500", "class scores 0.900."):
        assert text in headline.sentence


UNIFORM, CLASS_MEAN = "a uniform map", "the class-mean heatmap"


@pytest.mark.parametrize(
    ("attention", "gradcam", "first", "second"),
    [
        (0.7, 0.4, f"clearly more than {UNIFORM}", "less"),
        (0.95, 0.5, f"more than {CLASS_MEAN}", f"no more than {UNIFORM}"),
        (0.85, 0.95, f"almost as much as {CLASS_MEAN}", f"more than {CLASS_MEAN}"),
    ],
)
def test_the_verdict_describes_attention_and_class_map_apart(
    run: Run, attention: float, gradcam: float, first: str, second: str
) -> None:
    changed = with_scores(run, 0, 0, 0, attention=attention, gradcam=gradcam)
    assert summarise_run(changed, Scores(changed)).verdict == (
        f"The attention of model agrees with the expected action units {first}, and its class map (gradcam) {second}."
    )


@pytest.mark.parametrize(
    ("cosine", "phrase"),
    [(0.4, "less than"), (0.5, "no more than"), (0.55, "a little more than"), (0.95, "more than")],
)
def test_without_an_interval_the_value_decides(run: Run, cosine: float, phrase: str) -> None:
    changed = with_scores(run, cosine, math.nan, math.nan)
    verdict = summarise_run(changed, Scores(changed)).verdict
    assert verdict.startswith(f"The attention of model agrees with the expected action units {phrase}")


def test_a_metric_where_lower_is_better_gets_its_numbers_and_no_verdict(run: Run) -> None:
    lower = replace(run, scores=run.scores[run.scores["metric"] == "cosine"].replace({"metric": {"cosine": "kl"}}))
    assert summarise_run(lower, Scores(lower)).verdict.startswith("model was scored by kl, where lower is better")
    bare = replace(lower, scores=lower.scores[lower.scores["layer"] != "-"])
    assert "without a uniform map" in summarise_run(bare, Scores(bare)).verdict


def twins(run: Run, name: str, of: str) -> Run:
    """The run with a new first map that is identical to one of its maps."""
    tables = [
        pd.concat([table[table["map"] == of].assign(map=name), table], ignore_index=True)
        for table in (run.scores, run.per_image, run.au_profile)
        if table is not None
    ]
    same = {f"{of}@{layer}": f"{name}@{layer}" for layer in ("stages.2", "stages.3")}
    scores, images, profile = tables
    return replace(run, scores=scores, per_image=images, au_profile=profile, manifest=run.manifest | {"same": same})


def test_the_page_shows_the_maps_of_the_headline(run: Run) -> None:
    twin = twins(run, "hirescam", "gradcam")
    scores = Scores(twin)
    assert summarise_run(twin, scores).headline_maps == (("attention", "stages.3"), ("gradcam", "stages.3"))
    assert [(bar.name, bar.detail) for bar in score_chart(scores).bars if bar.is_headline] == [
        ("attention", "stages.3"), ("gradcam", "stages.3"),
    ]  # fmt: skip
    assert len(scores.distinct) == 4
    assert scores.best("cosine") in scores.distinct
    assert next(sheet.key["map"] for sheet in au_sheets(twin, scores)) == "gradcam stages.3"


def test_more_maps_do_not_flatter_the_verdict(run: Run) -> None:
    lucky = run.scores[run.scores["map"] == "gradcam"].assign(map="layercam", value=0.99, ci_low=0.98, ci_high=1.0)
    more = replace(run, scores=pd.concat([run.scores, lucky], ignore_index=True))
    few, many = (summarise_run(each, Scores(each)) for each in (run, more))
    assert (few.verdict, few.sentence, few.headline_maps) == (many.verdict, many.sentence, many.headline_maps)
    assert "The median cosine of all 6 maps is" in many.notes[0]
    assert many.notes[0].endswith("the best map is layercam at stages.2 with 0.990.")
    twins = {f"layercam@{layer}": f"gradcam@{layer}" for layer in ("stages.2", "stages.3")}
    same = replace(more, manifest=more.manifest | {"same": twins})
    assert "of all 4 maps" in summarise_run(same, Scores(same)).notes[0]


def test_the_headline_of_a_run_without_attention_is_on_its_class_map(run: Run) -> None:
    changed = with_scores(run, 0.4, 0.38, 0.42)
    alone = replace(changed, scores=changed.scores[changed.scores["map"] != "attention"])
    assert summarise_run(alone, Scores(alone)).verdict == (
        f"The class map (gradcam) of model agrees with the expected action units less than {UNIFORM}."
    )
    renamed = replace(alone, scores=alone.scores.replace({"map": {"gradcam": "eigencam"}}))
    assert summarise_run(renamed, Scores(renamed)).verdict.startswith("The map eigencam of model agrees with")


def test_classes_of_few_faces_are_named(run: Run) -> None:
    assert summarise_run(run, Scores(run)).notes[-1].startswith("Classes with few faces, which weigh as much as the")
    scores = run.scores.assign(n=run.scores["n"].where(run.scores["group"] != "fear", 3) + 7)
    many = replace(run, scores=scores)
    assert not any("few faces" in note for note in summarise_run(many, Scores(many)).notes)


def with_counts(run: Run, name: str, group: str, n: int) -> Run:
    """The run with another count of faces for a map and a group; of all other classes there are many."""
    scores = run.scores.assign(n=run.scores["n"] + 30)
    scores.loc[(scores["map"] == name) & (scores["group"] == group), "n"] = n
    return replace(run, scores=scores)


def test_classes_with_unreliable_intervals_are_named(run: Run) -> None:
    few = with_counts(run, "gradcam", "fear", 4)
    assert "Fewer than 5 faces of fear (4): its interval is unreliable." in summarise_run(few, Scores(few)).notes
    enough = with_counts(run, "gradcam", "fear", 5)
    assert not any("unreliable" in note for note in summarise_run(enough, Scores(enough)).notes)
    subjects = {"people_per_class": {"anger": 9, "fear": 2, "sadness": 3}}
    people = replace(enough, manifest=run.manifest | {"subjects": subjects})
    assert "Fewer than 5 people of fear (2), sadness (3): their intervals are unreliable." in (
        summarise_run(people, Scores(people)).notes
    )


@pytest.mark.parametrize("name", ["attention", "gradcam"])
def test_few_faces_of_either_map_are_named(run: Run, name: str) -> None:
    few = with_counts(run, name, "fear", 3)
    assert summarise_run(few, Scores(few)).notes[-1].endswith("which weigh as much as the others: fear (3).")
    unknown = with_counts(run, name, "fear", 0)
    assert not any("few faces" in note for note in summarise_run(unknown, Scores(unknown)).notes)
    pooled = replace(few, scores=few.scores[few.scores["metric"] == "pxap"])
    assert not any("few faces" in note for note in summarise_run(pooled, Scores(pooled)).notes)


def test_a_map_of_other_faces_says_on_how_many(run: Run) -> None:
    fewer = with_counts(run, "gradcam", "macro", 1234)
    sentence = summarise_run(fewer, Scores(fewer)).sentence
    assert sentence.startswith("On 66 faces, the attention")
    assert re.search(r"gradcam 0\.\d+ \[0\.\d+, 0\.\d+\] on 1,234;", sentence)
    assert " on 36" not in summarise_run(run, Scores(run)).sentence


def test_without_a_baseline_the_sentence_says_that_there_is_no_reference(run: Run) -> None:
    bare = replace(run, scores=run.scores[run.scores["layer"] != "-"])
    headline = summarise_run(bare, Scores(bare))
    assert "without a uniform map" in headline.verdict
    assert headline.sentence.endswith("; no baseline was scored, so there is no reference value.")


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
    assert {line.is_baseline for line in sheet.lines[4:]} == {True}
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
                float(LogNorm(1 / MAX_RATIO, MAX_RATIO)(min(max(share / uniform, 0.25), 4))), abs=1e-3
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
    spread = distributions(run, scores)
    assert [panel.name for panel in spread.panels] == ["attention", "gradcam"]
    assert all(max(a + b for a, b in zip(p.correct, p.wrong, strict=True)) == pytest.approx(100) for p in spread.panels)
    assert len(spread.boxes) == 6


def test_numbers_have_the_decimals_of_their_metric() -> None:
    assert number(0.5) == "0.500"
    assert number(-0.0513) == "−0.051"
    assert number(25.67, MetricFacts(decimals=1)) == "25.7"
    assert number(math.nan) == "–"
    assert [number(25.67, MetricFacts(decimals=places), short=True) for places in (3, 1)] == ["25.67", "25.7"]


def test_a_page_uses_the_facts_that_the_run_records(run: Run) -> None:
    facts = {"novel": {"headline": "micro", "higher_is_better": False, "decimals": 4, "bounds": [0, 100]}}
    novel = replace(
        run,
        scores=run.scores.replace({"metric": {"cosine": "novel"}}).query("metric == 'novel'"),
        per_image=run.per_image.rename(columns={"cosine": "novel"}),
        manifest=run.manifest | {"metric_facts": facts},
    )
    scores = Scores(novel)
    assert scores.at(("gradcam", "stages.3"), "novel").value == run.score("gradcam", group="micro", layer="stages.3")
    page = render_run(novel)
    assert "model was scored by novel, where lower is better" in page
    assert f"{run.score('gradcam', group='micro', layer='stages.3'):.4f}" in page


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


def test_faces_with_implausible_landmarks_are_counted_by_fault(run: Run) -> None:
    skipped = {
        "unreadable": {},
        "no landmarks": [],
        "implausible landmarks": {"a.png": "upside down", "b.png": "y before x", "c.png": "upside down"},
        "heatmap off the picture": ["d.png"],
    }
    manifest = run.manifest | {"counts": run.manifest["counts"] | {"skipped": skipped, "undefined_maps": {}}}
    assert left_out(replace(run, manifest=manifest))[-3:] == [
        ("faces with implausible landmarks: upside down", 2, ["a.png", "c.png"]),
        ("faces with implausible landmarks: y before x", 1, ["b.png"]),
        ("faces with no action unit of the label on the picture", 1, ["d.png"]),
    ]


def test_the_page_is_one_file_that_makes_no_requests(run_folder: Path) -> None:
    page = (run_folder / "report.html").read_text()
    assert page == render_run(load_run(run_folder), load_report_data(run_folder))
    assert len(page) < 3_000_000
    places = re.findall(r"""(?:src|href)=["']?([^"'\s>]*)""", re.sub(r"<script[\s\S]*?</script>", "", page))
    assert {place.partition(":")[0] for place in places if not place.startswith("#")} == {"data"}
    assert "default-src 'none'" in page
    assert "agreement with the codebook, no more. A fixed mapping" in page


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
    runs, report_data = [], []
    for folder in (run_folder, other_folder):
        runs.append(load_run(folder))
        report_data.append(load_report_data(folder))
    page = render_runs(runs, report_data, ["before", "<b>after"])
    assert "before → &lt;b&gt;after" in page
    assert "accuracy does not change significantly, and attention is neither significantly closer to nor" in page
    assert re.search(r"cosine of gradcam</dt><dd>0\.\d+ → 0\.\d+<small>[+−]0\.\d+ \[", page)
    assert "Of all 4 maps: " in page
    assert "<b>after" not in page
    three = render_runs([*runs, runs[0]], [*report_data, report_data[0]], ["a", "b", "c"])
    assert "3 runs side by side" in three
    assert "c compared with a" in three
    other = replace(
        runs[1], manifest=runs[1].manifest | {"arguments": runs[1].manifest["arguments"] | {"protocol": "x"}}
    )
    with pytest.raises(RunError, match="one was scored with protocol paper, the other with x"):
        render_runs([runs[0], other], report_data, ["a", "b"])


def test_side_by_side_says_what_is_taken_as_independent(run: Run) -> None:
    context = comparison_context([run, run], ["a", "b"])
    assert context["independence"] == "Images taken as independent: no subject is known."
    assert context["test_names"] == "sign-flip tests, for the accuracy of McNemar's test"
    people = [f"S{row % 5}" for row in range(len(run.per_image))]
    known = replace(run, per_image=run.per_image.sort_values("image").assign(subject=sorted(people)))
    context = comparison_context([run, known, known], ["a", "b", "c"])
    assert context["test_names"] == "sign-flip tests"
    assert context["independence"].startswith("Intervals and tests are over people: ")
    assert context["independence"].endswith("only the second run names subjects; they are used for both.")


def test_identical_maps_are_counted_once(run: Run) -> None:
    twin = twins(run, "hirescam", "gradcam")
    assert "Of all 4 maps: " in render_runs([twin, twin], [None, None], ["a", "b"])
    apart = replace(twin, manifest=twin.manifest | {"same": {}})
    assert "Of all 6 maps: " in render_runs([twin, apart], [None, None], ["a", "b"])


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
        r"Baselines in cosine: in a a uniform map scores 0\.\d+; .*; in b a uniform map scores 0.500;", both
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
            score = face["scores"][index][place]
            cell = rows["cosine"].item()
            assert score == (None if cell == "" else pytest.approx(float(cell), abs=1e-4))


def test_two_maps_with_the_same_change_share_a_phrase(run: Run) -> None:
    line = {"layer_a": "stages.3", "layer_b": "stages.3", "a": 0.5, "b": 0.6, "difference": 0.1, "ci_low": 0.05,
            "ci_high": 0.15, "p_holm": 0.001}  # fmt: skip
    accuracy = line | {"map": "-", "metric": "accuracy", "p_holm": 1.0, "ci_low": -0.1}
    lines = [accuracy, *(line | {"map": name, "metric": "cosine"} for name in ("attention", "gradcam", "cam"))]
    change = summarise_change(pd.DataFrame(lines), Scores(run), "a", "b")
    assert change.sentence == (
        "From a to b, accuracy does not change significantly, and attention and gradcam are closer to the expected "
        "action units."
    )
    assert change.differences[1] == Difference("cosine of attention", "0.500 → 0.600", "+0.100 [+0.050, +0.150]")
    assert change.counts == "Of all 3 maps: 3 significantly closer, 0 farther, 0 unchanged."
    alone = summarise_change(pd.DataFrame(lines[:1]), Scores(run), "a", "b")
    assert alone.sentence == "From a to b, accuracy does not change significantly."
