import pytest

from interpfer.datasets import DATASETS
from interpfer.errors import DataError
from interpfer.labels import (
    CLASS_ORDERS,
    EXPRESSIONS,
    ORDER_ALIASES,
    SYNONYMS,
    canonical_classes,
    class_order,
    resolve_classes,
)


@pytest.mark.parametrize("name", CLASS_ORDERS)
def test_an_order_names_each_expression_once(name: str) -> None:
    order = CLASS_ORDERS[name]
    assert canonical_classes(order) == order
    assert len(order) in (6, 7, 8, 11, 14)
    assert resolve_classes([name.upper()]) == order


def test_names_of_orders_are_not_expressions_and_orders_differ() -> None:
    assert not {*CLASS_ORDERS, *ORDER_ALIASES} & {*EXPRESSIONS, *SYNONYMS}
    assert len(set(CLASS_ORDERS.values())) == len(CLASS_ORDERS)
    assert set(ORDER_ALIASES.values()) <= set(CLASS_ORDERS)
    assert CLASS_ORDERS["alphabetical8"] == tuple(sorted(EXPRESSIONS))


@pytest.mark.parametrize(
    "name", ["rafdb", "affectnet", "affectnet7", "fer2013", "ferplus", "ckplus", "affwild2", "rafce"]
)
def test_the_order_of_a_data_set_is_its_own(name: str) -> None:
    assert class_order(name) == DATASETS.get(name).order


def test_classes_by_the_name_of_an_order_or_one_by_one() -> None:
    assert resolve_classes(["hsemotion"])[:2] == ("anger", "contempt")
    assert resolve_classes(["sad"]) == ("sadness",)
    assert resolve_classes(["happy", "sad"]) == ("happiness", "sadness")
    assert class_order("nobody") is None
    with pytest.raises(DataError, match=r"unknown expression or order of classes 'rafbd'\. Did you mean .*rafdb"):
        resolve_classes(["rafbd"])
