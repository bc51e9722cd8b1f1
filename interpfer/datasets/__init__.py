"""Data sets of labelled faces; one short file each."""

from interpfer.datasets.base import Dataset
from interpfer.registry import Registry

DATASETS: Registry[type[Dataset]] = Registry(
    "data set",
    "interpfer.datasets",
    {
        "csv": "interpfer.datasets.csv:CsvDataset",
        "folder": "interpfer.datasets.folder:FolderDataset",
        "demo": "interpfer.datasets.demo:DemoDataset",
    },
)
