"""Starts one restic process and sees it to its end.

Argv and environment come in; pieces of both streams go to two sinks while it runs, and how it ended comes out. No
way out of ``run`` leaves a process behind: a deadline, a cancel event, a cancelled task and a failing sink all
interrupt first (restic then removes its lock), ask to terminate next, and kill the whole session last.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from lastgood.errors import CollectError, ConfigError

Sink = Callable[[bytes], None]
Stopped = Literal["cancelled", "deadline"]

GRACE_SECONDS = 10.0
_STDOUT, _STDERR = 1, 2
_KILLED = 128 + signal.SIGKILL
# How long a helper that outlives restic may hold its streams open, and how often while it still talks.
_LINGER_SECONDS = 1.0
_LINGER_ROUNDS = 5
# A process that hangs on a dead disk survives even SIGKILL; we do not hang with it.
_KILL_SECONDS = 5.0
_OPERATORS = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOEXEC, errno.E2BIG, errno.ELOOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended; a death by signal n has the exit code 128 + n, as a shell says it.

    ``stopped`` tells that we ended it and why, ``forced`` that an interrupt did not do: it may have left a lock.
    """

    exit_code: int
    stopped: Stopped | None
    forced: bool
    seconds: float


async def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    on_stdout: Sink,
    on_stderr: Sink,
    deadline_after: float | None = None,
    cancel: asyncio.Event | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> Ended:
    """Run ``argv`` to its end; ConfigError or CollectError if it cannot be started."""
    began = time.monotonic()
    child = await _start(argv, env)
    stopper = asyncio.create_task(_stop_when_told(child, deadline_after, cancel, grace_seconds))
    try:
        await child.pump({_STDOUT: on_stdout, _STDERR: on_stderr})
    finally:
        stopper.cancel()
        await child.end(grace_seconds)
    code = child.transport.get_returncode()
    if code is None:
        code = _KILLED
    return Ended(
        exit_code=code if code >= 0 else 128 - code,
        stopped=child.stopped,
        forced=child.forced,
        seconds=time.monotonic() - began,
    )


async def _start(argv: Sequence[str], env: Mapping[str, str]) -> _Child:
    try:
        _, child = await asyncio.get_running_loop().subprocess_exec(
            _Child,
            *argv,
            stdin=asyncio.subprocess.DEVNULL,  # an open one lets a password prompt wait for ever
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env),
            start_new_session=True,
        )
    except OSError as error:
        problem = f"{argv[0]} cannot be started: {error.strerror or error}"
        if error.errno in _OPERATORS:
            raise ConfigError(f"{problem}; install restic 0.14 or newer: apt-get install restic") from error
        raise CollectError(f"{problem}; free memory or processes on this host") from error
    return child


async def _stop_when_told(
    child: _Child, deadline_after: float | None, cancel: asyncio.Event | None, grace_seconds: float
) -> None:
    why: Stopped = "cancelled"
    try:
        async with asyncio.timeout(deadline_after):
            await (cancel or asyncio.Event()).wait()
    except TimeoutError:
        why = "deadline"
    if not child.gone.done():
        child.stopped = why
        await child.stop(grace_seconds)


class _Child(asyncio.SubprocessProtocol):
    """One process. Its own end and the end of its streams are two moments: a helper may hold those open."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._open_streams = {_STDOUT, _STDERR}
        self._heard = False
        self._transport: asyncio.SubprocessTransport | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.stopped: Stopped | None = None
        self.forced = False

    @property
    def transport(self) -> asyncio.SubprocessTransport:
        assert self._transport is not None, "a started child has a transport"
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._heard = True
        self._pieces.put_nowait((fd, data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_streams.discard(fd)
        if not self._open_streams:
            self._pieces.put_nowait(None)

    def process_exited(self) -> None:
        self._give_up()

    async def pump(self, sinks: Mapping[int, Sink]) -> None:
        """Hand every piece to its sink until the process and its streams have ended."""
        while (piece := await self._pieces.get()) is not None:
            stream, data = piece
            sinks[stream](data)
        await self.gone

    async def stop(self, grace_seconds: float) -> None:
        """End the process: interrupt, terminate, kill."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._signal(number)
            if await self._is_gone_within(grace_seconds):
                self._kill()  # helpers that would hold the streams open
                return
            self.forced = True
        self._kill()
        if not await self._is_gone_within(_KILL_SECONDS):
            self._give_up()

    async def end(self, grace_seconds: float) -> None:
        """Leave nothing behind, whatever happened and however impatient the caller becomes."""
        try:
            if not self.gone.done():
                await self.stop(grace_seconds)
        finally:
            self._kill()
            try:
                await self._is_gone_within(_KILL_SECONDS)
            finally:
                self.transport.close()

    async def _is_gone_within(self, seconds: float) -> bool:
        done, _ = await asyncio.wait((self.gone,), timeout=seconds)
        return bool(done)

    def _give_up(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
            self._linger(_LINGER_ROUNDS)

    def _linger(self, rounds: int) -> None:
        heard, self._heard = self._heard, False
        if rounds and (heard or rounds == _LINGER_ROUNDS):
            self._loop.call_later(_LINGER_SECONDS, self._linger, rounds - 1)
        else:
            self._pieces.put_nowait(None)

    def _signal(self, number: signal.Signals) -> None:
        if not self.gone.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.transport.get_pid(), number)

    def _kill(self) -> None:
        """Kill what is left of the session: ssh and rclone run in process groups of their own."""
        self._signal(signal.SIGKILL)
        for pid in _session(self.transport.get_pid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _session(leader: int) -> list[int]:
    """The processes whose session ``leader`` began; the number is not given away while one of them lives."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(entry.name)) == leader:
                    members.append(int(entry.name))
    return members
