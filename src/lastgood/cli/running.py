"""Running a hub in the foreground, for ``serve`` and ``up``.

Start, serve, wait for the word to stop, end in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from lastgood.clock import now
from lastgood.config.settings import Settings
from lastgood.service.service import Service
from lastgood.web.accepting import most_connections
from lastgood.web.local import LocalDoor, listen_locally
from lastgood.web.patience import Patience
from lastgood.web.server import HubServer
from lastgood.web.wiring import faces_of

OPEN_FILES = 262_144
"""As in the systemd unit; more than the agents that one hub carries."""


@contextlib.asynccontextmanager
async def running_hub(settings: Settings, bound: socket.socket) -> AsyncIterator[tuple[Service, HubServer]]:
    """A hub that serves on the bound socket inside the block, ended in order behind it."""
    try:
        service = await Service.open(settings, now, time.monotonic)
    except BaseException:
        bound.close()
        raise
    faces = faces_of(service)
    tls = settings.server.tls_cert, settings.server.tls_key
    server = HubServer(faces.app, bound, *tls, Patience(most=most_connections()))
    local: HubServer | None = None
    try:
        await service.start()
        await server.start()
        local = HubServer(LocalDoor(faces.app), listen_locally(settings.server.data_dir))
        await local.start()
        yield service, server
    finally:
        service.ready = False
        await service.roster.close_all(seconds=2.0)
        await asyncio.gather(server.stop(), *([] if local is None else [local.stop()]))
        faces.scrape.close()
        await service.stop()


def stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def first_of(*waiting: Coroutine[Any, Any, Any]) -> int:
    """Wait until one of these is done, end the others, and answer which it was; its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in waiting]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    index = next(i for i, task in enumerate(tasks) if task in done)
    tasks[index].result()
    return index


def raise_file_limit() -> None:
    """Each connection is an open file, and 1024, the usual soft limit, is soon reached with agents and browsers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop, with as many open files as this user may have, and answer the exit code."""
    import uvloop

    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
