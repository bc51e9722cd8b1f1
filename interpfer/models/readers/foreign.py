"""Formats of other frameworks that are recognised and not read, with the command that converts each.

The commands are those of the converters' own documentation; they need the other framework and were not run here.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpfer.errors import ModelError
from interpfer.files import parse_json
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.folder import SUFFIXES
from interpfer.models.readers.pickles import find_imports
from interpfer.models.readers.signatures import read_json, read_start

START = 4096
"""Bytes of a file that are looked at."""

MAX_JSON = 50_000_000
"""Largest JSON file in bytes that is looked at."""

ONNX_OF = "pass the ONNX or PyTorch file that it was made from"


@dataclass(frozen=True)
class Format:
    """A format that is not read.

    Attributes:
        name: name in messages, with its article.
        matches: function of a path and the first bytes of the file ("" of a folder); whether it is of this format.
        remedy: what to do; {path}, {folder} and {stem} are filled in.
    """

    name: str
    matches: Callable[[Path, bytes], bool]
    remedy: str


class ForeignFormat:
    """Refuses files and folders of other frameworks."""

    def accepts(self, path: Path) -> bool:
        """Return whether the path is of a format that is recognised."""
        return find_format(path) is not None

    def read(self, path: Path, request: Request) -> CheckpointData:  # noqa: ARG002
        """Raise the error that names the format and the command that converts it."""
        found = find_format(path)
        assert found is not None
        remedy = found.remedy.format(path=path, folder=path.parent, stem=path.with_suffix(""))
        raise ModelError(f"{path} is {found.name}, which interpfer does not read; {remedy}.")


def find_format(path: Path) -> Format | None:
    """Return the format of a file or folder that is recognised but not read; None for all others."""
    if path.is_dir() and any(file.suffix.lower() in SUFFIXES for file in path.iterdir()):
        return None  # a checkpoint that is read, beside files of another framework
    try:
        start = read_start(path, START) if path.is_file() else b""
        return next((each for each in FORMATS if each.matches(path, start)), None)
    except (OSError, ValueError):
        return None


def _begins(*marks: bytes, at: int = 0) -> Callable[[Path, bytes], bool]:
    return lambda _, start: start[at:].startswith(marks)


def _named(pattern: str, content: bytes = b"") -> Callable[[Path, bytes], bool]:
    """Return a test of the name of a file, and of its first bytes: for formats without a signature."""
    name, first = re.compile(pattern), re.compile(content, re.DOTALL)
    return lambda path, start: bool(start and name.fullmatch(path.name) and first.match(start))


def _holds(*names: str) -> Callable[[Path, bytes], bool]:
    return lambda path, _: path.is_dir() and all(any(path.glob(name)) for name in names)


def _json(*keys: str) -> Callable[[Path, bytes], bool]:
    """Return a test of the keys of a JSON file."""

    def matches(path: Path, start: bytes) -> bool:
        if start.lstrip()[:1] not in (b"{", b"[") or path.stat().st_size > MAX_JSON:
            return False
        content: Any = read_json(path)
        return bool(content) and all(key in content for key in keys)

    return matches


def _is_weights_manifest(path: Path, start: bytes) -> bool:
    if not path.name.endswith("weights_manifest.json") or path.stat().st_size > MAX_JSON:
        return False
    try:
        content = parse_json(path.read_bytes()) if start.lstrip().startswith(b"[") else []
    except ValueError:
        return False
    return bool(content) and isinstance(content[0], dict) and "paths" in content[0]


def _is_saved_model(path: Path, start: bytes) -> bool:
    """Return whether the first field is the version 1, and the second a message that begins with a message."""
    return path.suffix == ".pb" and re.match(rb"\x08\x01\x12[\x80-\xff]*[\x00-\x7f]\x0a", start) is not None


def _is_graph(_: Path, start: bytes) -> bool:
    """Return whether it begins with a node of a name and an operation of TensorFlow."""
    node = rb"\x0a[\x80-\xff]*[\x00-\x7f]\x0a[\x01-\x7f][\w./-]+\x12[\x01-\x7f](Placeholder|Const|VariableV2|Identity)"
    return re.match(node, start) is not None


def _is_core_ml(_: Path, start: bytes) -> bool:
    """Return whether the version of the specification is followed by a description of features."""
    return re.match(rb"\x08[\x01-\x1f]\x12[\x80-\xff]*[\x01-\x7f]\x0a[\x80-\xff]*[\x01-\x7f]\x0a", start) is not None


def _is_msgpack(path: Path, start: bytes) -> bool:
    """Return whether it is a map of a few entries whose first key is a short text."""
    is_map = start[:1] in [bytes([code]) for code in range(0x81, 0x90)] or start[:1] == b"\xde"
    key = start[1:] if start[:1] != b"\xde" else start[3:]
    return is_map and re.match(rb"[\xa1-\xbf]\w+", key) is not None and path.suffix in (".msgpack", "", ".flax")


def _is_rds(_: Path, start: bytes) -> bool:
    if not start.startswith(b"\x1f\x8b"):
        return start.startswith((b"X\n\0\0\0", b"RDX2\n", b"RDX3\n"))
    try:
        inner = zlib.decompressobj(31).decompress(start, 64)
    except zlib.error:
        return False
    return inner.startswith((b"X\n\0\0\0", b"RDX2\n", b"RDX3\n"))


def _is_sklearn(path: Path, start: bytes) -> bool:
    """Return whether a pickle imports scikit-learn, or joblib to read arrays."""
    if start[:1] != b"\x80":
        return False
    try:
        names = find_imports(path)
    except Exception:  # a broken pickle; its reader says so
        return False
    packages = {name.split(".")[0] for name in names}
    return bool(packages & {"sklearn", "joblib"}) and "torch" not in packages


TF2ONNX = "python -m tf2onnx.convert"
FORMATS = (
    Format("a TensorFlow SavedModel folder", _holds("saved_model.pb"),
           f"`{TF2ONNX} --saved-model {{path}} --output model.onnx` makes an ONNX file"),
    Format("the graph of a TensorFlow SavedModel", _is_saved_model,
           f"`{TF2ONNX} --saved-model {{folder}} --output model.onnx` makes an ONNX file"),
    Format("a frozen TensorFlow graph", _is_graph,
           f"`{TF2ONNX} --graphdef {{path}} --inputs INPUT:0 --outputs OUTPUT:0 --output model.onnx` makes an ONNX "
           "file"),
    Format("a TensorFlow checkpoint", _named(r".+\.(index|meta|data-\d{5}-of-\d{5})", rb"."),
           f"`{TF2ONNX} --checkpoint NAME.meta --inputs INPUT:0 --outputs OUTPUT:0 --output model.onnx` makes an ONNX "
           "file"),
    Format("a TensorFlow.js model", _json("modelTopology"),
           "`tensorflowjs_converter --input_format tfjs_layers_model --output_format keras {path} model.h5` makes a "
           "Keras file"),
    Format("the list of weights of a TensorFlow.js model", _is_weights_manifest,
           "load its binary files as tensors of a PyTorch network, in the order of the list"),
    Format("a CoreML package", _holds("Manifest.json", "Data"), ONNX_OF),
    Format("a CoreML model", _is_core_ml,
           "`python -c \"import coremltools, onnxmltools; onnxmltools.utils.save_model(onnxmltools.convert_coreml("
           "coremltools.utils.load_spec('{path}')), 'model.onnx')\"` makes an ONNX file of a neural network"),
    Format("a TensorRT engine", _begins(b"ftrt", b"ptrt"),
           "it is compiled for one GPU: pass the ONNX file that it was built from (trtexec --onnx=FILE)"),
    Format("a TensorRT engine", _named(r".+\.(engine|plan|trt)", rb"[^\x80P{<]"),
           "it is compiled for one GPU: pass the ONNX file that it was built from (trtexec --onnx=FILE)"),
    Format("a GGUF file", _begins(b"GGUF", b"ggml", b"lmgg"),
           "pass the Hugging Face folder that it was converted from (GGUF holds language models)"),
    Format("a Paddle program", _named(r".+\.pdmodel", rb"\x0a"),
           "`paddle2onnx --model_dir {folder} --model_filename {path.name} --params_filename {stem.name}.pdiparams "
           "--save_file model.onnx` makes an ONNX file"),
    Format("the weights of a Paddle program", _named(r".+\.pdiparams", rb"\0\0\0\0"),
           "`paddle2onnx --model_dir {folder} --model_filename {stem.name}.pdmodel --params_filename {path.name} "
           "--save_file model.onnx` makes an ONNX file"),
    Format("the weights of an MXNet network", _begins(b"\x12\x01\0\0\0\0\0\0"),
           "`python -c \"import mxnet; mxnet.onnx.export_model('NAME-symbol.json', '{path}', [(1, 3, 224, 224)], "
           "'float32', 'model.onnx')\"` makes an ONNX file"),
    Format("the graph of an MXNet network", _json("nodes", "arg_nodes", "heads"),
           "`python -c \"import mxnet; mxnet.onnx.export_model('{path}', 'NAME-0000.params', [(1, 3, 224, 224)], "
           "'float32', 'model.onnx')\"` makes an ONNX file"),
    Format("an Orbax checkpoint of JAX", _holds("_CHECKPOINT_METADATA"),
           "restore it with orbax.checkpoint and save its arrays with safetensors.flax.save_file"),
    Format("an Orbax checkpoint of JAX", _holds("manifest.ocdbt"),
           "restore it with orbax.checkpoint and save its arrays with safetensors.flax.save_file"),
    Format("a Flax checkpoint", _is_msgpack,
           "`python -c \"from transformers import AutoModelForImageClassification as A; A.from_pretrained('{folder}', "
           "from_flax=True).save_pretrained('converted')\"` makes a folder of PyTorch (transformers 4, and Flax)"),
    Format("an OpenVINO program", lambda _, start: b"<net " in start[:400] and b"<layers" in start, ONNX_OF),
    Format("a description of an NCNN network", _begins(b"7767517"), ONNX_OF),
    Format("a description of a Darknet network", _begins(b"[net]", b"[network]"),
           "pass its weights as a PyTorch or ONNX file"),
    Format("the weights of a Darknet network", _named(r".+\.weights", rb"\0\0\0\0[\1\2]\0\0\0"),
           "`python tool/darknet2onnx.py NAME.cfg CLASSES {path} PICTURE 1` of Tianxiaomo/pytorch-YOLOv4 makes "
           "an ONNX file"),
    Format("the weights of a Caffe network", _named(r".+\.caffemodel", rb"[\x0a\x12\x22\xa2]"),
           "`python -m caffe2onnx.convert --prototxt {stem}.prototxt --caffemodel {path} --onnx model.onnx` makes an "
           "ONNX file"),
    Format("a description of a Caffe network", _named(r".+\.prototxt", rb"[\s\w#]"),
           "`python -m caffe2onnx.convert --prototxt {path} --caffemodel {stem}.caffemodel --onnx model.onnx` makes an "
           "ONNX file"),
    Format("a Matlab file", _begins(b"MATLAB "),
           "load it with scipy.io.loadmat (version 7.3: h5py) and save the arrays as a state_dict with torch.save; in "
           "Matlab `exportONNXNetwork(net, 'model.onnx')` makes an ONNX file"),
    Format("a model of scikit-learn", _is_sklearn,
           "scikit-learn has no maps; `skl2onnx.to_onnx(model, X[:1])` makes an ONNX program, which takes images only "
           "if the pipeline does"),
    Format("an R data file", _is_rds,
           "save the weights in R with safetensors::safe_save_file, or the network with torch_save of R's torch"),
    Format("an ONNX Runtime file", _begins(b"ORTM", at=4), "pass the .onnx file that it was made from"),
    Format("an ExecuTorch program", _begins(b"ET12", at=4), "pass the PyTorch file that it was made from"),
)  # fmt: skip
"""Formats in the order in which they are tried."""
