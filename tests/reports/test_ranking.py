import csv
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpfer.errors import PluginError, RunError
from interpfer.reports.leaderboard import FORMATS
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import append_rows, read_rows
from interpfer.results.metric_facts import leaderboard_columns

RULES = {"dataset": "rafdb", "split": "test", "protocol": "paper", "target": "label", "codebook": "belharbi2024",
         "geometry": "reference", "align": "False", "dataset_digest": "d" * 64}  # fmt: skip


def row(
    model: str = "a", map: str = "gradcam", layer: str = "layer4", sha: str = "1", **values: object
) -> dict[str, str]:
    given = RULES | {"model": model, "map": map, "layer": layer, "checkpoint_sha256": sha, "n": "100"} | values
    return {name: str(value) for name, value in given.items()}


def table(*rows: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows).fillna("")


def test_entries_are_ranked_by_the_mean_and_ties_share_a_rank() -> None:
    ranking = rank_rows(table(*(row(name, sha=name, cosine=value) for name, value in
                           {"a": 0.5, "b": 0.7, "c": 0.5, "d": "", "e": 0.1}.items()))).rankings[0]  # fmt: skip
    assert [(entry.model, entry.rank) for entry in ranking.entries] == [
        ("b", 1), ("a", 2), ("c", 2), ("e", 4), ("d", None)]  # fmt: skip
    assert [entry.model for entry in ranking.entries if ranking.is_best(entry, "cosine")] == ["b"]


def test_a_metric_where_lower_is_better_is_ranked_ascending() -> None:
    ranking = rank_rows(table(row("a", sha="1", kl=2.0), row("b", sha="2", kl=1.0)), "kl").rankings[0]
    assert [entry.model for entry in ranking.entries] == ["b", "a"]
    assert ranking.best["kl"] == 1.0


@pytest.mark.parametrize("rule", RULES)
def test_a_ranking_never_mixes_what_cannot_be_compared(rule: str) -> None:
    ranked = rank_rows(table(row("a", sha="1", cosine=0.5), row("b", sha="2", cosine=0.6) | {rule: "other"}))
    assert [[entry.model for entry in ranking.entries] for ranking in ranked.rankings] == [["a"], ["b"]]
    assert [entry.rank for ranking in ranked.rankings for entry in ranking.entries] == [1, 1]


def test_checkpoints_of_one_name_are_seeds() -> None:
    rows = table(*(row("a", sha=str(i), cosine=value) for i, value in enumerate((0.4, 0.5, 0.6))))
    entry = rank_rows(rows).rankings[0].entries[0]
    assert entry.runs == 3
    assert entry.scores["cosine"].mean == pytest.approx(0.5)
    assert entry.scores["cosine"].std == pytest.approx(0.1)
    assert [each.model for each in rank_rows(rows, each=True).rankings[0].entries] == ["a (2)", "a (1)", "a (0)"]


def test_identical_runs_count_once_the_latest() -> None:
    first = row("a", cosine=0.5, date="2026-01-01 00:00:00", accuracy=0.9)
    again = row("a", cosine=0.5, date="2026-01-02 00:00:00", accuracy=0.9, version="2")
    renamed = row("copy of a", cosine=0.5, accuracy=0.9)
    other_card = row("same weights, other input", cosine=0.3, accuracy=0.2)
    ranked = rank_rows(table(first, again, renamed, other_card))
    assert ranked.repeated == 2
    assert [entry.runs for entry in ranked.rankings[0].entries] == [1, 1]
    assert ranked.rankings[0].entries[1].model == "same weights, other input"


def test_rows_without_a_hash_are_only_left_out_when_equal() -> None:
    ranked = rank_rows(table(row("a", sha="", cosine=0.5), row("a", sha="", cosine=0.5), row("a", sha="", cosine=0.7)))
    assert ranked.repeated == 1
    assert ranked.rankings[0].entries[0].scores["cosine"].mean == pytest.approx(0.6)


def test_identical_maps_are_one_entry() -> None:
    twin = row(map="hirescam", cosine=0.5, same_as="gradcam")
    ranked = rank_rows(table(row(cosine=0.5), twin, row(map="attention", cosine=0.4)))
    first, second = ranked.rankings[0].entries
    assert (first.map, first.aliases, first.rank) == ("gradcam", ("hirescam",), 1)
    assert second.rank == 2


def test_baselines_stand_in_their_place_without_a_rank_or_an_accuracy() -> None:
    blank = {"map": "baseline:uniform", "layer": "-", "accuracy": 0.9}
    rows = [row(name, sha=name, cosine=value) for name, value in (("a", 0.6), ("b", 0.4))]
    ranking = rank_rows(table(*rows, *(row(name, sha=name, cosine=0.5, **blank) for name in "ab"))).rankings[0]
    assert [(entry.model, entry.map, entry.rank) for entry in ranking.entries] == [
        ("a", "gradcam", 1), ("", "baseline:uniform", None), ("b", "gradcam", 2)]  # fmt: skip
    assert math.isnan(ranking.entries[1].scores["accuracy"].mean)
    assert math.isnan(ranking.entries[1].scores["cosine"].std)


def test_an_unknown_metric_is_suggested() -> None:
    with pytest.raises(RunError, match=r"no row has a metric 'cosin'\. Did you mean cosine\? Known: cosine\."):
        rank_rows(table(row(cosine=0.5)), "cosin")


