"""A hub's end of the link on a real loopback socket: real sessions over a store that is a dictionary.

The store keeps the rule of the real one: a report is kept if its stream stands at ``after``, once. What it does not
take, delays or cuts is up to the test. ``Caller`` is an agent made of single steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from lastgood.agent.handshake import to_text
from lastgood.auth.identity import KeyPair, mint_key_pair, sign
from lastgood.clock import now
from lastgood.errors import StoreError
from lastgood.fleet.fleet import Judging
from lastgood.hub.intake import Mark
from lastgood.hub.roster import Roster
from lastgood.hub.session import Limits, Seams
from lastgood.hub.session import serve as serve_session
from lastgood.hub.socket import SocketClosed
from lastgood.model.host import AgentInfo, Host
from lastgood.model.repository import Probe
from lastgood.wire import frames
from lastgood.wire.frames import Assignment, Finished, Frame, Hello, Probed, Report, Said, Started, ToAgent
from tests.builders import a_host, a_run, a_run_start, a_source, an_id

AGENT_KEYS = mint_key_pair(b"a" * 32)
HUB_KEYS = mint_key_pair(b"h" * 32)
HOST = a_host(key=to_text(AGENT_KEYS.public_key))
INFO = AgentInfo(agent_version="1.0", restic_version="0.14.0", os="linux", arch="amd64", protocol=1)
SPOOL = an_id("spool")


def started(number: int) -> Started:
    """A run's start like no other."""
    return Started(run=a_run_start(a_source(f"source-{number}"), id=an_id("run", number)))


def finished(number: int, log: str = "") -> Finished:
    return Finished(run=a_run(a_source(f"source-{number}"), id=an_id("run", number)), log=log)


def a_survey(number: int, repository: str = "vault") -> Probed:
    return Probed(
        repository_id=an_id("repository", repository), probe=Probe.READY, probed_at=now(), message=f"look {number}"
    )


class _Socket:
    """The hub's ``Socket`` over one connection of websockets."""

    def __init__(self, connection: ServerConnection, rig: Rig) -> None:
        self._connection = connection
        self._rig = rig

    async def receive(self) -> str | bytes:
        try:
            data = await self._connection.recv()
        except ConnectionClosed as error:
            raise SocketClosed("gone") from error
        self._rig.received(self._connection)
        return data

    async def send(self, data: bytes) -> None:
        try:
            await self._connection.send(data.decode())
        except ConnectionClosed as error:
            raise SocketClosed("gone") from error

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code, reason)


