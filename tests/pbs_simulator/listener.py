"""The TLS port: takes connections, tells TLS from plain HTTP by the first byte, and can be away for a while.

The certificate is looked up for every connection, so a changed one counts at once. While the server is away its port
stays reserved by a second socket that is bound but does not listen: clients are refused, and nobody else gets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from . import connection
from .refusal import Mistake
from .reply import head
from .site import Site

HANDSHAKE_WITHIN = 15.0
FIRST_BYTE_WITHIN = 60.0
MOST_ROUNDS = 100
_TLS_HANDSHAKE = 0x16


class Listener:
    def __init__(self, site: Site, port: int) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._listening = _bound(port)
        self.port: int = self._listening.getsockname()[1]
        self._spare = _bound(self.port)
        self._contexts: dict[int, ssl.SSLContext] = {}
        self._is_listening = False
        self._open: dict[asyncio.Task[None], socket.socket] = {}
        self._loose: set[socket.socket] = set()
        """Taken, and no transport closes them yet."""
        self._transports: set[asyncio.BaseTransport] = set()
        self._coming_back: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._listening.listen(512)
        self._loop.add_reader(self._listening, self._take)
        self._is_listening = True

    def go_down(self, seconds: float) -> None:
        """Refuse connections and drop those there are, then come back on the same port."""
        if self._coming_back is not None:
            self._coming_back.cancel()
        else:
            self._leave()
        current = asyncio.current_task()
        for task in list(self._open):
            if task is not current:
                task.cancel()
        self._coming_back = self._loop.call_later(seconds, self._come_back)

    async def stop(self) -> None:
        if self._coming_back is not None:
            self._coming_back.cancel()
        self._leave()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Those that wait for a client to say goodbye wait no more; it shows after some rounds of the loop.
        for _ in range(MOST_ROUNDS):
            for transport in tuple(self._transports):
                if isinstance(transport, asyncio.WriteTransport):
                    transport.abort()
            await asyncio.sleep(0)
            if not self._transports:
                break
        await asyncio.sleep(0)
        self._spare.close()

    def _leave(self) -> None:
        if self._is_listening:
            self._loop.remove_reader(self._listening)
        self._is_listening = False
        self._listening.close()

    def _come_back(self) -> None:
        self._coming_back = None
        self._listening, self._spare = self._spare, _bound(self.port)
        self.start()

    def _take(self) -> None:
        """No task waits for a client: one that is cancelled would lose whom it has just accepted."""
        try:
            sock, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._site.stats.connections += 1
        task = asyncio.create_task(self._welcome(sock))
        self._open[task] = sock
        self._loose.add(sock)
        task.add_done_callback(self._left)

    def _left(self, done: asyncio.Task[None]) -> None:
        """A task that is cancelled before it begins has closed nothing."""
        sock = self._open.pop(done)
        if sock in self._loose:
            self._loose.remove(sock)
            sock.close()

    async def _welcome(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            first = await self._first_byte(sock)
            if not first:
                sock.close()
                return
            tls = first[0] == _TLS_HANDSHAKE
            reader = asyncio.StreamReader(limit=connection.LONGEST_HEAD)
            protocol = _Protocol(reader, self._transports)
            writer = await self._opened(sock, reader, protocol, tls=tls)
            try:
                await (connection.serve(self._site, reader, writer) if tls else self._redirect(reader, writer))
            except asyncio.CancelledError:
                writer.transport.abort()
                raise
            finally:
                writer.close()

    async def _opened(
        self, sock: socket.socket, reader: asyncio.StreamReader, protocol: asyncio.StreamReaderProtocol, *, tls: bool
    ) -> asyncio.StreamWriter:
        downs = self._site.downs
        self._site.catch_up()  # a certificate that changes by the clock changes now
        if self._site.downs != downs:
            sock.close()
            raise ConnectionAbortedError("the server goes away")
        self._loose.discard(sock)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol,
                sock,
                ssl=self._context() if tls else None,
                ssl_handshake_timeout=HANDSHAKE_WITHIN if tls else None,
            )
        except OSError:  # ssl.SSLError is one: the client did not like the certificate
            self._site.stats.failed_handshakes += 1
            sock.close()
            raise
        if tls:
            self._site.stats.handshakes += 1
        return asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _first_byte(self, sock: socket.socket) -> bytes:
        """Seen but not taken, so that TLS still finds it."""
        sock.setblocking(False)
        readable = asyncio.Event()
        self._loop.add_reader(sock, readable.set)
        try:
            async with asyncio.timeout(FIRST_BYTE_WITHIN):
                await readable.wait()
        except (TimeoutError, asyncio.CancelledError):
            sock.close()
            raise
        finally:
            self._loop.remove_reader(sock)
        return sock.recv(1, socket.MSG_PEEK)

    async def _redirect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What PBS says to plain HTTP: go to HTTPS, and forget which path was asked for."""
        self._site.stats.plain += 1
        request = await connection.read_request(reader)
        host = (request.headers.get("host", "") if request else "").partition(":")[0] or "127.0.0.1"
        writer.write(head(301, {"location": f"https://{host}:{self.port}", "content-length": "0"}))
        await writer.drain()

    def _context(self) -> ssl.SSLContext:
        serial = self._site.world.certificate_serial
        if serial not in self._contexts:
            self._contexts[serial] = self._site.world.certificate().context()
        return self._contexts[serial]


class _Protocol(asyncio.StreamReaderProtocol):
    """Keeps its transport among ``transports`` for as long as that is open."""

    def __init__(self, reader: asyncio.StreamReader, transports: set[asyncio.BaseTransport]) -> None:
        super().__init__(reader)
        self._all = transports
        self._own: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own = transport
        self._all.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._own is not None:
            self._all.discard(self._own)
        super().connection_lost(exc)


def _bound(port: int) -> socket.socket:
    """On the loopback, not listening yet. Two may hold one port as long as neither listens."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    try:
        bound.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise Mistake(f"port {port} cannot be used ({error}); say another one, or 0 for any that is free") from error
    return bound
