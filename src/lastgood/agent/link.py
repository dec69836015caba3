"""The agent's connection to its hub: kept up, and everything in the spool delivered over it.

Reports leave the spool here, in order, from where the hub says it is; orders come in and go to ``receive``. The one
rule: only the hub's ``Ack`` removes a report, so that a connection may be cut anywhere. Progress and other words that
may be lost go out if the hub happens to be there.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI, WebSocketException

from lastgood.agent import tls
from lastgood.agent.address import is_loopback
from lastgood.agent.backoff import Backoff
from lastgood.agent.handshake import HubRefused, Pinned, Proof, decode, greet, refusal, to_text
from lastgood.agent.spool import Spool
from lastgood.agent.spool_file import Met
from lastgood.auth.identity import KeyPair
from lastgood.clock import Clock
from lastgood.errors import LastgoodError, WireError
from lastgood.model.host import AgentInfo
from lastgood.wire import frames
from lastgood.wire.frames import (
    Ack,
    Assignment,
    CancelRun,
    DeployNow,
    Frame,
    Heartbeat,
    Hello,
    LookNow,
    Ping,
    Pong,
    Refuse,
    RunNow,
    Welcome,
)

log = structlog.get_logger(__name__)

Order = Assignment | RunNow | CancelRun | LookNow | DeployNow
_BATCH = 64
_MOST_WORDS = 16
_OPEN_SECONDS = 45.0
"""A hub to which many come at once lets them in one after the other."""
_CLOSE_SECONDS = 1.0
_PING_SECONDS = 20.0
_STEADY_SECONDS = 30.0
"""A connection that lived so long, or brought an acknowledgement, was a good one: the next wait begins small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a hello says beside identity and spool."""

    info: AgentInfo
    hostname: str
    assignment_version: str | None
    running: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What the link asks of the agent around it.

    ``survey_all`` is called when the two sides' marks do not meet: what was lost between them can be looked up again.
    ``keys`` answers the key of this moment, which may have been changed since the last connection.
    """

    describe: Callable[[], Awaitable[Described]]
    receive: Callable[[Order], Awaitable[object]]
    survey_all: Callable[[], None]
    keys: Callable[[], KeyPair] | None = None


