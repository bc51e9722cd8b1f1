"""Names as papers write them, and aliases that a plugin states."""

from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from interpfer import registry
from interpfer.cli import group
from interpfer.errors import PluginError
from interpfer.maps import MAPS, named_maps, select_maps
from interpfer.metrics import METRICS, select_metrics
from interpfer.registry import Registry, also_called, fold_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Grad-CAM", "gradcam"),
        ("GradCAM", "gradcam"),
        ("Grad-CAM++", "gradcam++"),
        ("grad cam ++", "gradcam++"),
        ("LayerCAM", "layercam"),
        ("Layer-CAM", "layercam"),
        ("Score-CAM", "scorecam"),
        ("HiResCAM", "hirescam"),
        ("Smooth Grad-CAM++", "smoothgradcam++"),
        ("Integrated Gradients", "integrated-gradients"),
        ("CAM", "cam"),
        ("CF-CAM", "cf-cam"),
        ("Attention", "attention"),
        ("ATT", "attention"),
        ("RISE-500", "rise-500"),
        ("uniform", "baseline:uniform"),
    ],
)
def test_maps_by_the_names_of_papers(written: str, name: str) -> None:
    assert select_maps(written) == (name,)
    assert named_maps(written) == {name}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("CAM-COS", "cosine"),
        ("ATT-COS", "cosine"),
        ("att_cos", "cosine"),
        ("Cosine", "cosine"),
        ("PxAP", "pxap"),
        ("cosine skill", "cosine_skill"),
        ("MaxBoxAcc", "maxboxacc"),
        ("IoU", "iou"),
        ("pointing game", "pointing"),
    ],
)
def test_metrics_by_the_names_of_papers(written: str, name: str) -> None:
    assert select_metrics(written) == (name,)


def test_one_thing_under_two_names_is_chosen_once() -> None:
    assert select_maps("Grad-CAM,gradcam,GRADCAM") == ("gradcam",)
    assert select_metrics(["CAM-COS", "ATT-COS", "PxAP"]) == ("cosine", "pxap")
    assert select_metrics("faithfulness, CAM-COS")[-1] == "cosine"


@pytest.mark.parametrize("plugins", [MAPS, METRICS], ids=["maps", "metrics"])
def test_no_two_names_are_one_spelling(plugins: Registry) -> None:
    spellings = [fold_name(name) for name in plugins]
    aliases = [fold_name(alias) for name in plugins for alias in getattr(plugins.get(name), "aliases", ())]
    assert len({*spellings, *aliases}) == len(spellings) + len(aliases)
    for name in plugins:
        assert plugins.resolve(name) == name


def test_what_is_unknown_stays_unknown() -> None:
    assert MAPS.resolve("grad") is None
    with pytest.raises(PluginError, match="unknown map or group of maps 'Grad-CAN'"):
        select_maps("Grad-CAN")
    with pytest.raises(PluginError, match="unknown metric or group of metrics 'CAM-COSS'"):
        select_metrics("CAM-COSS")


@also_called("My Way")
def mine() -> None:
    """Score of another package."""


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "interpfer.tests")._for(SimpleNamespace(name="my-package"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("written", ["mine", "Mine", "my way", "MY-WAY"])
def test_a_plugin_states_its_aliases(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    points = [point("mine", f"{__name__}:mine"), point("broken", "nowhere:nothing")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert Registry("function", "interpfer.tests", {}).resolve(written) == "mine"


def test_a_spelling_of_two_plugins_means_neither() -> None:
    two = Registry("function", "interpfer.tests", {"a-b": "math:sin", "ab": "math:cos"})
    assert (two.resolve("a-b"), two.resolve("ab"), two.resolve("A_B")) == ("a-b", "ab", None)


@pytest.mark.parametrize(("kind", "plugins"), [("maps", MAPS), ("metrics", METRICS)])
def test_ls_names_the_package_of_a_plugin(monkeypatch: pytest.MonkeyPatch, kind: str, plugins: Registry) -> None:
    name = "gradcam" if kind == "maps" else "cosine"
    targets = plugins._targets | {"mine": (plugins._targets[name][0], "my-package")}
    monkeypatch.setitem(plugins.__dict__, "_targets", targets)
    done = CliRunner().invoke(group, ["ls", kind, "--json"])
    assert done.exit_code == 0, done.output
    import json

    listed = {facts["name"]: facts for facts in json.loads(done.stdout)}
    assert listed["mine"]["by"] == "my-package"
    assert listed[name].get("by", "interpfer") == "interpfer"
    if kind == "metrics":
        assert listed["cosine"]["also called"] == "CAM-COS, ATT-COS, cosine similarity"
