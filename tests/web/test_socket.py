from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lastgood.hub.socket import RESTARTING, TOO_LARGE, Socket, SocketClosed
from lastgood.web.app import create_app
from lastgood.web.health import health_routes
from lastgood.wire.frames import FRAME_LIMIT
from tests.web.server import serving
from tests.web.site import Home


@pytest.fixture
async def address(empty_home: Home) -> AsyncIterator[str]:
    async with serving(create_app(empty_home.site)) as served:
        yield f"ws://{served}/ws/agent"


async def test_text_and_bytes_come_in_and_text_goes_out(address: str) -> None:
    async with connect(address, proxy=None) as socket:
        await socket.send('{"type": "hello"}')
        assert await socket.recv() == '{"type": "hello"}'
        await socket.send(b'{"type": "\xc3\xa4"}')
        assert await socket.recv() == '{"type": "ä"}'


async def test_a_frame_of_one_mebibyte_is_taken_and_a_larger_one_ends_the_connection(address: str) -> None:
    async with connect(address, proxy=None, max_size=None) as socket:
        await socket.send("x" * FRAME_LIMIT)
        assert len(await socket.recv()) == FRAME_LIMIT
        await socket.send("ä" * (FRAME_LIMIT // 2 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == TOO_LARGE


async def test_the_session_hears_that_the_agent_has_gone(empty_home: Home, address: str) -> None:
    heard: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def listen(socket: Socket) -> None:
        try:
            await socket.receive()
        except SocketClosed as gone:
            heard.set_result(gone)
            with pytest.raises(SocketClosed):
                await socket.receive()
            with pytest.raises(SocketClosed):
                await socket.send(b"late")
            await socket.close(1000, "late")

    empty_home.serve = listen
    async with connect(address, proxy=None):
        pass
    async with asyncio.timeout(10):
        assert isinstance(await heard, SocketClosed)


async def test_the_session_closes_with_its_code_and_a_reason_that_fits(empty_home: Home, address: str) -> None:
    async def refuse(socket: Socket) -> None:
        await socket.close(4401, "ä" * 200)
        await socket.close(4400, "twice")

    empty_home.serve = refuse
    async with connect(address, proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "ä" * 60)


async def test_a_session_that_returns_without_a_word_asks_the_agent_to_come_again(
    empty_home: Home, address: str
) -> None:
    async def leave(_socket: Socket) -> None:
        return

    empty_home.serve = leave
    async with connect(address, proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == RESTARTING


async def test_a_websocket_to_a_mount_broke_inside_it(empty_home: Home) -> None:
    """The server closes with 500 when an application raises, and whoever calls could fill the log with tracebacks."""
    mounts: Any = health_routes(lambda: None)
    async with serving(create_app(empty_home.site, mounts)) as served:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{served}/-/ready", proxy=None):
                raise AssertionError("it was accepted")
    assert refused.value.response.status_code in (403, 404)
