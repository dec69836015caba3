"""What the hub itself has to say of what was judged: due moments that the ledger closes, alerts that open and end.

``service/watch.py`` tells which entities were judged; facts come out and go through ingest like any other. Both parts
are level-triggered: what could not be written is found again. The one rule: a round ends after ``ROUND_SECONDS``,
done or not, so that judging never waits for the disk.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from lastgood.alerts import lifecycle, rules
from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import look_awaited_until, observed_at
from lastgood.ids import ulid
from lastgood.model.alert import AlertKey
from lastgood.model.fact import Fact, MomentsPassed
from lastgood.model.source import DueMoment
from lastgood.service.agenda import Agenda
from lastgood.service.slices import Slice

ROUND_SECONDS = 1.0
MOMENTS_A_FACT = 25
"""A fact is learned in one piece, so it must not hold too much."""

ENTITIES_AT_ONCE = 500
PARTS = 64
AGAIN_AFTER = timedelta(seconds=5)

Entity = tuple[str, str]
_log = structlog.get_logger("lastgood.watch")


class Findings:
    """``take`` commits and learns facts. ``failures`` counts rules that broke."""

    def __init__(
        self, fleet: Fleet, take: Callable[[list[Fact]], Awaitable[None]], ruled_by: Sequence[rules.Rule]
    ) -> None:
        self._fleet = fleet
        self._take = take
        self._rules = ruled_by
        self._ledger: Agenda[str] = Agenda()
        self._asleep: Agenda[AlertKey] = Agenda()
        self._unruled: deque[Entity] = deque()
        self._waiting: tuple[set[Entity], ...] = tuple(set() for _ in range(PARTS))
        """The same as ``_unruled``, which has the order; in parts, since a large set pauses to grow."""
        self.failures = 0

    def judged(self, entity: Entity) -> None:
        """A source or host was judged; its alerts are brought in line in the next round."""
        waiting = self._waiting[hash(entity) % PARTS]
        if entity not in waiting:
            waiting.add(entity)
            self._unruled.append(entity)

    def expect(self, source_id: str, deadline_at: datetime | None) -> None:
        """When the ledger's open moment of this source is to be closed; None if it has none."""
        self._ledger.put(source_id, deadline_at)

    def alert_changed(self, key: AlertKey) -> None:
        """An alert opened, ended or was snoozed; it is woken when its snooze is over."""
        alert = self._fleet.alerts.get(key)
        self._asleep.put(key, None if alert is None else alert.snoozed_until)

    async def round(self, now: datetime) -> bool:
        """Write what was found, and answer whether all of it was. Raises StoreError.

        Alerts come first, since somebody waits for them; the ledger has at least a little of every round.
        """
        ends = time.monotonic() + ROUND_SECONDS
        while self._unruled:
            await self._rule(now)
            if time.monotonic() >= ends:
                break
        while (asleep := self._asleep.take(now, ENTITIES_AT_ONCE)) is not None:
            await self._wake(asleep, now)
        while (taken := self._ledger.take(now, ENTITIES_AT_ONCE)) is not None:
            await self._close_moments(taken, now)
            if time.monotonic() >= ends:
                break
        return not self._unruled and not self._asleep.may_be_due(now) and not self._ledger.may_be_due(now)

    # --- the ledger -------------------------------------------------------------------------------------------

    async def _close_moments(self, source_ids: Sequence[str], now: datetime) -> None:
        """Close due moments whose deadline is past; while we are blind, only those of which we know the end."""
        moments: list[DueMoment] = []
        piece = Slice()
        for source_id in source_ids:
            moment = self._passed(source_id, now)
            if moment is not None and not moment.looked and rules.is_blind(self._fleet, now):
                self._ledger.put(source_id, self._fleet.blind_until)
            elif moment is not None and not moment.looked and self._is_look_awaited(source_id, now):
                self._ledger.put(source_id, now + AGAIN_AFTER)
            elif moment is not None:
                moments.append(moment)
            if piece.is_over:
                await piece.rest()
        parts = [moments[start : start + MOMENTS_A_FACT] for start in range(0, len(moments), MOMENTS_A_FACT)]
        try:
            if parts:
                await self._take([MomentsPassed(at=now, origin="hub:ledger", moments=tuple(part)) for part in parts])
        except StoreError:
            for source_id in source_ids:
                self._ledger.put(source_id, now + AGAIN_AFTER)
            raise

    def _is_look_awaited(self, source_id: str, now: datetime) -> bool:
        """Whether the next look, which alone says how it ended, is still on its way."""
        source = self._fleet.sources[source_id]
        until = look_awaited_until(self._fleet, source, observed_at(self._fleet, source, now))
        return until is not None and now < until

    def _passed(self, source_id: str, now: datetime) -> DueMoment | None:
        """The open moment of a source, with whether we know how it ended."""
        source, evidence = self._fleet.sources.get(source_id), self._fleet.evidence_of(source_id)
        deadline_at = evidence.ledger_deadline_at
        if source is None or evidence.ledger_at is None or deadline_at is None:
            return None
        looked_at = observed_at(self._fleet, source, now)
        looked = looked_at is not None and looked_at >= deadline_at
        return DueMoment(source_id=source_id, due_at=evidence.ledger_at, deadline_at=deadline_at, looked=looked)

    # --- alerts -----------------------------------------------------------------------------------------------

    async def _rule(self, now: datetime) -> None:
        """Bring the alerts of some of what was judged in line; those that were judged first come first."""
        entities: list[Entity] = []
        facts: list[Fact] = []
        piece = Slice()
        while self._unruled and len(entities) < ENTITIES_AT_ONCE:
            entity = self._unruled.popleft()
            self._waiting[hash(entity) % PARTS].discard(entity)
            entities.append(entity)
            facts.extend(self._alert_facts(entity, now))
            if piece.is_over:
                await piece.rest()
        try:
            if facts:
                await self._take(facts)
        except StoreError:
            for entity in entities:
                self.judged(entity)
            raise
        await piece.rest()

    def _alert_facts(self, entity: Entity, now: datetime) -> list[Fact]:
        kind, entity_id = entity
        fleet = self._fleet
        things: dict[str, Mapping[str, object]] = {
            "source": fleet.sources,
            "host": fleet.hosts,
            "repository": fleet.repositories,
            "collector": fleet.collectors,
        }
        if entity_id not in things[kind]:  # a found source may end while something is open about it
            return lifecycle.reconcile(
                [fleet.alerts[key] for key in fleet.alerts_of_entity.get(entity, ())],
                (),
                now,
                lambda: ulid(now),
                fleet.hosts,
            )
        if kind == "source" and rules.is_held(fleet, entity_id, now):
            return []
        found = []
        broken = set()
        for rule in self._rules:
            if rule.entity_kind != kind:
                continue
            if rule.keeps(fleet, entity_id):
                broken.add(rule.id)
                continue
            try:
                finding = rules.apply(rule, fleet, entity_id, now)
            except Exception:  # noqa: BLE001 - one rule that breaks must not hide the others
                self.failures += 1
                _log.exception("a rule failed", rule=rule.id, entity=entity_id)
                broken.add(rule.id)
                continue
            if finding is not None:
                found.append(finding)
        # What a rule had opened that is broken or cannot say anything stays open: nobody has said that it is over.
        keys = [key for key in fleet.alerts_of_entity.get(entity, ()) if key.rule not in broken]
        open_alerts = [fleet.alerts[key] for key in keys]
        if not found and not open_alerts:
            return []
        return lifecycle.reconcile(open_alerts, found, now, lambda: ulid(now), fleet.hosts)

    async def _wake(self, keys: Sequence[AlertKey], now: datetime) -> None:
        """End snoozes whose time is over, so that channels are told of what is still open."""
        facts = lifecycle.woken([self._fleet.alerts[key] for key in keys if key in self._fleet.alerts], now)
        try:
            if facts:
                await self._take(facts)
        except StoreError:
            for key in keys:
                self._asleep.put(key, now + AGAIN_AFTER)
            raise
