"""Running a hub in the foreground, for ``serve`` and ``up``.

Start, serve, wait for the word to stop, end in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from lastgood.cli.foreground import OPEN_FILES, raise_file_limit, run, stop_event
from lastgood.clock import now
from lastgood.config.settings import Settings
from lastgood.service.service import Service
from lastgood.web.accepting import most_connections
from lastgood.web.local import LocalDoor, listen_locally
from lastgood.web.patience import Patience
from lastgood.web.server import HubServer
from lastgood.web.wiring import faces_of

__all__ = ["OPEN_FILES", "first_of", "raise_file_limit", "run", "running_hub", "stop_event"]


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
        # Who sees the port answer finds the local socket as well, and not the one that a killed hub left.
        local = HubServer(LocalDoor(faces.app), listen_locally(settings.server.data_dir))
        await local.start()
        await server.start()
        yield service, server
    finally:
        service.ready = False
        await service.roster.close_all(seconds=2.0)
        await asyncio.gather(server.stop(), *([] if local is None else [local.stop()]))
        faces.close()
        await service.stop()


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
