"""A polite HTTPS client for servers that are asked on a timetable.

Comes in: an address, what is trusted, and per call a target with its deadlines and bounds. Goes out: the status,
and the inflated body in pieces, handed over off the event loop; ``Unreachable`` and ``BadPayload`` name a
``cause``. The one rule: no request leaves before the handshake proved the server, and none is ever sent on by a
redirect. Outside format: HTTP/1.1 with keep-alive; ``deflate`` in zlib or raw framing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from lastgood import __version__
from lastgood.errors import BadPayload, CollectError, ConfigError, Unreachable
from lastgood.tools.inflate import Inflater
from lastgood.tools.tls import Certificate, Handshakes, Trust, WrongCertificate

KEPT_OPEN = 60.0
"""Seconds that an idle connection is kept: longer than the shortest interval between two questions."""
_BATCH = 64 * 1024
"""So many bytes of a body are inflated and read at once, off the loop; less than _SMALL on it."""
_SMALL = 2 * 1024
_TEXT = 300

Take = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to be connected, to the first byte and between any two, and for the whole answer."""

    connect: float
    first_byte: float
    whole: float


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is how the body of a refusal begins, fit to be shown; empty where the body was handed over."""

    status: int
    text: str = ""

    @property
    def is_success(self) -> bool:
        return self.status == 200


class Http:
    """One server. ``close`` it at the end.

    Counts what it asked and got; ``failed`` counts by status or cause.
    """

    def __init__(
        self, address: str, trust: Trust, *, name: str, headers: Mapping[str, str], at_once: int = 4
    ) -> None:
        self.address = https(address)
        self.name = name or self.address.netloc.decode("ascii")
        self.requests = 0
        self.received_bytes = 0
        self.failed: Counter[str] = Counter()
        self._handshakes = Handshakes(trust)
        self._headers = {"User-Agent": f"lastgood/{__version__}", "Accept-Encoding": "deflate", **headers}
        self._slots = asyncio.Semaphore(at_once)
        self._kept = httpx.Limits(max_connections=None, max_keepalive_connections=at_once, keepalive_expiry=KEPT_OPEN)
        self._making = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    @property
    def certificate(self) -> Certificate | None:
        """What the newest handshake showed."""
        return self._handshakes.shown

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def get(
        self, target: str, patience: Patience, limit: int, take: Take, *, asked: str, before: Callable[[], None]
    ) -> Answer:
        """Ask for ``target``, and hand a success's body to ``take``, ``limit`` bytes at most, in pieces.

        ``take`` runs in a thread where a piece is large, one piece after the other. ``before`` is called when it is
        this request's turn, and may raise. ``asked`` says whom and for what, for messages.
        Raises Unreachable, BadPayload, and what ``take`` and ``before`` raise.
        """
        async with self._slots:
            before()
            with self.counting():
                return await self._got(target, patience, limit, take, asked)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Counts a CollectError of the block by its cause."""
        try:
            yield
        except CollectError as error:
            self.failed[error.cause or "error"] += 1
            raise

    async def _got(self, target: str, patience: Patience, limit: int, take: Take, asked: str) -> Answer:
        client = await self._opened()
        while True:
            trail = _Trail()
            try:
                async with self._answering(client, target, patience, trail) as response:
                    trail.answered = True
                    return await self._read(response, limit, take, asked)
            except (TimeoutError, httpx.TimeoutException) as error:
                raise Unreachable(
                    f"{asked} was not answered in time; see whether the server is busy, or allow it more.",
                    cause="timeout",
                ) from error
            except httpx.HTTPError as error:
                # The server may close what it thinks idle at the very moment we use it: then ask once more, anew.
                if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) and trail.may_be_stale:
                    continue
                raise _fault(self.name, asked, error) from error

    async def _opened(self) -> httpx.AsyncClient:
        async with self._making:
            if self._client is None:
                try:
                    # In a thread: certificates are read for it, and much of the library is only now imported.
                    self._client = await asyncio.to_thread(self._made)
                except ConfigError as error:
                    raise Unreachable(str(error), retry=False, cause="certificate") from error
            return self._client

    def _made(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._handshakes.context(),
            limits=self._kept,
            trust_env=False,
            follow_redirects=False,
            headers=self._headers,
            # A server that hands out cookies would have us keep and send more of them for as long as we run.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    @asynccontextmanager
    async def _answering(
        self, client: httpx.AsyncClient, target: str, patience: Patience, trail: _Trail
    ) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(patience.first_byte, connect=patience.connect, pool=None)
        request = client.build_request(
            "GET", f"{str(self.address).rstrip('/')}{target}", timeout=timeout, extensions={"trace": trail.follow}
        )
        self.requests += 1
        async with asyncio.timeout(patience.whole):
            async with asyncio.timeout(patience.connect + patience.first_byte):
                response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()

    async def _read(self, response: httpx.Response, limit: int, take: Take, asked: str) -> Answer:
        if response.status_code != 200:
            self.failed[str(response.status_code)] += 1
            return Answer(response.status_code, await self._begin(response, asked))
        inflater = Inflater(response.headers.get("content-encoding", ""), limit, take, asked)
        async for batch in self._batches(response):
            if len(batch) <= _SMALL:
                inflater.feed(batch)
            else:
                await asyncio.to_thread(inflater.feed, batch)
        inflater.end()
        return Answer(response.status_code)

    async def _batches(self, response: httpx.Response) -> AsyncIterator[bytes]:
        held = bytearray()
        async for piece in response.aiter_raw():
            self.received_bytes += len(piece)
            held += piece
            if len(held) >= _BATCH:
                yield bytes(held)
                held.clear()
        yield bytes(held)

    async def _begin(self, response: httpx.Response, asked: str) -> str:
        """The first characters of a refusal; what comes after them is not waited for."""
        begun = bytearray()
        try:
            inflater = Inflater(response.headers.get("content-encoding", ""), _BATCH, begun.extend, asked)
            async for piece in response.aiter_raw():
                self.received_bytes += len(piece)
                inflater.feed(piece)
                if len(begun) >= _TEXT:
                    break
        except (BadPayload, httpx.HTTPError):
            pass  # its status says enough
        return shown(bytes(begun))


class _Trail:
    """What one request met on its way, as httpcore tells it."""

    def __init__(self) -> None:
        self.connected = False
        self.answered = False

    @property
    def may_be_stale(self) -> bool:
        return not self.connected and not self.answered

    async def follow(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.connected = True


def https(address: str) -> httpx.URL:
    """The address of a server, without a slash at its end. Raises ConfigError with the mend."""
    try:
        url = httpx.URL(address.strip())
    except httpx.InvalidURL:
        url = httpx.URL()
    netloc = url.netloc.decode("ascii", "replace")
    if url.scheme == "http":
        raise ConfigError(f"The endpoint http://{netloc} would send the token in clear text; write https://{netloc}.")
    if url.scheme != "https" or not url.host or url.userinfo or url.query or url.fragment:
        raise ConfigError("The endpoint of a server is like https://pbs.example.org:8007; write it so.")
    return url


def shown(body: bytes) -> str:
    """How an answer begins, as one line of printable text."""
    text = body[:_TEXT].decode("utf-8", "replace")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _fault(name: str, asked: str, error: httpx.HTTPError) -> CollectError:
    for inner in _chain(error):
        if isinstance(inner, WrongCertificate):
            return Unreachable(
                f"{name} shows the certificate {inner.args[0]}, which is not the pinned one: nothing was sent; "
                "if it was renewed on purpose, set this fingerprint.",
                cause="certificate",
            )
        if isinstance(inner, ssl.SSLCertVerificationError):
            return Unreachable(
                f"The certificate of {name} is not trusted ({inner.verify_message}): nothing was sent; "
                "pin the fingerprint that the server's own page shows, or name its authority in a CA file.",
                cause="certificate",
            )
        if isinstance(inner, ssl.SSLError):
            return Unreachable(
                f"{name} does not speak TLS as we do ({inner.reason or inner}); see whether address and port are "
                "those of the server.",
                cause="tls",
            )
    if isinstance(error, httpx.ConnectError):
        return Unreachable(
            f"{name} cannot be connected to ({_last(error)}); see whether it runs and the network lets us through.",
            cause="unreachable",
        )
    return Unreachable(
        f"{asked} was answered in part only ({_last(error)}); see whether the server was restarted meanwhile.",
        cause="cut_off",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    inner: BaseException | None = error
    for _ in range(10):
        if inner is None:
            return
        yield inner
        inner = inner.__cause__ or inner.__context__


def _last(error: BaseException) -> str:
    """What lies deepest, in the system's words where it has any."""
    said = type(error).__name__
    for inner in _chain(error):
        text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
        number = inner.errno if isinstance(inner, OSError) and not isinstance(inner, socket.gaierror) else None
        said = shown((os.strerror(number) if number else text).encode()) or said
    return said
