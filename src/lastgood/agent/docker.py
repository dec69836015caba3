"""Watches this host's container engine and reports what it holds, when that changes.

Events say when to look, lists say what is there; a survey goes to the spool. The one rule: an engine that hangs,
restarts or lies about its events costs time and never truth: every minute there is a list, every ten seconds a ping,
and what was told last stands until something newer is known. A host without an engine pays a few stats a minute.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from lastgood.agent import docker_memory
from lastgood.agent.policy import Policy
from lastgood.agent.spool import Spool
from lastgood.clock import Clock
from lastgood.errors import BadPayload, CollectError, ConfigError, LastgoodError, Refused
from lastgood.model.docker import Engine, EngineState, Inventory
from lastgood.tools.docker import translate
from lastgood.tools.docker.client import PING_SECONDS, Client
from lastgood.tools.docker.endpoint import Endpoint, find
from lastgood.tools.docker.lives import Lives
from lastgood.tools.docker.survey import Survey
from lastgood.wire.frames import Docker

log = structlog.get_logger(__name__)

OVERLAP_SECONDS = 60
FIRST_OVERLAP_SECONDS = 600
"""How far back the stream is asked: the engine remembers its last 256 events."""

OPEN_SECONDS = 2.0
"""How long the first list waits for the stream, so that nothing falls between the two."""

_STATES = {"silent": EngineState.SILENT, "down": EngineState.DOWN, "refused": EngineState.REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds. ``search``: between looks for an engine; ``settle``: how long what happens is gathered; ``spacing``:
    between surveys; ``refill``: one survey in so long once ``burst`` were told shortly after each other."""

    search: float = 60.0
    ping: float = 10.0
    answer: float = PING_SECONDS
    listing: float = 60.0
    settle: float = 0.5
    spacing: float = 2.0
    burst: int = 6
    refill: float = 15.0
    retell: float = 3600.0
    information: float = 600.0
    patience: float = 10.0
    """An engine that is back sooner was never told to be away."""
    again: float = 1.0
    slowest: float = 30.0


PACE = Pace()


