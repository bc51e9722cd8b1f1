"""Checks zip archives before they are read: unpacked size, names and checksums; torch checks none of them."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.readers.signatures import ZIP, is_bomb, read_start

BLOCK = 1 << 20
"""Bytes that are read at once."""

FOLDER = 0x10
"""Attribute of a member that is a folder; torch takes memory that was not written for the content of one."""


def check_archive(path: Path) -> None:
    """Read a zip archive from beginning to end, and compare every member with its CRC-32.

    A file that is no zip archive passes, and so does one of ``torch.serialization.set_crc32_options(False)``, all of
    whose checksums are zero.

    Args:
        path: a file.

    Raises:
        ModelError: the archive cannot be read, is far larger unpacked, or a member has another checksum or a name
            outside the archive; the message names it.
    """
    if not read_start(path, len(ZIP)).startswith(ZIP):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_names(path, members)
            _check_size(path, members)
            has_checksums = any(member.CRC for member in members)
            for member in members:
                if has_checksums:
                    _read_through(archive, member)
    except ModelError:
        raise
    except Exception as error:  # zipfile may raise anything for a broken archive
        raise ModelError(
            f"{path} is not a readable checkpoint ({first_line(error)}; copy or download it again)."
        ) from error


def _check_size(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    unpacked, packed = sum(member.file_size for member in members), path.stat().st_size
    if is_bomb(unpacked, packed):
        raise ModelError(
            f"{path} would unpack to {unpacked / 1e9:.1f} GB from {packed / 1e6:.1f} MB, which no checkpoint does; "
            "do not load it."
        )


def _check_names(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            raise ModelError(f"{path} has a part '{member.filename}' outside its own folder; do not load it.")


def _read_through(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    try:
        if member.external_attr & FOLDER and member.file_size:
            raise zipfile.BadZipFile("it is marked as a folder")
        with archive.open(member) as file:
            while file.read(BLOCK):
                pass
    except Exception as error:  # zipfile and zlib may raise anything for a broken member
        raise ModelError(
            f"{archive.filename} is not a readable checkpoint (its part {member.filename!r} is damaged: "
            f"{_describe(error)}; copy or download it again)."
        ) from error


def _describe(error: Exception) -> str:
    return "its checksum differs" if "CRC-32" in str(error) else first_line(error)
