"""A folder of masks: CLASS/IMAGE.png of a class, IMAGE.png of any class.

``ignore/IMAGE.png`` and ``IMAGE_ignore.png`` mark pixels to ignore, ``ignore.png`` those of every image. An ending
``_mask`` of the name is dropped, as MVTec AD has it.
"""

from pathlib import Path

from interpfer.datasets.base import IMAGE_SUFFIXES
from interpfer.truth.mask_files.shapes import Picture
from interpfer.truth.mask_files.table import EVERY_IMAGE, IGNORE, Entry, MaskTable, class_key


def read_folder(folder: Path) -> MaskTable:
    """List the masks of a folder; none is opened.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as folder:
        ...     (Path(folder) / "dog").mkdir()
        ...     Image.new("L", (4, 4), 255).save(Path(folder) / "dog" / "rex.png")
        ...     [entry] = read_folder(Path(folder)).entries
        >>> entry.image, entry.group
        ('rex', 'dog')
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    return MaskTable(tuple(_entry(folder, path) for path in files if not path.name.startswith(".")))


def _entry(folder: Path, path: Path) -> Entry:
    inner = path.relative_to(folder)
    name, shape = path.stem, Picture(path, str(path))
    if inner.parent == Path() and name == IGNORE:
        return Entry(EVERY_IMAGE, IGNORE, shape)
    is_ignore = name.endswith(f"_{IGNORE}")
    name = name.removesuffix(f"_{IGNORE}").removesuffix("_mask")
    head, *rest = (*inner.parent.parts, name)
    if not rest:
        return Entry(head, IGNORE if is_ignore else "", shape, "" if name == path.stem else path.stem)
    group = IGNORE if is_ignore else class_key(head)
    return Entry("/".join(rest), group, shape, "/".join((head, *rest)))
