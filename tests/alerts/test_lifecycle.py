"""The life of an alert: it opens once, stays as it was opened, and is resolved once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.alerts.lifecycle import reconcile
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.alert import Alert, AlertKey, Finding, Severity
from lastgood.model.fact import AlertOpened, AlertResolved, Fact
from tests.builders import NOW, a_host, a_repository, a_source, put_host, put_repository, put_source

SOURCE = a_source("photos", a_host("web-1"))
RULES = ("backup_failed", "backup_missed", "backup_partial", "backup_unknown")


def finding(rule: str, message: str = "it is bad", severity: Severity = Severity.CRITICAL) -> Finding:
    return Finding(
        key=AlertKey(rule, "source", SOURCE.id), severity=severity, message=message, host_id=SOURCE.host_id
    )


def alert(rule: str, message: str = "it is bad") -> Alert:
    found = finding(rule)
    return Alert(
        id=f"alert-{rule}",
        key=found.key,
        severity=found.severity,
        message=message,
        host_id=found.host_id,
        opened_at=NOW - timedelta(hours=1),
    )


def brought_in_line(open_alerts: Iterable[Alert], found: Iterable[Finding]) -> list[Fact]:
    numbers = itertools.count(1)
    return reconcile(open_alerts, found, NOW, lambda: f"minted-{next(numbers)}", {})


@pytest.mark.parametrize(
    ("is_open", "is_found", "opens", "resolves"),
    [
        ([], [], [], []),
        ([], ["backup_failed"], ["backup_failed"], []),
        (["backup_failed"], ["backup_failed"], [], []),
        (["backup_failed"], [], [], ["backup_failed"]),
        (["backup_missed"], ["backup_failed"], ["backup_failed"], ["backup_missed"]),
        (["backup_missed", "backup_failed"], ["backup_failed"], [], ["backup_missed"]),
        ([], ["backup_failed", "backup_failed"], ["backup_failed"], []),
        (["backup_failed"], ["backup_partial", "backup_failed"], ["backup_partial"], []),
    ],
)
def test_what_is_found_opens_once_and_what_is_over_is_resolved(
    is_open: list[str], is_found: list[str], opens: list[str], resolves: list[str]
) -> None:
    facts = brought_in_line(map(alert, is_open), map(finding, is_found))
    assert [fact.alert.key.rule for fact in facts if isinstance(fact, AlertOpened)] == opens
    assert [fact.key.rule for fact in facts if isinstance(fact, AlertResolved)] == resolves
    assert all(fact.at == NOW and fact.origin == "hub:rules" for fact in facts)


def test_an_alert_carries_all_of_its_finding_and_an_id_of_its_own() -> None:
    found = [finding("backup_failed", "disk on fire"), finding("backup_partial", "a file", Severity.WARNING)]
    opened = [fact.alert for fact in brought_in_line([], found) if isinstance(fact, AlertOpened)]
    assert [(one.key, one.severity, one.message, one.host_id) for one in opened] == [
        (one.key, one.severity, one.message, one.host_id) for one in found
    ]
    assert [one.id for one in opened] == ["minted-1", "minted-2"]
    assert {one.opened_at for one in opened} == {NOW}


def test_a_resolution_names_the_alert_that_was_open() -> None:
    [fact] = brought_in_line([alert("backup_failed")], [])
    assert isinstance(fact, AlertResolved)
    assert (fact.alert_id, fact.key) == ("alert-backup_failed", alert("backup_failed").key)
    assert fact.reason.endswith(".")


def test_other_words_for_the_same_thing_are_no_new_alert() -> None:
    assert brought_in_line([alert("backup_failed")], [finding("backup_failed", "in other words")]) == []


def test_an_alert_resolves_before_another_opens() -> None:
    """An entity that is full of alerts never has more open than are found."""
    facts = brought_in_line([alert("backup_missed")], [finding("backup_failed")])
    assert [type(fact) for fact in facts] == [AlertResolved, AlertOpened]


@given(st.lists(st.sets(st.sampled_from(RULES)), max_size=12))
def test_through_any_history_what_is_open_is_what_is_found(history: list[set[str]]) -> None:
    """Each answer is learned; asked again with the same findings there is nothing more to say."""
    fleet = Fleet()
    put_host(fleet, a_host("web-1"))
    put_repository(fleet, a_repository())
    put_source(fleet, SOURCE)
    numbers = itertools.count(1)
    opened: list[str] = []
    for found in history:
        for again in (False, True):
            facts = reconcile(
                list(fleet.alerts.values()), map(finding, found), NOW, lambda: f"alert-{next(numbers)}", {}
            )
            assert not (again and facts)
            for fact in facts:
                learn(fleet, fact)
                if isinstance(fact, AlertOpened):
                    opened.append(fact.alert.id)
        assert {key.rule for key in fleet.alerts} == found
        assert fleet.open_alerts.total() == fleet.open_alerts_of_host[SOURCE.host_id] == len(found)
    assert len(opened) == len(set(opened))
    appearances = sum(len(now - before) for before, now in zip([set(), *history], history, strict=False))
    assert len(opened) == appearances
