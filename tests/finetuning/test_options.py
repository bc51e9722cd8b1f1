"""One value owns the defaults, choices and ranges of a training."""

import ast
import inspect
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from interpfer import choices
from interpfer.config import read_config, write_config
from interpfer.errors import InterpferError
from interpfer.finetuning import augment, guide, losses, optim, options, recipe
from interpfer.finetuning.augment import AUGMENTS, Augment
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.methods import METHODS
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.options import OPTION_NAMES, FinetuneOptions
from interpfer.finetuning.recipe import Recipe, make_recipe, resolve_choices
from interpfer.options import default_of, option_fields, write_command

PARTS = {Guide: guide, Optim: optim, Augment: augment, Recipe: recipe}
NOT_IN_A_RECIPE = {
    "dataset", "data_root", "split", "landmarks", "test_split", "model", "sweep", "seeds", "device", "compare_maps",
    "compare_metrics", "tensorboard", "track", "out", "resume", "overwrite", "trust", "name", "preset", "key", "arch",
    "classes",
    "input", "input_size", "color", "scale", "mean", "std", "output", "card_layers", "arch_args", "forward_args",
    "card_aus", "aus_output", "dataset_name", "compare_layers", "prompts", "frames", "sampling",
    "head", "head_args", "large_maps", "pretrained",  # of the network, whose weights and card are facts of their own
}  # fmt: skip


def test_the_options_load_without_torch() -> None:
    code = "import sys, interpfer.finetuning.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_choices_are_those_of_the_tables_that_implement_them() -> None:
    assert tuple(losses.DISTANCES) == choices.LOSSES
    assert tuple(augment.AUGMENTS) == choices.AUGMENTS
    assert tuple(optim.OPTIMIZERS) == choices.OPTIMIZERS
    assert tuple(optim.SCHEDULES) == choices.SCHEDULES
    weights = {align: make_recipe(FinetuneOptions(align=align)).guide.weights for align in choices.ALIGNED_TERMS}
    for align, terms in choices.ALIGNED_TERMS.items():
        assert tuple(name for name, weight in zip(("attention", "cam"), weights[align], strict=True) if weight) == terms


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_a_recipe_repeat_no_default(part: type) -> None:
    """A field with the name of an option reads its default from there, and so cannot differ from it."""
    tree = ast.parse(inspect.getsource(PARTS[part]))
    (node,) = (each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == part.__name__)
    defaults = {each.target.id: ast.unparse(each.value) for each in node.body if isinstance(each, ast.AnnAssign)}
    shared = [each for each in fields(part) if each.name in OPTION_NAMES]
    assert shared
    for each in shared:
        expected = f"FinetuneOptions.{each.name}"
        assert defaults[each.name] in (expected, f"AUGMENTS[{expected}]")


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_a_recipe_repeat_no_choice_and_no_range(part: type) -> None:
    """Every check of an option is the option's own."""
    for each in fields(part):
        if each.name not in OPTION_NAMES or each.name == "augment":
            continue
        (facts,) = (field.metadata["option"] for field in option_fields(FinetuneOptions) if field.name == each.name)
        wrong: list[Any] = ["no such choice"] if facts.choices else []
        wrong += [facts.least - 1] if facts.least is not None else []
        wrong += [facts.most + 1] if facts.most is not None else []
        wrong += [facts.above] if facts.above is not None else []
        wrong += [facts.below] if facts.below is not None else []
        for value in wrong:
            messages = []
            for kind in (part, FinetuneOptions):
                with pytest.raises(InterpferError) as raised:
                    kind(**{each.name: value})
                messages.append(str(raised.value))
            assert messages[0] == messages[1]


