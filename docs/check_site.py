"""Checks that no page of the built site loads anything from elsewhere.

python docs/check_site.py .site
"""

import re
import sys
from pathlib import Path

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc\s*=\s*["']?(?:https?:)?//"""
    r"""|<link\b(?![^>]*\brel=["']?canonical)[^>]*\bhref\s*=\s*["']?(?:https?:)?//"""
    r"""|@import\s+["']?(?:url\()?["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//""",
    re.IGNORECASE,
)
"""What a browser fetches when a page opens; links that a reader may follow are none of it."""


def main(site: Path) -> int:
    """Return the number of pages and styles that load something from elsewhere, and name them."""
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    bad = [(path, found[0]) for path in files if (found := LOADED.search(path.read_text(encoding="utf-8")))]
    for path, what in bad:
        print(f"{path}: {what}")
    print(f"{len(files)} files looked at, {len(bad)} load something from elsewhere")
    return len(bad) if files else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
