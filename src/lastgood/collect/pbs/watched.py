"""One server as its probes share it: what is known, what may be asked, and the picture that is shown.

Comes in: what the rounds learned. Goes out: ``PbsPicture``, replaced whole. The one rule: groups and tasks change in
one thread at a time, never on the event loop; what the server tells no more keeps its last word and its age.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from lastgood.clock import Clock
from lastgood.collect.collector import Memory
from lastgood.config.servers import PbsServer
from lastgood.errors import BadPayload, CollectError, Refused, StoreError
from lastgood.model.collected import CollectedRepository, SourcesTold
from lastgood.model.job import RunKind
from lastgood.model.pbs import Datastore, Job, PbsPicture, ProbeState
from lastgood.model.repository import Probe
from lastgood.tools.pbs.api import Api
from lastgood.tools.pbs.known import Groups
from lastgood.tools.pbs.memory import decoded, encoded
from lastgood.tools.pbs.refusals import FORBIDDEN, NOT_FOUND, UNAUTHORISED
from lastgood.tools.pbs.report import repository
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.tasks import Counted

SAVE_EVERY = timedelta(minutes=1)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
"""After a refused token: each try costs the server three seconds and a line in its log, and may trip a ban."""

MOST_REFUSALS = 1000
_FOR_ALL = (UNAUTHORISED, "unreachable", "certificate", "tls")

T = TypeVar("T")

_log = structlog.get_logger("lastgood.collect")


class Watched:
    """``stores``, ``looks`` and ``jobs`` are replaced, never changed in place."""

    def __init__(self, server: PbsServer, memory: Memory, clock: Clock) -> None:
        self.server = server
        self.clock = clock
        self.api = Api(server)
        self.groups = Groups(server, Counted(), {})
        self.stores: Mapping[str, Datastore] = {}
        self.looks: dict[str, Look] = {}
        self.jobs: dict[str, tuple[Job, ...] | None] = {}
        self.closed: set[str] = set()
        """What may not be asked, or does not exist there: until rights or version change."""
        self.checked_at: datetime | None = None
        """When the token's rights were last read; None: as soon as may be."""
        self.checked_for: frozenset[str] = frozenset()
        """The datastores of that moment."""
        self.wants: dict[str, asyncio.Event] = {}
        self.picture: PbsPicture | None = None
        self._memory = memory
        self._saved_at: datetime | None = None
        self._lock = asyncio.Lock()
        self._thread = threading.Lock()
        self._heard: list[Callable[[], None]] = []
        self._forbidden: set[str] = set()
        self._refusals = 0
        self._pause_until: datetime | None = None
        self._refused = ""

    @property
    def name(self) -> str:
        return f"pbs/{self.server.name}" if self.server.name else "pbs"

    # Beginning and end

    async def begin(self) -> None:
        held = await self._memory.load()
        counted, misdated, broken = decoded(held)
        if broken:
            _log.warning("what was counted before cannot be read; counters begin anew", server=self.server.name)
        self.groups = Groups(self.server, counted, misdated)

    async def save(self, *, now: datetime | None = None) -> None:
        """Keep the counters if they changed; with ``now`` not more often than once a minute."""
        book = self.groups.book
        if not book.changed or (now is not None and self._saved_at and now - self._saved_at < SAVE_EVERY):
            return
        book.changed = False
        try:
            await self._memory.save(await self.run(encoded, book.counted, self.groups.misdated))
        except StoreError:
            book.changed = True
            raise
        self._saved_at = now or self._saved_at

    # Asking

    def admit(self) -> None:
        """Raises Refused while a token that was refused is not to be tried again."""
        if self._pause_until is not None and self.clock() < self._pause_until:
            raise Refused(self._refused, cause=UNAUTHORISED)

    def refused(self, error: CollectError) -> None:
        """The token was refused: leave the server alone for a while, longer each time."""
        now = self.clock()
        if self._pause_until is not None and now < self._pause_until:
            return
        self._pause_until = now + min(FIRST_PAUSE * 2 ** min(self._refusals, 10), LONGEST_PAUSE)
        self._refusals += 1
        self._refused = str(error)

    def accepted(self) -> None:
        self._refusals, self._pause_until = 0, None

    async def guarded(self, what: str, asked: Callable[[], Awaitable[T]], failures: list[CollectError]) -> T | None:
        """The answer, or None: what may not be asked is not asked again, other failures are added to ``failures``.

        Raises what concerns the server as a whole.
        """
        if what in self.closed:
            return None
        try:
            return await asked()
        except CollectError as error:
            if concerns_all(error):
                raise
            if error.cause in (FORBIDDEN, NOT_FOUND):
                self.closed.add(what)
                self.check_rights(error)
            else:
                failures.append(error)
            return None

    def check_rights(self, error: CollectError) -> None:
        """Read the token's rights anew if this refusal is a new one."""
        if error.cause == FORBIDDEN and str(error) not in self._forbidden:
            if len(self._forbidden) > MOST_REFUSALS:
                self._forbidden.clear()
            self._forbidden.add(str(error))
            self.rights_changed()

    def rights_changed(self) -> None:
        self.checked_at = None
        self.want("rare")

    def want(self, probe: str) -> None:
        if probe in self.wants:
            self.wants[probe].set()

    async def run(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        """In a thread, one at a time."""

        def alone() -> T:
            # A round that is broken off leaves its thread at work, and the lock of the loop is free again.
            with self._thread:
                return work(*given, **named)

        async with self._lock:
            return await asyncio.to_thread(alone)

    # Showing

    def hear(self, heard: Callable[[], None]) -> None:
        self._heard.append(heard)

    def show(self, **changes: Any) -> None:
        """Replace the picture; groups, tasks and the rest of what is shared are taken as they are now."""
        groups, certificate = self.groups, self.api.certificate
        picture = self.picture or PbsPicture(
            server=self.server.name, at=self.clock(), expected_off=self.server.expected_off
        )
        known = [jobs for jobs in self.jobs.values() if jobs is not None]
        jobs = tuple(job for some in known for job in some)
        self.picture = replace(
            picture,
            at=self.clock(),
            tls_verified=self.api.tls_verified,
            certificate_expires_at=certificate.expires_at if certificate else picture.certificate_expires_at,
            fingerprint=certificate.fingerprint if certificate else picture.fingerprint,
            datastores=self.stores,
            groups=groups.shown,
            tasks=replace(groups.book.tasks, own_only=groups.own_only),
            jobs=(picture.jobs if picture.jobs == jobs else jobs) if known else None,
            truncated=groups.truncated,
            traffic=self.api.traffic,
            pending_groups=groups.pending,
            **changes,
        )
        for heard in self._heard:
            heard()

    def reached(self, **changes: Any) -> None:
        self.accepted()
        if self.picture is None or not self.picture.up:
            _log.info("the server answers", collector=self.name)
        self.show(up=True, reached_at=self.clock(), down_since=None, message=None, **changes)

    def lost(self, error: CollectError) -> None:
        """It does not answer as it should: what is only true of a server that does is dropped."""
        since = self.picture.down_since if self.picture is not None else None
        self.show(up=False, down_since=since or self.clock(), message=str(error), version=None, node=None)

    def noted(self, probe: str, took: float, error: CollectError | None) -> None:
        """How a round went."""
        before = (self.picture.probes if self.picture else {}).get(probe, ProbeState())
        after = replace(before, success=error is None, took_seconds=took, message=str(error) if error else None)
        if error is None:
            after = replace(after, succeeded_at=self.clock())
        else:
            after = replace(after, failures=before.failures + 1)
        self.show(probes={**(self.picture.probes if self.picture else {}), probe: after})

    # Datastores

    def put(self, store: Datastore) -> None:
        if self.stores.get(store.name) != store:
            self.stores = {**self.stores, store.name: store}

    async def report(self, name: str) -> CollectedRepository:
        return await self.run(self._report, name)

    async def told(self, name: str) -> SourcesTold:
        look = self.looks[name]
        listed_at = look.listed_at or look.at
        return await self.run(self.groups.told, name, look.namespaces, listed_at, whole=look.is_whole)

    def _report(self, name: str) -> CollectedRepository:
        look = self.looks[name]
        # Of a datastore that was never read nobody knows that it is empty.
        is_known = look.listed_at is not None and not self.groups.is_due(name)
        return repository(
            self.server,
            self.stores[name],
            look.at,
            probe=look.probe,
            snapshots=self.groups.snapshots(name) if is_known else None,
            upkeep=look.upkeep,
            synced_at=look.synced_at,
        )


class Look:
    """The newest look at one datastore: when it was asked, what it answered, and what was listed of it."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.probe = Probe.UNKNOWN
        self.seen_at = at
        """When the server last named it."""
        self.namespaces: tuple[str, ...] = ()
        self.listed_at: datetime | None = None
        self.is_whole = False
        self.is_forbidden = False
        """The token's rights say that it may not be seen."""
        self.upkeep: dict[RunKind, datetime] = {}
        self.synced_at: datetime | None = None
        self.rest_until: datetime | None = None
        """Its lists are slow: before this they are not asked for again."""


def concerns_all(error: CollectError) -> bool:
    """Whether the next request will fail as well."""
    return error.cause in _FOR_ALL


def unread(rows: Rows[Any]) -> list[CollectError]:
    """What is to be said of rows that cannot be read."""
    return [BadPayload(rows.complaint, cause="bad_payload")] if rows.complaint else []


def first_of(failures: list[CollectError]) -> CollectError:
    """One error for a round in which something went wrong and the rest well."""
    first = failures[0]
    if len(failures) == 1:
        return first
    return CollectError(f"{first} {len(failures) - 1} more of its questions failed.", cause=first.cause)
