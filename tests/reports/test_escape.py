import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as st

from interpfer.reports.escape import guard, latex, markdown, plain, unguard

names = st.text() | st.text("=+-@\t\r'\"\\{}$&#%_^~<>|`*[]\n ab1", max_size=12)


@given(names)
def test_no_cell_is_a_formula_and_nothing_is_lost(name: str) -> None:
    cell = guard(name)
    assert unguard(cell) == name
    if cell[:1] in tuple("=+-@\t\r") and len(cell) > 1:
        float(cell)


@given(names)
def test_no_name_runs_a_latex_command_or_ends_a_cell(name: str) -> None:
    text = latex(name)
    commands = set(re.findall(r"\\([A-Za-z]+)", text))
    assert commands <= {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar",
                        "textasciigrave", "textquotesingle", "char", "small"}  # fmt: skip
    bare = re.sub(r"\\[{}$&#%_]", "", text)
    assert not set("$&#%_^") & set(bare)
    assert "\\\\" not in bare
    assert "\n" not in text
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0


@given(names)
def test_no_name_leaves_its_cell_in_a_markdown_table(name: str) -> None:
    text = markdown(name)
    assert "<" not in text
    assert ">" not in text
    assert "\n" not in text
    assert not re.search(r"(?<!\\)(\\\\)*\|", text)


@given(names)
def test_plain_text_is_one_line_without_control(name: str) -> None:
    assert len(plain(name)) == len(name)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", plain(name))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_guarded_cells_survive_csv(name: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([guard(name), "x"])
    assert [unguard(cell) for cell in next(csv.reader(io.StringIO(out.getvalue(), newline="")))] == [name, "x"]
