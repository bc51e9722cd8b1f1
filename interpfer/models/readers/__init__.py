"""Readers of checkpoints, one per format. The format is recognised by the content of a file, not by its suffix."""

from interpfer.models.readers.base import Reader
from interpfer.registry import Registry

READERS: Registry[type[Reader]] = Registry(
    "checkpoint reader",
    "interpfer.readers",
    {
        "reference": "interpfer.models.readers.reference:ReferenceFolder",
        "adapter": "interpfer.models.readers.adapter:AdapterFolder",
        "hf": "interpfer.models.readers.hf:HuggingFaceFolder",
        "keras": "interpfer.models.readers.kerasfile:KerasFile",
        "foreign": "interpfer.models.readers.foreign:ForeignFormat",
        "folder": "interpfer.models.readers.folder:Folder",
        "safetensors": "interpfer.models.readers.safetensors:SafeTensors",
        "torch.export": "interpfer.models.readers.exported:ExportedFile",
        "torchscript": "interpfer.models.readers.torchscript:TorchScriptFile",
        "onnx": "interpfer.models.readers.onnxfile:OnnxFile",
        "tflite": "interpfer.models.readers.tflite:TFLiteFile",
        "torch": "interpfer.models.readers.torchfile:TorchFile",
    },
)
"""Readers in the order in which they are tried; the last one accepts every file."""
