"""What people ask of stacks: deploy this text, stop, restart; and the texts themselves, numbered and sealed.

Comes in: wishes with texts. Goes out: sealed rows, wishes on their agent's connection, texts in clear for who may
deploy. The one rule: a text leaves this file sealed for the database or inside a wish to its host's agent, and else
only by ``text``; a wish that cannot reach its agent is refused with a sentence and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog
from sqlalchemy import Connection as Rows

from lastgood.auth.secrets import Sealer, subkey
from lastgood.clock import Clock
from lastgood.errors import ConfigError, Refused, StoreError
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.hub.connection import Connection
from lastgood.hub.roster import Roster
from lastgood.hub.wishes import GIVEN_UP_AFTER, KEYS_REMEMBERED
from lastgood.model.fact import DeployFinished, Fact, StackForgotten
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction, StackKey
from lastgood.store import stacks
from lastgood.store.database import Database
from lastgood.wire.frames import CancelRun, DeployNow, Hello

ABILITY = "stacks"
ROUND_SECONDS = 5.0
TRIM_EVERY = timedelta(hours=1)
MOST_OF_A_HOST = 20
PURPOSE = "stack texts"
_LOST = "The agent came back and knows nothing of this, so nobody saw how it ended."
_NEVER_ARRIVED = "The agent went away before it heard of this; ask again."

_log = structlog.get_logger("lastgood.stacks")

Take = Callable[[Sequence[Fact]], Awaitable[object]]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A compose file and its ``.env``, as they are sealed."""

    text: str
    env: str | None = None

    def __repr__(self) -> str:
        return "Written(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackWish:
    """What somebody wants of a stack. ``written`` is a new text; ``text_number`` names one that was deployed."""

    action: StackAction
    host_id: str
    project: str
    written: Written | None = None
    text_number: int | None = None
    wait: bool = True
    take_over: bool = False
    seconds: float = 900.0

    @property
    def key(self) -> StackKey:
        return self.host_id, self.project


@dataclass(slots=True)
class _Waiting:
    host_id: str
    frame: DeployNow
    asked_at: datetime
    sent_over: datetime | None = None


