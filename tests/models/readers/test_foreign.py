"""Files of other frameworks are recognised by their content, and answered with the command that converts them."""

import gzip
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from interpfer.errors import ModelError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.readers.foreign import FORMATS, find_format


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def folder(**files: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.mkdir()
        for name, data in files.items():
            target = path / name.replace("__", ".")
            target.mkdir() if data == b"/" else target.write_bytes(data)

    return write


class _Model:
    """Pickled under the name of a class of scikit-learn."""


def sklearn(path: Path) -> None:
    data = pickle.dumps(_Model(), protocol=2)
    name = f"c{_Model.__module__}\n_Model\n".encode()
    assert name in data
    path.write_bytes(data.replace(name, b"csklearn.svm._classes\nSVC\n"))


GRAPH = b"\x0a\x1c\x0a\x07input_1\x12\x0bPlaceholder" + b"\0" * 9
CORE_ML = b"\x08\x04\x12\x20\x0a\x10\x0a\x05image\x1a\x07" + b"\0" * 40

FOREIGN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "SavedModel": ("saved", folder(saved_model__pb=b"\x08\x01\x12\x05\x0a", variables=b"/"),
                   r"is a TensorFlow SavedModel folder, which interpfer does not read; `python -m tf2onnx.convert "
                   r"--saved-model .*saved --output model.onnx` makes an ONNX file\.$"),
    "its graph": ("saved_model.pb", content(b"\x08\x01\x12\xd0\x05\x0a\x30" + b"x" * 99),
                  r"the graph of a TensorFlow SavedModel.*--saved-model "),
    "frozen graph": ("frozen.pb", content(GRAPH), r"a frozen TensorFlow graph.*--graphdef .*frozen\.pb --inputs"),
    "checkpoint": ("model.ckpt-10.meta", content(b"\x0a\xff"), r"a TensorFlow checkpoint.*--checkpoint NAME\.meta"),
    "TensorFlow.js": ("model.json", content(json.dumps({"modelTopology": {}, "weightsManifest": []}).encode()),
                      r"a TensorFlow\.js model.*tensorflowjs_converter"),
    "manifest": ("net-weights_manifest.json", content(b'[{"paths": ["a-shard1"], "weights": []}]'),
                 r"the list of weights of a TensorFlow\.js model"),
    "CoreML": ("net.mlmodel", content(CORE_ML), r"a CoreML model.*convert_coreml\(coremltools.utils.load_spec\('.*net"),
    "CoreML package": ("net.mlpackage", folder(Manifest__json=b"{}", Data=b"/"), r"a CoreML package.*pass the ONNX"),
    "TensorRT": ("net.bin", content(b"ftrt" + b"\0" * 20), r"a TensorRT engine.*compiled for one GPU"),
    "TensorRT by name": ("net.engine", content(b"\x01\x02" * 20), r"a TensorRT engine.*trtexec"),
    "GGUF": ("net.gguf", content(b"GGUF\x03\0\0\0"), r"a GGUF file.*pass the Hugging Face folder"),
    "Paddle": ("inference.pdmodel", content(b"\x0a\xd2\x01\x08\0"),
               r"a Paddle program.*paddle2onnx --model_dir .* --model_filename inference\.pdmodel --params_filename "
               r"inference\.pdiparams --save_file model\.onnx"),
    "Paddle weights": ("inference.pdiparams", content(b"\0" * 30), r"the weights of a Paddle program.*paddle2onnx"),
    "MXNet": ("net-0000.params", content(b"\x12\x01" + b"\0" * 30), r"the weights of an MXNet network.*export_model"),
    "MXNet graph": ("net-symbol.json", content(b'{"nodes": [], "arg_nodes": [], "heads": []}'),
                    r"the graph of an MXNet network.*export_model\('.*net-symbol\.json'"),
    "Flax": ("flax_model.msgpack", content(b"\x81\xa6params\x82\xa4conv\x80"), r"a Flax checkpoint.*from_flax=True"),
    "Orbax": ("orbax", folder(_CHECKPOINT_METADATA=b"{}", d=b"/"), r"an Orbax checkpoint of JAX.*safetensors"),
    "Orbax, older": ("orbax", folder(manifest__ocdbt=b"\x0c", d=b"/"), r"an Orbax checkpoint of JAX"),
    "OpenVINO": ("net.xml", content(b'<?xml version="1.0"?>\n<net name="n" version="11">\n<layers>'),
                 r"an OpenVINO program.*pass the ONNX or PyTorch file"),
    "NCNN": ("net.param", content(b"7767517\n75 83\nInput data 0 1 data\n"), r"a description of an NCNN network"),
    "Darknet": ("net.cfg", content(b"[net]\nbatch=1\n"), r"a description of a Darknet network"),
    "Darknet weights": ("net.weights", content(b"\0\0\0\0\x02\0\0\0\0\0\0\0"), r"the weights of a Darknet network"),
    "Caffe": ("net.caffemodel", content(b"\x0a\x05VGG16\x12"), r"the weights of a Caffe network.*caffe2onnx"),
    "Caffe text": ("net.prototxt", content(b"name: 'VGG'\nlayer {\n"), r"a description of a Caffe network.*caffe2onnx"),
    "Matlab": ("net.mat", content(b"MATLAB 5.0 MAT-file, Platform"), r"a Matlab file.*scipy\.io\.loadmat"),
    "scikit-learn": ("net.pkl", sklearn, r"a model of scikit-learn.*skl2onnx"),
    "R": ("net.rds", content(gzip.compress(b"X\n\0\0\0\x03")), r"an R data file"),
    "R, plain": ("net.rda", content(b"RDX3\nX\n"), r"an R data file"),
    "ORT": ("net.ort", content(b"\x20\0\0\0ORTM" + b"\0" * 9), r"an ONNX Runtime file.*pass the \.onnx file"),
    "ExecuTorch": ("net.pte", content(b"\x20\0\0\0ET12" + b"\0" * 9), r"an ExecuTorch program.*pass the PyTorch file"),
}  # fmt: skip


@pytest.mark.parametrize("case", FOREIGN)
def test_the_line_names_the_command(case: str, tmp_path: Path) -> None:
    name, write, message = FOREIGN[case]
    write(tmp_path / name)
    with pytest.raises(ModelError, match=message) as error:
        read_checkpoint(tmp_path / name)
    assert "\n" not in str(error.value)
    assert not re.search(r"[{}]", str(error.value))


def test_every_format_is_tested() -> None:
    messages = " ".join(message.replace("\\", "") for *_, message in FOREIGN.values())
    assert [each.name for each in FORMATS if each.name not in messages] == []


def test_files_that_are_read_are_not_foreign(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "a.pt")
    torch.save({"weight": torch.ones(2)}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.weights")
    for name in ("pytorch", "tf2onnx", ""):
        (tmp_path / f"{name}.onnx").write_bytes(b"\x08\x08\x12" + bytes([len(name)]) + name.encode() + b"\x3a\x05")
    (tmp_path / "config.json").write_text("{}")
    for path in sorted(tmp_path.iterdir()):
        assert find_format(path) is None, path


def test_a_folder_that_also_holds_a_checkpoint_is_read(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x05\x0a")
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.pt")
    assert list(read_checkpoint(tmp_path).weights or {}) == ["weight"]
