"""Files that would do harm: each payload would make a file; none is ever made."""

import io
import json
import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from interpfer.cli import group
from interpfer.errors import InterpferError, ModelError, TrustError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.loading import load_model
from interpfer.models.readers.pickles import find_imports
from interpfer.models.readers.reference import read_tagged_yaml

OPEN = f"{open.__module__}.open"  # io.open, from Python 3.13 on _io.open
WEIGHTS = {"0.weight": torch.zeros(2, 3, 1, 1), "0.bias": torch.zeros(2)}


class Calls:
    """Unpickling it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def payloads(trace: Path) -> dict[str, Any]:
    import os
    import subprocess

    touch = f"open({str(trace)!r}, 'w')"
    return {
        "os.system": Calls(os.system, f"touch {trace}"),
        "eval": Calls(eval, touch),
        "exec": Calls(exec, touch),
        "subprocess": Calls(subprocess.call, ["touch", str(trace)]),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "open": Calls(open, str(trace), "w"),
        "torch.load": Calls(torch.load, str(trace)),
        "hub": Calls(torch.hub.load, "owner/repository", "model"),
        "setattr": Calls(setattr, nn.Linear, "forward", None),
    }


PAYLOADS = sorted(payloads(Path()))
HOLDERS: dict[str, Callable[[Any], Any]] = {
    "alone": lambda payload: payload,
    "beside weights": lambda payload: {"state_dict": WEIGHTS, "extra": payload},
    "within weights": lambda payload: WEIGHTS | {"1.weight": payload},
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("name", ["m.pt", "m.safetensors", "m.onnx"])
def test_a_pickle_with_a_payload_is_refused(tmp_path: Path, payload: str, holder: str, name: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / name
    content = HOLDERS[holder](payloads(trace)[payload])
    for legacy in (False, True):
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        for arch in (None, "interpfer:small"):
            with pytest.raises(TrustError, match="would import and run"):
                load_model(path, classes=["anger", "fear"], arch=arch)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_bare_pickle_of_any_protocol_is_refused(tmp_path: Path, payload: str, protocol: int) -> None:
    trace, path = tmp_path / "trace", tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(payloads(trace)[payload], protocol))
    with pytest.raises(TrustError, match="would import and run"):
        read_checkpoint(path)
    assert not trace.exists()


def test_hand_written_opcodes(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "m.pt"
    command = f"touch {trace}"
    written = {
        "INST": f"(S'{command}'\nios\nsystem\n.".encode(),
        "OBJ": f"(cos\nsystem\nS'{command}'\no.".encode(),
        "memo": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93V" + command.encode() + b"\n\x85R.",
        "made": b"\x80\x04\x8c\x02os\x8c\x03sys\x8c\x03tem\x86\x93.",
        "extension": b"\x80\x02\x82\x01.",
        "broken off": f"cos\nsystem\n(S'{command}'\ntR".encode(),
    }  # fmt: skip
    for content in written.values():
        path.write_bytes(content)
        with pytest.raises(TrustError):
            read_checkpoint(path)
        assert find_imports(path)
    assert not trace.exists()


def test_an_archive_within_an_archive(tmp_path: Path) -> None:
    trace, inner, outer = tmp_path / "trace", io.BytesIO(), tmp_path / "m.pt"
    torch.save(Calls(open, str(trace), "w"), inner)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("m/inner.pt", inner.getvalue())
    assert find_imports(outer) == (OPEN,)
    with pytest.raises(InterpferError):
        read_checkpoint(outer)
    assert not trace.exists()


def test_an_old_tar_archive(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "m.pth.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in (
            ("sys_info", {}),
            ("storages", 0),
            ("tensors", 0),
            ("pickle", Calls(open, str(trace), "w")),
        ):
            data = pickle.dumps(content, 2)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with pytest.raises(TrustError, match=re.escape(f"would import and run {OPEN}")):
        read_checkpoint(path)
    assert not trace.exists()


def test_weights_beside_foreign_objects_are_read_without_running_them(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save({"state_dict": WEIGHTS, "recorder": Meter(), "acc": 0.9}, path)
    read = read_checkpoint(path)
    assert list(read.weights or ()) == list(WEIGHTS)
    assert read.notes == (f"objects beside the weights were not loaded, as they would run code: {__name__}.Meter",)
    assert Meter.made == 1


class Meter:
    """Counts how often it is made."""

    made = 0

    def __init__(self) -> None:
        Meter.made += 1

    def __setstate__(self, _: Any) -> None:
        raise AssertionError


def test_yaml_tags_make_nothing(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "config_model.yaml"
    path.write_text(
        f"a: !!python/object/apply:os.system ['touch {trace}']\n"
        "b: !!python/object:munch.Munch {encoder_name: resnet18}\n"
        "c: !!python/tuple [1, 2]\n"
        "d: !!python/name:os.system ''\n"
    )
    content = read_tagged_yaml(path)
    assert content["a"] == [f"touch {trace}"]
    assert content["b"] == {"encoder_name": "resnet18"}
    assert content["c"] == [1, 2]
    assert not trace.exists()
    (tmp_path / "m.yaml").write_text(f"arch: !!python/object/apply:os.system ['touch {trace}']\n")
    torch.save(WEIGHTS, tmp_path / "m.pt")
    with pytest.raises(ModelError, match="not YAML"):
        load_model(tmp_path / "m.pt")
    assert not trace.exists()


pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "m.pt2"
    torch.export.save(torch.export.export(nn.Sequential(nn.Conv2d(3, 2, 1)), (torch.zeros(1, 3, 4, 4),)), path)
    return path


def altered(source: Path, path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("torch.ops.aten.conv2d.default", "torch.os.system", r"would run the operator torch\.os\.system"),
        ("torch.ops.aten.conv2d.default", "torch.hub.load", r"would run the operator torch\.hub\.load"),
        ("torch.ops.aten.conv2d.default", "_operator.methodcaller", "would run the operator _operator.methodcaller"),
        ("torch.ops.aten.conv2d.default", "torch.ops.aten.from_file.default", "would run the operator"),
        ("torch.ops.aten.conv2d.default", "torch.ops.aten.conv2d.__class__", "would run the operator"),
        ("torch.ops.aten.conv2d.default", "_operator.call", "would run the operator _operator.call"),
        ('"as_tensor": {"name": "p_0_bias"}}, "kind"', '"as_operator": "torch.os"}, "kind"', "the operator torch.os"),
        ('{"name": "input"', '{"name": "input or print(1)"', r"would run the name input or print\(1\)"),
        ('"in_spec": "', '"in_spec": "{\\"__enum__\\": true} ', "would run the name"),
        ('"out_spec": ', '"out_spec": "{\\"__enum__\\": true}", "x": ', "the name __enum__"),
        ('"range_constraints": {', '"range_constraints": {"id(print)": {}', r"would run the expression id\(print"),
        ('"as_int": 4', '"as_expr": {"expr_str": "eval(\'1\')", "hint": null}', "would run the expression eval"),
    ],
)  # fmt: skip
def test_an_exported_program_that_reaches_out(tmp_path: Path, exported: Path, old: str, new: str, message: str) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.replace(old.encode(), new.encode(), 1) if name.endswith("model.json") else content

    path = altered(exported, tmp_path / "m.pt2", change)
    assert path.read_bytes() != exported.read_bytes()
    with pytest.raises(TrustError, match=message):
        read_checkpoint(path)


def test_an_exported_program_with_a_pickle(tmp_path: Path, exported: Path) -> None:
    trace = tmp_path / "trace"
    inner = io.BytesIO()
    torch.save(Calls(open, str(trace), "w"), inner)

    def change(name: str, content: bytes) -> bytes:
        if name.endswith("model_weights_config.json"):
            table = json.loads(content)
            for entry in table["config"].values():
                entry["use_pickle"] = True
            return json.dumps(table).encode()
        return inner.getvalue() if "/weights/weight_" in name or name.endswith("sample_inputs/model.pt") else content

    with pytest.raises(TrustError, match=re.escape(f"would run {OPEN} (a pickle)")):
        read_checkpoint(altered(exported, tmp_path / "m.pt2", change))
    assert not trace.exists()


def test_an_exported_program_whose_pickle_is_hidden(tmp_path: Path, exported: Path) -> None:
    hidden = b"I0x1\n0cos\nsystem\n(S'true'\ntR."  # a number that readers of opcodes stumble over
    assert find_imports(altered(exported, tmp_path / "m.pt2", _hide(hidden, "sample_inputs/model.pt"))) == ()
    with pytest.raises(TrustError, match=r"sample_inputs/model\.pt \(a pickle\)"):
        read_checkpoint(tmp_path / "m.pt2")
    path = altered(exported, tmp_path / "n.pt2", _hide(hidden, "/weights/weight_0", "WEIGHT_0"))
    with pytest.raises(TrustError, match=r"weights/weight_0 \(a pickle\)"):
        read_checkpoint(path)


def _hide(hidden: bytes, member: str, entry_name: str = "weight_0") -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("model_weights_config.json") and entry_name != "weight_0":
            table = json.loads(content)
            for entry in table["config"].values():
                entry.update(use_pickle=True, path_name=entry["path_name"].replace("weight_0", entry_name))
            return json.dumps(table).encode()
        return hidden if name.endswith(member) else content

    return change


def test_a_member_that_is_there_twice(tmp_path: Path, exported: Path) -> None:
    script = tmp_path / "s.pt"
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 1))), str(script))
    for source, member in ((exported, "models/model.json"), (script, "code/__torch__.py")):
        path = altered(source, tmp_path / f"twice{source.suffix}", lambda _, content: content)
        with zipfile.ZipFile(path, "a") as archive:
            (name,) = (
                (name for name in archive.namelist() if name.endswith(member)) if source is exported else ("s/version",)
            )
            archive.writestr(name.upper(), b"{}")
        with pytest.raises(TrustError, match="of which there are several"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    "line",
    [
        'torch .save(x, "t")',
        'torch.\\\n save(x, "t")',
        '(torch).save(x, "t")',
        'm = torch\n    m.save(x, "t")',
        'getattr(torch, "save")(x, "t")',
        'getattr(torch, "sa\\166e")(x, "t")',
        '(torch).from_file("t", True, 8)',
        'ops.image.write_file("t", x)',
        'o = ops\n    o.image.write_file("t", x)',
    ],
)
def test_a_torchscript_program_that_writes_in_disguise(tmp_path: Path, line: str) -> None:
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 1))), str(tmp_path / "fine.pt"))

    def change(name: str, content: bytes) -> bytes:
        return content + f"\n    {line}\n".encode() if "/code/" in name and name.endswith(".py") else content

    def louder(name: str) -> str:
        return name.replace("/code/", "/CODE/").replace(".py", ".PY")

    path = altered(tmp_path / "fine.pt", tmp_path / "m.pt", change)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "loud.pt", "w") as new:
        for name in old.namelist():
            new.writestr(louder(name), old.read(name))
        new.writestr("m/code/other", b"")
    for file in (path, tmp_path / "loud.pt"):
        with pytest.raises(TrustError, match="which is more than computing on tensors"):
            read_checkpoint(file)


def test_a_torchscript_program_that_writes(tmp_path: Path) -> None:
    script = torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 1)))
    torch.jit.save(script, str(tmp_path / "fine.pt"))

    def change(name: str, content: bytes) -> bytes:
        return content + b"\n    torch.save(1, 'trace')\n" if "/code/" in name and name.endswith(".py") else content

    with pytest.raises(TrustError, match=r"is a TorchScript program that would use save"):
        read_checkpoint(altered(tmp_path / "fine.pt", tmp_path / "m.pt", change))


def test_onnx_data_elsewhere_is_not_read(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "secret")
    for place in ("../secret", str(tmp_path / "secret"), "link", "none"):
        tensor = onnx.TensorProto(name="w", data_type=1, dims=[2, 3, 1, 1], data_location=1)
        tensor.external_data.add(key="location", value=place)
        helper = onnx.helper
        x, y = (helper.make_tensor_value_info(name, 1, ["n", 3, 4, 4]) for name in ("x", "y"))
        node = helper.make_node("Conv", ["x", "w"], ["y"])
        model = helper.make_model(helper.make_graph([node], "g", [x], [y], [tensor]))
        path = tmp_path / "model" / "m.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="outside its own folder|is not beside it"):
            read_checkpoint(path)


def test_a_safetensors_header_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for header in (b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,999]}}', b"{" * 50):
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
        with pytest.raises(ModelError, match="is a broken safetensors file"):
            read_checkpoint(path)


def test_a_hugging_face_folder_with_code_of_its_own(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "own", "auto_map": {"AutoModelForImageClassification": "own.Own"}})
    )
    (tmp_path / "own.py").write_text(f"open({str(trace)!r}, 'w')")
    torch.save(WEIGHTS, tmp_path / "pytorch_model.bin")
    with pytest.raises(TrustError, match=r"contains its own code \(own\.Own\); review it, then pass --trust"):
        read_checkpoint(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "brought",
    [
        {"vision_config": {"auto_map": {"AutoModel": ["own.Own"]}}},
        {"model_type": "timm_wrapper", "architecture": "resnet18", "model_args": {"checkpoint_path": "own.Own"}},
        {"_attn_implementation": "somebody/own.Own"},
    ],
)
def test_a_hugging_face_folder_that_hides_its_code(tmp_path: Path, brought: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"} | brought))
    torch.save(WEIGHTS, tmp_path / "pytorch_model.bin")
    with pytest.raises(TrustError, match=r"contains its own code \(.*own\.Own\)"):
        read_checkpoint(tmp_path)


def test_a_hostile_pickle_in_a_hugging_face_folder(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for config in ({"model_type": "vit"}, {"architecture": "resnet10t"}):
        (tmp_path / "config.json").write_text(json.dumps(config))
        torch.save(WEIGHTS | {"more": Calls(open, str(trace), "w")}, tmp_path / "pytorch_model.bin")
        with pytest.raises(InterpferError):
            read_checkpoint(tmp_path)
    assert not trace.exists()


def test_the_command_line_refuses_in_one_line(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "m.pt"
    torch.save(Calls(open, str(trace), "w"), path)
    done = CliRunner().invoke(group, ["score", str(path), "--dataset", "demo", "--classes", "anger,fear"])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: checkpoint {path} is a pickle that would import and run {OPEN}")
    assert done.stderr.count("\n") == 1
    assert not trace.exists()
