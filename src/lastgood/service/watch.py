"""Keeps what is told in step with what is known and with the clock: judging, the ledger, and alerts.

Facts and presence bring their entities forward at once; an agenda of moments brings forward what the clock alone
changes. The rules' and the ledger's own facts go through ingest like any other. The one rule: this is the only writer
of ``fleet.judging``'s answers, and it never holds the event loop longer than a slice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime

import structlog

from lastgood.alerts import rules
from lastgood.clock import Clock
from lastgood.errors import StoreError
from lastgood.fleet import presence
from lastgood.fleet.docker import degraded_because
from lastgood.fleet.fleet import START_GRACE, Fleet
from lastgood.fleet.judge import host_online, repository_state, source_state
from lastgood.fleet.learn import Changes
from lastgood.model.fact import Fact
from lastgood.model.source import State
from lastgood.service.agenda import Agenda
from lastgood.service.findings import Entity, Findings
from lastgood.service.slices import Slice

PULSE_SECONDS = 1.0
AUDIT_SECONDS = 600.0
JUMP_SECONDS = 10.0

_WAITING = frozenset({State.UNKNOWN, State.LATE})
"""States that a look without news may end."""

_log = structlog.get_logger("lastgood.watch")


class Watch:
    """``take`` commits and learns facts; ``held`` says whether this process owns the rules and the ledger.

    ``steady`` is a clock that nobody sets, beside which the other's jumps are seen; None sees none.
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
        steady: Callable[[], float] | None = None,
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._held = held
        self._told = told
        self._findings = Findings(fleet, take, ruled_by)
        self._moved = Changes()
        self._agenda: Agenda[Entity] = Agenda()
        self._marked: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._steady = steady
        self._pair: tuple[datetime, float] | None = None
        self._latest: datetime | None = None
        """The latest moment for which everything was told."""
        self.audit_differences = 0

    @property
    def rule_failures(self) -> int:
        return self._findings.failures

    # --- judging ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Judge everything once, in slices; before this nothing may be told."""
        await self._in_slices(self._everything(), self._judge)
        for key in [key for key, alert in self._fleet.alerts.items() if alert.snoozed_until is not None]:
            self._findings.alert_changed(key)
        self._fleet.judging.evaluated_at = self._latest = self._clock()

    def _everything(self) -> Iterator[Entity]:
        fleet = self._fleet
        for kind, ids in (("host", fleet.hosts), ("repository", fleet.repositories), ("source", fleet.sources)):
            for entity_id in list(ids):  # a copy, for others go on while we pause
                yield kind, entity_id

    def changed(self, changes: Changes) -> None:
        """Facts touched these; judge them now, so that no face lags behind what was acknowledged."""
        now = self._clock()
        for host_id in changes.hosts:
            self._judge(("host", host_id), now)
        for host_id in changes.docker - changes.hosts:
            self._weigh(host_id)
        for repository_id in changes.repositories:
            self._judge(("repository", repository_id), now)
        for source_id in changes.sources:
            self._judge(("source", source_id), now)
        for repository_id in changes.marked:
            self._marked[repository_id] = None
        for key in changes.alerts:
            self._findings.alert_changed(key)
        if not self._agenda.may_be_due(now) and (self._latest is None or now >= self._latest):
            self._fleet.judging.evaluated_at = self._latest = now  # else the clock has moved others too
        self._told(changes)
        self._wake.set()

    def presence_changed(self, host_id: str) -> None:
        """An agent came, fell silent, or is in step again: its sources may have been waiting for that."""
        self.changed(Changes(hosts={host_id}, sources=set(self._fleet.sources_of_host.get(host_id, ()))))

    def collector_changed(self, name: str) -> None:
        """A collector began to fail for long, or is well again; or there is none of that name any more."""
        self._findings.judged(("collector", name))
        self._wake.set()

    def _come_up(self, entity: Entity, now: datetime) -> None:
        """Judge what no fact has touched; it is told at the end of the slice."""
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
                self._findings.expect(entity_id, None)
            else:
                judging.states[entity_id], holds_until = source_state(fleet, source, now)
                self._findings.expect(entity_id, fleet.evidence_of(entity_id).ledger_deadline_at)
        elif kind == "host":
            if entity_id not in fleet.hosts:
                judging.forget_host(entity_id)
            else:
                online, holds_until = host_online(fleet, entity_id, now)
                judging.tell_online(entity_id, online)
                self._weigh(entity_id)
                holds_until = holds_until or self._awaited_until(entity_id, now)
        elif entity_id not in fleet.repositories:
            judging.repository_states.pop(entity_id, None)
        else:
            judging.repository_states[entity_id], holds_until = repository_state(fleet, entity_id, now)
        if kind == "source" and rules.is_held(fleet, entity_id, now):
            holds_until = min(holds_until or fleet.blind_until, fleet.blind_until)  # type: ignore[type-var]
        self._agenda.put(entity, holds_until)
        self._findings.judged(entity)

    def _weigh(self, host_id: str) -> None:
        """Whether a host that is online is well."""
        self._fleet.judging.tell_degraded(host_id, degraded_because(self._fleet, host_id) is not None)

    def _see_again(self, entity: Entity, now: datetime) -> None:
        """A look spoke for this source among many: it says something of one that was waited for, or not known."""
        told, source = self._fleet.states.get(entity[1]), self._fleet.sources.get(entity[1])
        if told not in _WAITING or source is None:
            return
        state, holds_until = source_state(self._fleet, source, now)
        if state is not told:
            self._come_up(entity, now)
        elif not rules.is_held(self._fleet, entity[1], now):
            self._agenda.put(entity, holds_until)

    def _awaited_until(self, host_id: str, now: datetime) -> datetime | None:
        """A host that was never heard becomes a finding some time after it was enrolled."""
        until = self._fleet.hosts[host_id].enrolled_at + START_GRACE
        return until if self._fleet.presence_of(host_id).seen_at is None and now < until else None

    async def _in_slices(self, entities: Iterable[Entity], act: Callable[[Entity, datetime], None]) -> None:
        """Act on each, giving the loop back every few milliseconds."""
        piece = Slice()
        for entity in entities:
            act(entity, self._clock())
            if piece.is_over:
                self._tell_moved()
                await piece.rest()

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
        jumped = self._jump(now)
        if self._latest is not None and now < self._latest:
            # The clock was put back: what the later hours had brought up holds no more.
            for host_id in list(self._fleet.judging.presence):
                presence.put_back(self._fleet.judging, host_id, now)
            await self._in_slices(self._everything(), self._come_up)
        elif jumped >= JUMP_SECONDS:
            await self._doubt(jumped, now)
        piece = Slice()
        while (entities := self._agenda.take(now)) is not None:
            for entity in entities:
                self._come_up(entity, self._clock())
            if piece.is_over:  # here nobody has been taken off the agenda who was not judged
                self._tell_moved()
                await piece.rest()
        while self._marked:
            repository_id, _ = self._marked.popitem()
            ids = self._fleet.sources_of_repository.get(repository_id, ())
            await self._in_slices((("source", source_id) for source_id in ids), self._see_again)
        self._fleet.judging.evaluated_at = self._latest = now
        self._tell_moved()
        if not self._held():
            return
        try:
            if not await self._findings.round(now):
                self._wake.set()
        except StoreError as error:
            # Both are level-triggered: what could not be written is found again at the next round.
            _log.error("the round's findings could not be written", error=str(error))

    def _jump(self, now: datetime) -> float:
        """By how many seconds the wall clock moved ahead of the steady one since the last round."""
        if self._steady is None:
            return 0.0
        before, self._pair = self._pair, (now, self._steady())
        if before is None:
            return 0.0
        return (now - before[0]).total_seconds() - (self._pair[1] - before[1])

    async def _doubt(self, jumped: float, now: datetime) -> None:
        """The clock was set ahead, or the machine slept: as after a start, silence is no evidence for a while."""
        _log.warning("the hub's clock has moved ahead; agents are heard before anything counts as missed", by=jumped)
        self._fleet.judging.blind_until = now + START_GRACE
        piece = Slice()
        for host_id in list(self._fleet.judging.presence):
            if presence.doubted(self._fleet.judging, host_id):
                self._come_up(("host", host_id), now)
                for source_id in self._fleet.sources_of_host.get(host_id, ()):
                    self._come_up(("source", source_id), now)
            if piece.is_over:
                self._tell_moved()
                await piece.rest()

    def _tell_moved(self) -> None:
        """Tell what came up so far."""
        moved, self._moved = self._moved, Changes()
        self._told(moved)

    # --- the audit --------------------------------------------------------------------------------------------

    async def audit(self) -> None:
        """Judge everything again, slowly; what differs from what was told is a defect of ours, counted and mended."""
        await self._in_slices((("source", i) for i in list(self._fleet.sources)), self._check)

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
