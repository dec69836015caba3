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
_TLS_HANDSHAKE = 0x16


class Listener:
    def __init__(self, site: Site, port: int) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._listening = _bound(port)
        self.port: int = self._listening.getsockname()[1]
        self._spare = _bound(self.port)
        self._contexts: dict[int, ssl.SSLContext] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._open: dict[asyncio.Task[None], socket.socket] = {}
        self._coming_back: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._listening.listen(512)
        self._accepting = asyncio.create_task(self._accept(self._listening))

    def go_down(self, seconds: float) -> None:
        """Refuse connections and drop those there are, then come back on the same port."""
        if self._coming_back is not None:
            self._coming_back.cancel()
        elif self._accepting is not None:
            self._accepting.cancel()
            # Refusing begins now; closed it may be only once the task has let go of it.
            self._listening.shutdown(socket.SHUT_RDWR)
            self._accepting.add_done_callback(lambda _: self._closed())
        current = asyncio.current_task()
        for task in list(self._open):
            if task is not current:
                task.cancel()
        self._coming_back = self._loop.call_later(seconds, self._come_back)

    async def stop(self) -> None:
        if self._coming_back is not None:
            self._coming_back.cancel()
        tasks = [task for task in (self._accepting, *self._open) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted says goodbye in the next round of the loop
        await asyncio.sleep(0)
        self._listening.close()
        self._spare.close()

    def _closed(self) -> None:
        self._listening.close()

    def _come_back(self) -> None:
        self._coming_back = None
        self._listening, self._spare = self._spare, _bound(self.port)
        self.start()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            sock, _ = await self._loop.sock_accept(listening)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._site.stats.connections += 1
            task = asyncio.create_task(self._welcome(sock))
            self._open[task] = sock
            task.add_done_callback(lambda done: self._open.pop(done, None))

    async def _welcome(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            first = await self._first_byte(sock)
            if not first:
                sock.close()
                return
            tls = first[0] == _TLS_HANDSHAKE
            reader = asyncio.StreamReader(limit=connection.LONGEST_HEAD)
            protocol = asyncio.StreamReaderProtocol(reader)
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