@dataclass
class Rig:
    """The hub side. ``kept`` is what was committed, in order."""

    limits: Limits = field(default_factory=Limits)
    keys: KeyPair = HUB_KEYS
    hosts: dict[str, Host] = field(default_factory=lambda: {HOST.id: HOST})
    kept: list[tuple[str, int, Said]] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    judging: Judging = field(default_factory=Judging)
    changed: list[str] = field(default_factory=list)
    infos: list[AgentInfo] = field(default_factory=list)
    orders: Assignment = field(default_factory=lambda: Assignment(version="1", repositories=(), orders=()))
    failures: int = 0
    taking: int = 0
    cut_after: list[int] = field(default_factory=list)
    """The connection is cut when so many more frames came; one number a cut."""
    port: int = 0

    def __post_init__(self) -> None:
        self.roster = Roster()
        self.gate = asyncio.Event()
        self.gate.set()
        self.grew = asyncio.Condition()
        self._frames = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/agent"

    @property
    def said(self) -> list[Said]:
        return [said for _, _, said in self.kept]

    def seams(self) -> Seams:
        return Seams(
            keys=self.keys,
            find_host=self.hosts.get,
            take=self.take,
            committed=self.committed,
            assignment=lambda host_id: self.orders,
            reported=self.reported,
            rekeyed=self.rekeyed,
            presence_changed=self.changed.append,
            judging=self.judging,
            roster=self.roster,
            clock=now,
            limits=self.limits,
        )

    async def take(self, said: Said, host_id: str, mark: Mark, log: str) -> None:
        self.taking += 1
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if self.failures:
                self.failures -= 1
                raise StoreError("The disk is full; free some space.")
            standing = self.marks.get(mark.stream, 0)
            if mark.position <= standing:
                return
            if mark.after > standing:
                raise StoreError("Something before it was not kept.")
            self.marks[mark.stream] = mark.position
            self.kept.append((mark.stream, mark.position, said))
            self.logs.append(log)
        finally:
            self.taking -= 1
            async with self.grew:
                self.grew.notify_all()

    async def committed(self, host_id: str, spool_id: str) -> int:
        return self.marks.get(spool_id, 0)

    async def reported(self, host_id: str, info: AgentInfo) -> None:
        self.infos.append(info)

    async def rekeyed(self, host_id: str, key: str) -> None:
        self.hosts[host_id] = replace(self.hosts[host_id], key=key, next_key=None)

    def received(self, connection: ServerConnection) -> None:
        """Cut the connection, without a close frame, at the moment the test chose."""
        self._frames += 1
        if self.cut_after and self._frames >= self.cut_after[0]:
            self.cut_after.pop(0)
            self._frames = 0
            connection.transport.abort()

    async def until_kept(self, count: int, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds), self.grew:
            await self.grew.wait_for(lambda: len(self.kept) >= count)

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Rig]:
        """Take agents while the block runs."""

        async def one(connection: ServerConnection) -> None:
            await serve_session(_Socket(connection, self), self.seams())

        async with serve(
            one, "127.0.0.1", port, compression=None, max_size=2 * frames.FRAME_LIMIT, close_timeout=1
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.roster.draining = False
            yield self
            self.gate.set()
            await self.roster.close_all(2.0)


class Caller:
    """An agent that does exactly what the test says."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.challenge: frames.Challenge | None = None

    async def next(self, kind: type[Any] | None = None, seconds: float = 5.0) -> Any:
        """The next frame, or the next one of a kind."""
        async with asyncio.timeout(seconds):
            while True:
                frame = frames.decode_to_agent(await self.socket.recv())
                if kind is None or isinstance(frame, kind):
                    return frame

    async def rest(self) -> tuple[list[ToAgent], int, str]:
        """All frames up to the end of the connection, and how it was closed."""
        found = []
        async with asyncio.timeout(10):
            try:
                while True:
                    found.append(frames.decode_to_agent(await self.socket.recv()))
            except ConnectionClosed as closed:
                assert closed.rcvd is not None, "the hub said why"
                return found, closed.rcvd.code, closed.rcvd.reason

    async def send(self, *said: Frame) -> None:
        for frame in said:
            await self.socket.send(frames.encode(frame).decode())

    async def report(self, *numbers: int) -> None:
        await self.send(*(Report(sequence=number, said=started(number)) for number in numbers))

    async def hello(self, keys: KeyPair = AGENT_KEYS, host_id: str = HOST.id, **changes: Any) -> Hello:
        """Answer the challenge."""
        challenge = self.challenge = await self.next(frames.Challenge)
        nonce, key = to_text(os.urandom(32)), to_text(keys.public_key)
        parts = frames.signed_parts(challenge.nonce, nonce, challenge.hub_key, key, host_id)
        fields = {
            "protocol": 1,
            "host_id": host_id,
            "key": key,
            "nonce": nonce,
            "signature": to_text(sign(keys.private_key, frames.HELLO_CONTEXT, *parts)),
            "info": INFO,
            "hostname": "web-1",
            "spool_id": SPOOL,
            "last_sequence": 0,
            "sent_at": now(),
        }
        hello = Hello(**{**fields, **changes})
        await self.send(hello)
        return hello


@contextlib.asynccontextmanager
async def calling(rig: Rig) -> AsyncIterator[Caller]:
    """A connection to the hub on which nothing was said yet."""
    async with connect(rig.url, compression=None, proxy=None, close_timeout=1) as socket:
        yield Caller(socket)


@contextlib.asynccontextmanager
async def welcomed(rig: Rig, **changes: Any) -> AsyncIterator[Caller]:
    """A connection of the rig's host, past welcome and assignment."""
    async with calling(rig) as caller:
        await caller.hello(**changes)
        await caller.next(frames.Welcome)
        await caller.next(Assignment)
        yield caller
