"""A family that breaks a rule of the formats cannot be written down."""

from __future__ import annotations

from typing import Any

import pytest

from lastgood.metrics import VOCABULARIES
from lastgood.metrics.entities import HUB
from lastgood.metrics.family import Family, Type, refuse_clashes


def a_family(**changes: Any) -> Family[Any]:
    row: dict[str, Any] = {"name": "x_seconds", "help": "A help.", "entity": HUB, "value": lambda _moment, _id: 1}
    return Family(**{**row, **changes})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "7up"}, "name that Prometheus does not take"),
        ({"name": "a-b"}, "name that Prometheus does not take"),
        ({"name": "a:b"}, "name that Prometheus does not take"),
        ({"name": "naïve"}, "name that Prometheus does not take"),
        ({"name": "runs", "type": Type.COUNTER}, "must end in _total"),
        ({"help": " "}, "help text"),
        ({"help": "two\nlines"}, "help text"),
        ({"label_names": ("a",)}, "label names and a labels function"),
        ({"labels": lambda _moment, _id: ()}, "label names and a labels function"),
        ({"label_names": ("a", "a"), "labels": lambda _moment, _id: ("", "")}, "names a label twice"),
        ({"label_names": ("le",), "labels": lambda _moment, _id: ("",)}, "reserved"),
        ({"label_names": ("_a",), "labels": lambda _moment, _id: ("",)}, "reserved"),
        ({"label_names": ("a-b",), "labels": lambda _moment, _id: ("",)}, "reserved"),
        ({"type": Type.HISTOGRAM}, "needs bounds"),
        ({"bounds": (1,)}, "needs bounds"),
        ({"type": Type.HISTOGRAM, "bounds": (5, 1)}, "ascend"),
    ],
)
def test_a_family_that_breaks_a_rule_is_refused_with_its_name(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as refused:
        a_family(**changes)
    assert repr(changes.get("name", "x_seconds")) in str(refused.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "x"}, {"name": "x"}),
        ({"name": "x"}, {"name": "x_total", "type": Type.COUNTER}),
        ({"name": "x", "type": Type.HISTOGRAM, "bounds": (1,)}, {"name": "x_count"}),
        ({"name": "x", "type": Type.HISTOGRAM, "bounds": (1,)}, {"name": "x_bucket"}),
    ],
)
def test_two_families_that_would_publish_one_name_are_refused(first: dict[str, Any], second: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="both publish"):
        refuse_clashes([a_family(**first), a_family(**second)])


def test_the_vocabularies_that_we_publish_do_not_clash() -> None:
    families = [family for vocabulary in VOCABULARIES for family in vocabulary.families]
    refuse_clashes(families)
    assert len({family.name for family in families}) == len(families)


def test_every_label_set_holds_as_many_values_as_names() -> None:
    from tests.metrics.fleets import OWN, twelve_hosts

    view = twelve_hosts()
    checked = 0
    for vocabulary in VOCABULARIES:
        for family in (*vocabulary.fleet, *vocabulary.own, *vocabulary.fixed):
            moment: Any = OWN if family in (*vocabulary.own, *vocabulary.fixed) else view
            for entity_id in family.entity.ids(moment):
                values = () if family.labels is None else family.labels(moment, entity_id)
                assert len(values) == len(family.label_names), family.name
                checked += 1
    assert checked > 400
