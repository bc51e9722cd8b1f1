"""Names of models, maps and files, made harmless for what will read them.

HTML is escaped by Jinja itself. A name may hold anything that a file name may.
"""

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a cell begins that a spreadsheet would run, or one that `guard` has escaped."""

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
"""The last letter that every pdflatex knows."""

MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")


def guard(text: str) -> str:
    """Return the text of a CSV cell so that no spreadsheet takes it for a formula; numbers stay numbers.

    >>> guard("=1+1"), guard("-0.5"), guard("-"), guard("resnet")
    ("'=1+1", '-0.5', '-', 'resnet')
    """
    return f"'{text}" if FORMULA.match(text) and len(text) > 1 and not _number(text) else text


def unguard(text: str) -> str:
    """Take back what `guard` did.

    >>> unguard(guard("=1+1"))
    '=1+1'
    """
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def latex(text: str) -> str:
    r"""Return the text for LaTeX; a letter that pdflatex does not know stands as its code point.

    >>> print(latex("50 % of_a\\b \u6a21"))
    50 \% of\_a\textbackslash{}b {\small U+6A21}
    """
    return "".join(LATEX.get(character) or _letter(character) for character in plain(text))


def _letter(character: str) -> str:
    known = character.isascii() or (character.isalpha() and ord(character) <= LATIN)
    return character if known else rf"{{\small U+{ord(character):04X}}}"


def markdown(text: str) -> str:
    r"""Return the text for a cell of a Markdown table, where HTML is read as well.

    >>> markdown("a|b <i>")
    'a\\|b &lt;i&gt;'
    """
    html = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN.sub(r"\\\1", html)


def plain(text: str) -> str:
    r"""Return the text on one line, a space for what cannot be printed.

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
