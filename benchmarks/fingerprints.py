"""Writes the index of the networks of torchvision and timm that ``interpfer inspect`` guesses architectures from.

    python -m benchmarks.fingerprints

Needs timm. Networks are built without storage, so this takes minutes and little memory; nothing is downloaded.
"""

import sys
import time
import warnings

from interpfer.models.fingerprints import INDEX, ODD_CLASSES, Shapes, write_index
from interpfer.models.known_networks import find_network_shapes, list_networks


def main() -> None:
    warnings.simplefilter("ignore")
    networks: dict[str, Shapes] = {}
    left_out = []
    started = time.monotonic()
    for name in list_networks():
        try:
            networks[name] = find_network_shapes(name, {"num_classes": ODD_CLASSES})
        except Exception as error:
            left_out.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[:1]}")
        if len(networks) % 50 == 0:
            print(f"{len(networks)} networks, {time.monotonic() - started:.0f} s", file=sys.stderr)
    write_index(INDEX, networks)
    print(
        f"{len(networks)} networks, {INDEX.stat().st_size / 1e3:.0f} kB; {len(left_out)} cannot be built without data"
    )
    print(*left_out, sep="\n")


if __name__ == "__main__":
    main()
