"""The client is polite, bounded in bytes and time, and goes nowhere it was not sent."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lastgood.errors import BadPayload, CollectError, ConfigError, Unreachable
from lastgood.tools.http import Answer, Http, Patience, https
from lastgood.tools.tls import Trust
from tests.tools.tls_server import Answering, Server, listening, saying
from tests.waiting import until

PATIENCE = Patience(10, 10, 10)
SHORT = Patience(10, 0.3, 0.3)
SECRET = "d3b1c2a0-secret"


@asynccontextmanager
async def client(server: Server, **other: Any) -> AsyncIterator[Http]:
    trust = Trust(fingerprint=server.fingerprint)
    http = Http(server.url, trust, name="pbs-a", headers={"Authorization": f"Bearer {SECRET}"}, **other)
    try:
        yield http
    finally:
        await http.close()


async def ask(
    http: Http, target: str = "/x", patience: Patience = PATIENCE, limit: int = 1 << 20
) -> tuple[Answer, bytes]:
    body = bytearray()
    answer = await http.get(target, patience, limit, body.extend, asked=f"pbs-a: {target}", before=lambda: None)
    return answer, bytes(body)


async def hang(writer: asyncio.StreamWriter) -> None:
    """Takes the question, and says nothing."""


async def hang_in_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
    await writer.drain()


async def vanish(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


async def test_a_body_is_handed_over_and_counted() -> None:
    async with listening(saying(b'{"data":', b"1}")) as server, client(server) as http:
        answer, body = await ask(http)
        assert (answer, body) == (Answer(200), b'{"data":1}')
        assert (http.requests, http.received_bytes, http.failed) == (1, 10, {})
        assert "accept-encoding: deflate\r\n" in server.text.lower()
        assert f"Bearer {SECRET}" in server.text


async def test_cookies_of_a_server_are_neither_kept_nor_sent_back() -> None:
    async def handing_out(writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nset-cookie: sticky=1; path=/\r\ncontent-length: 2\r\n\r\n{}"
        writer.write(head)
        await writer.drain()

    async with listening(handing_out) as server, client(server) as http:
        for _ in range(2):
            await ask(http)
        assert server.text.count("GET /x") == 2
        assert "sticky" not in server.text


async def test_a_refusal_gives_its_first_words_and_no_body() -> None:
    words = b"permission check failed\x07\x1b[31m\r\nsecond line " + b"x" * 5000
    async with listening(saying(words, status="403 Forbidden")) as server, client(server) as http:
        answer, body = await ask(http)
        assert answer.status == 403
        assert not answer.is_success
        assert answer.text.startswith("permission check failed [31m second line xxx")
        assert len(answer.text) <= 300
        assert body == b""
        assert http.failed == {"403": 1}


async def test_an_endless_refusal_is_not_waited_for() -> None:
    async def refuse(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"500\r\n" + b"no no" * 256 + b"\r\n")
            await writer.drain()

    async with listening(refuse) as server, client(server) as http:
        answer, _ = await ask(http)
        assert answer.status == 500
        assert answer.text.startswith("no no")


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
async def test_a_redirect_is_never_followed(status: str) -> None:
    async with listening(saying(b"{}"), tls=False) as elsewhere:
        headers = f"location: http://127.0.0.1:{elsewhere.port}/api2/json/version\r\n"
        async with listening(saying(status=status, headers=headers)) as server, client(server) as http:
            answer, _ = await ask(http)
            assert answer.status == int(status[:3])
        assert (elsewhere.connections, elsewhere.heard) == (0, [])


@pytest.mark.parametrize("answering", [hang, hang_in_the_body])
async def test_a_server_that_says_nothing_more_is_given_up_in_time(answering: Answering) -> None:
    async with listening(answering) as server, client(server) as http:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"^pbs-a: /x was not answered in time") as error:
            await ask(http, patience=SHORT)
        assert time.monotonic() - began < 8
        assert error.value.cause == "timeout"
        assert http.failed == {"timeout": 1}


async def test_a_handshake_that_does_not_come_is_given_up_in_time() -> None:
    async with listening(hang, tls=False) as server, client(server) as http:
        with pytest.raises(Unreachable, match="not answered in time") as error:
            await ask(http, patience=Patience(0.3, 10, 10))
        assert error.value.cause == "timeout"
        assert SECRET not in server.text


async def test_a_question_that_is_cancelled_leaves_its_place() -> None:
    async with listening(hang) as server, client(server, at_once=1) as http:
        asking = asyncio.create_task(ask(http))

        async def asked() -> bool:
            return bool(server.heard)

        await until(asked, "the question")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(Unreachable):
            await ask(http, patience=SHORT)


async def test_a_server_that_drips_is_given_up_in_time_as_a_whole() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening(drip) as server, client(server) as http:
        with pytest.raises(Unreachable) as error:
            await ask(http, patience=Patience(10, 10, 0.5))
        assert error.value.cause == "timeout"


async def test_an_endless_body_is_left_at_its_bound() -> None:
    async with listening(endless) as server, client(server) as http:
        with pytest.raises(BadPayload, match=r"pbs-a: /x was answered with more than 3,000,000 bytes") as error:
            await ask(http, limit=3_000_000)
        assert error.value.cause == "too_large"
        assert http.received_bytes < 10_000_000

        async def left() -> bool:
            return server.ended == 1

        await until(left, "the connection to be closed")


async def test_an_answer_that_is_shorter_than_it_said_is_cut_off() -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        await saying(b'{"data":[', declared=1000)(writer)
        writer.close()

    async with listening(half) as server, client(server) as http:
        with pytest.raises(Unreachable, match="in part only") as error:
            await ask(http)
        assert error.value.cause == "cut_off"


async def test_nobody_there_is_unreachable() -> None:
    async with listening(saying()) as server:
        pass
    async with client(server) as http:
        with pytest.raises(Unreachable, match=r"pbs-a cannot be connected to \(Connection refused\)") as error:
            await ask(http)
        assert error.value.cause == "unreachable"


async def test_a_name_nobody_has_is_unreachable() -> None:
    http = Http("https://nobody.invalid:8007", Trust(), name="", headers={})
    with pytest.raises(Unreachable, match=r"nobody\.invalid:8007 cannot be connected to") as error:
        await ask(http)
    await http.close()
    assert error.value.cause == "unreachable"


async def test_a_connection_is_used_again() -> None:
    async with listening(saying(b"{}")) as server, client(server) as http:
        for _ in range(10):
            await ask(http)
        assert server.connections == 1


async def test_a_kept_connection_that_the_server_closed_is_no_failure() -> None:
    questions = 0

    async def once(writer: asyncio.StreamWriter) -> None:
        nonlocal questions
        questions += 1
        if questions == 2:
            writer.transport.abort()  # at the very moment of the second question
        else:
            await saying(b"{}")(writer)

    async with listening(once) as server, client(server) as http:
        assert (await ask(http))[0].is_success
        assert (await ask(http))[0].is_success
        assert (server.connections, http.failed) == (2, {})


async def test_a_fresh_connection_that_breaks_is_not_tried_again() -> None:
    async with listening(vanish) as server, client(server) as http:
        with pytest.raises(Unreachable) as error:
            await ask(http)
        assert error.value.cause == "cut_off"
        assert server.connections == 1


async def test_no_more_than_four_questions_are_asked_at_once() -> None:
    open_now = most = 0
    go = asyncio.Event()

    async def slowly(writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if most == 4:
            go.set()
        await go.wait()
        open_now -= 1
        await saying(b"{}")(writer)

    async with listening(slowly) as server, client(server) as http:
        await asyncio.gather(*(ask(http) for _ in range(20)))
        assert most == 4
        assert server.connections == 4


async def test_a_question_that_was_given_up_leaves_its_place() -> None:
    async with listening(hang) as server, client(server, at_once=1) as http:
        for _ in range(3):
            with pytest.raises(Unreachable):
                await ask(http, patience=SHORT)
        assert http.requests == 3


async def test_large_bodies_are_worked_on_off_the_loop_and_in_order() -> None:
    threads: set[int] = set()
    body = bytearray()
    sent = b"".join(b"%8d" % number for number in range(200_000))

    def take(piece: bytes) -> None:
        threads.add(threading.get_ident())
        body.extend(piece)

    async with listening(saying(sent)) as server, client(server) as http:
        await http.get("/x", PATIENCE, 1 << 24, take, asked="x", before=lambda: None)
    assert bytes(body) == sent
    assert threading.get_ident() not in threads


async def test_what_the_reader_says_no_to_ends_the_answer_at_once() -> None:
    def take(piece: bytes) -> None:
        raise BadPayload("no", cause="html")

    async with listening(endless) as server, client(server) as http:
        with pytest.raises(BadPayload, match="no"):
            await http.get("/x", PATIENCE, 1 << 40, take, asked="x", before=lambda: None)
        assert http.failed == {"html": 1}


async def test_a_turn_can_be_declined_before_anything_is_sent() -> None:
    def decline() -> None:
        raise CollectError("somebody heard no", cause="unauthorised")

    async with listening(saying(b"{}")) as server, client(server) as http:
        with pytest.raises(CollectError, match="somebody heard no"):
            await http.get("/x", PATIENCE, 1000, lambda piece: None, asked="x", before=decline)
        assert (server.connections, http.requests, http.failed) == (0, 0, {})


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(saying(b"{}"), tls=False) as proxy, listening(saying(b"{}")) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with client(server) as http:
            assert (await ask(http))[0].is_success
        assert proxy.connections == 0


async def test_the_libraries_of_the_first_request_are_not_imported_on_the_event_loop() -> None:
    """It once held the loop for a tenth of a second."""
    program = (
        "import asyncio, sys, threading\n"
        "from lastgood.tools.http import Http, Patience\n"
        "from lastgood.tools.tls import Trust\n"
        "here = []\n"
        "def hear(event, told):\n"
        "    if event == 'import' and threading.current_thread() is threading.main_thread():\n"
        "        here.append(told[0])\n"
        "async def main():\n"
        "    http = Http('https://127.0.0.1:1', Trust(fingerprint='00' * 32), name='x', headers={})\n"
        "    sys.addaudithook(hear)\n"
        "    try:\n"
        "        await http.get('/', Patience(5, 5, 5), 9, print, asked='x', before=lambda: None)\n"
        "    except Exception as error:\n"
        "        print(error.cause, 'httpcore' in sys.modules, 'httpcore' in here, 'h11' in here)\n"
        "asyncio.run(main())\n"
    )
    ran = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(ran.communicate(), 60)
    assert said.decode().split() == ["unreachable", "True", "False", "False"]


async def test_no_log_line_and_no_error_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for answering in (saying(b"{}"), saying(b"no", status="403 No"), vanish, hang):
        async with listening(answering) as server, client(server) as http:
            try:
                await ask(http, patience=SHORT)
            except CollectError as error:
                assert SECRET not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
            assert SECRET not in repr(http)
    assert "127.0.0.1" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("address", ["http://pbs.lan:8007", "HTTP://pbs.lan", " http://10.0.0.1:8007/api2/json "])
def test_an_endpoint_without_tls_is_refused_with_the_mend(address: str) -> None:
    with pytest.raises(ConfigError, match=r"would send the token in clear text; write https://"):
        https(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "pbs.lan:8007",
        "pbs.lan",
        "https://",
        "https://u:p@pbs.lan",
        "https://pbs.lan/?a=1",
        "https://pbs.lan/#x",
        "ftp://x",
        "https://[::1",
    ],
)
def test_an_endpoint_that_is_no_server_is_refused_with_the_mend(address: str) -> None:
    with pytest.raises(ConfigError, match="https://") as error:
        https(address)
    assert "u:p" not in str(error.value)


@pytest.mark.parametrize("address", ["https://pbs.lan:8007", "https://[fd00::7]:8007/", " https://10.0.0.1 "])
def test_an_endpoint_with_tls_is_taken(address: str) -> None:
    assert https(address).scheme == "https"
