"""Addresses of the hub: the cache first, the network only where it is needed, one line for everything that fails."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import interpfer
from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError
from interpfer.models import hub
from interpfer.models.hub import locate, parse_model_address
from interpfer.models.small import SmallCNN
from interpfer.runtime import hub_access
from interpfer.runtime.hub_access import HubAddress, normalise

hub_constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "3f2a" * 10
pytestmark = pytest.mark.usefixtures("cache", "no_network")


def put(cache: Path, repo: str, **files: Any) -> Path:
    """Write the layout of huggingface_hub: models--OWNER--NAME/{refs,snapshots}."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "refs" / "v1").write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        path = snapshot / name.replace("__", ".")
        if isinstance(content, dict) and all(isinstance(value, torch.Tensor) for value in content.values()):
            torch.save(content, path)
        else:
            path.write_text(json.dumps(content))
    return snapshot


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_access, "getproxies", dict)
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each connection that was tried would have waited."""
    waited: list[float] = []

    def refuse(*_: Any, timeout: float) -> None:
        waited.append(timeout)
        raise OSError("no network")

    monkeypatch.setattr(hub_access.socket, "create_connection", refuse)
    return waited


def small() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return SmallCNN(2).state_dict()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://a/b", HubAddress("a/b")),
        ("hf:/a/b", HubAddress("a/b")),
        ("hf://a/b@v1.0", HubAddress("a/b", "v1.0")),
        ("hf://a/b@refs%2Fpr%2F7/x/y.pt", HubAddress("a/b", "refs/pr/7", "x/y.pt")),
        ("timm:hf-hub:a/b", HubAddress("a/b")),
        (Path("hf://a/b.c/best.pt"), HubAddress("a/b.c", "", "best.pt")),
    ],
)
def test_addresses(text: str | Path, address: HubAddress) -> None:
    assert parse_model_address(text) == address
    assert parse_model_address(str(address)) == address
    assert normalise(Path(str(address))) == str(address)


@pytest.mark.parametrize(
    "text",
    [
        "hf://a",
        "hf://a/",
        "hf://datasets/a/b",
        "hf://../b",
        "hf://a/..",
        "hf://a/b/../../c",
        "hf://a b/c",
        "hf://-a/b",
        "hf://a/b/x%2Fy",
    ],
)
def test_addresses_that_are_wrong(text: str) -> None:
    with pytest.raises(ModelError, match=r"must be (hf://OWNER/NAME\[@REVISION\]\[/FILE\], got|a path in the repo)"):
        locate(text)


def test_a_file_in_the_cache_is_read_without_the_network(cache: Path) -> None:
    put(cache, "a/b", best__pt=small())
    card = {"arch": "interpfer.models.small:SmallCNN", "arch_args": {"classes": 2}, "classes": "anger,fear"}
    model = interpfer.load_model("hf://a/b/best.pt", trust=True, input_size=48, **card)
    assert model.name == "best"
    assert model.card.source == f"hf://a/b@{COMMIT}/best.pt"
    again = interpfer.load_model(Path("hf://a/b@v1"), trust=True, input_size=48, **card)  # the only checkpoint there
    assert (again.name, again.sha256) == ("b", again.sha256)
    torch.testing.assert_close(again.logits(again.noise), model.logits(model.noise))
    run = interpfer.score(
        "hf://a/b/best.pt", DemoDataset("test", count=4, size=48), trust=True, input_size=48, maps="gradcam",
        metrics="cosine", device="cpu", **card,
    )  # fmt: skip
    assert run.manifest["network"]["source"] == f"hf://a/b@{COMMIT}/best.pt"
    assert len(run.manifest["checkpoint_sha256"]) == 64
    assert run.manifest["options"]["model"] == "hf://a/b/best.pt"


def test_the_card_of_a_cached_file_is_written_beside_a_copy(cache: Path) -> None:
    snapshot = put(cache, "a/b", best__pt=small())
    options = ["--arch", "interpfer:small", "--classes", "anger,fear", "--input-size", "48"]
    done = CliRunner().invoke(group, ["inspect", "hf://a/b/best.pt", *options, "--write"])
    assert done.exit_code == 1
    assert f"run cp -rL {snapshot}/best.pt best.pt, then interpfer inspect best.pt with the same options" in done.stderr
    assert not list(snapshot.glob("*.yaml"))


def test_a_folder_of_timm_in_the_cache(cache: Path) -> None:
    timm = pytest.importorskip("timm")
    names = ["angry", "fear"]
    config = {"architecture": "test_resnet", "num_classes": 2, "label_names": names, "pretrained_cfg": {
        "input_size": [3, 48, 48], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "crop_pct": 1.0,
        "label_names": names}}  # fmt: skip
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=2).eval()
    snapshot = put(cache, "a/net", config__json=config)
    torch.save(network.state_dict(), snapshot / "pytorch_model.bin")
    model = interpfer.load_model("timm:hf-hub:a/net")
    assert (model.name, model.classes, model.card.source) == ("net", ("anger", "fear"), f"hf://a/net@{COMMIT}")
    torch.testing.assert_close(model.logits(model.noise), network(model.noise))
    assert interpfer.load_model(f"timm:local-dir:{snapshot}").classes == model.classes


@pytest.mark.parametrize("address", ["hf://a/b", "hf://a/b/best.pt", "hf://a/b@v2"])
@pytest.mark.usefixtures("cache")
def test_without_a_network_the_answer_comes_at_once(address: str, no_network: list[float]) -> None:
    done = CliRunner().invoke(group, ["score", address, "--dataset", "demo", "--classes", "anger,fear"])
    assert len(no_network) == 1
    assert no_network[0] <= 2
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert f"{address} is not in the cache of huggingface_hub, and https://huggingface.co cannot be" in done.stderr


def test_offline_mode_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub_access.socket, "create_connection", None)
    with pytest.raises(ModelError, match=r"cannot be reached \(HF_HUB_OFFLINE is set\); download it where"):
        locate("hf://a/b")


def remote(monkeypatch: pytest.MonkeyPatch, names: list[str] | Exception) -> list[Any]:
    import huggingface_hub

    asked: list[Any] = []

    def model_info(*_: Any, **__: Any) -> Any:
        if isinstance(names, Exception):
            raise names
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in names])

    def download(repo: str, revision: str | None = None, **options: Any) -> str:
        if options.get("local_files_only"):
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        asked.append((repo, revision, options["allow_patterns"]))
        return f"/cache/{COMMIT}"

    monkeypatch.setattr(hub, "is_reachable", lambda _: True)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=model_info))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return asked


@pytest.mark.parametrize(
    ("address", "names", "wanted"),
    [
        ("hf://a/b", ["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "runs/x.bin"],
         ["config.json", "model.safetensors"]),
        ("hf://a/b@dev", ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"],
         ["config.json", "model.safetensors.index.json", "model.safetensors.index.json",
          "model-00001-of-00002.safetensors"]),
        ("hf://a/b", ["adapter_config.json", "adapter_model.safetensors"],
         ["adapter_config.json", "adapter_model.safetensors"]),
        ("hf://a/b", ["net.onnx", "README.md"], ["net.onnx"]),
        ("hf://a/b/sub/x.pt", ["sub/x.pt", "sub/y.pt"], ["sub/x.pt"]),
    ],
)  # fmt: skip
def test_what_is_downloaded(monkeypatch: pytest.MonkeyPatch, address: str, names: list[str], wanted: list[str]) -> None:
    asked = remote(monkeypatch, names)
    found = locate(address)
    parsed = parse_model_address(address)
    assert parsed is not None
    assert asked == [("a/b", parsed.revision or None, wanted)]
    assert found.path == Path(f"/cache/{COMMIT}") / parsed.path
    assert f"@{COMMIT}" in found.source


def failure(name: str) -> Exception:
    errors = pytest.importorskip("huggingface_hub.errors")
    error = getattr(errors, name)
    built: Exception = error.__new__(error)
    return built


@pytest.mark.parametrize(
    ("address", "names", "message"),
    [
        ("hf://a/b/x.pt", ["y.pt", "README.md"], r"a/b has no file 'x\.pt'; it has y\.pt\."),
        ("hf://a/b", ["y.pt", "z.pt"], r"a/b holds 2 checkpoints \(y\.pt, z\.pt\); name one: hf://a/b/y\.pt\."),
        ("hf://a/b", ["README.md"], r"a/b holds no checkpoint; its files are README\.md\."),
        ("hf://a/b", "GatedRepoError", r"a/b is gated: accept its terms on https://huggingface\.co/a/b, log in"),
        ("hf://a/b@v9", "RevisionNotFoundError", r"a/b has no revision 'v9'; its branches and tags are on"),
        ("hf://a/b", "RepositoryNotFoundError", r"the hub has no model a/b, or it is private: check the name"),
        ("hf://a/b/x.pt", "EntryNotFoundError", r"a/b has no file 'x\.pt'; its files are on https://"),
        ("hf://a/b", TimeoutError("slow"), r"hf://a/b cannot be downloaded: TimeoutError: slow\."),
    ],
)
def test_what_the_hub_refuses(monkeypatch: pytest.MonkeyPatch, address: str, names: Any, message: str) -> None:
    remote(monkeypatch, failure(names) if isinstance(names, str) else names)
    with pytest.raises(ModelError, match=message) as caught:
        locate(address)
    assert "\n" not in str(caught.value)


def test_a_part_of_a_repository_in_the_cache_is_not_taken_for_it(cache: Path) -> None:
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    put(cache, "a/b", config__json={"model_type": "vit"}, model__safetensors__index__json=index)
    put(cache, "a/c", config__json={"model_type": "vit"})
    for repo in ("a/b", "a/c"):
        with pytest.raises(ModelError, match="is not in the cache of huggingface_hub"):
            locate(f"hf://{repo}")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"needs the package huggingface_hub, .* pip install 'interpfer\[hub\]'"):
        locate("hf://a/b")


def test_labels_without_names_are_no_order(cache: Path) -> None:
    config = {"architecture": "test_resnet", "label_names": ["LABEL_0", "LABEL_1"]}
    snapshot = put(cache, "a/b", config__json=config)
    torch.save(nn.Conv2d(3, 2, 1).state_dict(), snapshot / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"the field 'classes' is missing: the expressions in output order"):
        interpfer.load_model("hf://a/b")
