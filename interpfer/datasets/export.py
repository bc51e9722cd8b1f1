"""Export of a data set as a folder for ``--dataset csv``."""

import csv
from pathlib import Path

from interpfer.datasets.base import Dataset


def write_csv_layout(dataset: Dataset, folder: str | Path) -> None:
    """Write the images, the labels and, if the data set has them, the landmarks.

    Files are ``images/ID``, ``labels.csv`` with the columns image and label, and ``landmarks.txt`` with one line
    image,x1..x68,y1..y68 per face with landmarks, in pixels of the image.

    Args:
        dataset: the data set.
        folder: folder to write; created if it does not exist.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    provider = dataset.landmarks()
    with (folder / "labels.csv").open("w", newline="") as labels:
        table = csv.writer(labels, lineterminator="\n")
        table.writerow(("image", "label"))
        lines = []
        for index, sample in enumerate(dataset.samples):
            image = dataset.image(index)
            path = folder / "images" / sample.id
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
            table.writerow((sample.id, sample.label))
            if provider is not None:
                landmarks = provider.locate([sample.id], [image])
                if bool(landmarks.found[0]):
                    x, y = landmarks.points[0].T.tolist()
                    lines.append(",".join([sample.id, *(f"{value:.3f}" for value in (*x, *y))]))
    if provider is not None:
        (folder / "landmarks.txt").write_text("".join(f"{line}\n" for line in lines))
