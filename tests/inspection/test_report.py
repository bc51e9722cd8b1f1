import yaml

from interpfer.inspection.report import Report, group_keys


def test_keys_are_grouped_until_no_group_holds_most() -> None:
    shapes = {f"model.layer{i}.{j}.weight": (2, 3) for i in range(3) for j in range(4)} | {"model.fc.bias": (7,)}
    groups = group_keys(shapes)
    assert [(group.prefix, group.tensors, group.parameters) for group in groups] == [
        ("model.layer0", 4, 24),
        ("model.layer1", 4, 24),
        ("model.layer2", 4, 24),
        ("model.fc", 1, 7),
    ]
    assert groups[-1].example == "model.fc.bias 7"
    assert group_keys({}) == ()
    assert group_keys({"w": ()})[0].parameters == 1


def test_a_card_says_which_of_its_fields_are_guesses() -> None:
    card = {"arch": "torchvision:resnet18", "classes": [], "input": {"size": 224, "color": "rgb"}}
    assumed = {"input.size": "a guess", "input.mean": "a guess", "classes": "7 expressions in output order"}
    report = Report("m.pt", "state_dict", "0", card=card, assumed=assumed)
    assert report.card_yaml() == (
        "arch: torchvision:resnet18\n"
        "classes: []   # 7 expressions in output order\n"
        "input: {size: 224, color: rgb}   # size is a guess; mean is a guess\n"
    )
    assert yaml.safe_load(report.card_yaml()) == card
    assert report.is_ready
    assert report.to_dict()["ready"]
    assert not Report("m.pt", "state_dict", "0", missing=("arch: none",)).to_dict()["ready"]