def test_files_of_other_versions_and_other_columns_merge(tmp_path: Path) -> None:
    append_rows(tmp_path / "new.csv", table(row("new", sha="1", cosine=0.5, novel=1.0)))
    (tmp_path / "old.csv").write_text("model,map,cosine\nold,gradcam,0.25\n")
    ranked = rank_rows(read_rows([tmp_path / "old.csv", tmp_path / "new.csv"]))
    assert [ranking.title for ranking in ranked.rankings] == [
        "data set unknown, protocol unknown",
        "rafdb test, protocol paper, target label, codebook belharbi2024, geometry reference, images dddddddd",
    ]
    assert ranked.rankings[0].metrics == ("cosine",)
    assert ranked.rankings[1].metrics == ("cosine", "novel")


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no leaderboard or run folder at"):
        read_rows([tmp_path / "none.csv"])


class Page(HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


hostile = st.text(max_size=20) | st.sampled_from([
    "<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "{{ 7 * 7 }}",
    r"\input{/etc/passwd}", "a & b \\\\ c", "x | y", "@SUM(1)", "-2+3", "\t=1", "[red]x[/red]", "</td></tr>",
])  # fmt: skip


@settings(max_examples=60)
@given(hostile, hostile)
def test_no_name_breaks_a_format(model: str, layer: str) -> None:
    rankings = rank_rows(table(row(model, layer=layer, sha="1", cosine=0.5), row("b", sha="2", cosine=0.4))).rankings
    texts = {name: FORMATS.get(name)(rankings, None) for name in FORMATS}

    clean, page = (Page(text) for text in (FORMATS.get("html")(rank_rows(table(
        row("m", sha="1", cosine=0.5), row("b", sha="2", cosine=0.4))).rankings, None), texts["html"]))  # fmt: skip
    assert page.tags == clean.tags
    assert page.links == ["data:,"]

    for line in csv.reader(io.StringIO(texts["csv"], newline="")):
        assert not [cell for cell in line if len(cell) > 1 and cell[0] in "=+@\t\r"]

    body = texts["latex"].partition("\\midrule\n")[2].partition("\\bottomrule")[0].strip("\n").split("\n")
    assert len(body) == 2
    assert all(len(re.findall(r"(?<!\\)&", line)) == 4 and line.endswith(r"\\") for line in body)

    lines = texts["md"].rstrip("\n").split("\n")
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines[2:]}) == 1


def test_latex_is_booktabs_with_deviations_and_the_best_in_bold() -> None:
    rows = table(*(row("a", sha=str(i), cosine=value, pxap=20 + i) for i, value in enumerate((0.4, 0.6))),
                 row("b", sha="9", cosine=0.3, pxap=50))  # fmt: skip
    text = FORMATS.get("latex")(rank_rows(rows).rankings, None)
    assert text.startswith("% \\usepackage{booktabs,longtable}\n\\begin{table}")
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    for name in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{name}") == 1
    assert r"1 & a & gradcam & layer4 & $\mathbf{0.500 \pm 0.141}$ & $20.5 \pm 0.7$ \\" in text
    assert r"2 & b & gradcam & layer4 & $0.300$ & $\mathbf{50.0}$ \\" in text
    assert text.replace(r"\{", "").count("{") == text.replace(r"\}", "").count("}")


def test_markdown_and_csv_hold_the_same_lines() -> None:
    rankings = rank_rows(table(row("a", cosine=0.5, pxap=20), row("b", sha="2", cosine=0.25, pxap=10))).rankings
    text = FORMATS.get("md")(rankings, ["cosine"])
    assert "| 1 | a | gradcam | layer4 | **0.500** | 1 | 100 |" in text
    lines = list(csv.DictReader(io.StringIO(FORMATS.get("csv")(rankings, None))))
    assert [(line["rank"], line["model"], line["cosine"]) for line in lines] == [
        ("1", "a", "0.500000"),
        ("2", "b", "0.250000"),
    ]
    assert lines[0]["dataset"] == "rafdb"


def test_an_unknown_format_is_suggested() -> None:
    with pytest.raises(PluginError, match=r"unknown leaderboard format 'latx'\. Did you mean latex"):
        FORMATS.get("latx")


def test_rows_record_the_facts_of_their_metrics() -> None:
    rows = [row(name, sha=name, novel=value, lower_is_better="kl novel", decimals="pxap:1 novel:0")
            for name, value in (("a", 7.0), ("b", 3.0))]  # fmt: skip
    ranking = rank_rows(table(*rows), "novel").rankings[0]
    assert [entry.model for entry in ranking.entries] == ["b", "a"]
    assert ranking.lower == {"novel"}
    assert FORMATS.get("md")([ranking], None).count("**3**") == 1
    other = rank_rows(table(row("a", novel=7.0), row("b", sha="2", novel=3.0)), "novel").rankings[0]
    assert [entry.model for entry in other.entries] == ["a", "b"]


@pytest.mark.parametrize("digits", ["novel", "novel:x", "novel:-1", ":", "novel:99999999999"])
def test_invalid_facts_break_no_table(digits: str) -> None:
    ranking = rank_rows(table(row(novel=0.123456789, lower_is_better="-", decimals=digits)), "novel").rankings[0]
    assert re.search(r"0\.123(456789)? ", FORMATS.get("md")([ranking], None).replace("*", " "))


def test_rows_without_a_metric_do_not_overrule_rows_with_it() -> None:
    assert leaderboard_columns(["kl", "pxap"]) == {"lower_is_better": "kl", "decimals": "pxap:1", "definitions": "-"}
    ignorant = leaderboard_columns(["kl", "novel"])
    rows = [row("a", novel=7.0, lower_is_better="novel", decimals="novel:0"), row("b", sha="2", novel=3.0, **ignorant)]
    ranking = rank_rows(table(*rows), "novel").rankings[0]
    assert [entry.model for entry in ranking.entries] == ["b", "a"]
