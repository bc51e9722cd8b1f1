"""Archives and tables with pictures in them: tars, zips, parquet and arrow."""

import io
import json
import random
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.faults.inputs.seed import Files, Seed, pack_zip, picture, touch_all
from benchmarks.faults.mutations import change_value


def tars() -> Sequence[Seed]:
    from interpfer.datasets.webdataset import WebDataset

    def pack(members: Mapping[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size, info.type, info.linkname = (
                    (len(content), kind, "") if kind == tarfile.REGTYPE else (0, kind, "/etc/passwd")
                )
                archive.addfile(info, io.BytesIO(content))
        return out.getvalue()

    members = {
        "s1.png": picture(),
        "s1.cls": b"0",
        "s2.png": picture(),
        "s2.cls": b"1",
        "s3.png": picture(),
        "s3.json": b'{"label": "fear", "age": 3}',
    }

    def hostile(random_: random.Random, _: str) -> Files:
        name = random_.choice(("../../x.png", "/etc/x.png", "s1.png", "a" * 300 + ".png", "s\udcff.png", ".png", "s."))
        label = change_value(b'{"label": "fear", "age": 3, "x": [1]}', "a.json", random_)
        kind = random_.choice((tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE))
        packed = pack(
            {
                name: picture(),
                "s9.png": picture(),
                "s9.json": label,
                "s10.png": b"",
                "s10.cls": random_.choice((b"9" * 50, b"\xff", b"-7", "१".encode())),
            },
            kind,
        )
        return {"test/0.tar": packed}

    read = lambda folder: touch_all(WebDataset.open(folder, "test"))  # noqa: E731
    files = {"test/0.tar": pack(members), "classnames.txt": b"angry\nhappy\n"}
    return [Seed(files, "test/0.tar", read, hostile), Seed(files, "classnames.txt", read)]


def zips() -> Sequence[Seed]:
    from interpfer.datasets.zipped import ZipDataset

    def hostile(random_: random.Random, _: str) -> Files:
        name = random_.choice(
            ("../../x.png", "/etc/x.png", "happy/\x00.png", "C:/x.png", "happy/" + "a" * 300 + ".png", "happyy/1.png")
        )
        bomb = random_.choice((bytes(2 * 2**20), picture(), b""))
        method = random_.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        return {"faces.zip": pack_zip({name: picture(), "happy/bomb.png": bomb, "sad/2.png": picture()}, method)}

    read = lambda folder: touch_all(ZipDataset.open(folder / "faces.zip", "test"))  # noqa: E731
    folders = {"happy/1.png": picture(), "sad/2.png": picture("JPEG"), "boredom/3.png": picture()}
    table = {"labels.csv": b"image,label\n1.png,happy\n2.png,sad\n", "images/1.png": picture(), "2.png": picture()}
    return [Seed({"faces.zip": pack_zip(each)}, "faces.zip", read, hostile) for each in (folders, table)]


def tables_of_pictures() -> Sequence[Seed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from interpfer.datasets.parquet import ParquetDataset

    stated = json.dumps(
        {
            "info": {
                "features": {"image": {"_type": "Image"}, "label": {"names": ["happy", "sad"], "_type": "ClassLabel"}}
            }
        }
    )
    cell = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array([{"bytes": picture(), "path": None}] * 3, cell),
        "label": [0, 1, -1],
        "age": [1.5, None, 3.0],
    }

    def parquet(metadata: bytes, changed: Mapping[str, Any]) -> bytes:
        out = io.BytesIO()
        pq.write_table(pa.table({**columns, **changed}).replace_schema_metadata({b"huggingface": metadata}), out)
        return out.getvalue()

    def arrow() -> bytes:
        out = io.BytesIO()
        table = pa.table(columns).replace_schema_metadata({b"huggingface": stated.encode()})
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        return out.getvalue()

    odd = (
        [None] * 3,
        ["x", "", "happy"],
        [[1], [2], []],
        [True, False, None],
        [0.5, 1.0, float("nan")],
        [2**62, -9, 1],
        [b"\xff", b"", None],
        [{"a": 1}] * 3,
    )

    def hostile(random_: random.Random, _: str) -> Files:
        metadata = change_value(stated.encode(), "a.json", random_) if random_.random() < 0.7 else random_.randbytes(20)
        changed = (
            {random_.choice(("image", "label", "age", "subject", "labels")): random_.choice(odd)}
            if random_.random() < 0.7
            else {}
        )
        return {"test.parquet": parquet(metadata, changed)}

    read = lambda folder: touch_all(ParquetDataset.open(folder, "test"))  # noqa: E731
    saved = {
        "test/data-00000-of-00001.arrow": arrow(),
        "test/state.json": b'{"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "test"}',
        "test/dataset_info.json": stated.encode()[9:-1],
        "dataset_dict.json": b'{"splits": ["test"]}',
    }
    return [
        Seed({"test.parquet": parquet(stated.encode(), {})}, "test.parquet", read, hostile),
        *(
            Seed(saved, target, read)
            for target in ("test/data-00000-of-00001.arrow", "test/state.json", "test/dataset_info.json")
        ),
    ]
