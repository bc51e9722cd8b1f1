"""Escaping of names of models, maps and files, which may contain any character; Jinja itself escapes HTML."""

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""Start of a cell that a spreadsheet would run as a formula, or that `guard` has escaped."""

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': "\\char34{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": "\\textasciigrave{}",
    "'": "\\textquotesingle{}",
    "\N{NO-BREAK SPACE}": "~",
}

LATIN = 0x17F
"""Last letter that every pdflatex can print."""

MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")


def guard(text: str) -> str:
    """Return the text of a CSV cell, escaped so that a spreadsheet does not run it as a formula; numbers stay.

    >>> guard("=1+1"), guard("-0.5"), guard("-"), guard("resnet")
    ("'=1+1", '-0.5', '-', 'resnet')
    """
    return f"'{text}" if FORMULA.match(text) and len(text) > 1 and not _number(text) else text


def unguard(text: str) -> str:
    """Undo `guard`.

    >>> unguard(guard("=1+1"))
    '=1+1'
    """
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def latex(text: str) -> str:
    r"""Return text escaped for LaTeX; a letter that pdflatex cannot print becomes its code point.

    >>> print(latex("50 % of_a\\b \u6a21"))
    50 \% of\_a\textbackslash{}b {\small U+6A21}
    """
    return "".join(LATEX.get(character) or _letter(character) for character in plain(text))


def _letter(character: str) -> str:
    is_printable = character.isascii() or (character.isalpha() and ord(character) <= LATIN)
    return character if is_printable else rf"{{\small U+{ord(character):04X}}}"


def markdown(text: str) -> str:
    r"""Return text escaped for a cell of a Markdown table, HTML too.

    >>> markdown("a|b <i>")
    'a\\|b &lt;i&gt;'
    """
    html = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN.sub(r"\\\1", html)


def plain(text: str) -> str:
    r"""Return text on one line, with a space for each character that cannot be printed.

    >>> plain("a\x1b[31m b\n")
    'a [31m b '
    """
    return "".join(
        character if character.isprintable() or character == "\N{NO-BREAK SPACE}" else " " for character in text
    )


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not any(character.isspace() for character in text)
