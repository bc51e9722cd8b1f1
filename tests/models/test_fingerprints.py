from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.models.fingerprints import INDEX, ODD_CLASSES, SKETCH, nearest_networks, sketch, write_index
from interpfer.models.known_networks import list_networks

NAMES = st.text("abc.", min_size=1, max_size=6)


@given(st.dictionaries(NAMES, st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=80))
def test_a_sketch_depends_on_the_set_alone(shapes: dict[str, tuple[int, ...]]) -> None:
    hashes = sketch(shapes)
    assert len(hashes) <= min(SKETCH, len(shapes))
    assert np.array_equal(hashes, sketch(dict(reversed(shapes.items()))))
    assert np.array_equal(hashes, np.sort(hashes))


def test_the_index_is_written_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interpfer.models import fingerprints

    body = {f"layer{i}.weight": (i + 1, 3) for i in range(60)}
    networks = {
        "x:one": body | {"fc.weight": (ODD_CLASSES, 60)},
        "x:same": body | {"fc.weight": (ODD_CLASSES, 60)},
        "x:like": body | {"layer0.weight": (9, 9), "fc.weight": (ODD_CLASSES, 60)},
        "x:other": {"a": (1,), "b": (ODD_CLASSES,)},
    }
    write_index(tmp_path / "index.npz", networks)
    monkeypatch.setattr(fingerprints, "INDEX", tmp_path / "index.npz")
    fingerprints._load_index.cache_clear()
    try:
        groups = nearest_networks(body | {"fc.weight": (7, 60)}, 3, 0.2)
        assert groups == [["x:one", "x:same"], ["x:like"]]
        assert nearest_networks({"a": (1,), "b": (7,)}, 3, 0.2) == [["x:other"]]
        assert nearest_networks({"q": (5,)}, 3, 0.2) == []
    finally:
        fingerprints._load_index.cache_clear()


def test_the_index_knows_the_networks_that_are_installed() -> None:
    with np.load(INDEX) as arrays:
        names = arrays["names"].tobytes().decode().split("\n")
    assert len(names) > 1000
    installed = [name for name in list_networks() if name.startswith("torchvision:")]
    assert len(set(installed) & set(names)) > 0.9 * len(installed)
    assert INDEX.stat().st_size < 250_000
