"""A zip whose bytes depend on its members alone."""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence

from interpfer.errors import RunError

MAX_BYTES = 20_000_000
"""Largest size of a bundle: what mail programs and review systems accept."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member."""

RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows refuses."""

LONGEST_NAME = 60


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of members, sorted by name, without times.

    Args:
        members: name within the zip -> content.

    Raises:
        RunError: it is larger than ``MAX_BYTES``.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, on every system
            info.external_attr = 0o100644 << 16
            archive.writestr(info, members[name])
    content = buffer.getvalue()
    if len(content) > MAX_BYTES:
        raise RunError(
            f"the bundle would have {len(content) / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f}: pass fewer runs, "
            "leave out --faces, or pass --no-figures."
        )
    return content


def sha256(content: bytes) -> str:
    """Return the hash of a member."""
    return hashlib.sha256(content).hexdigest()


def safe_names(names: Sequence[str]) -> list[str]:
    """Return names that every file system takes as one folder, all different, also where case does not count.

    Examples:
        >>> safe_names(["runs/a b", "../../etc", "a", "A", "con"])
        ['runs-a-b', 'etc', 'a', 'A-2', 'run-con']
    """
    safe: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-._")[:LONGEST_NAME].rstrip("-._") or "run"
        base = f"run-{plain}" if RESERVED.fullmatch(plain) else plain
        unique, count = base, 1
        while unique.casefold() in taken:
            count += 1
            unique = f"{base}-{count}"
        taken.add(unique.casefold())
        safe.append(unique)
    return safe
