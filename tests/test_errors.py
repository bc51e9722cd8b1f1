import pytest

from interpfer import errors
from interpfer.errors import InterpferError, nearest


@pytest.mark.parametrize("name", ["DataError", "ModelError", "TrustError", "PluginError", "RunError"])
def test_every_error_is_one_line_and_one_family(name: str) -> None:
    error = getattr(errors, name)("first\n   second\tthird ")
    assert isinstance(error, InterpferError)
    assert str(error) == "first second third"


def test_a_trust_error_is_a_model_error() -> None:
    assert issubclass(errors.TrustError, errors.ModelError)


def test_nearest_names_few_and_the_best_first() -> None:
    known = [f"layer{i}" for i in range(9)]
    assert nearest("layer3", known).startswith(" Did you mean layer3 or ")
    assert nearest("layer3", known).count("layer") == 3
    assert nearest("layer3", known, count=1) == " Did you mean layer3?"
    assert nearest("layer3", []) == ""
    assert nearest("", known) == ""
