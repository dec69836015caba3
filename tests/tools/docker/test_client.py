"""An engine that answers with what no engine says costs an error of ours, whatever it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lastgood.errors import BadPayload
from lastgood.tools.docker.client import Client
from lastgood.tools.docker.endpoint import Endpoint

DEEP = b'[{"Id":"a","Created":' + b"[" * 100_000
NOT_TEXT = b'[{"Id":"\xff\xfe"}]'
EVENTS = (
    b'{"Type":"container","Actor":{"ID":"' + b"\xff" + b'"}}',
    b'{"Type":"container","odd":' + b"[" * 100_000,
    b'{"Type":"container","time":' + b"9" * 400 + b"}",
    b'{"Type":"container","time":-1}',
    b'{"Type":"container","Actor":{"ID":"last"}}',
)


@asynccontextmanager
async def an_engine(folder: Path, body: bytes, version: str = "1.41") -> AsyncIterator[Client]:
    """One that says ``body`` to everything but a ping."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                said = b"OK" if b"/_ping" in head else body
                length = f"content-length: {len(said)}\r\n".encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\napi-version: " + version.encode() + b"\r\n" + length + b"\r\n" + said
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    path = str(folder / "engine.sock")
    server = await asyncio.start_unix_server(answer, path)
    client = Client(Endpoint(url=f"unix://{path}", socket=path))
    try:
        yield client
    finally:
        await client.close()
        server.close()


@pytest.mark.parametrize("body", [DEEP, NOT_TEXT, b"", b"[1"], ids=["deep", "no text", "nothing", "cut off"])
async def test_a_list_that_cannot_be_read_is_a_bad_answer(tmp_path: Path, body: bytes) -> None:
    async with an_engine(tmp_path, body) as client:
        await client.ping()
        with pytest.raises(BadPayload, match="with what cannot be read"):
            await client.containers()


async def test_events_that_are_none_are_left_out(tmp_path: Path) -> None:
    async with an_engine(tmp_path, b"\n".join(EVENTS) + b"\n") as client:
        await client.ping()
        assert [event.actor.id async for event in client.events(0, asyncio.Event())] == ["last"]


@pytest.mark.parametrize("version", ["9" * 5_000 + ".1", "1." + "9" * 5_000, "one.two", "", "\u0661.\u0662"])
async def test_a_version_that_is_none_names_no_engine(tmp_path: Path, version: str) -> None:
    async with an_engine(tmp_path, b"", version) as client:
        with pytest.raises(BadPayload, match="is no container engine"):
            await client.ping()
