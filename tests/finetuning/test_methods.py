"""Published methods by name: what they set, what the caller keeps, and what a training says of them."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.finetuning.data import Inputs
from interpfer.finetuning.methods import (
    BASELINES,
    BOUND,
    METHODS,
    combine_methods,
    describe_methods,
    parse_methods,
    require_network,
    score_flags,
)
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import make_recipe
from interpfer.finetuning.run import finetune
from interpfer.finetuning.seeds import train_seeds
from interpfer.maps import MAPS
from interpfer.models.heads import HEADS
from interpfer.models.heads.wildcat import WildcatHead
from interpfer.options import write_command

PUBLISHED: dict[str, dict[str, Any]] = {
    "cam": {"head": None, "adl": None, "cutmix": 0.0, "lr": 0.02, "epochs": 16},
    "wildcat": {"head": "wildcat", "lr": 0.02},
    "gradcam": {"head": None, "cam_map": "gradcam"},
    "gradcam++": {"head": None, "cam_map": "gradcam++"},
    "acol": {"head": "acol", "optimizer": "sgd", "lr": 1e-4, "head_lr": 10.0, "epochs": 60, "freeze": "none"},
    "prm": {"head": "prm"},
    "adl": {"head": None, "adl": "0.75,0.9"},
    "cutmix": {"head": None, "cutmix": 1.0},
    "ts-cam": {"head": "ts-cam", "lr": 1e-3, "batch_size": 128, "epochs": 60, "weight_decay": 5e-4,
               "align_layers": "token_attention"},
    "layercam": {"head": None, "cam_map": "layercam"},
    "apvit": {"head": None, "lr": 1e-3, "batch_size": 128, "epochs": 40, "clip": 10.0, "schedule": "cosine",
              "align_layers": "vit.pooling", "compare_layers": "vit.pooling"},
}  # fmt: skip
"""Values as METHODS' sources have them, typed again."""

SCORED = {"gradcam": "gradcam", "gradcam++": "gradcam++", "layercam": "layercam", "ts-cam": "ts-cam"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_method_sets_head_trick_map_and_published_values(name: str) -> None:
    assert set(PUBLISHED) == {name for name, method in METHODS.items() if not (method.is_guide or method.is_ours)}
    options = FinetuneOptions(method=name)
    assert {key: getattr(options, key) for key in PUBLISHED[name]} == PUBLISHED[name]
    assert make_recipe(options).guide.weights == (0, 0)
    maps = options.compare_maps
    assert SCORED.get(name, "attention" if name == "apvit" else "cam") in maps
    assert set(maps) - set(BASELINES) <= set(MAPS)
    assert options.head is None or options.head in HEADS
    guided = FinetuneOptions(method=f"{name},belharbi2024", dataset="affectnet")
    assert make_recipe(guided).guide.weights == (9, 0)
    kept = {"head", "adl", "cutmix", "align_layers", "cam_map", "compare_layers"} & set(PUBLISHED[name])
    assert {key: getattr(guided, key) for key in kept} == {key: PUBLISHED[name][key] for key in kept}
    assert (guided.batch_size, guided.lr, guided.compare_maps) == (224, 2e-3, maps)
    assert FinetuneOptions.of(guided.to_dict()).to_dict() == guided.to_dict()


def test_what_is_passed_stays_and_the_recorded_command_gives_it_again() -> None:
    options = FinetuneOptions.of(
        {"method": ["belharbi2024", "acol"], "lr": 0.01, "head_args": {"threshold": 0.1}, "weight": 0.0}
    )
    assert (options.method, options.lr, options.weight, options.head) == ("acol,belharbi2024", 0.01, 0, "acol")
    words = write_command(options, "finetune")
    assert words == [
        "interpfer", "finetune", "--head-args", "threshold=0.1", "--method", "acol,belharbi2024", "--weight", "0.0",
        "--lr", "0.01",
    ]  # fmt: skip
    command = shlex.join([*words[1:2], "model.pt", *words[2:], "--dataset", "demo", "--out", "x", "--print-config"])
    printed = CliRunner().invoke(group, command, catch_exceptions=False)
    assert printed.exit_code == 0
    assert 'head_args: {"threshold": 0.1}' in printed.output
    assert "\nlr: 0.01\n" in printed.output
    assert FinetuneOptions.of({"model": "timm:x", "classes": "rafdb"}).freeze == "none"
    assert FinetuneOptions.of({"model": "timm:x", "pretrained": True}).freeze == "half"


def test_every_value_is_described_with_its_source() -> None:
    lines = describe_methods(FinetuneOptions(method="acol", lr=0.01))
    assert lines[0] == "method acol: Zhang et al. 2018, arXiv 1804.06962"
    assert "  head: acol (threshold 0.6: the paper)" in lines
    assert "  head_lr: 10.0 (code of its authors)" in lines
    assert "  lr: 0.01 (passed; 0.0001 by code of its authors)" in lines
    assert len(lines) == 1 + len(combine_methods("acol", None))
    assert describe_methods(FinetuneOptions()) == []
    assert score_flags(FinetuneOptions()) == ""
    assert score_flags(FinetuneOptions(head="wildcat")).startswith(" --maps cam,attention,gradcam,")
    assert score_flags(FinetuneOptions(method="apvit")) == (
        " --maps attention,baseline:uniform,baseline:class-mean-au --layers vit.pooling"
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("wildcatt", "method must be one of cam, wildcat, gradcam"),
        ("wildcat,acol", "alone or with one that guides (belharbi2024), got wildcat, acol."),
        ("belharbi2024,belharbi2024", "got belharbi2024, belharbi2024."),
    ],
)
def test_wrong_methods_are_one_line(names: str, message: str) -> None:
    with pytest.raises(InterpferError) as raised:
        FinetuneOptions(method=names)
    assert message in str(raised.value)
    assert parse_methods(None) == ()
    with pytest.raises(InterpferError, match=r"method apvit is for interpfer:apvit and interpfer:apvit-small, got"):
        require_network("apvit", "mine", "torchvision:resnet18")


