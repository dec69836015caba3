"""Slow callers, endless heads and readers that stopped reading hold nothing up for long."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lastgood.clock import now
from lastgood.config.values import Listen
from lastgood.web.asgi import say
from lastgood.web.patience import Patience, Seldom
from lastgood.web.server import HubServer, listen_on
from tests.serving import serving

SHORT = Patience(request_seconds=0.4, stuck_seconds=0.4, head_bytes=8 * 1024)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        continue
    await say(scope, send, 200, "hello")


class Caller:
    """A socket that sends what the test says."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> Caller:
        host, _, port = self._address.partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port), limit=1 << 16)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def pour(self, data: bytes, times: int) -> bool:
        """Send again and again, a little later each time; whether the other side ended it."""
        try:
            for _ in range(times):
                await self.send(data)
                await asyncio.sleep(0.01)
        except ConnectionError:
            return True
        return False

    async def answer(self) -> bytes:
        """The status line, and everything behind it read."""
        async with asyncio.timeout(10):
            line = await self._reader.readline()
            length = 0
            while (header := await self._reader.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            await self._reader.readexactly(length)
        return line.strip()

    async def ended(self) -> bytes:
        """All that still comes, up to the end of the connection."""
        async with asyncio.timeout(10):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""


async def test_a_connection_that_never_finishes_its_head_is_closed() -> None:
    async with serving(hello, SHORT) as address, Caller(address) as caller:
        await caller.send(b"GET / HTTP/1.1\r\nHost: hub\r\n")
        assert await caller.pour(b"X: y\r\n", 1000)


async def test_many_slow_callers_are_gone_in_time_and_nobody_waits_for_them_meanwhile() -> None:
    async with serving(hello, SHORT) as address:
        slow = [Caller(address) for _ in range(100)]
        for caller in slow:
            await caller.__aenter__()
            await caller.send(b"GET / HTTP/1.1\r\nHost:")
        async with Caller(address) as quick:
            await quick.send(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
            assert await quick.answer() == b"HTTP/1.1 200 OK"
        ends = await asyncio.gather(*(caller.ended() for caller in slow))
        assert all(b"408" in end for end in ends)
        for caller in slow:
            await caller.__aexit__()


async def test_a_connection_that_says_nothing_and_a_body_that_never_comes_are_closed() -> None:
    async with serving(hello, SHORT) as address, Caller(address) as silent, Caller(address) as stingy:
        await stingy.send(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 10\r\n\r\nabc")
        assert b"408" in await silent.ended()
        assert b"408" in await stingy.ended()


async def test_line_breaks_between_requests_do_not_keep_a_connection() -> None:
    async with serving(hello, SHORT) as address, Caller(address) as caller:
        await caller.send(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert await caller.answer() == b"HTTP/1.1 200 OK"
        assert await caller.pour(b"\r\n", 1000)


async def test_a_head_without_end_is_refused_before_it_fills_the_memory() -> None:
    async with serving(hello, SHORT) as address, Caller(address) as caller:
        await caller.send(b"GET / HTTP/1.1\r\nHost: hub\r\n")
        assert await caller.pour(b"X-Filler: " + b"y" * 1000 + b"\r\n", 20)


async def test_requests_one_after_the_other_and_a_large_body_pass() -> None:
    async with serving(hello, SHORT) as address, Caller(address) as caller:
        for _ in range(3):
            body = b"z" * 200_000
            await caller.send(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert await caller.answer() == b"HTTP/1.1 200 OK"
        await caller.send(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n" * 2)
        assert await caller.answer() == b"HTTP/1.1 200 OK"
        assert await caller.answer() == b"HTTP/1.1 200 OK"


async def test_an_answer_that_takes_longer_than_a_request_may_is_waited_for() -> None:
    async def thoughtful(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(3 * SHORT.request_seconds)
        await say(scope, send, 200, "at last")

    async with serving(thoughtful, SHORT) as address, Caller(address) as caller:
        await caller.send(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert await caller.answer() == b"HTTP/1.1 200 OK"


async def test_a_reader_that_stopped_reading_is_let_go() -> None:
    over = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not over.is_set():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            if (await _disconnected(receive)) is True:
                over.set()

    async with serving(endless, SHORT) as address:
        stuck = socket.create_connection(address.split(":"))  # type: ignore[arg-type]
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        async with asyncio.timeout(10):
            await over.wait()
        stuck.close()


async def _disconnected(receive: Callable[[], Any]) -> bool:
    try:
        async with asyncio.timeout(0.01):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return False
    return True


async def test_agents_leave_room_for_people() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await hello(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    upgrade = (
        b"GET /ws/agent HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with serving(app, Patience(most=20)) as address:
        agents = [Caller(address) for _ in range(19)]
        answers = []
        for agent in agents:
            await agent.__aenter__()
            await agent.send(upgrade)
            answers.append(await agent.answer())
        assert answers[:17] == [b"HTTP/1.1 101 Switching Protocols"] * 17
        assert b"HTTP/1.1 503 Service Unavailable" in answers[17:]
        async with Caller(address) as person:
            await person.send(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
            assert await person.answer() == b"HTTP/1.1 200 OK"
        for agent in agents:
            await agent.__aexit__()


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"


async def test_a_hub_that_speaks_tls_ends_though_somebody_never_shook_hands(tmp_path: Path) -> None:
    bound = listen_on(Listen("127.0.0.1", 0))
    port = bound.getsockname()[1]
    server = HubServer(hello, bound, *certificate(tmp_path))
    await server.start()
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    trusting.check_hostname = False
    async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
        assert (await client.get(f"https://127.0.0.1:{port}/")).text.strip() == "hello"
    silent = socket.create_connection(("127.0.0.1", port), timeout=10)
    async with asyncio.timeout(10):
        await server.stop()
        assert await asyncio.to_thread(silent.recv, 1) == b""
    silent.close()


def test_what_any_caller_can_provoke_is_logged_once_a_minute() -> None:
    seldom = Seldom()
    provoked = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, Seldom.PROVOKED[0], (), None)
    ours = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "Exception in ASGI application\n", (), None)
    assert [seldom.filter(provoked) for _ in range(3)] == [True, False, False]
    assert [seldom.filter(ours) for _ in range(3)] == [True, True, True]
