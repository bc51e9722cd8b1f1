"""Export of a data set as a folder for ``--dataset csv``."""

import csv
from pathlib import Path

from interpfer.datasets.base import Dataset
from interpfer.datasets.facs_text import format_facs


def write_csv_layout(dataset: Dataset, folder: str | Path) -> None:
    """Write the images, the labels and, if the data set has them, the landmarks.

    Files are ``images/ID``; ``labels.csv`` with the columns image, label and, where any image has one, subject, aus
    (FACS text, intensities as letters) and the attributes; ``landmarks.txt`` with one line image,x1..x68,y1..y68 per
    face with landmarks, in pixels of the image.

    Args:
        dataset: the data set.
        folder: folder to write; created if it does not exist.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    provider = dataset.landmarks()
    columns = _columns(dataset)
    with (folder / "labels.csv").open("w", newline="") as labels:
        table = csv.writer(labels, lineterminator="\n")
        table.writerow(("image", "label", *columns))
        lines = []
        for index, sample in enumerate(dataset.samples):
            image = dataset.image(index)
            path = folder / "images" / sample.id
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
            table.writerow((sample.id, sample.label, *(column[index] for column in columns.values())))
            if provider is not None:
                landmarks = provider.locate([sample.id], [image])
                if bool(landmarks.found[0]):
                    x, y = landmarks.points[0].T.tolist()
                    lines.append(",".join([sample.id, *(f"{value:.3f}" for value in (*x, *y))]))
    if provider is not None:
        (folder / "landmarks.txt").write_text("".join(f"{line}\n" for line in lines))


def _columns(dataset: Dataset) -> dict[str, list[str]]:
    """Return column -> cells of what is known of any image, beside its label."""
    samples, columns = dataset.samples, dict[str, list[str]]()
    if any(sample.subject for sample in samples):
        columns["subject"] = [sample.subject or "" for sample in samples]
    if any(sample.aus is not None for sample in samples):
        columns["aus"] = [format_facs(sample.aus) for sample in samples]
    for name in dict.fromkeys(name for sample in samples for name in sample.attributes):
        columns[name] = [sample.attributes.get(name, "") for sample in samples]
    return columns