class DockerWatch:
    """The watcher of one agent; ``run`` goes on until cancelled."""

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        policy: Callable[[], Policy],
        folder: Path,
        environment: Mapping[str, str] = os.environ,
        pace: Pace = PACE,
    ) -> None:
        self._spool, self._clock, self._policy = spool, clock, policy
        self._memory = folder / docker_memory.NAME
        self._environment, self._pace = environment, pace
        self._lives: Lives | None = None
        self._engine: Engine | None = None
        """As it was when it last answered."""
        self._told: tuple[Engine, Inventory | None] | None = None
        self._told_at = 0.0
        self._went_at: float | None = None
        self._silent_since: datetime | None = None
        self._complaint = ""
        self._running: frozenset[str] = frozenset()
        self._since: int | None = None
        self._tokens, self._filled_at = float(pace.burst), time.monotonic()
        self._nudged = asyncio.Event()
        self._changed: set[str] = set()

    def tell_again(self) -> None:
        """The hub may have lost what it was told."""
        self._told = None
        self._nudged.set()

    async def run(self) -> None:
        """Watch whatever engine this host has, for ever."""
        wait = self._pace.again
        while True:
            endpoint = self._endpoint()
            if endpoint is None or endpoint.problem is not None:
                await self._tell_none(endpoint)
                await asyncio.sleep(self._pace.search)
                continue
            began = time.monotonic()
            try:
                await self._follow(endpoint)
            except* LastgoodError as group:
                await self._away(endpoint, _first(group))
            # One that stays away is asked less and less often.
            answered = self._went_at is None
            wait = self._pace.again if answered else min(wait * 1.5, self._pace.slowest)
            await asyncio.sleep(max(wait - (time.monotonic() - began if answered else 0.0), self._pace.again / 10))

    # --- which engine ---------------------------------------------------------------------------------------------

    def _endpoint(self) -> Endpoint | None:
        """The engine to watch by what this host's policy says now; None for none."""
        mode, told = self._wish()
        return None if mode == "off" else find(self._environment, os.geteuid(), told)

    def _wish(self) -> tuple[str, str | None]:
        try:
            policy = self._policy()
        except ConfigError:
            return "auto", None  # looking writes nothing, so it goes on
        return policy.docker, policy.docker_socket

    async def _tell_none(self, endpoint: Endpoint | None) -> None:
        """There is nothing to watch. A host on which there never was says nothing of it."""
        mode, _ = self._wish()
        if endpoint is not None:
            engine = Engine(state=EngineState.UNSUPPORTED, endpoint=endpoint.url, message=endpoint.problem)
            await self._tell_engine(replace(engine, local=endpoint.local))
        elif mode == "off":
            if self._memory.exists() or self._told is not None:
                await self._tell_engine(Engine(state=EngineState.OFF))
                docker_memory.forget(self._memory)
        elif mode == "on" or self._memory.exists():
            held = self._engine or Engine(state=EngineState.DOWN)
            message = 'No container engine listens on this host; start it, or write docker = "off" in the policy.'
            await self._tell_engine(replace(held, state=EngineState.DOWN, message=message))

    # --- one connection -------------------------------------------------------------------------------------------

    async def _follow(self, endpoint: Endpoint) -> None:
        """One connection to its end; raises what ended it, and returns when another engine is to be watched."""
        if self._lives is None:
            self._lives = Lives(docker_memory.load(self._memory))
        client = Client(endpoint, self._pace.answer)
        survey: Survey | None = None
        try:
            await client.ping()
            self._engine = await self._met(client, endpoint)
            survey = Survey(client, self._lives, local=self._engine.local)
            async with asyncio.TaskGroup() as group:
                opened = asyncio.Event()
                stream = group.create_task(self._stream(client, opened))
                pinging = group.create_task(self._keep_pinging(client))
                await _either(opened, stream)
                await self._keep_surveying(client, endpoint, survey)
                stream.cancel()
                pinging.cancel()
        finally:
            if survey is not None:
                self._running = survey.running
                survey.close()
            await client.close()

    async def _met(self, client: Client, endpoint: Endpoint) -> Engine:
        """The engine answers, perhaps again."""
        engine = await self._ask_engine(client, endpoint)
        before = self._engine
        engine = replace(engine, restarted_at=None if before is None else before.restarted_at)
        if self._went_at is not None and before is not None:
            engine = replace(engine, restarted_at=self._clock())
            log.info("container engine is back", endpoint=endpoint.url)
        self._went_at, self._silent_since = None, None
        return engine

    async def _ask_engine(self, client: Client, endpoint: Endpoint) -> Engine:
        info = await client.info()
        return translate.engine(
            info, client.kind, client.api_version, endpoint.url, self._clock(), local=endpoint.local
        )

    async def _keep_pinging(self, client: Client) -> None:
        """Raises when the engine answers no more, whatever the stream says: a quiet one may be a dead one."""
        while True:
            await asyncio.sleep(self._pace.ping)
            try:
                await client.ping()
            except CollectError:
                await client.ping()

    async def _stream(self, client: Client, opened: asyncio.Event) -> None:
        """Take events in. Who may not have any looks at the lists more often; an end of the stream is an error."""
        assert self._lives is not None
        now = int(self._clock().timestamp())
        back = FIRST_OVERLAP_SECONDS if self._since is None else OVERLAP_SECONDS
        since = now - back if self._since is None else min(self._since, now) - back
        self._since = now
        try:
            async for event in client.events(since, opened):
                self._since = max(self._since, event.time)
                if self._lives.take(event) and (event.type == "container" or event.action in ("create", "destroy")):
                    self._changed.add(event.actor.id)
                    self._nudged.set()
        except (Refused, BadPayload) as error:
            log.warning("the engine gives no events, its lists are read instead", reason=str(error))
            while True:
                await asyncio.sleep(self._pace.refill)
                self._nudged.set()
        raise CollectError("The engine ended the stream of its events.", cause="stream")

    async def _keep_surveying(self, client: Client, endpoint: Endpoint, survey: Survey) -> None:
        """Look when something happened, and every minute anyway; return when this engine is not ours any more."""
        assert self._engine is not None and self._lives is not None
        asked_at = time.monotonic()
        while True:
            self._nudged.clear()
            changed, self._changed = self._changed, set()
            if time.monotonic() - asked_at > self._pace.information:
                told = await self._ask_engine(client, endpoint)
                self._engine = replace(told, restarted_at=self._engine.restarted_at)
                asked_at = time.monotonic()
            now = self._clock().timestamp() + (self._engine.clock_offset_seconds or 0)
            inventory = await survey.look(changed, now)
            self._running, self._complaint = survey.running, ""
            await self._tell(inventory)
            await asyncio.sleep(max(self._pace.spacing, self._until_token()))
            await _within(self._pace.listing, self._nudged)
            await asyncio.sleep(self._pace.settle)
            if self._endpoint() != endpoint:
                return

    async def _away(self, endpoint: Endpoint, error: LastgoodError) -> None:
        """A connection ended. One that is back at once was cut on the way, and says nothing of the engine."""
        cause = getattr(error, "cause", None)
        if cause == "stream":
            return
        if str(error) != self._complaint:
            self._complaint = str(error)
            log.warning("container engine cannot be watched", endpoint=endpoint.url, reason=str(error))
        if self._went_at is None and cause in _STATES:
            self._went_at = time.monotonic()
            if self._lives is not None and cause == "down":
                self._lives.engine_went(self._clock().timestamp(), self._running)
        state = _STATES.get(cause or "", EngineState.UNSUPPORTED)
        if state is EngineState.SILENT:
            self._silent_since = self._silent_since or self._clock()
        elif state is EngineState.DOWN and time.monotonic() - (self._went_at or 0.0) < self._pace.patience:
            return
        held = self._engine or Engine(state=state, endpoint=endpoint.url, local=endpoint.local)
        await self._tell_engine(replace(held, state=state, message=str(error), silent_since=self._silent_since))

    # --- telling --------------------------------------------------------------------------------------------------

    async def _tell(self, inventory: Inventory) -> None:
        assert self._engine is not None and self._lives is not None
        await asyncio.to_thread(docker_memory.save, self._memory, self._lives.held())
        now = time.monotonic()
        if self._told == (self._engine, inventory) and now - self._told_at < self._pace.retell:
            return
        if self._told is not None and self._told[1] == inventory and now - self._told_at < self._pace.retell:
            await self._tell_engine(self._engine)
            return
        self._tokens = self._filled() - 1.0
        if await self._add(Docker(listed_at=self._clock(), engine=self._engine, inventory=inventory)):
            self._told, self._told_at = (self._engine, inventory), now

    async def _tell_engine(self, engine: Engine) -> None:
        """Only how the engine stands; what it holds is as it was."""
        if self._told is not None and self._told[0] == engine:
            return
        if await self._add(Docker(listed_at=self._clock(), engine=engine)):
            self._told = (engine, None if engine.state is not EngineState.UP or self._told is None else self._told[1])

    async def _add(self, report: Docker) -> bool:
        try:
            await self._spool.add(report)
        except LastgoodError as error:
            log.error("what the container engine holds was not reported, tried again", reason=str(error))
            return False
        return True

    def _filled(self) -> float:
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._filled_at) / self._pace.refill, float(self._pace.burst))
        self._filled_at = now
        return self._tokens

    def _until_token(self) -> float:
        """Seconds until the next survey may be told: a container that never rests must not flood the hub."""
        return max(1.0 - self._filled(), 0.0) * self._pace.refill


def _first(group: BaseExceptionGroup[LastgoodError]) -> LastgoodError:
    """The fault that says most: a ping knows better than a stream that ended."""
    found: list[LastgoodError] = []
    left: list[BaseException] = [group]
    while left:
        one = left.pop()
        if isinstance(one, BaseExceptionGroup):
            left.extend(one.exceptions)
        elif isinstance(one, LastgoodError):
            found.append(one)
    return min(found, key=lambda one: getattr(one, "cause", None) in (None, "stream"))


async def _either(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Until the event is set, or the task ends or waits for something else for long."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED, timeout=OPEN_SECONDS)
    finally:
        waiting.cancel()


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