class Link:
    """One agent's link; ``run`` keeps it up until cancelled or refused for good."""

    def __init__(
        self,
        address: str,
        pinned: Pinned,
        spool: Spool,
        seams: Seams,
        clock: Clock,
        backoff: Backoff | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._trust = trust
        self._pinned = pinned
        self._spool = spool
        self._seams = seams
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._socket: ClientConnection | None = None
        self.complaint = ""
        """Why the hub is away; empty while it is there."""
        self.connected_at: datetime | None = None
        """When the newest connection was made, whether it still holds or not."""
        self._words: deque[Frame] = deque(maxlen=_MOST_WORDS)
        self._spoken = asyncio.Event()
        self._moved = asyncio.Event()
        """Set when the hub acknowledged something."""

    @property
    def is_up(self) -> bool:
        """Whether the hub is there and has proved itself."""
        return self._socket is not None

    async def run(self) -> None:
        """Connect, deliver, and connect again. Raises HubRefused when the hub wants us no more."""
        loop = asyncio.get_running_loop()
        while True:
            began, acknowledged = loop.time(), self._spool.acknowledged
            anew = False
            try:
                anew = await self._connect_once()
            except HubRefused:
                raise
            except (LastgoodError, OSError, TimeoutError, WebSocketException) as error:
                self._complain(_words(error))
            finally:
                self._socket = None
                self._spool.part()
            if anew or loop.time() - began > _STEADY_SECONDS or self._spool.acknowledged > acknowledged:
                self._backoff.reset()
            if not anew:
                await asyncio.sleep(self._backoff.delay())

    def tell(self, frame: Frame) -> None:
        """Send something that may be lost, if the hub is there and keeps up."""
        if self._socket is not None:
            self._words.append(frame)
            self._spoken.set()

    async def delivered(self) -> None:
        """Return once the hub has everything that the spool holds; wait for it if it is away."""
        while True:
            self._moved.clear()
            if await self._spool.owed() <= self._spool.acknowledged:
                return
            await self._moved.wait()

    async def _connect_once(self) -> bool:
        """One connection to its end; True if the next should follow at once."""
        # Asked beforehand: the hub waits ten seconds for a hello, and a program on a sick disk may answer later.
        described = await self._seams.describe()
        keys = self._seams.keys
        pinned = self._pinned if keys is None else replace(self._pinned, keys=keys())

        async def hello(protocol: int, nonce: str, signature: str) -> Hello:
            return await self._hello(described, pinned, protocol, nonce, signature)

        # A proxy from the environment is for the way out; the hub on this machine is not behind it.
        here = is_loopback(urlsplit(self._address).hostname or "")
        async with connect(
            self._address,
            proxy=None if here else True,
            ssl=self._trust if self._address.startswith("wss:") else None,
            compression=None,
            max_size=frames.FRAME_LIMIT,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
        ) as socket:
            welcome, proof = await greet(socket, pinned, hello)
            met = await self._spool.meet(welcome.acknowledged)
            if met is not Met.IN_STEP:
                log.warning("marks do not meet, surveying everything", found=met.value, spool=self._spool.id)
                self._seams.survey_all()
            if met is Met.ROLLED_BACK:
                return True
            log.info("hub connected", address=self._address, version=welcome.hub_version)
            self.complaint, self.connected_at, self._socket = "", self._clock(), socket
            self._words.clear()
            self._moved.set()
            await self._talk(socket, welcome, proof)
        return False

    async def _hello(self, described: Described, pinned: Pinned, protocol: int, nonce: str, signature: str) -> Hello:
        return Hello(
            protocol=protocol,
            host_id=pinned.host_id,
            key=to_text(pinned.keys.public_key),
            nonce=nonce,
            signature=signature,
            info=described.info,
            hostname=described.hostname,
            spool_id=self._spool.id,
            last_sequence=await self._spool.owed(),
            sent_at=self._clock(),
            assignment_version=described.assignment_version,
            running=described.running,
        )

    async def _talk(self, socket: ClientConnection, welcome: Welcome, proof: Proof) -> None:
        parts = (
            self._read(socket, proof),
            self._deliver(socket, welcome.acknowledged),
            self._speak(socket),
            self._beat(socket, min(max(welcome.heartbeat_seconds, 0.05), 300.0)),
        )
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # The reader knows best why it ended: a refusal came before the close that the others saw.
        for task in sorted(done, key=tasks.index):
            task.result()

    async def _read(self, socket: ClientConnection, proof: Proof) -> None:
        while True:
            match decode(await socket.recv()):
                case Ack(sequence=sequence):
                    await self._spool.acknowledge(sequence)
                    self._moved.set()
                case Ping(nonce=nonce):
                    await socket.send(frames.encode(Pong(nonce=nonce)).decode())
                case Assignment() | RunNow() | CancelRun() | LookNow() | DeployNow() as order:
                    await self._seams.receive(order)
                case Refuse() as refuse:
                    raise refusal(refuse, proof)
                case frame:
                    raise WireError(
                        f"The hub sent {type(frame).__name__} in mid-connection; update the older of both."
                    )

    async def _deliver(self, socket: ClientConnection, sent: int) -> None:
        while True:
            self._spool.changed.clear()
            while reports := await self._spool.after(sent, _BATCH):
                for report in reports:
                    await socket.send(frames.encode(report).decode())
                    sent = report.sequence
            await self._spool.changed.wait()

    async def _speak(self, socket: ClientConnection) -> None:
        while True:
            await self._spoken.wait()
            self._spoken.clear()
            while self._words:
                await socket.send(frames.encode(self._words.popleft()).decode())

    async def _beat(self, socket: ClientConnection, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            beat = Heartbeat(sent_at=self._clock(), last_sequence=await self._spool.owed())
            await socket.send(frames.encode(beat).decode())

    def _complain(self, reason: str) -> None:
        """Log why the hub is away: once a reason, not once a try."""
        tell = log.debug if reason == self.complaint else log.warning
        self.complaint = reason
        tell("hub is away, going on without it", address=self._address, reason=reason)


def _words(error: BaseException) -> str:
    if (of_tls := tls.words(error)) is not None:
        return of_tls
    match error:
        case ConnectionClosed(rcvd=close) if close is not None:
            return f"the hub closed the connection: {close.reason or close.code}"
        case InvalidHandshake() | InvalidURI():
            return f"no agent WebSocket there: {error}"
        case OSError(strerror=str(text)):
            return text
    return str(error) or type(error).__name__
