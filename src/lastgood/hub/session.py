"""One agent connection from challenge to goodbye.

A WebSocket and the callables of ``Seams`` come in; reports go to ``take`` and are acknowledged once committed, life
signs go to presence, the roster can send. The one rule: acknowledge only what is committed, in order. What goes
wrong ends this connection alone, with one log line; the agent keeps what was not acknowledged and comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from lastgood import __version__
from lastgood.auth.identity import KeyPair
from lastgood.clock import Clock
from lastgood.errors import LastgoodError, WireError
from lastgood.fleet import presence
from lastgood.fleet.fleet import Judging
from lastgood.hub.connection import Connection, Ending, shortened
from lastgood.hub.gap import name_gap
from lastgood.hub.greeting import FindHost, Greeting, Refusal, decode, greet, try_again
from lastgood.hub.intake import WINDOW, Intake, Take
from lastgood.hub.keeper import Keeper
from lastgood.hub.roster import Roster
from lastgood.hub.socket import BROKEN, REPLACED, RESTARTING, Socket, SocketClosed
from lastgood.model.host import AgentInfo
from lastgood.wire.frames import (
    Ack,
    Applied,
    Assignment,
    DeployWords,
    Finished,
    Heartbeat,
    Hello,
    Pong,
    Progress,
    Refuse,
    Report,
    Tested,
    Welcome,
    encode,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session waits for what; the design's numbers."""

    hello_seconds: float = 10.0
    heartbeat_seconds: float = 30.0
    silent_seconds: float = 90.0
    ping_seconds: float = 30.0
    settle_seconds: float = 5.0
    close_seconds: float = 2.0
    window: int = WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What a session asks of the hub around it.

    ``take`` is done once a report is committed; ``committed`` answers the highest committed position of a host's
    spool (0 if it is new). ``reported`` is told when an agent's info differs from the host's, ``rekeyed`` when its
    key is the one that it had offered; ``presence_changed`` when ``connected`` or ``synced`` of a host did.
    ``judging`` holds the presences.
    """

    keys: KeyPair
    find_host: FindHost
    take: Take
    committed: Callable[[str, str], Awaitable[int]]
    assignment: Callable[[str], Assignment]
    reported: Callable[[str, AgentInfo], Awaitable[object]]
    rekeyed: Callable[[str, str], Awaitable[object]]
    presence_changed: Callable[[str], None]
    judging: Judging
    roster: Roster
    clock: Clock
    limits: Limits = field(default_factory=Limits)


async def serve(socket: Socket, seams: Seams) -> None:
    """Run one connection to its end; returns when the socket is closed, whoever closed it."""
    try:
        turn = await seams.roster.admission.turn()
    except TimeoutError:
        await _refuse(socket, try_again("many agents come at once", None), seams.limits.close_seconds)
        return
    try:
        if seams.roster.draining:
            await socket.close(RESTARTING, "the hub is going down; connect again")
            return
        greeting = await greet(socket, seams.keys, seams.find_host, seams.limits.hello_seconds)
    except SocketClosed:
        log.info("agent went away before its hello")
    except Refusal as refusal:
        log.warning("agent refused", reason=str(refusal))
        await _refuse(socket, refusal, seams.limits.close_seconds)
    else:
        turn.over()  # what follows may wait for an older connection, and nobody should wait for that
        await _Session(socket, seams, greeting).run()
    finally:
        turn.over()


class _Session:
    """A connection whose agent proved who it is."""

    def __init__(self, socket: Socket, seams: Seams, greeting: Greeting) -> None:
        self._socket = socket
        self._seams = seams
        self._greeting = greeting
        self._host_id = greeting.host.id
        self._greeted_at = seams.clock()
        self._named = greeting.hello.last_sequence
        self._acknowledged = 0
        self._advanced = asyncio.Event()
        self._intake: Intake | None = None
        limits = seams.limits
        self._connection = Connection(socket, greeting, self._greeted_at)
        self._keeper = Keeper(
            self._connection, ping_seconds=limits.ping_seconds, silent_seconds=limits.silent_seconds
        )
        self._log = log.bind(host=greeting.host.name, host_id=self._host_id)

    async def run(self) -> None:
        """Until the connection is over; what was handed over is settled before the socket is closed."""
        ending = Ending()
        try:
            await self._seams.roster.join(self._connection)
            try:
                ending = await self._live()
            except SocketClosed:
                pass
            except LastgoodError as error:
                ending = self._broken(error)
            await self._settle(ending)
        finally:
            if self._seams.roster.leave(self._connection) and presence.disconnected(
                self._seams.judging, self._host_id
            ):
                self._seams.presence_changed(self._host_id)
            self._connection.end(ending)
            self._connection.over.set()
            self._log.info("agent disconnected", reason=ending.reason or "the agent went away")

    async def _live(self) -> Ending:
        seams, hello, connection = self._seams, self._greeting.hello, self._connection
        if hello.key != self._greeting.host.key:
            await seams.rekeyed(self._host_id, hello.key)
        committed = await seams.committed(self._host_id, hello.spool_id)
        intake = Intake(
            seams.take, self._host_id, hello.spool_id, committed, self._advanced.set, window=seams.limits.window
        )
        self._intake, self._acknowledged = intake, committed
        if connection.ending.done():
            return connection.ending.result()
        await connection.send(
            Welcome(
                protocol=hello.protocol,
                hub_version=__version__,
                signature=self._greeting.signing.welcome(),
                acknowledged=committed,
                heartbeat_seconds=seams.limits.heartbeat_seconds,
                sent_at=seams.clock(),
            )
        )
        await connection.send(seams.assignment(self._host_id))
        connection.welcome()
        self._log.info("agent connected", version=hello.info.agent_version, spool=hello.spool_id, committed=committed)
        if presence.connected(seams.judging, self._host_id, seams.clock()):
            seams.presence_changed(self._host_id)
        # Settling an older connection took its time; the hello was heard before that.
        self._life_sign(hello.sent_at, self._greeted_at)
        self._judge_step()
        if hello.info != self._greeting.host.info:
            await seams.reported(self._host_id, hello.info)
        return await self._until_over(intake)

    async def _until_over(self, intake: Intake) -> Ending:
        """Read, acknowledge and keep watch until one of them, the store or the roster says that it is over."""
        work = [
            asyncio.create_task(part) for part in (self._read(intake), self._acknowledge(intake), self._keeper.run())
        ]
        over: list[asyncio.Future[Any]] = [*work, self._connection.ending, intake.failed]
        try:
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
        if intake.failed.done():
            return self._broken(intake.failed.result())
        for result in results:
            if isinstance(result, Exception):
                raise result
        return self._connection.ending.result() if self._connection.ending.done() else Ending()

    async def _read(self, intake: Intake) -> None:
        seams, host_id, progress = self._seams, self._host_id, self._seams.roster.progress
        while True:
            data = await self._socket.receive()
            frame = decode(data)
            self._keeper.heard()
            match frame:
                case Report(said=said):
                    self._life_sign()
                    if isinstance(said, Finished):
                        progress.ended(host_id, said.run.id)
                    await intake.receive(frame, len(data))
                case Heartbeat():
                    name_gap(self._log, self._named, frame.last_sequence, self._greeting.hello.spool_id)
                    self._named = frame.last_sequence
                    self._life_sign(frame.sent_at)
                    self._judge_step()
                case Progress():
                    self._life_sign()
                    progress.told(host_id, frame)
                case Pong():
                    trip = self._keeper.pong(frame.nonce)
                    presence.heard(seams.judging, host_id, seams.clock(), round_trip_seconds=trip)
                case Applied():
                    self._life_sign()
                    self._connection.applied, self._connection.refused = frame.version, frame.refused
                    if presence.ordered(seams.judging, host_id, refuses=bool(frame.refused)):
                        seams.presence_changed(host_id)
                case DeployWords():
                    self._life_sign()
                    seams.roster.words.told(host_id, frame)
                case Tested():
                    self._life_sign()
                    seams.roster.answers.told(host_id, frame)
                case Hello():
                    raise Refusal("A second hello came in one connection; connect again.", final=False, code=BROKEN)

    async def _acknowledge(self, intake: Intake) -> None:
        """Send the highest committed number, however many commits went by since the last time."""
        while True:
            await self._advanced.wait()
            self._advanced.clear()
            self._judge_step()
            await self._acknowledge_once(intake)

    async def _acknowledge_once(self, intake: Intake) -> None:
        committed = intake.committed
        if committed > self._acknowledged and await self._connection.send(Ack(sequence=committed)):
            self._acknowledged = committed

    async def _settle(self, ending: Ending) -> None:
        limits = self._seams.limits
        if self._intake is not None:
            await self._intake.settle(limits.settle_seconds)
            if ending.code in (RESTARTING, REPLACED):
                await self._acknowledge_once(self._intake)
        await self._connection.close(ending, limits.close_seconds)

    def _life_sign(self, sent_at: datetime | None = None, heard_at: datetime | None = None) -> None:
        at = self._seams.clock()
        offset = None if sent_at is None else (sent_at - (heard_at or at)).total_seconds()
        if presence.heard(self._seams.judging, self._host_id, at, clock_offset_seconds=offset):
            self._seams.presence_changed(self._host_id)

    def _judge_step(self) -> None:
        """Whether the agent owes us nothing of what it named; whoever judges is told when that changed."""
        seams = self._seams
        in_step = self._intake is not None and self._intake.committed >= self._named
        if self._connection.ending.done():
            return
        if presence.synced(seams.judging, self._host_id, seams.clock(), in_step):
            seams.presence_changed(self._host_id)

    def _broken(self, error: BaseException) -> Ending:
        refusal = error if isinstance(error, Refusal) else None
        if refusal is None and isinstance(error, WireError):
            refusal = Refusal(str(error), final=False, code=error.code)
        if refusal is not None:
            self._log.warning("agent refused", reason=str(refusal))
        else:
            known = isinstance(error, LastgoodError)
            self._log.error("reports cannot be taken", reason=str(error), exc_info=None if known else error)
            refusal = try_again("the hub could not store a report", self._greeting.signing)
        return Ending(code=refusal.code, reason=str(refusal), told=_told(refusal, self._greeting))


async def _refuse(socket: Socket, refusal: Refusal, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await socket.send(encode(_told(refusal, None)))
            await socket.close(refusal.code, shortened(str(refusal)))
    except (SocketClosed, TimeoutError):
        return


def _told(refusal: Refusal, greeting: Greeting | None) -> Refuse:
    signing = greeting.signing if greeting is not None else refusal.signing
    if signing is None:
        return Refuse(reason=str(refusal), final=False)
    return signing.refuse(str(refusal), final=refusal.final)
