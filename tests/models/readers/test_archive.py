"""Checkpoints with changed bytes: refused in one line, or read with the right weights; never a traceback."""

import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import InterpferError, ModelError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.readers.archive import check_archive

pytestmark = pytest.mark.filterwarnings("ignore")
POSITIONS = 150


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()


def safetensors(path: Path) -> None:
    from safetensors.torch import save_file

    save_file(network().state_dict(), path)


def export(path: Path) -> None:
    torch.export.save(torch.export.export(network(), (torch.zeros(1, 3, 8, 8),)), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "m.pt": lambda path: torch.save(network().state_dict(), path),
    "module.pth": lambda path: torch.save({"state_dict": network().state_dict(), "module": network()}, path),
    "script.pt": lambda path: torch.jit.script(network()).save(str(path)),
    "program.pt2": export,
    "old.t7": lambda path: torch.save(network().state_dict(), path, _use_new_zipfile_serialization=False),
    "m.safetensors": safetensors,
}
CHECKED = ("m.pt", "module.pth", "script.pt", "program.pt2")
"""Formats with checksums."""


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("name", WRITERS)
def test_changed_bytes(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    path = tmp_path / name
    whole, draw = path.read_bytes(), random.Random(0)
    intact = read_checkpoint(path)
    count = POSITIONS // 5 if name == "program.pt2" else POSITIONS  # slow to read
    positions = sorted(draw.sample(range(len(whole)), count))
    refused = 0
    for position in positions:
        changed = bytearray(whole)
        changed[position] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = read_checkpoint(path)
            except InterpferError as error:
                assert "\n" not in str(error)  # noqa: PT017
                refused += 1
                continue
        assert found.sha256 != intact.sha256
        if name in CHECKED:
            assert same(dict(found.weights or {}), dict(intact.weights or {})), position
    assert refused


@pytest.mark.parametrize("name", CHECKED)
def test_a_changed_weight_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    with zipfile.ZipFile(path) as archive:
        members = [item for item in archive.infolist() if "/data/" in item.filename and item.file_size >= 4 * 3 * 4]
        member = max(members, key=lambda item: item.file_size)
        content = archive.read(member)
    changed = bytearray(path.read_bytes())
    position = bytes(changed).index(content)
    changed[position + 3] ^= 64
    path.write_bytes(changed)
    with pytest.raises(ModelError) as error:
        read_checkpoint(path)
    assert str(error.value) == (
        f"{path} is not a readable checkpoint (its part {member.filename!r} is damaged: its checksum differs; "
        "copy or download it again)."
    )


def test_a_member_marked_as_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    WRITERS["m.pt"](path)
    with zipfile.ZipFile(path) as archive:
        (entry,) = (item for item in archive.infolist() if item.filename == "m/data/0")
    changed = bytearray(path.read_bytes())
    changed[bytes(changed).rindex(b"m/data/0") - 8] ^= 0x10  # attributes of the member, in the list of members
    path.write_bytes(changed)  # torch then takes whatever is in memory for the weights
    assert entry.file_size == 4 * 3 * 9 * 4
    with pytest.raises(ModelError, match=r"its part 'm/data/0' is damaged: it is marked as a folder; copy or download"):
        read_checkpoint(path)


def test_a_damaged_file_of_a_hugging_face_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    torch.save(network().state_dict(), tmp_path / "pytorch_model.bin")
    changed = bytearray((tmp_path / "pytorch_model.bin").read_bytes())
    changed[bytes(changed).index(network()[0].weight.detach().numpy().tobytes())] ^= 1
    (tmp_path / "pytorch_model.bin").write_bytes(changed)
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is not a readable checkpoint .*its checksum differs"):
        read_checkpoint(tmp_path)


def test_an_archive_without_checksums_is_read(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(network().state_dict(), tmp_path / "m.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert same(dict(read_checkpoint(tmp_path / "m.pt").weights or {}), network().state_dict())


def test_other_files_pass(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"junk")
    check_archive(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"a" * 5000)
    check_archive(tmp_path / "z")
    changed = bytearray((tmp_path / "z").read_bytes())
    changed[33] ^= 255
    (tmp_path / "z").write_bytes(changed)
    with pytest.raises(ModelError, match=r"z is not a readable checkpoint \(its part 'a' is damaged: "):
        check_archive(tmp_path / "z")
