import pytest

from interpfer.datasets.demo import DemoDataset


@pytest.fixture(scope="session")
def drawn() -> DemoDataset:
    """21 synthetic faces to train on, three per expression."""
    return DemoDataset("train", count=21, size=48)
