"""How near each map is to that of another library, or to a plain restatement of its paper.

    python -m benchmarks.maps_peers [--faces 16] [--slow-faces 2] [--models resnet18,...]

Both maps are computed for the same faces, layer and class, and min-max normalised at their grid; the cosine is taken
per face, and its median and smallest value are reported. Networks: a ResNet-18 of torchvision (seed 0, 64 px), and the
classifiers in models/ under INTERPFER_SHARED where there are some. Layers: the third last, and for maps of one
pass the last, after which a linear head follows, so that several maps coincide there. Row "all" pools the faces of all
networks and layers.
"""

import argparse
import contextlib
import io
import os
import warnings
from collections import defaultdict
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peer_maps import PEERS, REASONS, Subject
from benchmarks.report import RESULTS, write_results
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import MAPS
from interpfer.maps.base import MANY_PASSES, layers_of
from interpfer.maps.canvas import normalise
from interpfer.maps.compute import compute_maps
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SHARED = Path(os.environ.get("INTERPFER_SHARED") or Path(__file__).parents[2] / "shared")
RESNET = "resnet18"


def load_network(name: str) -> Model:
    if name != RESNET:
        return load_model(SHARED / "models" / f"{name}.pt", trust=True)
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = resnet18(num_classes=len(CLASSES))
    with torch.no_grad():
        network.train()
        for _ in range(5):  # so that batch normalisation has statistics
            network(torch.rand(16, 3, 64, 64))
    return load_model(network.eval(), classes=list(CLASSES), input_size=64, name=RESNET)


def read_faces(count: int, size: int) -> Tensor:
    folder = SHARED / "data" / "faces"
    dataset = CsvDataset.open(folder, None) if folder.is_dir() else DemoDataset("train", count=count)
    landmarks = str(folder / "landmarks.txt") if folder.is_dir() else None
    stream = FaceStream(dataset, resolve_landmarks(landmarks, dataset.landmarks()), size)
    return stream.read(range(count)).faces.images


def measure(name: str, faces: int, slow_faces: int) -> list[tuple[str, str, str, str, Tensor]]:
    """Return network, layer, map, peer and the cosines of one network."""
    model = load_network(name)
    images = read_faces(faces, model.card.input.size)
    layers = (model.layers("all")[-3], model.layers("all")[-1])
    found = []
    for method, peers in PEERS.items():
        slow = MAPS.get(method).cost == MANY_PASSES
        chosen = images[:slow_faces] if slow else images
        targets = model.predict_logits(chosen).argmax(1)
        for layer in layers_of(MAPS.get(method), layers[:1] if slow else layers):
            try:
                ours = compute_maps(model, chosen, [method], layers, targets)[method, layer]
            except ModelError as error:
                print(f"{name} {layer} {method}: {error}", flush=True)
                continue
            for peer, draw in peers.items():
                try:
                    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                        theirs = draw(Subject(model, model.preprocess(chosen), layer, targets)).detach()
                except Exception as error:
                    print(f"{name} {layer} {method}, {peer}: {type(error).__name__}: {error}", flush=True)
                    continue
                found.append((name, layer, method, peer, compare(ours, theirs)))
                print(name, layer, method, peer, *summary(found[-1][-1]).values(), sep="\t", flush=True)
    return found


def compare(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the cosine per face; NaN where one of the maps is undefined."""
    pair = [normalise(raw.float()) for raw in (ours, theirs)]
    cosine = F.cosine_similarity(*(unit.nan_to_num().flatten(1) for unit, _ in pair))
    return cosine.where(pair[0][1] & pair[1][1], torch.nan)


def summary(cosines: Tensor) -> dict[str, float]:
    defined = cosines[cosines.isfinite()]
    if not len(defined):
        return {"faces": 0, "undefined": len(cosines), "median": float("nan"), "smallest": float("nan")}
    return {
        "faces": len(defined),
        "undefined": len(cosines) - len(defined),
        "median": round(float(defined.median()), 4),
        "smallest": round(float(defined.min()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    known = [RESNET, *sorted(path.stem for path in (SHARED / "models").glob("*.yaml"))]
    parser.add_argument("--models", default=",".join(known), help=f"of {', '.join(known)}")
    parser.add_argument("--faces", type=int, default=16)
    parser.add_argument("--slow-faces", type=int, default=2, help="of these, for maps of many passes")
    parser.add_argument("--table", action="store_true", help="print the table of docs/maps.md from the last results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.table:
        print_table(pd.read_csv(RESULTS / "maps_peers.csv"))
        return
    rows, pooled = [], defaultdict(list)
    for name in options.models.split(","):
        for network, layer, method, peer, cosines in measure(name, options.faces, options.slow_faces):
            pooled[method, peer].append(cosines)
            rows.append({"map": method, "peer": peer, "network": network, "layer": layer} | summary(cosines))
        every = [
            {"map": method, "peer": peer, "network": "all", "layer": "all"} | summary(torch.cat(pooled[method, peer]))
            for method in PEERS
            for peer in PEERS[method]
            if (method, peer) in pooled
        ]
        write_results("maps_peers", every + rows, {key: str(value) for key, value in vars(options).items()})


def print_table(results: pd.DataFrame) -> None:
    """Print the rows of the table in docs/maps.md."""
    for _, row in results[results["network"] == "all"].iterrows():
        undefined = f", {row['undefined']} undefined" if row["undefined"] else ""
        reason = REASONS.get((row["map"], row["peer"]), "computed by it" if is_computed_by(row) else "none")
        faces = f"{row['faces']}{undefined}"
        print(f"| `{row['map']}` | {row['peer']} | {faces} | {row['median']:.3f} | {row['smallest']:.3f} | {reason} |")


def is_computed_by(row: pd.Series) -> bool:
    return MAPS.get(row["map"]).provider == row["peer"]


if __name__ == "__main__":
    main()
