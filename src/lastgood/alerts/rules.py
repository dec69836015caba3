"""Alert rules: what the judge told about one source or host -> a finding, or nothing. One function a rule.

A rule reads what was told (states, presence), never raw facts, so that alerts and the other faces agree. The ids are
promises: people silence and route by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lastgood.fleet.doubts import ALERTED
from lastgood.fleet.fleet import START_GRACE
from lastgood.fleet.judge import Known, verdict
from lastgood.fleet.reason import moment
from lastgood.model.alert import AlertKey, Finding, Severity
from lastgood.model.collected import CollectorHealth
from lastgood.model.source import State


class Told(Known, Protocol):
    """What rules read: the known things and what was last told of them."""

    @property
    def states(self) -> Mapping[str, State]: ...
    @property
    def online(self) -> Mapping[str, bool]: ...
    @property
    def collectors(self) -> Mapping[str, CollectorHealth]: ...
    @property
    def blind_until(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``say`` answers the message, or None where there is nothing to find. ``meaning`` goes into the docs."""

    id: str
    entity_kind: str
    severity: Severity
    meaning: str
    say: Callable[[Told, str, datetime], str | None]
    keeps: Callable[[Told, str], bool] = lambda _told, _entity_id: False
    """Whether nothing can be said at present, so that what is open stays open."""


def is_blind(told: Told, now: datetime) -> bool:
    """Whether we started so recently that silence is no evidence."""
    return told.blind_until is not None and now < told.blind_until


def is_held(told: Told, source_id: str, now: datetime) -> bool:
    """Whether alerts of this source stay as they are: we know nothing, and it may well be our own fault."""
    return told.states.get(source_id) is State.UNKNOWN and is_blind(told, now)


def findings(told: Told, kind: str, entity_id: str, now: datetime) -> Iterator[Finding]:
    """What the rules of this kind of entity find in it now."""
    for rule in RULES:
        if rule.entity_kind == kind and (finding := apply(rule, told, entity_id, now)) is not None:
            yield finding


def apply(rule: Rule, told: Told, entity_id: str, now: datetime) -> Finding | None:
    """The finding of one rule about one entity."""
    message = rule.say(told, entity_id, now)
    if message is None:
        return None
    key = AlertKey(rule.id, rule.entity_kind, entity_id)
    return Finding(key=key, severity=rule.severity, message=message, host_id=_host_of(rule, told, entity_id))


def _host_of(rule: Rule, told: Told, entity_id: str) -> str | None:
    if rule.entity_kind == "source":
        return told.sources[entity_id].host_id
    return entity_id if rule.entity_kind == "host" else None


def _when(state: State) -> Callable[[Told, str, datetime], str | None]:
    def say(told: Told, source_id: str, now: datetime) -> str | None:
        if told.states.get(source_id) is not state:
            return None
        if state is State.UNKNOWN and is_blind(told, now):
            return None
        source = told.sources[source_id]
        if source.is_found and told.evidence_of(source_id).deadline_at is None:
            return None  # a single snapshot promises nothing
        host = told.hosts.get(source.host_id or source.alias_host_id or "")
        why = verdict(told, source_id, now, state).reason
        return f"{source.name} on {host.name if host else source.restic_host}: {why}"

    return say


def _host_offline(told: Told, host_id: str, now: datetime) -> str | None:
    if told.online.get(host_id, False):
        return None
    host = told.hosts[host_id]
    seen_at = told.presence_of(host_id).seen_at
    if seen_at is not None:
        return f"{host.name} is offline; its agent was last heard at {moment(seen_at)}."
    if now < host.enrolled_at + START_GRACE:
        return None  # enrolled a moment ago; its agent may still be on its way
    return f"{host.name} is offline; its agent was never heard."


def _clock_skew(told: Told, host_id: str, now: datetime) -> str | None:
    presence = told.presence_of(host_id)
    if not presence.is_skewed or presence.clock_offset_seconds is None:
        return None
    apart = _apart(abs(presence.clock_offset_seconds))
    where = "ahead of" if presence.clock_offset_seconds > 0 else "behind"
    return f"The clock of {told.hosts[host_id].name} is {apart} {where} the hub's; set both by NTP."


def _apart(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _clock_is_unheard(told: Told, host_id: str) -> bool:
    presence = told.presence_of(host_id)
    return not presence.connected or presence.clock_offset_seconds is None


def _repository_finding(told: Told, repository_id: str, now: datetime) -> str | None:
    found = [one for one in told.repository_evidence_of(repository_id).doubts if one.kind in ALERTED]
    if not found:
        return None
    more = f" There are {len(found) - 1} more findings." if len(found) > 1 else ""
    return f"{told.repositories[repository_id].name}: {found[0].sentence}{more}"


def _collector_failing(told: Told, name: str, now: datetime) -> str | None:
    health = told.collectors[name]
    if health.failing_since is None or health.expected_off:
        return None
    return f"The collector {name} fails since {moment(health.failing_since)}: {health.message}"


def _collector_is_unheard(told: Told, name: str) -> bool:
    return not told.collectors[name].heard


RULES: tuple[Rule, ...] = (
    Rule(
        id="backup_failed",
        entity_kind="source",
        severity=Severity.CRITICAL,
        meaning="The newest backup failed or was lost, or the last good one is known to be damaged.",
        say=_when(State.FAILED),
    ),
    Rule(
        id="backup_missed",
        entity_kind="source",
        severity=Severity.CRITICAL,
        meaning="A backup was due, its grace is over, and we know that no good one came.",
        say=_when(State.MISSED),
    ),
    Rule(
        id="backup_never",
        entity_kind="source",
        severity=Severity.CRITICAL,
        meaning="There was never a good backup, and the first one is past its grace.",
        say=_when(State.NEVER),
    ),
    Rule(
        id="backup_unknown",
        entity_kind="source",
        severity=Severity.WARNING,
        meaning="A backup was due and its grace is over, but we could not look, or nothing says when one is due.",
        say=_when(State.UNKNOWN),
    ),
    Rule(
        id="backup_partial",
        entity_kind="source",
        severity=Severity.WARNING,
        meaning="The newest backup made a snapshot that lacks files.",
        say=_when(State.PARTIAL),
    ),
    Rule(
        id="host_offline",
        entity_kind="host",
        severity=Severity.WARNING,
        meaning="The host's agent was not heard for 90 seconds, or never since it was enrolled.",
        say=_host_offline,
    ),
    Rule(
        id="host_clock_skew",
        entity_kind="host",
        severity=Severity.WARNING,
        meaning="The clocks of the host and of the hub differ by more than 60 seconds.",
        say=_clock_skew,
        keeps=_clock_is_unheard,
    ),
    Rule(
        id="repository_finding",
        entity_kind="repository",
        severity=Severity.WARNING,
        meaning="A look into a repository found what should not be: snapshots that are gone, doubled, misdated or "
        "far smaller than those before, or another repository at the address.",
        say=_repository_finding,
    ),
    Rule(
        id="collector_failing",
        entity_kind="collector",
        severity=Severity.WARNING,
        meaning="A server that is asked for its backups has not answered for more than three intervals, or answers "
        "what cannot be read; not told of one that is expected to be off at times.",
        say=_collector_failing,
        keeps=_collector_is_unheard,
    ),
)