class Stacks:
    """``take`` commits what the hub itself has to tell; ``keep_for`` is how long history is kept."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        roster: Roster,
        secret_key: bytes,
        take: Take,
        mint: Callable[[], str],
        clock: Clock,
        keep_for: timedelta,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._roster = roster
        self._sealer = Sealer(subkey(secret_key, PURPOSE))
        self._take = take
        self._mint = mint
        self._clock = clock
        self._keep_for = keep_for
        self._waiting: dict[str, _Waiting] = {}
        self._keys: dict[str, str] = {}
        self._trim_at: datetime | None = None
        for start in fleet.deploying.values():
            roster.words.expect(start.id, start.host_id)

    # --- what is asked ------------------------------------------------------------------------------------------

    async def start(self, wish: StackWish, by: str, key: str | None = None) -> str:
        """Have it done once; answers the deploy's id. Raises Refused.

        A second request with the same ``key`` gets the first one's deploy, and starts nothing.
        """
        before = None if key is None else self._keys.get(key)
        if before is not None:
            return before
        self._check(wish)
        deploy_id, now = self._mint(), self._clock()
        if key is not None:
            self._keys[key] = deploy_id
        sent = False
        try:
            frame = await self._asked(deploy_id, wish, by, now)
            waiting = self._waiting[deploy_id] = _Waiting(wish.host_id, frame, now)
            self._roster.words.expect(deploy_id, wish.host_id)
            if not await self._send(waiting):
                await self._withdraw(deploy_id)
                raise Refused(f"{self._away(wish.host_id)} Nothing was started.")
            sent = True
        finally:
            if not sent and key is not None:
                self._keys.pop(key, None)
        while len(self._keys) > KEYS_REMEMBERED:
            del self._keys[next(iter(self._keys))]
        _log.info("deploy asked for", action=wish.action.value, project=wish.project, deploy=deploy_id, by=by)
        return deploy_id

    async def cancel(self, host_id: str, deploy_id: str, by: str) -> None:
        """Have it ended. Raises Refused if it is not under way or its agent is away."""
        start = self._fleet.deploying.get(deploy_id)
        waiting = self._waiting.get(deploy_id)
        if (start is None or start.host_id != host_id) and (waiting is None or waiting.host_id != host_id):
            raise Refused(f"Deploy {deploy_id} is not under way; it may have ended already.", retry=False)
        if not await self._roster.send(host_id, CancelRun(run_id=deploy_id)):
            raise Refused(f"{self._away(host_id)} It goes on there.")
        _log.info("cancel of a deploy asked for", deploy=deploy_id, by=by)

    async def text(self, key: StackKey, number: int | None = None) -> tuple[int, Written] | None:
        """A text in clear, the newest without a number; None if there is none. Raises ConfigError."""
        found = await self._database.read(partial(stacks.find_text, key=key, number=number))
        return None if found is None else (found.number, self._open(key, found.number, found.sealed))

    async def forget(self, key: StackKey, origin: str) -> None:
        """Forget texts and history of a stack; its containers are not touched. Raises Refused while one runs."""
        if any(one.key == key for one in self._fleet.deploying.values()):
            raise Refused(f"A deploy of {key[1]} is under way; wait for its end.")
        fact = StackForgotten(at=self._clock(), origin=origin, host_id=key[0], project=key[1])
        await self._take([fact])
        await self._database.write(partial(stacks.forget_stack, key=key))

    def waiting_of(self, host_id: str) -> set[str]:
        """The deploys that were asked for and not heard of."""
        return {one.frame.id for one in self._waiting.values() if one.host_id == host_id}

    # --- what is learned ----------------------------------------------------------------------------------------

    def learned(self, changes: Changes) -> None:
        """What was heard of waits no more."""
        for deploy_id in changes.deploys:
            self._waiting.pop(deploy_id, None)
            start = self._fleet.deploying.get(deploy_id)
            if start is None:
                self._roster.words.over(deploy_id)
            else:
                self._roster.words.expect(deploy_id, start.host_id)
        for one in list(self._waiting.values()) if changes.hosts else ():
            if one.host_id not in self._fleet.hosts:
                del self._waiting[one.frame.id]
        if any(host_id not in self._fleet.hosts for host_id in changes.hosts):
            self._trim_at = None  # its texts go with it

    async def back(self, host_id: str, connection: Connection) -> None:
        """The agent is here and has told all it had to tell: send again what it does not know, end what it lost."""
        hello = connection.hello
        for one in list(self._waiting.values()):
            if one.host_id == host_id and one.sent_over != connection.greeted_at:
                if one.frame.id in hello.running:
                    one.sent_over = connection.greeted_at
                elif one.frame.id in self._waiting:
                    _log.info("deploy asked for again", deploy=one.frame.id)
                    await self._send(one)
        lost = self._lost(host_id, hello, connection.greeted_at)
        if lost:
            try:
                await self._take(lost)
            except StoreError as error:
                _log.error("lost deploys could not be written; they are found again", error=str(error))

    def is_behind(self, host_id: str, connection: Connection) -> bool:
        """Whether ``back`` has something to do."""
        waits = (one for one in self._waiting.values() if one.host_id == host_id)
        again = any(one.sent_over != connection.greeted_at for one in waits)
        return again or bool(self._lost(host_id, connection.hello, connection.greeted_at))

    async def run(self) -> None:
        """Until cancelled: give up what never arrived, and let old texts and deploys go."""
        while True:
            try:
                await self.round()
            except StoreError as error:
                _log.error("chores of stacks put off", error=str(error))
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        now = self._clock()
        overdue = [
            one
            for one in self._waiting.values()
            if now - one.asked_at >= GIVEN_UP_AFTER and one.host_id not in self._roster
        ]
        if overdue:
            ids = [one.frame.id for one in overdue]
            await self._database.write(lambda rows: stacks.end_unheard(rows, ids, now, _NEVER_ARRIVED))
            for deploy_id in ids:
                self._waiting.pop(deploy_id, None)
                self._roster.words.over(deploy_id)
        if self._trim_at is None or now >= self._trim_at:
            self._trim_at = now + TRIM_EVERY
            await self._trim(now)

    async def _trim(self, now: datetime) -> None:
        unheard = now - GIVEN_UP_AFTER - TRIM_EVERY
        await self._database.write(lambda rows: stacks.end_unheard_before(rows, unheard, now, _NEVER_ARRIVED))
        for host_id in await self._database.read(stacks.stack_hosts) - self._fleet.hosts.keys():
            await self._database.write(partial(stacks.forget_texts_of_host, host_id=host_id))
        before = now - self._keep_for
        while await self._database.write(lambda rows: stacks.trim_stacks(rows, before)):
            pass

    # --- within -------------------------------------------------------------------------------------------------

    def _check(self, wish: StackWish) -> None:
        host = self._fleet.hosts.get(wish.host_id)
        if host is None:
            raise Refused(f"There is no host {wish.host_id}; it may have been removed.", retry=False)
        connection = self._roster.connection(wish.host_id)
        if connection is None:
            raise Refused(f"{self._away(wish.host_id)} Nothing was started.")
        if ABILITY not in connection.hello.info.abilities:
            raise Refused(f"The agent of {host.name} is too old to deploy stacks; update it.", retry=False)
        if len(self.waiting_of(wish.host_id)) >= MOST_OF_A_HOST:
            raise Refused("More than enough waits for this host already; wait until some of it is done.")

    async def _asked(self, deploy_id: str, wish: StackWish, by: str, now: datetime) -> DeployNow:
        """The wish as it goes to the agent, with its text and itself in the database."""
        written, number = wish.written, wish.text_number
        same: int | None = None
        if written is not None:
            newest = await self._text_or_none(wish.key)
            same = newest[0] if newest is not None and newest[1] == written else None
        elif number is not None:
            found = await self.text(wish.key, number)
            if found is None:
                raise Refused(f"Text {number} of {wish.project} is not kept; list its texts.", retry=False)
            written = found[1]

        def keep(rows: Rows) -> int | None:
            kept = number
            if wish.written is not None:
                raw = msgspec.json.encode(wish.written)
                seal = partial(self._seal, wish.key, raw)
                kept = stacks.add_text(rows, wish.key, at=now, by=by, seal=seal, same=same)
            stacks.add_asked(rows, deploy_id, wish.key, wish.action, at=now, by=by, text_number=kept)
            return kept

        kept = await self._database.write(keep)
        return DeployNow(
            id=deploy_id,
            action=wish.action,
            project=wish.project,
            text=None if written is None else written.text,
            env=None if written is None else written.env,
            text_number=kept,
            wait=wish.wait,
            take_over=wish.take_over,
            seconds=wish.seconds,
        )

    async def _text_or_none(self, key: StackKey) -> tuple[int, Written] | None:
        try:
            return await self.text(key)
        except ConfigError as error:
            _log.error("the text of a stack does not open", project=key[1], reason=str(error))
            return None

    def _seal(self, key: StackKey, raw: bytes, number: int) -> bytes:
        return self._sealer.seal(_row_id(key, number), raw)

    def _open(self, key: StackKey, number: int, sealed: bytes) -> Written:
        try:
            return msgspec.json.decode(self._sealer.open(_row_id(key, number), sealed), type=Written)
        except msgspec.DecodeError as error:
            raise ConfigError(f"Text {number} of {key[1]} cannot be read; deploy it anew.") from error

    async def _send(self, waiting: _Waiting) -> bool:
        connection = self._roster.connection(waiting.host_id)
        if connection is None or not await self._roster.send(waiting.host_id, waiting.frame):
            return False
        waiting.sent_over = connection.greeted_at
        return True

    async def _withdraw(self, deploy_id: str) -> None:
        self._waiting.pop(deploy_id, None)
        self._roster.words.over(deploy_id)
        await self._database.write(partial(stacks.take_back, deploy_id=deploy_id))

    def _lost(self, host_id: str, hello: Hello, greeted_at: datetime) -> list[DeployFinished]:
        """What is held for under way and its agent does not have; as in ``orphans``, the earlier clock decides."""
        said_at, now = min(hello.sent_at, greeted_at), self._clock()
        lost = []
        for start in self._fleet.deploying.values():
            if start.host_id != host_id or start.id in hello.running or start.started_at >= said_at:
                continue
            ended_at = max(start.started_at, min(said_at, now))
            deploy = Deploy(
                id=start.id,
                action=start.action,
                outcome=Outcome.LOST,
                host_id=host_id,
                project=start.project,
                started_at=start.started_at,
                ended_at=ended_at,
                duration_seconds=(ended_at - start.started_at).total_seconds(),
                text_number=start.text_number,
                touched=True,
                cause="lost",
                reason=_LOST,
            )
            lost.append(DeployFinished(at=now, origin="hub:stacks", deploy=deploy))
        return lost

    def _away(self, host_id: str) -> str:
        host = self._fleet.hosts.get(host_id)
        return f"The agent of {host.name if host else host_id} is not connected; see that it runs and ask again."


def _row_id(key: StackKey, number: int) -> str:
    return f"stack:{key[0]}:{key[1]}:{number}"
