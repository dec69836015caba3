"""Keeps what is told in step with what is known and with the clock: judging, the ledger, and alerts.

Facts and presence bring their entities forward at once; an agenda of moments brings forward what the clock alone
changes. The rules' and the ledger's own facts go through ingest like any other. The one rule: this is the only writer
of ``fleet.judging``'s answers, and it never holds the event loop longer than a slice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from lastgood.alerts import lifecycle, rules
from lastgood.clock import Clock
from lastgood.errors import StoreError
from lastgood.fleet.fleet import START_GRACE, Fleet
from lastgood.fleet.judge import host_online, observed_at, repository_state, source_state
from lastgood.fleet.learn import Changes
from lastgood.ids import ulid
from lastgood.model.fact import Fact, MomentsPassed
from lastgood.model.source import DueMoment
from lastgood.service.agenda import Agenda

SLICE_SECONDS = 0.005
PULSE_SECONDS = 1.0
MOMENTS_A_FACT = 200
ENTITIES_A_ROUND = 500
AUDIT_SECONDS = 600.0

Entity = tuple[str, str]
_log = structlog.get_logger("lastgood.watch")


class Watch:
    """``take`` commits and learns facts; ``held`` says whether this process owns the rules and the ledger.

    ``told`` is called with what facts touched and whose answers changed, so that what was kept of them is made anew.
    """

    def __init__(
        self,
        fleet: Fleet,
        take: Callable[[list[Fact]], Awaitable[None]],
        clock: Clock,
        held: Callable[[], bool] = lambda: True,
        told: Callable[[Changes], None] = lambda _changes: None,
        ruled_by: Sequence[rules.Rule] = rules.RULES,
    ) -> None:
        self._fleet = fleet
        self._take = take
        self._clock = clock
        self._held = held
        self._told = told
        self._rules = ruled_by
        self._moved = Changes()
        self._agenda: Agenda[Entity] = Agenda()
        self._ledger: Agenda[str] = Agenda()
        self._unruled: dict[Entity, None] = {}
        self._wake = asyncio.Event()
        self.rule_failures = 0
        self.audit_differences = 0

    # --- judging ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Judge everything once, in slices; before this nothing may be told."""
        fleet = self._fleet
        entities = (
            *(("host", i) for i in fleet.hosts),
            *(("repository", i) for i in fleet.repositories),
            *(("source", i) for i in fleet.sources),
        )
        await self._in_slices(entities, self._judge)
        fleet.judging.evaluated_at = self._clock()

    def changed(self, changes: Changes) -> None:
        """Facts touched these; judge them now, so that no face lags behind what was acknowledged."""
        now = self._clock()
        for host_id in changes.hosts:
            self._judge(("host", host_id), now)
        for repository_id in changes.repositories:
            self._judge(("repository", repository_id), now)
        for source_id in changes.sources:
            self._judge(("source", source_id), now)
        next_at = self._agenda.next_at()
        if next_at is None or next_at > now.timestamp():
            self._fleet.judging.evaluated_at = now  # else the clock has moved others too; the round will tell
        self._told(changes)
        self._wake.set()

    def presence_changed(self, host_id: str) -> None:
        """An agent came, fell silent, or is in step again: its sources may have been waiting for that."""
        self.changed(Changes(hosts={host_id}, sources=set(self._fleet.sources_of_host.get(host_id, ()))))

    def _come_up(self, entity: Entity, now: datetime) -> None:
        """Judge what no fact has touched; it is told at the end of the round."""
        self._judge(entity, now)
        kind, entity_id = entity
        moved = self._moved
        (moved.sources if kind == "source" else moved.hosts if kind == "host" else moved.repositories).add(entity_id)

    def _judge(self, entity: Entity, now: datetime) -> None:
        kind, entity_id = entity
        fleet, judging = self._fleet, self._fleet.judging
        holds_until: datetime | None = None
        if kind == "source":
            source = fleet.sources.get(entity_id)
            if source is None:
                judging.states.pop(entity_id, None)
                self._ledger.put(entity_id, None)
            else:
                judging.states[entity_id], holds_until = source_state(fleet, source, now)
                self._ledger.put(entity_id, fleet.evidence_of(entity_id).ledger_deadline_at)
        elif kind == "host":
            if entity_id not in fleet.hosts:
                judging.forget_host(entity_id)
            else:
                online, holds_until = host_online(fleet, entity_id, now)
                judging.tell_online(entity_id, online)
                holds_until = holds_until or self._awaited_until(entity_id, now)
        elif entity_id not in fleet.repositories:
            judging.repository_states.pop(entity_id, None)
        else:
            judging.repository_states[entity_id], holds_until = repository_state(fleet, entity_id, now)
        if kind == "source" and rules.is_held(fleet, entity_id, now):
            holds_until = min(holds_until or fleet.blind_until, fleet.blind_until)  # type: ignore[type-var]
        self._agenda.put(entity, holds_until)
        if kind != "repository":
            self._unruled[entity] = None

    def _awaited_until(self, host_id: str, now: datetime) -> datetime | None:
        """A host that was never heard becomes a finding some time after it was enrolled."""
        until = self._fleet.hosts[host_id].enrolled_at + START_GRACE
        return until if self._fleet.presence_of(host_id).seen_at is None and now < until else None

    async def _in_slices(self, entities: Iterable[Entity], act: Callable[[Entity, datetime], None]) -> None:
        """Act on each, giving the loop back every few milliseconds."""
        slice_ends = time.monotonic() + SLICE_SECONDS
        for entity in entities:
            act(entity, self._clock())
            if time.monotonic() >= slice_ends:
                await asyncio.sleep(0)
                slice_ends = time.monotonic() + SLICE_SECONDS

    # --- the rounds -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled: judge what the clock brings up, close the ledger's moments, keep alerts in line."""
        audit_at = time.monotonic() + AUDIT_SECONDS
        while True:
            await self.tick()
            if time.monotonic() >= audit_at:
                await self.audit()
                audit_at = time.monotonic() + AUDIT_SECONDS
            try:
                async with asyncio.timeout(PULSE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def tick(self) -> None:
        """One round; a test with a turned clock calls it alone."""
        self._wake.clear()
        now = self._clock()
        await self._in_slices(self._agenda.due(now), self._come_up)
        self._fleet.judging.evaluated_at = now
        moved, self._moved = self._moved, Changes()
        self._told(moved)
        if not self._held():
            return
        try:
            await self._close_moments(now)
            await self._rule(now)
        except StoreError as error:
            # Both are level-triggered: what could not be written is found again at the next round.
            _log.error("the round's findings could not be written", error=str(error))

    async def _close_moments(self, now: datetime) -> None:
        """Close due moments whose deadline is past; while we are blind, only those of which we know the end."""
        moments: list[DueMoment] = []
        taken: list[str] = []
        for source_id in self._ledger.due(now):
            evidence = self._fleet.evidence_of(source_id)
            if evidence.ledger_at is None or evidence.ledger_deadline_at is None:
                continue
            taken.append(source_id)
            deadline_at = evidence.ledger_deadline_at
            looked_at = observed_at(self._fleet, self._fleet.sources[source_id], now)
            looked = looked_at is not None and looked_at >= deadline_at
            if not looked and rules.is_blind(self._fleet, now):
                self._ledger.put(source_id, self._fleet.blind_until)
                continue
            moments.append(
                DueMoment(source_id=source_id, due_at=evidence.ledger_at, deadline_at=deadline_at, looked=looked)
            )
            if len(moments) >= MOMENTS_A_FACT:
                self._wake.set()
                break
        if not moments:
            return
        try:
            await self._take([MomentsPassed(at=now, origin="hub:ledger", moments=tuple(moments))])
        except StoreError:
            for source_id in taken:
                self._ledger.put(source_id, now + timedelta(seconds=5))
            raise

    async def _rule(self, now: datetime) -> None:
        """Bring the alerts of everything judged since the last round in line."""
        while self._unruled:
            entities = list(self._unruled)[:ENTITIES_A_ROUND]
            facts: list[Fact] = []
            for entity in entities:
                del self._unruled[entity]
                facts.extend(self._alert_facts(entity, now))
            if facts:
                try:
                    await self._take(facts)
                except StoreError:
                    self._unruled.update(dict.fromkeys(entities))
                    raise
            await asyncio.sleep(0)

    def _alert_facts(self, entity: Entity, now: datetime) -> list[Fact]:
        kind, entity_id = entity
        fleet = self._fleet
        if entity_id not in (fleet.sources if kind == "source" else fleet.hosts):
            return []
        if kind == "source" and rules.is_held(fleet, entity_id, now):
            return []
        found = []
        broken = set()
        for rule in self._rules:
            if rule.entity_kind != kind:
                continue
            try:
                finding = rules.apply(rule, fleet, entity_id, now)
            except Exception:  # noqa: BLE001 - one rule that breaks must not hide the others
                self.rule_failures += 1
                _log.exception("a rule failed", rule=rule.id, entity=entity_id)
                broken.add(rule.id)
                continue
            if finding is not None:
                found.append(finding)
        # What a broken rule had opened stays open: nobody has said that it is over.
        keys = [key for key in fleet.alerts_of_entity.get(entity, ()) if key.rule not in broken]
        open_alerts = [fleet.alerts[key] for key in keys]
        if not found and not open_alerts:
            return []
        return lifecycle.reconcile(open_alerts, found, now, lambda: ulid(now))

    # --- the audit --------------------------------------------------------------------------------------------

    async def audit(self) -> None:
        """Judge everything again, slowly; what differs from what was told is a defect of ours, counted and mended."""
        await self._in_slices([("source", i) for i in self._fleet.sources], self._check)

    def _check(self, entity: Entity, now: datetime) -> None:
        source = self._fleet.sources.get(entity[1])
        if source is None:
            return
        state, _ = source_state(self._fleet, source, now)
        up_at = self._agenda.moment_of(entity)
        if state is self._fleet.states.get(entity[1]) or (up_at is not None and up_at <= now.timestamp()):
            return
        self.audit_differences += 1
        _log.error("the audit found a state that was told wrong", source=entity[1], state=str(state))
        self._come_up(entity, now)