FACES = DemoDataset("train", count=14, size=48)
SHORT: dict[str, Any] = {"classes": ",".join(FACES.classes), "input_size": 48, "epochs": 1, "batch_size": 14,
                         "device": "cpu", "arch_args": {"width": 4}, "blend": 0.0}  # fmt: skip


def test_a_method_is_in_lineage_manifest_and_comparison(tmp_path: Path) -> None:
    result = finetune("interpfer:small", FACES, out=tmp_path, test=FACES, method="wildcat,belharbi2024", **SHORT)
    assert isinstance(getattr(result.model.module, "head", None), WildcatHead)
    assert result.model.card.lineage == "fine-tuned from small, method wildcat,belharbi2024, guide 4 + 0, seed 0"
    assert result.after is not None
    assert {"cam", "attention"} <= set(result.after.scores["map"])
    manifest = json.loads((tmp_path / "finetune.json").read_text())
    assert manifest["options"]["method"] == "wildcat,belharbi2024"
    assert manifest["facts"]["freeze"] == []
    assert "method wildcat" in json.dumps(result.after.manifest)


def test_layercam_and_apvit_are_trained_and_scored_by_name(tmp_path: Path) -> None:
    short = SHORT | {"test": FACES, "compare_metrics": ("cosine",)}
    layercam = finetune("interpfer:small", FACES, out=tmp_path / "a", method="layercam", weight=1.0, **short)
    assert layercam.after is not None
    assert {"attention", "layercam"} <= set(layercam.after.scores["map"])
    assert layercam.history["cam"].notna().all()
    assert json.loads((tmp_path / "a" / "finetune.json").read_text())["options"]["cam_map"] == "layercam"
    short["arch_args"] = {
        "widths": (4, 4, 4, 8), "blocks": (1, 1, 1), "dim": 16, "depth": 2, "heads": 2, "keep": 20,
    }  # fmt: skip
    apvit = finetune("interpfer:apvit", FACES, out=tmp_path / "b", method="apvit,belharbi2024", **short)
    assert apvit.after is not None
    scores = apvit.after.scores
    assert set(scores.loc[scores["map"] == "attention", "layer"]) == {"vit.pooling"}
    assert apvit.history["attention"].notna().all()
    with pytest.raises(InterpferError, match="method apvit is for interpfer:apvit"):
        finetune("interpfer:small", FACES, out=tmp_path / "c", test=None, method="apvit", **SHORT)


def test_methods_of_ours_say_so_and_are_off_by_default() -> None:
    ours = {name: method for name, method in METHODS.items() if method.is_ours}
    assert {name: sorted(set(method.values) & set(BOUND)) for name, method in ours.items()} == {
        "tempered-consistency": ["compare_maps", "flip_consistency", "flip_scale", "temperature"],
        "cut-patches": ["compare_maps", "cut_patches"],
        "expand-shrink": ["align", "compare_maps", "head"],
        "token-weights": ["align_layers", "compare_maps", "head", "token_weights"],
    }
    assert all(method.source.startswith("ours, after ") for method in ours.values())
    plain = FinetuneOptions()
    assert (plain.temperature, plain.flip_scale, plain.cut_patches, plain.token_weights) == (1, 1, 0, 0)
    guided = FinetuneOptions(method="tempered-consistency,belharbi2024")
    assert (guided.temperature, guided.flip_scale, guided.lr) == (2, 1.25, 2e-3)
    assert "  temperature: 2.0 (ours)" in describe_methods(guided)


def test_defaults_by_data_set_hold_in_python_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[FinetuneOptions] = []

    def stop(_: Inputs, options: FinetuneOptions) -> None:
        seen.append(options)
        raise InterpferError("stopped")

    monkeypatch.setattr(Inputs, "open_model", stop)
    for train in (finetune, lambda *inputs, **choices: train_seeds(*inputs, (1,), **choices)):
        with pytest.raises(InterpferError, match="stopped"):
            train("interpfer:small", "affectnet", out=tmp_path / "out", method="belharbi2024")
    assert [(each.weight, each.freeze) for each in seen] == [(9.0, "none")] * 2