def test_no_other_module_of_fine_tuning_lists_the_choices() -> None:
    tables = (choices.AUGMENTS, choices.OPTIMIZERS, choices.SCHEDULES, choices.LOSSES, choices.RESIZES)
    for path in Path(options.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                words = {each.value for each in node.elts if isinstance(each, ast.Constant)}
                assert words not in [set(table) for table in tables], f"{path.name}:{node.lineno}"


def test_every_option_but_those_of_input_and_output_decides_the_recipe() -> None:
    decided = {name for name in make_recipe(FinetuneOptions()).to_dict() if name in OPTION_NAMES}
    assert OPTION_NAMES - decided - {"align", "augment", "method"} == NOT_IN_A_RECIPE


def test_a_method_sets_the_options_that_are_not_passed() -> None:
    """``belharbi2024``: the guide of the paper (attention, weight 4, on the grid, nothing frozen) and its training."""
    options = FinetuneOptions(method="belharbi2024")
    recipe = make_recipe(options)
    assert recipe.guide.weights == (4, 0)
    assert (recipe.guide.loss_resize, recipe.freeze, recipe.epochs, recipe.batch_size) == ("grid", (), 20, 224)
    assert (recipe.optim.lr, recipe.optim.schedule, recipe.optim.step_epochs, recipe.optim.step_factor) == (
        2e-3, "step", 4, 0.9,
    )  # fmt: skip
    assert recipe.augment == AUGMENTS["paper"]
    assert FinetuneOptions(method="belharbi2024", dataset="affectnet").weight == 9
    passed = FinetuneOptions.of({"method": "belharbi2024", "weight": 1.0, "epochs": 16})
    assert (passed.weight, passed.epochs, passed.batch_size) == (1, 16, 224)
    assert replace(passed, seed=3).weight == 1
    assert write_command(passed, "finetune") == [
        "interpfer", "finetune", "--method", "belharbi2024", "--weight", "1.0", "--epochs", "16",
    ]  # fmt: skip
    assert FinetuneOptions.of(passed.to_dict()).to_dict() == passed.to_dict()
    with pytest.raises(InterpferError, match=r"pass a recipe or single choices \(method\), not both"):
        resolve_choices(None, recipe, {"method": "belharbi2024"})


def test_a_method_names_options_only() -> None:
    for method in METHODS.values():
        for values in (method.values, *method.by_dataset.values()):
            assert set(values) <= OPTION_NAMES
            assert all(each.source for each in values.values())


def test_the_default_options_are_the_default_recipe() -> None:
    assert make_recipe(FinetuneOptions()) == Recipe()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0."),
        ({"label_smoothing": 1.5}, "label smoothing must be between 0 and 1, got 1.5."),
        ({"seed": -1}, "seed must be between 0 and 4294967295, got -1."),
        ({"patience": -3}, "patience must be at least 1, got -3."),
        ({"tradeoff": float("nan")}, "tradeoff must be at least 0, got nan."),
        ({"val_fraction": 1}, "val fraction must be above 0 and below 1, got 1."),
        ({"lr": 0}, "lr must be above 0, got 0."),
        ({"align": "both of them"}, "align must be one of attention, cam, both, got 'both of them'."),
        ({"augment": "fliip"}, "augment must be one of none, flip, light, paper, got 'fliip'. Did you mean flip?"),
        ({"wieght": 1}, "interpfer finetune has no option 'wieght'. Did you mean weight or cam_weight or au_weights?"),
    ],
)
def test_wrong_values_are_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(InterpferError) as raised:
        FinetuneOptions.of(values, "finetune")
    assert str(raised.value) == message


def test_options_come_back_from_a_file_and_from_a_manifest(tmp_path: Path) -> None:
    chosen = FinetuneOptions(
        dataset="csv", out="tuned", align="attention", loss="l2", sweep=[0.0, 4.0], freeze=["a", "b"], clip=1.0
    )
    path = tmp_path / "finetune.yaml"
    path.write_text(write_config(chosen))
    assert FinetuneOptions.of(read_config(path)).to_dict() == chosen.to_dict()
    manifest = tmp_path / "finetune.json"
    manifest.write_text(json.dumps({"options": chosen.to_dict(repeats_only=True)}))
    again = FinetuneOptions.of(read_config(manifest)).to_dict()
    assert again == chosen.to_dict() | {"out": None}


def test_results_are_not_repeated() -> None:
    left_out = {each.name for each in option_fields(FinetuneOptions) if not each.metadata["option"].repeats}
    assert left_out == {"out", "resume", "overwrite"}
    assert [default_of(each) for each in option_fields(FinetuneOptions) if each.name in left_out] == [
        None,
        False,
        False,
    ]
