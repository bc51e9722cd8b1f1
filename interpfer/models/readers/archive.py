"""Checks the checksums of zip archives; torch reads archives without comparing them."""

import zipfile
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.readers.signatures import ZIP, read_start

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
        ModelError: the archive cannot be read, or a member has another checksum; the message names it.
    """
    if not read_start(path, len(ZIP)).startswith(ZIP):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
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
