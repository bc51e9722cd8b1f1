"""Runs the commands of tutorial.md in a temporary folder, and writes what they print below them.

python docs/tutorial.py
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).with_name("tutorial.md")
PICTURES = {"why.png": "explain-demo.jpg"}
WIDTH = 1100


def blocks(text: str) -> Iterator[tuple[list[list[str]], int]]:
    """Yield the commands of each shell block, and where in the text it ends."""
    for block in re.finditer(r"^```sh\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL):
        lines = block[1].replace("\\\n", " ").splitlines()
        yield [shlex.split(line) for line in lines if line.strip()], block.end()


def main() -> None:
    """Run the page."""
    text = PAGE.read_text(encoding="utf-8")
    pieces, start = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for commands, end in blocks(text):
            printed = ""
            for command in commands:
                call = [sys.executable, "-c", "from interpfer.cli import main; main()", *command[1:]]
                printed = subprocess.run(call, cwd=folder, check=True, capture_output=True, text=True).stdout
            pieces.append(text[start:end])
            start = end
            if after := re.match(r"\n```text\n.*?^```\n", text[end:], re.MULTILINE | re.DOTALL):
                lines = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
                pieces.append(f"\n```text\n{lines}\n```\n")
                start = end + after.end()
        for made, kept in PICTURES.items():
            _shrink(Path(folder) / made, PAGE.parent / "img" / kept)
    PAGE.write_text("".join([*pieces, text[start:]]), encoding="utf-8")


def _shrink(made: Path, kept: Path) -> None:
    from PIL import Image

    kept.parent.mkdir(exist_ok=True)
    with Image.open(made) as picture:
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(kept, quality=90)


if __name__ == "__main__":
    main()
