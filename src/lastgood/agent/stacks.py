"""The stacks of this host: who wants one deployed, stopped or restarted, in which order, and what is told of it.

Wishes of the hub come in; reports go to the spool, live lines to the link. ``deploying`` does the work. The one rule:
a deploy that was accepted ends in a report, whatever becomes of hub and agent; two never work at one stack at a time.
Deploys do not wait for backups, nor backups for them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from lastgood.agent.deploying import Deploying, Done
from lastgood.agent.ending import REASON_CHARACTERS, Cannot
from lastgood.agent.policy import Policy
from lastgood.agent.spool import Spool
from lastgood.agent.stack_folder import STACKS, mend_all
from lastgood.agent.stack_words import StackWords
from lastgood.clock import Clock
from lastgood.errors import CollectError, ConfigError, LastgoodError
from lastgood.model.job import Outcome
from lastgood.model.stack import LONGEST_PROJECT, Deploy, DeployStart
from lastgood.tools.docker import compose
from lastgood.wire.frames import DeployBegun, DeployEnded, DeployNow, DeployWords, Frame

log = structlog.get_logger(__name__)

AT_ONCE = 4
MOST_WAITING = 20
TELL_SECONDS = 0.5
_STOPPED = "The agent was stopped before it began."


@dataclass(slots=True)
class _Work:
    wish: DeployNow
    words: StackWords = field(default_factory=StackWords)
    cancel: asyncio.Event = field(default_factory=asyncio.Event)


class Stacks:
    """``tell`` sends words that may be lost; ``policy`` is asked anew for each deploy."""

    def __init__(
        self,
        folder: Path,
        spool: Spool,
        host_id: str,
        tell: Callable[[Frame], None],
        policy: Callable[[], Policy],
        clock: Clock,
        own_environment: Mapping[str, str] | None = None,
    ) -> None:
        self._root = folder / STACKS
        self._spool = spool
        self._host_id = host_id
        self._tell = tell
        self._policy = policy
        self._clock = clock
        self._own = os.environ if own_environment is None else own_environment
        self._line: deque[_Work] = deque()
        self._current: dict[str, _Work] = {}
        """Project -> the work at it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def running(self) -> tuple[str, ...]:
        """The ids of what is under way or waits."""
        return tuple(work.wish.id for work in (*self._current.values(), *self._line))

    async def begin(self) -> None:
        """At the start: tell what an earlier agent left open, and take back texts that it did not come to keep."""
        await asyncio.to_thread(self._mend)
        for left in await self._spool.open_deploys():
            log.warning("deploy lost", deploy=left.start.id, begun=left.begun)
            done = Done(outcome=Outcome.CANCELLED, cause="cancelled", reason="The agent ended before it began.")
            if left.begun:
                reason = "The agent ended while it was under way, and nobody saw how it went."
                done = Done(outcome=Outcome.LOST, cause="lost", reason=reason, touched=True)
            await self._spool.keep(DeployEnded(deploy=self._ended(left.start, done, left.start.started_at, 0.0)))

    async def wish(self, frame: DeployNow) -> None:
        """Somebody wants something of a stack; an id that was seen before does nothing."""
        if not await self._spool.wish_deploy(self._start(frame)):
            return
        if self._stopping:
            await self._drop(frame, _STOPPED)
        elif len(self._line) >= MOST_WAITING:
            await self._drop(
                frame, f"{MOST_WAITING} deploys wait on this host already; ask again when some are done."
            )
        else:
            self._line.append(_Work(frame))
            self._fill()

    async def cancel(self, deploy_id: str) -> None:
        """End one that waits or is under way; one that is neither has ended."""
        for work in self._current.values():
            if work.wish.id == deploy_id:
                work.cancel.set()
                return
        for work in tuple(self._line):
            if work.wish.id == deploy_id:
                self._line.remove(work)
                await self._drop(work.wish, "It was cancelled before it began.")
                return

    async def stop(self) -> None:
        """Begin nothing more, end what is under way, and report all of it."""
        self._stopping = True
        for work in self._current.values():
            work.cancel.set()
        while self._line:
            await self._drop(self._line.popleft().wish, _STOPPED)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _fill(self) -> None:
        """Begin what may begin: of each stack one at a time, in the order in which they were asked for."""
        waiting, self._line = self._line, deque()
        for work in waiting:
            project = work.wish.project
            ahead = any(one.wish.project == project for one in self._line)
            if self._stopping or len(self._current) >= AT_ONCE or project in self._current or ahead:
                self._line.append(work)
                continue
            self._current[project] = work
            task = asyncio.create_task(self._perform(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _perform(self, work: _Work) -> None:
        try:
            await self._reported(work)
        finally:
            del self._current[work.wish.project]
            self._fill()

    async def _reported(self, work: _Work) -> None:
        start, began = self._start(work.wish), time.monotonic()
        await self._spool.keep(DeployBegun(deploy=start))
        telling = asyncio.create_task(self._keep_telling(work))
        deploying = Deploying(
            wish=work.wish,
            policy=self._policy,
            root=self._root,
            words=work.words,
            env=compose.environment(self._own),
            cancel=work.cancel,
        )
        done = deploying.done
        try:
            await deploying.perform()
        except LastgoodError as error:
            done.outcome, done.cause, done.reason = Outcome.FAILED, _cause(error), str(error)
        finally:
            telling.cancel()
        await self._tell_news(work)
        deploy = self._ended(start, done, self._clock(), time.monotonic() - began)
        log_text = await asyncio.to_thread(work.words.text)
        await self._spool.keep(DeployEnded(deploy=deploy, log=log_text))
        log.info(
            "deploy finished",
            deploy=start.id,
            action=start.action.value,
            project=start.project,
            outcome=deploy.outcome.value,
            reason=deploy.reason,
        )

    async def _keep_telling(self, work: _Work) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            await self._tell_news(work)

    async def _tell_news(self, work: _Work) -> None:
        seen, held = work.words.news()
        if not held:
            return
        first, lines = await asyncio.to_thread(work.words.masked, seen, held)
        if lines:
            self._tell(DeployWords(id=work.wish.id, first=first, lines=lines))

    async def _drop(self, frame: DeployNow, reason: str) -> None:
        done = Done(outcome=Outcome.CANCELLED, cause="cancelled", reason=reason)
        await self._spool.keep(DeployEnded(deploy=self._ended(self._start(frame), done, self._clock(), 0.0)))

    def _mend(self) -> None:
        try:
            mend_all(self._root)
        except OSError as error:
            log.error("a stack's folder could not be put right", folder=str(self._root), reason=error.strerror)

    def _start(self, frame: DeployNow) -> DeployStart:
        return DeployStart(
            id=frame.id,
            action=frame.action,
            host_id=self._host_id,
            project=frame.project[:LONGEST_PROJECT],
            started_at=self._clock(),
            text_number=frame.text_number,
        )

    def _ended(self, start: DeployStart, done: Done, ended_at: datetime, seconds: float) -> Deploy:
        return Deploy(
            id=start.id,
            action=start.action,
            outcome=done.outcome,
            host_id=start.host_id,
            project=start.project,
            started_at=start.started_at,
            ended_at=max(ended_at, start.started_at),
            duration_seconds=seconds,
            text_number=start.text_number,
            exit_code=done.exit_code,
            touched=done.touched,
            compose=done.compose,
            compose_version=done.compose_version,
            cause=done.cause,
            reason=None if done.reason is None else done.reason[:REASON_CHARACTERS],
        )


def _cause(error: LastgoodError) -> str:
    if isinstance(error, Cannot):
        return error.cause
    if isinstance(error, CollectError):
        return error.cause or "not_started"
    return "bad_configuration" if isinstance(error, ConfigError) else "other"
