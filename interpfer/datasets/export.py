"""Writing a data set as a folder that `--dataset csv` reads."""

import csv
from pathlib import Path

from interpfer.datasets.base import Dataset


def write_csv_layout(dataset: Dataset, folder: Path) -> None:
    """Write images, labels and, where the data set brings them, landmarks.

    ``folder/images/`` takes the images under their ids, ``folder/labels.csv`` has the columns image and label, and
    ``folder/landmarks.txt`` one line per face that has landmarks: image,x1..x68,y1..y68 in pixels of the image.
    """
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
                found = provider.locate([sample.id], [image])
                if bool(found.found[0]):
                    x, y = found.points[0].T.tolist()
                    lines.append(",".join([sample.id, *(f"{value:.3f}" for value in (*x, *y))]))
    if provider is not None:
        (folder / "landmarks.txt").write_text("".join(f"{line}\n" for line in lines))
