"""The composition root: builds the hub from its settings, starts it, and ends it in order.

Nothing is decided here. The one rule is the order: folder and database first, then what was known, then judging, and
only then anybody who asks or tells; and backwards at the end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from lastgood.agent.tester import tried
from lastgood.auth.identity import KeyPair
from lastgood.auth.secrets import subkey
from lastgood.clock import Clock
from lastgood.config.keyfile import load_or_make_key
from lastgood.config.settings import Settings
from lastgood.errors import StoreError
from lastgood.fleet import presence
from lastgood.fleet.fleet import START_GRACE, Fleet, FleetView
from lastgood.fleet.learn import Changes
from lastgood.hub import intake
from lastgood.hub.roster import Roster
from lastgood.hub.session import Seams, serve
from lastgood.hub.socket import Socket
from lastgood.ids import ulid
from lastgood.model.fact import AgentReported, Fact, agent_origin
from lastgood.model.host import AgentInfo
from lastgood.service.audit import Audit
from lastgood.service.channels import Channels
from lastgood.service.checkpoint import Checkpoint, restore
from lastgood.service.collectors import Collectors, Configured, configured
from lastgood.service.commands import Commands
from lastgood.service.credentials import Credentials
from lastgood.service.deeds import Deeds
from lastgood.service.enrolment import Enrolment
from lastgood.service.heartbeat import Heartbeat
from lastgood.service.hosts import Hosts
from lastgood.service.identity import hub_keys
from lastgood.service.ingest import Ingest
from lastgood.service.last_backup import BackupWatch
from lastgood.service.lookout import Lookout
from lastgood.service.memory import settled_memory
from lastgood.service.orders import AT_ONCE, Orders
from lastgood.service.orphans import orphans
from lastgood.service.people import People
from lastgood.service.roles import Roles
from lastgood.service.stacks import Stacks
from lastgood.service.tokens import PURPOSE as TOKENS
from lastgood.service.tokens import Tokens
from lastgood.service.trial import Trials
from lastgood.service.upkeep import Upkeep
from lastgood.service.watch import Watch
from lastgood.service.witnesses import Witnesses
from lastgood.store import log, records
from lastgood.store.database import Database, open_database
from lastgood.store.lease import AlwaysHeld, Lease
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import Assignment, Said
from lastgood.wire.translate import translate

_log = structlog.get_logger("lastgood.service")

DRAIN_SECONDS = 2.0
STEP_SECONDS = 1.0

SWITCH_SECONDS = 0.001
"""After so long a thread gives the interpreter to another that waits: the event loop never waits for a writer's long
turn. With Python's own 5 ms a slice of the loop beside two busy threads took three times as long."""

_T = TypeVar("_T")


