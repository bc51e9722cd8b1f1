"""Files of landmarks, of interpfer and of other programs."""

import json
from collections.abc import Sequence

import numpy as np

from benchmarks.faults.inputs.seed import Seed


def landmark_files() -> Sequence[Seed]:
    from interpfer.landmarks.files.provider import open_landmarks

    points = np.random.default_rng(0).uniform(0, 200, (68, 2)).round(2)
    header = ",".join(["image", *(f"x{i},y{i}" for i in range(1, 69))])
    own = "\n".join([header, *(",".join([name, *(f"{v:.2f}" for v in points.ravel())]) for name in ("a.png", "b.png"))])
    tool = ", ".join(
        ["frame", "face_id", "confidence", "success", *(f"x_{i}" for i in range(68)), *(f"y_{i}" for i in range(68))]
    )
    pts = "version: 1\nn_points:  68\n{\n" + "\n".join(f"{x} {y}" for x, y in points) + "\n}\n"
    files = {
        "own.csv": own,
        "own.txt": own,
        "face.csv": f"{tool}\n1, 0, 0.9, 1, {', '.join(map(str, points.T.ravel()))}\n",
        "a.pts": pts,
        "mesh.json": json.dumps(
            {"a.png": points.tolist(), "b.png": [{"x": x, "y": y} for x, y in points], "c.png": None}
        ),
    }
    return [
        Seed(
            {name: text.encode()},
            name,
            lambda folder, name=name: open_landmarks(folder / name).locate(["a.png", "b.png"], None),
        )
        for name, text in files.items()
    ]
