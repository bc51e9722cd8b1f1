"""Data sets of labelled faces; one short file each."""

from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.datasets.base import Dataset

DATASETS: "Registry[type[Dataset]]" = Registry(
    "data set",
    "interpfer.datasets",
    {
        "csv": "interpfer.datasets.csv:CsvDataset",
        "folder": "interpfer.datasets.folder:FolderDataset",
        "parquet": "interpfer.datasets.parquet:ParquetDataset",
        "imagefolder": "interpfer.datasets.imagefolder:ImageFolderDataset",
        "zip": "interpfer.datasets.zipped:ZipDataset",
        "hub": "interpfer.datasets.hub:HubDataset",
        "webdataset": "interpfer.datasets.webdataset:WebDataset",
        "demo": "interpfer.datasets.demo:DemoDataset",
        "demo-clips": "interpfer.datasets.demo_clips:DemoClipsDataset",
        "clips": "interpfer.datasets.clips:ClipsDataset",
        "rafdb": "interpfer.datasets.rafdb:RafDbDataset",
        "affectnet": "interpfer.datasets.affectnet:AffectNetDataset",
        "affectnet7": "interpfer.datasets.affectnet:AffectNet7Dataset",
        "fer2013": "interpfer.datasets.fer2013:Fer2013Dataset",
        "ferplus": "interpfer.datasets.ferplus:FerPlusDataset",
        "ferplus-probability": "interpfer.datasets.ferplus:FerPlusProbabilityDataset",
        "ckplus": "interpfer.datasets.ckplus:CkPlusDataset",
        "ckplus-neutral": "interpfer.datasets.ckplus:CkPlusNeutralDataset",
        "expw": "interpfer.datasets.expw:ExpwDataset",
        "kdef": "interpfer.datasets.kdef:KdefDataset",
        "jaffe": "interpfer.datasets.jaffe:JaffeDataset",
        "sfew": "interpfer.datasets.sfew:SfewDataset",
        "rafau": "interpfer.datasets.rafau:RafAuDataset",
        "rafce": "interpfer.datasets.rafce:RafCeDataset",
        "disfa": "interpfer.datasets.disfa:DisfaDataset",
        "disfaplus": "interpfer.datasets.disfaplus:DisfaPlusDataset",
        "bp4d": "interpfer.datasets.bp4d:Bp4dDataset",
        "bp4dplus": "interpfer.datasets.bp4d:Bp4dPlusDataset",
        "emotionet": "interpfer.datasets.emotionet:EmotioNetDataset",
        "affwild2": "interpfer.datasets.affwild2:AffWild2Dataset",
        "unbc": "interpfer.datasets.unbc:UnbcDataset",
        "casme2": "interpfer.datasets.casme2:Casme2Dataset",
        "dfew": "interpfer.datasets.dfew:DfewDataset",
        "ferv39k": "interpfer.datasets.ferv39k:Ferv39kDataset",
        "mafw": "interpfer.datasets.mafw:MafwDataset",
        "mafw-compound": "interpfer.datasets.mafw:MafwCompoundDataset",
        "afew": "interpfer.datasets.afew:AfewDataset",
        "caer": "interpfer.datasets.caer:CaerDataset",
        "caer-s": "interpfer.datasets.caer:CaerSDataset",
        "ravdess": "interpfer.datasets.ravdess:RavdessDataset",
        "crema-d": "interpfer.datasets.cremad:CremaDDataset",
        "crema-d-perceived": "interpfer.datasets.cremad:CremaDPerceivedDataset",
        "mead": "interpfer.datasets.mead:MeadDataset",
    },
)
