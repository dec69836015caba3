"""Alert rules against a table: every state, in and out of a blind window, whatever the host's agent does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lastgood.alerts import rules
from lastgood.fleet.fleet import START_GRACE, Fleet
from lastgood.model.alert import Finding, Severity
from lastgood.model.host import Host, Presence
from lastgood.model.job import Outcome
from lastgood.model.source import State
from tests.builders import (
    NOW,
    a_host,
    a_repository,
    a_run,
    a_source,
    put_host,
    put_repository,
    put_source,
    some_evidence,
)

PROMISED = {
    "backup_failed": ("source", Severity.CRITICAL),
    "backup_missed": ("source", Severity.CRITICAL),
    "backup_never": ("source", Severity.CRITICAL),
    "backup_unknown": ("source", Severity.WARNING),
    "backup_partial": ("source", Severity.WARNING),
    "host_offline": ("host", Severity.WARNING),
    "host_clock_skew": ("host", Severity.WARNING),
    "repository_finding": ("repository", Severity.WARNING),
    "collector_failing": ("collector", Severity.WARNING),
}
"""Ids, kinds and severities that people route and silence by."""

SAYS = {
    State.ARCHIVED: None,
    State.PAUSED: None,
    State.FAILED: "backup_failed",
    State.NEW: None,
    State.NEVER: "backup_never",
    State.MISSED: "backup_missed",
    State.UNKNOWN: "backup_unknown",
    State.PARTIAL: "backup_partial",
    State.LATE: None,
    State.GOOD: None,
}
SOURCE = a_source("photos", a_host("web-1"))
BLIND = {"never started blind": None, "still blind": NOW + timedelta(seconds=1), "blind no more": NOW}


def told(state: State = State.GOOD, *, blind_until: datetime | None = None, online: bool = True) -> Fleet:
    """A fleet in which this was last told of the one source."""
    fleet = Fleet()
    put_host(fleet, a_host("web-1"), online=online)
    put_repository(fleet, a_repository())
    outcome = {State.FAILED: Outcome.FAILED, State.PARTIAL: Outcome.PARTIAL}.get(state, Outcome.SUCCESS)
    put_source(fleet, SOURCE, some_evidence(a_run(SOURCE, outcome=outcome)), state)
    fleet.judging.blind_until = blind_until
    return fleet


def of_source(fleet: Fleet, now: datetime = NOW) -> list[Finding]:
    return list(rules.findings(fleet, "source", SOURCE.id, now))


def of_host(fleet: Fleet, host: Host, now: datetime = NOW) -> list[Finding]:
    return list(rules.findings(fleet, "host", host.id, now))


def test_the_rules_are_the_promised_ones_and_say_what_they_mean() -> None:
    assert {rule.id: (rule.entity_kind, rule.severity) for rule in rules.RULES} == PROMISED
    assert len(rules.RULES) == len(PROMISED)
    assert all(rule.meaning.endswith(".") for rule in rules.RULES)
    assert set(SAYS) == set(State)


@pytest.mark.parametrize("online", [True, False], ids=["agent there", "agent away"])
@pytest.mark.parametrize("blind", BLIND)
@pytest.mark.parametrize("state", State)
def test_each_state_is_found_by_its_own_rule_and_no_other(state: State, blind: str, online: bool) -> None:
    """Only unknown waits for the end of a blind window: all else is known whatever we could not hear."""
    fleet = told(state, blind_until=BLIND[blind], online=online)
    rule = None if state is State.UNKNOWN and blind == "still blind" else SAYS[state]
    found = of_source(fleet)
    assert [finding.key.rule for finding in found] == ([] if rule is None else [rule])
    for finding in found:
        assert (finding.key.entity_kind, finding.key.entity_id) == ("source", SOURCE.id)
        assert finding.severity is PROMISED[finding.key.rule][1]
        assert finding.host_id == SOURCE.host_id
        assert finding.message.startswith("photos on web-1: ")
        assert finding.message.endswith(".")


@pytest.mark.parametrize("blind", BLIND)
@pytest.mark.parametrize("state", State)
def test_only_unknown_in_a_blind_window_leaves_alerts_as_they_are(state: State, blind: str) -> None:
    fleet = told(state, blind_until=BLIND[blind])
    assert rules.is_held(fleet, SOURCE.id, NOW) is (state is State.UNKNOWN and blind == "still blind")


def test_a_source_that_was_never_judged_is_found_by_no_rule() -> None:
    fleet = told()
    del fleet.judging.states[SOURCE.id]
    assert of_source(fleet) == []


def test_the_message_says_what_the_tool_said() -> None:
    fleet = told(State.FAILED)
    evidence = fleet.evidence[SOURCE.id]
    assert evidence.last_attempt is not None
    attempt = replace(evidence.last_attempt, reason="wrong password or no key found")
    fleet.evidence[SOURCE.id] = replace(evidence, last_attempt=attempt)
    [finding] = of_source(fleet)
    assert finding.message == "photos on web-1: The last backup failed: wrong password or no key found."


def test_the_message_speaks_of_the_state_that_was_told() -> None:
    """A round took its moment before the deadline, the source was judged behind it: the words were those of late."""
    fleet = told(State.MISSED)
    deadline_at = fleet.evidence[SOURCE.id].deadline_at
    assert deadline_at is not None
    [finding] = of_source(fleet, deadline_at - timedelta(seconds=1))
    assert finding.key.rule == "backup_missed"
    assert "No good backup came for the one due at" in finding.message


def test_the_message_names_a_host_as_it_is_called_now() -> None:
    fleet = told(State.FAILED)
    fleet.hosts[SOURCE.host_id] = a_host("db-7", id=SOURCE.host_id)
    assert of_source(fleet)[0].message.startswith("photos on db-7: ")


@pytest.mark.parametrize("blind", BLIND)
def test_a_host_is_offline_when_that_was_told_of_it(blind: str) -> None:
    """After a start of ours presence itself waits (``fleet/presence.py``), so the rule needs no blind window."""
    fleet = told(blind_until=BLIND[blind], online=False)
    host = fleet.hosts[SOURCE.host_id]
    fleet.judging.presence[host.id] = Presence(seen_at=NOW - timedelta(hours=2))
    [finding] = of_host(fleet, host)
    assert (finding.key.rule, finding.key.entity_kind, finding.key.entity_id) == ("host_offline", "host", host.id)
    assert finding.host_id == host.id
    assert finding.message == "web-1 is offline; its agent was last heard at 2026-03-14 10:00 UTC."


@pytest.mark.parametrize("state", State)
def test_an_agent_that_is_there_is_no_finding_however_bad_its_sources_are(state: State) -> None:
    fleet = told(state)
    assert of_host(fleet, fleet.hosts[SOURCE.host_id]) == []


@pytest.mark.parametrize(
    ("since_enrolment", "found"),
    [
        (timedelta(0), []),
        (START_GRACE - timedelta(seconds=1), []),
        (START_GRACE, ["host_offline"]),
        (timedelta(days=9), ["host_offline"]),
    ],
)
def test_a_host_that_was_never_heard_has_a_quarter_of_an_hour(since_enrolment: timedelta, found: list[str]) -> None:
    fleet = Fleet()
    host = put_host(fleet, a_host(enrolled_at=NOW - since_enrolment), online=False)
    fleet.judging.presence[host.id] = Presence()
    findings = of_host(fleet, host)
    assert [finding.key.rule for finding in findings] == found
    assert [finding.message for finding in findings] == ["web-1 is offline; its agent was never heard."] * len(found)


def test_a_host_of_which_nothing_was_told_counts_as_offline() -> None:
    fleet = Fleet()
    host = put_host(fleet, a_host(), online=False)
    del fleet.judging.online[host.id]
    assert [finding.key.rule for finding in of_host(fleet, host)] == ["host_offline"]


def test_rules_answer_the_same_of_a_frozen_view() -> None:
    for state in State:
        fleet = told(state, online=False)
        assert list(rules.findings(fleet.view(), "source", SOURCE.id, NOW)) == of_source(fleet)
