"""The listening socket and the server that answers on it.

The one rule: the socket is taken before anything else starts, so a busy port is one sentence and not half a hub; and
signals belong to the command, not to the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import uvicorn

from lastgood.config.values import Listen
from lastgood.errors import ConfigError
from lastgood.web.accepting import Accepting
from lastgood.web.patience import Patience, PatientProtocol, Seldom
from lastgood.wire.frames import FRAME_LIMIT

DRAIN_SECONDS = 3


def listen_on(listen: Listen) -> socket.socket:
    """A socket bound to the address, not yet listening. Raises ConfigError if it cannot be had."""
    try:
        families = socket.getaddrinfo(
            listen.host or None, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigError(
            f"The address {listen} cannot be listened on ({error.strerror or error}); mend server.listen or --listen."
        ) from error
    # An empty host means every interface: one IPv6 socket that takes IPv4 as well, where the machine has IPv6.
    families.sort(key=lambda found: found[0] != socket.AF_INET6)
    family, _, _, _, address = families[0]
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and not listen.host:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(address)
        server.setblocking(False)
    except OSError as error:
        server.close()
        raise ConfigError(_refusal(listen, error)) from error
    return server


def _refusal(listen: Listen, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = Listen(listen.host, listen.port + 1 if listen.port < 65535 else 8081)
        return f"Another program listens on {listen} already; stop it, or choose another address: --listen {other}"
    if error.errno == errno.EACCES:
        return f"This user may not listen on {listen}; choose a port above 1023: --listen {listen.host}:8080"
    return f"The address {listen} cannot be listened on ({error.strerror}); mend server.listen or --listen."


class _Server(uvicorn.Server):
    """Uvicorn's, but for signals, which are the command's, and for taking connections, which must not end."""

    def __init__(self, config: uvicorn.Config, patience: Patience) -> None:
        super().__init__(config)
        self._patience = patience
        self._accepting: list[Accepting] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        state, config = self.server_state, self.config
        protocol = functools.partial(
            PatientProtocol, self._patience, config=config, server_state=state, app_state=self.lifespan.state
        )
        for bound in sockets or ():
            held = functools.partial(_count, state.connections)
            self._accepting.append(Accepting(bound, protocol, held, most=self._patience.most, tls=config.ssl))
        self.servers = []
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for accepting in self._accepting:
            accepting.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _count(connections: set[Any]) -> int:
    return len(connections)


class HubServer:
    """Serves an application on a bound socket until told to stop. ``patience`` bounds what a caller may hold up."""

    def __init__(
        self,
        app: Callable[..., Any],
        bound: socket.socket,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
        patience: Patience = Patience(),  # noqa: B008 - it is frozen
    ) -> None:
        self._bound = bound
        complaints = logging.getLogger("uvicorn.error")
        if not any(isinstance(one, Seldom) for one in complaints.filters):
            complaints.addFilter(Seldom())
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="websockets-sansio",
                ws_max_size=FRAME_LIMIT,
                ws_per_message_deflate=False,
                ws_ping_interval=None,  # our own heartbeats say more than theirs
                loop="none",
                lifespan="off",
                proxy_headers=False,  # who the client is, is decided in one place: auth/networks.py
                server_header=False,
                date_header=True,
                access_log=False,
                log_config=None,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=DRAIN_SECONDS,
                ssl_certfile=tls_cert,
                ssl_keyfile=tls_key,
            ),
            patience,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once connections are taken. Raises ConfigError if TLS cannot be set up."""
        try:
            self._server.config.load()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The TLS certificate cannot be used ({error}); mend server.tls_cert and server.tls_key."
            ) from error
        self._task = asyncio.create_task(self._server.serve(sockets=[self._bound]), name="http")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise ConfigError("The web server ended before it was up; its log lines say why.")
            await asyncio.sleep(0.005)

    async def ended(self) -> None:
        """Return when the server is gone, whoever ended it."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Take no new connections, let running requests finish for a moment, and close."""
        if self._task is None:
            self._bound.close()
            return
        self._server.should_exit = True
        await asyncio.wait([self._task])
