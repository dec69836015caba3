"""A client for the simulator's own tests: one TLS connection, one request, every byte of the answer.

Knows nothing of the server's code, and little of HTTP: what a fault does must be seen as it comes from the socket.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import quote

from . import MONITOR, Simulator


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.told["data"]


@contextmanager
def connected(pbs: Simulator, timeout: float = 20.0) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(pbs.ca_file))
    with (
        socket.create_connection(("127.0.0.1", pbs.port), timeout=timeout) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        yield tls


def request(pbs: Simulator, target: str, token: str | None = MONITOR, **headers: str) -> bytes:
    """``target`` is a path below /api2/json/, or a whole one."""
    path = target if target.startswith("/") else f"/api2/json/{target}"
    lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
    if token is not None:
        lines.append(f"Authorization: {pbs.authorization(token)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(pbs: Simulator, target: str, token: str | None = MONITOR, **headers: str) -> Answer:
    with connected(pbs) as tls:
        tls.sendall(request(pbs, target, token, connection="close", **headers))
        return answer(received(tls))


@contextmanager
def session(pbs: Simulator, token: str = MONITOR, **headers: str) -> Iterator[Callable[[str], Answer]]:
    """Many requests over one connection."""
    context = ssl.create_default_context(cafile=str(pbs.ca_file))
    connection = HTTPSConnection("127.0.0.1", pbs.port, timeout=30, context=context)
    shown = {"Authorization": pbs.authorization(token)} | {k.replace("_", "-"): v for k, v in headers.items()}

    def get(target: str) -> Answer:
        connection.request("GET", f"/api2/json/{target}", headers=shown)
        with connection.getresponse() as response:
            body = response.read()
            told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, inflated(body) if told.get("content-encoding") == "deflate" else body)

    try:
        yield get
    finally:
        connection.close()


def until_up(pbs: Simulator, seconds: float = 20.0) -> None:
    """Return once the server takes connections; AssertionError past the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", pbs.port), timeout=seconds).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"the server did not come back within {seconds:g} s"
            time.sleep(0.02)
        else:
            return


def received(tls: ssl.SSLSocket) -> bytes:
    """Everything until the server closes."""
    parts: list[bytes] = []
    while part := tls.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def answer(raw: bytes) -> Answer:
    """Read one whole answer; AssertionError if it is not one."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    assert blank, f"no end of the headers in {raw[:200]!r}"
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunked(body)
    else:
        assert len(body) == int(headers["content-length"]), "shorter than declared"
    if headers.get("content-encoding") == "deflate":
        body = inflated(body)
    return Answer(int(first.split(" ")[1]), headers, body)


def unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        assert size, "no end marker"
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        assert len(body) >= length + 2, "a chunk is cut off"
        parts.append(body[:length])
        body = body[length + 2 :]


def inflated(body: bytes) -> bytes:
    return zlib.decompress(body, 15 if is_zlib(body) else -15)


def is_zlib(body: bytes) -> bool:
    return body[0] == 0x78 and int.from_bytes(body[:2], "big") % 31 == 0


def store_path(store: str, what: str, **params: str) -> str:
    query = "&".join(f"{name.replace('_', '-')}={quote(value, safe='')}" for name, value in params.items())
    return f"admin/datastore/{store}/{what}" + (f"?{query}" if query else "")
