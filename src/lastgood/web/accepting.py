"""Takes connections from a listening socket, and goes on doing so when there is no room for another one.

Comes in: the bound socket and a factory of protocols. Goes out: connections, never more than the process has
descriptors to spare. The one rule: listening never ends by an error; where the kernel has no descriptor left, whoever
calls waits in its queue, the log has a line a minute, and it goes on by itself once there is room.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
import time
from collections.abc import Callable

import structlog

BACKLOG = 2048
AT_ONCE = 64
"""Accepted in one go; then others have their turn."""

AGAIN_SECONDS = 0.5
UNCOUNTED = 1_000_000
"""Connections where nobody counts open files."""

HANDSHAKE_SECONDS = 30.0
COMPLAIN_SECONDS = 60.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = structlog.get_logger(__name__)


def most_connections(files: int | None = None) -> int:
    """How many connections this process may hold; the other files are for database, logs and the way out."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if files is None else files
    if soft == resource.RLIM_INFINITY:
        return UNCOUNTED
    return max(soft - max(48, min(512, soft // 16)), 8)


class Accepting:
    """``held`` answers how many connections there are; ``most`` None means that nobody counts."""

    def __init__(
        self,
        bound: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        held: Callable[[], int],
        *,
        most: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._bound = bound
        self._protocol = protocol
        self._held = held
        self._most = most
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._closed = False
        self._complained_at = -COMPLAIN_SECONDS
        bound.setblocking(False)
        bound.listen(BACKLOG)
        self._loop.add_reader(bound.fileno(), self._accept)

    def close(self) -> None:
        """Take no more; who shakes hands, or waits in the kernel's queue until the socket is closed, is sent away."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._bound.fileno())
        if self._again is not None:
            self._again.cancel()
        for task in self._begun:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if self._most is not None and self._held() + len(self._begun) >= self._most:
                self._pause(f"{self._most} connections are open")
                return
            try:
                connection, _ = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    log.warning("a connection could not be taken", reason=error.strerror)
                self._pause(error.strerror or "no descriptor is left")
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _begin(self, connection: socket.socket) -> None:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self._tls is not None else None,
            )
        except (OSError, TimeoutError) as error:  # a handshake that came to nothing; ssl.SSLError is an OSError
            connection.close()
            log.debug("a connection came to nothing", reason=str(error))

    def _pause(self, reason: str) -> None:
        """Leave callers in the kernel's queue for a moment."""
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("no room for more connections, callers wait; raise LimitNOFILE if it stays so", reason=reason)
        self._loop.remove_reader(self._bound.fileno())
        self._again = self._loop.call_later(AGAIN_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._bound.fileno(), self._accept)
