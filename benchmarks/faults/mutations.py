"""Changes of valid files, for fuzzing: of bytes, of text, and of the values in JSON and YAML; each by a seed alone."""

import json
import random
from collections.abc import Callable
from typing import Any

import yaml

CANARY = "CANARY"
"""Stands for the path of a file that only code in an input would create."""

TEXTS = (
    *(
        "",
        " ",
        "-1",
        "0",
        "1e400",
        "-1e400",
        "9" * 400,
        "NaN",
        "nan",
        "inf",
        "-Infinity",
        "null",
        "None",
        "true",
        "0x10",
    ),
    *(
        "../../../../etc/passwd",
        "/etc/passwd",
        "..\\..\\x",
        "C:\\x",
        "\x00",
        "\ufeff",
        "\u202e",
        "\u0130",
        "\U0001d7d9",
        "é",
    ),
    *(
        "a" * 20_000,
        "," * 5000,
        '"',
        "'",
        '"' * 999,
        "\r",
        "\n\n",
        "\t",
        "=",
        "=cmd()",
        "%s%n",
        "{}",
        "[]",
        "[" * 20_000,
    ),
    *("{" * 20_000, '{"a":' * 20_000, "- " * 5000, "&a [*a]", "*a", "?", ": :", "!!binary x", "<x>", "<!ENTITY x 'y'>"),
    *(f"!!python/object/apply:builtins.open ['{CANARY}', 'w']", f"__import__('os').system('touch {CANARY}')"),
)
"""Texts that are put into files."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "-1", "NaN", "../../x", "\x00", "\ud800", "é" * 1000),
    *(
        [],
        {},
        [[]],
        [None],
        [1, 2, 3, 4, 5],
        [float("nan")] * 4,
        {"a": 1},
        {"": None},
        [[[[[[1]]]]]],
        {"au": 12},
        {"x": {}},
    ),
)
"""Values that replace those of JSON and YAML."""

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
"""YAML of 10^9 items in 500 bytes."""


def mutate(content: bytes, name: str, random_: random.Random, canary: str) -> bytes:
    """Return changed content of a file.

    Args:
        content: content of a valid file.
        name: its name, for the format.
        random_: source of the changes.
        canary: path of the canary.
    """
    changes: list[Callable[[bytes, random.Random], bytes]] = [flip, cut, splice, repeat, overwrite]
    if is_text(name):
        changes = [flip, cut, splice, repeat, insert, insert, replace_word, replace_word, replace_number, drop_line]
    if name.endswith((".json", ".yaml", ".jsonl")):
        changes += [_values(name)] * 10
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        content = random_.choice(changes)(content, random_)
    return content.replace(CANARY.encode(), canary.encode())


def is_text(name: str) -> bool:
    """Return whether a file of that name is text."""
    return name.endswith((".json", ".yaml", ".jsonl", ".csv", ".tsv", ".txt", ".xml", ".pts", ".md", ".lst"))


def flip(content: bytes, random_: random.Random) -> bytes:
    """Change up to 8 bits."""
    data = bytearray(content)
    for _ in range(random_.randint(1, 8) if data else 0):
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    return bytes(data)


def cut(content: bytes, random_: random.Random) -> bytes:
    """Leave out the end, the beginning, or a part."""
    start, end = _span(content, random_)
    return random_.choice((content[:start], content[end:], content[:start] + content[end:]))


def splice(content: bytes, random_: random.Random) -> bytes:
    """Copy a part over another place."""
    start, end = _span(content, random_)
    place = random_.randint(0, len(content))
    part = content[start:end]
    return content[:place] + part + content[place + random_.choice((0, len(part))) :]


def repeat(content: bytes, random_: random.Random) -> bytes:
    """Repeat a part up to 50 times, within 20 kB, rarely 200 kB."""
    start, end = _span(content, random_)
    most = 200_000 if random_.random() < 0.02 else 20_000
    count = min(random_.randint(2, 50), max(most // max(end - start, 1), 1))
    return content[:start] + content[start:end] * count + content[end:]


def overwrite(content: bytes, random_: random.Random) -> bytes:
    """Write numbers at the edges of their range over 1 to 8 bytes."""
    data = bytearray(content)
    width = random_.choice((1, 2, 4, 8))
    if len(data) >= width:
        place = random_.randint(0, len(data) - width)
        value = random_.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), random_.getrandbits(8 * width)))
        data[place : place + width] = value.to_bytes(width, random_.choice(("little", "big")))
    return bytes(data)


def insert(content: bytes, random_: random.Random) -> bytes:
    """Put one of ``TEXTS`` somewhere."""
    place = random_.randint(0, len(content))
    return content[:place] + random_.choice(TEXTS).encode("utf-8", "surrogatepass") + content[place:]


def replace_word(content: bytes, random_: random.Random) -> bytes:
    """Replace a cell or word by one of ``TEXTS``."""
    words = _runs(content, lambda byte: chr(byte) not in ' ,;\t\n\r"<>[]{}:=')
    if not words:
        return content
    start, end = random_.choice(words)
    return content[:start] + random_.choice(TEXTS).encode("utf-8", "surrogatepass") + content[end:]


def replace_number(content: bytes, random_: random.Random) -> bytes:
    """Replace a number by another one."""
    numbers = _runs(content, lambda byte: chr(byte) in "0123456789.-")
    if not numbers:
        return content
    start, end = random_.choice(numbers)
    value = random_.choice(
        ("-1", "0", "1e400", "9" * 30, "9" * 5000, "nan", "inf", "1.5", "-0.0", "x", "", "1e-400", "2147483648")
    )
    return content[:start] + value.encode() + content[end:]


def drop_line(content: bytes, random_: random.Random) -> bytes:
    """Leave out a line, or shuffle them all."""
    lines = content.split(b"\n")
    if random_.random() < 0.2:
        random_.shuffle(lines)
    else:
        del lines[random_.randrange(len(lines))]
    return b"\n".join(lines)


def _values(name: str) -> Callable[[bytes, random.Random], bytes]:
    def change(content: bytes, random_: random.Random) -> bytes:
        return change_value(content, name, random_)

    return change


def change_value(content: bytes, name: str, random_: random.Random) -> bytes:
    """Replace, leave out or nest a value of JSON, JSON lines or YAML; other content as it is."""
    if name.endswith(".yaml") and random_.random() < 0.02:
        return BOMB.encode() + content
    lines = content.split(b"\n") if name.endswith(".jsonl") else [content]
    place = random_.randrange(len(lines))
    try:
        value = yaml.safe_load(lines[place]) if name.endswith(".yaml") else json.loads(lines[place])
        changed = _change(value, random_)
        text = yaml.safe_dump(changed) if name.endswith(".yaml") else json.dumps(changed)
        lines[place] = text.encode("utf-8", "surrogatepass")
    except (ValueError, yaml.YAMLError, RecursionError, OverflowError):
        return content
    return b"\n".join(lines)


def _change(value: Any, random_: random.Random) -> Any:
    if isinstance(value, dict) and value and random_.random() < 0.85:
        key = random_.choice(list(value))
        action = random_.random()
        if action < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if action < 0.15:
            return {**value, random_.choice(("", "x", "class", "../x", "é")): random_.choice(VALUES)}
        return {**value, key: _change(value[key], random_)}
    if isinstance(value, list) and value and random_.random() < 0.85:
        place = random_.randrange(len(value))
        return [*value[:place], _change(value[place], random_), *value[place + 1 :]]
    if random_.random() < 0.1:
        for _ in range(random_.choice((3, 200))):
            value = [value]
        return value
    return random_.choice(VALUES)


def _span(content: bytes, random_: random.Random) -> tuple[int, int]:
    start = random_.randint(0, len(content))
    longest = random_.choice((8, 64, 1024, len(content)))
    return start, min(len(content), start + random_.randint(0, longest))


def _runs(content: bytes, is_part: Callable[[int], bool]) -> list[tuple[int, int]]:
    """Return start and end of each run of such bytes in the first 20,000."""
    runs, start = [], -1
    for place, byte in enumerate(content[:20_000] + b"\n"):
        if is_part(byte) and byte != 10:
            start = place if start < 0 else start
        elif start >= 0:
            runs.append((start, place))
            start = -1
    return runs
