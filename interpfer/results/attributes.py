"""Attributes of images by which they are grouped (``--by``): columns of the data set, and their values."""

from collections import Counter
from collections.abc import Sequence

from interpfer.errors import DataError, nearest
from interpfer.labels import list_names
from interpfer.results.run import SUBJECT
from interpfer.types import Sample

TAKEN = ("image", "label", "predicted", "map", "layer", "occlusion")
"""Columns of per_image.csv that no attribute may be called."""


def read_attribute(sample: Sample, column: str) -> str:
    """Return the attribute of an image, "" where it is unknown; ``subject`` is the person."""
    return (sample.subject or "") if column == SUBJECT else sample.attributes.get(column, "").strip()


def resolve_columns(columns: str | Sequence[str] | None, samples: Sequence[Sample], where: str) -> tuple[str, ...]:
    """Return the columns that a user names.

    Args:
        columns: a list, or one comma-separated text; None for none.
        samples: the images.
        where: name of the data set in messages.

    Raises:
        DataError: the data set has no such column, or it cannot be one of per_image.csv.
    """
    names = [columns] if isinstance(columns, str) else list(columns or ())
    names = list(dict.fromkeys(part.strip() for name in names for part in name.split(",") if part.strip()))
    known = list(dict.fromkeys(name for sample in samples for name in sample.attributes))
    known += [SUBJECT] if any(sample.subject for sample in samples) else []
    for name in names:
        if name not in known:
            listed = f"it has {list_names(known)}" if known else "it has no attributes"
            raise DataError(f"--by {name}: data set {where} has no such column; {listed}.{nearest(name, known)}")
        if name in TAKEN:
            raise DataError(f"--by {name}: per_image.csv has another column of that name: rename it in the data set.")
    return tuple(names)


def find_groups(values: Sequence[str], least: int) -> tuple[list[str], dict[str, int]]:
    """Return the values of an attribute with enough images, by name, and the others with their counts.

    Examples:
        >>> find_groups(["a", "b", "a", "", "10", "10", "9", "9"], least=2)
        (['9', '10', 'a'], {'b': 1})
    """
    counts = Counter(value for value in values if value)
    large = sorted((value for value, count in counts.items() if count >= least), key=_natural)
    return large, {value: counts[value] for value in sorted(counts, key=_natural) if counts[value] < least}


def require_groups(columns: Sequence[str], samples: Sequence[Sample], least: int) -> None:
    """Check that each column has a group to report.

    Raises:
        DataError: none of its values has enough images.
    """
    for column in columns:
        values = [read_attribute(sample, column) for sample in samples]
        large, small = find_groups(values, least)
        if not large:
            raise DataError(
                f"--by {column}: none of its {len(small)} values has {least} images or more; pass a smaller "
                "--min-group, or write ranges into the column."
            )


def _natural(text: str) -> tuple[bool, float, str]:
    """Sort numbers by value, before texts."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