class Service:
    """A hub. Made by ``Service.open``; ``start`` before anybody asks, ``stop`` at the end."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        database: Database,
        secret_key: bytes,
        keys: KeyPair,
        fleet: Fleet,
        checkpoint: Checkpoint,
        steady: Callable[[], float] | None = None,
        collected: Sequence[Configured] = (),
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.database = database
        self.secret_key = secret_key
        self.keys = keys
        self.fleet = fleet
        self.checkpoint = checkpoint
        self.lease: Lease = AlwaysHeld()
        self.audit = Audit(database, secret_key, keys, clock, settings, self.lease)
        self.roster = Roster()
        self.ingest = Ingest(database, fleet, checkpoint, self._changed)
        self.watch = Watch(
            fleet, self.take, clock, held=lambda: self.lease.held("rules"), told=self._tell, steady=steady
        )
        self.deeds = Deeds(self.audit, fleet)
        self.witnesses = Witnesses(settings.audit.head_url, self.audit.head, clock, lambda: self.lease.held("head"))
        self.upkeep = Upkeep(database, fleet, settings.retention, clock, self.lease, self.deeds.trimmed)
        self.credentials = Credentials(database, fleet, secret_key, self.take)
        restic = Restic(cache_dir=settings.server.data_dir / "restic-cache", clock=clock)
        self.lookout = Lookout(fleet, self.take, self.credentials.access, clock, self.lease, restic)
        self.collectors = Collectors(collected, fleet, self.take, clock, self.lease, self.watch.collector_changed)
        keep_for = timedelta(days=settings.retention.runs_days)
        self.stacks = Stacks(
            database, fleet, self.roster, secret_key, self.take, lambda: ulid(clock()), clock, keep_for
        )
        self.commands = Commands(fleet, self.roster, lambda: ulid(clock()), self.lookout.look, self.take, clock)
        self.orders = Orders(fleet, self.roster, self.credentials.access)
        look_here = partial(tried, restic, answer_to="", clock=clock)
        self.trials = Trials(fleet, self.roster, self.credentials.access, lambda: ulid(clock()), look_here)
        self.hosts = Hosts(fleet, self.take, clock, database, self.roster)
        self.enrolment = Enrolment(database, self.hosts, keys, subkey(secret_key, "enrolment"), clock)
        self.roles = Roles(database, clock)
        self.tokens = Tokens(database, self.roles, subkey(secret_key, TOKENS), clock)
        self.people = People(database, self.roles, clock)
        self.channels = Channels.of(database, clock, settings, secret_key, self.lease)
        self.backup_watch = BackupWatch(settings.server.data_dir)
        self.heartbeat = Heartbeat(
            settings.hub.heartbeat_url,
            settings.hub.heartbeat_seconds,
            lambda: self.fleet.evaluated_at,
            clock,
            lambda: self.lease.held("heartbeat"),
        )
        self.ready = False
        self._stopping = False
        self._broken = asyncio.Event()
        self._view: FleetView | None = None
        self._learned = asyncio.Event()
        self._hearers: list[Callable[[Changes], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[object]] = set()
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._arrivals: dict[str, asyncio.Future[None]] = {}

    @classmethod
    async def open(
        cls,
        settings: Settings,
        clock: Clock,
        steady: Callable[[], float] | None = None,
        collected: Callable[[Settings, Database, Clock], Sequence[Configured]] = configured,
    ) -> Service:
        """Everything loaded and judged, nobody served yet. Raises ConfigError for what an operator must mend.

        ``steady`` is a clock that nobody sets, beside which jumps of the other are seen.
        """
        database = open_database(settings.server.data_dir)
        try:
            secret_key = load_or_make_key(settings.server.key_path)
            keys = await hub_keys(database, secret_key, settings.server.key_path)
            with settled_memory():
                fleet, checkpoint = await restore(database)
                servers = collected(settings, database, clock)
                service = cls(settings, clock, database, secret_key, keys, fleet, checkpoint, steady, servers)
                await service.credentials.load()
                await service.roles.load()
                await service.tokens.load()
                await service._remember_presence(clock())
                await service.watch.start()
        except BaseException:
            await database.close()
            raise
        return service

    async def _remember_presence(self, now: datetime) -> None:
        stopped_at = await self.database.read(records.alive_at)
        for host_id, (seen_at, observed_at) in (await self.database.read(records.load_presence)).items():
            host = self.fleet.hosts.get(host_id)
            if host is not None:
                presence.remembered(
                    self.fleet.judging,
                    host.id,
                    seen_at=seen_at,
                    observed_at=observed_at,
                    stopped_at=stopped_at,
                    at=now,
                )
        if stopped_at is not None:
            self.fleet.judging.blind_until = now + START_GRACE

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin the rounds; from now on the hub may be asked and told."""
        sys.setswitchinterval(SWITCH_SECONDS)
        taking = await self.ingest.start()
        url = str(self.settings.server.public_url)
        await self.database.write(lambda connection: records.set_meta(connection, records.PUBLIC_URL, url))
        await self.audit.start(lambda: self.backup_watch.made_at)
        self.hear(self.deeds.changed)
        rounds = (
            ("watch", self.watch.run),
            ("checkpoint", self.checkpoint.run),
            ("upkeep", self.upkeep.run),
            ("heartbeat", self.heartbeat.run),
            ("hub-backup", self.backup_watch.run),
            ("lookout", self.lookout.run),
            ("collectors", self.collectors.run),
            ("commands", self.commands.run),
            ("stacks", self.stacks.run),
            ("notices", self.channels.outbox.run),
            ("tokens", self.tokens.run),
            ("audit", self.audit.run),
            ("witnesses", self.witnesses.run),
        )
        self._tasks = [asyncio.create_task(run(), name=name) for name, run in rounds]
        for task in (*taking, *self._tasks):
            task.add_done_callback(self._round_ended)
        self.ready = True
        _log.info("hub started", hosts=len(self.fleet.hosts), sources=len(self.fleet.sources))

    async def broken(self) -> None:
        """Return when a round has ended by itself. States would then be told that nobody judges any more, so whoever
        runs the hub ends it; its supervisor begins anew."""
        await self._broken.wait()

    def _round_ended(self, task: asyncio.Task[None]) -> None:
        if self._stopping or task.cancelled():
            return
        self.ready = False
        self._broken.set()
        _log.error("a part of the hub has ended by itself", part=task.get_name(), exc_info=task.exception())

    async def stop(self) -> None:
        """Send the agents away in an orderly manner, keep what is known, close the database."""
        self.ready = False
        self._stopping = True
        await self.roster.close_all(seconds=DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._sending, return_exceptions=True)
        try:
            await self.ingest.stop()
            await self.upkeep.note()
            await self.tokens.note()
            await self.deeds.settle()
            await self.audit.stop()
            await self.checkpoint.save()
        except StoreError as error:
            _log.error("the last checkpoint could not be written; the next start folds the log", error=str(error))
        finally:
            await self.database.close()
        _log.info("hub stopped")

    def view(self) -> FleetView:
        """The present moment, frozen; made once for all who ask before anything changes."""
        if self._view is None:
            self._view = self.fleet.view()
        return self._view

    def hear(self, told: Callable[[Changes], None]) -> None:
        """Have every change told, once it was judged: what facts touched, and whose answers the clock changed."""
        self._hearers.append(told)

    def _tell(self, changes: Changes) -> None:
        self._view = None
        for told in self._hearers:
            told(changes)

    # --- what is told -----------------------------------------------------------------------------------------

    async def take(self, facts: Sequence[Fact], request_id: str | None = None) -> None:
        """Commit and learn; facts of a request id that was seen before change nothing. Raises StoreError."""
        mark = log.Mark(f"request:{request_id}", 1) if request_id is not None else None
        await self.ingest.take(log.Append(tuple(facts), mark))

    async def serve_agent(self, socket: Socket) -> None:
        """One agent connection, to its end."""
        await serve(
            socket,
            Seams(
                keys=self.keys,
                find_host=self.fleet.hosts.get,
                take=self._take_report,
                committed=self._committed,
                assignment=self.orders.give,
                reported=self._reported,
                rekeyed=self.deeds.telling(self.hosts.rekeyed),
                presence_changed=self._presence_changed,
                judging=self.fleet.judging,
                roster=self.roster,
                clock=self.clock,
            ),
        )

    async def _take_report(self, said: Said, host_id: str, heard: intake.Mark, text: str) -> None:
        held = self.fleet.presence_of(host_id)
        ahead = held.clock_offset_seconds if held.is_skewed else None
        fact = translate(said, host_id, self.clock(), ahead or 0.0)
        mark = log.Mark(_stream(host_id, heard.stream), heard.position, heard.after)
        await self.ingest.take(log.Append((fact,), mark, text))

    async def _committed(self, host_id: str, spool_id: str) -> int:
        """Up to where this spool was told. One that is new although the host had another is a gap, and named."""
        stream, others = _stream(host_id, spool_id), _stream(host_id, "")
        committed, before = await self.database.read(lambda rows: log.mark_among(rows, stream, others))
        if not committed and before:
            _log.warning(
                "the agent comes with a new spool, its disk was lost or set back; what it had not told yet is lost "
                "with the old one, and it looks into its repositories anew",
                host=self.fleet.hosts[host_id].name if host_id in self.fleet.hosts else host_id,
                spool=spool_id,
                spools_before=before,
            )
        return committed

    async def _reported(self, host_id: str, info: AgentInfo) -> None:
        await self.take([AgentReported(at=self.clock(), origin=agent_origin(host_id), host_id=host_id, info=info)])

    def _changed(self, changes: Changes, _at: datetime) -> None:
        """Facts were learned: judge what they touched, send changed orders, wake who waits for them."""
        self._learned.set()
        self.watch.changed(changes)
        self.commands.learned(changes)
        self.stacks.learned(changes)
        if changes.alerts:
            self.channels.outbox.wake()
        if len(changes.orders) <= AT_ONCE:
            for host_id, orders in self.orders.changed(changes.orders):
                self._send_orders(host_id, orders)
        else:
            self._begin(self.orders.push(changes.orders, self._send_orders))
        for run_id in changes.runs & self._ends.keys():
            if run_id not in self.fleet.running:
                self._ends.pop(run_id).set_result(None)

    def _send_orders(self, host_id: str, orders: Assignment) -> None:
        self._begin(self.roster.assign(host_id, orders))

    def _presence_changed(self, host_id: str) -> None:
        self.watch.presence_changed(host_id)
        if host_id in self._arrivals and self.fleet.presence_of(host_id).connected:
            self._arrivals.pop(host_id).set_result(None)
        connection = self.roster.connection(host_id)
        if connection is not None and self.fleet.presence_of(host_id).is_observing:
            lost = orphans(self.fleet, host_id, connection.hello, connection.greeted_at, self.clock())
            if lost:
                self._begin(self._take_lost(host_id, lost))
            if again := self.commands.in_step(host_id):
                self._begin(self.commands.send_again(again))
            if self.stacks.is_behind(host_id, connection):
                self._begin(self.stacks.back(host_id, connection))

    async def _take_lost(self, host_id: str, lost: Sequence[Fact]) -> None:
        try:
            await self.take(lost)
        except StoreError as error:
            _log.error("lost runs could not be written; they are found again", host=host_id, error=str(error))

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Work that nobody waits for; ended with the hub."""
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    # --- what is read -----------------------------------------------------------------------------------------

    async def read_in_step(self, fn: Callable[[Connection], _T]) -> _T:
        """What ``fn`` read of the history, once everything that was committed by then is learned as well."""
        answer, seq = await self.database.read(lambda connection: (fn(connection), log.last_seq(connection)))
        try:
            async with asyncio.timeout(STEP_SECONDS):
                while self.checkpoint.learned_upto < seq:
                    self._learned.clear()
                    await self._learned.wait()
        except TimeoutError:  # the newest fact went to quarantine, and nothing was learned since
            _log.info("history was read ahead of what is learned", committed=seq)
        return answer

    # --- who waits --------------------------------------------------------------------------------------------

    async def run_ended(self, run_id: str) -> None:
        """Return once the run's end was learned. Ask before it can have ended."""
        await asyncio.shield(self._ends.setdefault(run_id, asyncio.get_running_loop().create_future()))

    async def connected(self, host_id: str) -> None:
        """Return once the host's agent is connected."""
        if not self.fleet.presence_of(host_id).connected:
            await asyncio.shield(self._arrivals.setdefault(host_id, asyncio.get_running_loop().create_future()))


def _stream(host_id: str, spool_id: str) -> str:
    return f"agent:{host_id}:{spool_id}"
