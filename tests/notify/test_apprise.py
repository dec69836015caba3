"""Services of Apprise against real servers of this machine: ntfy's protocol over HTTP, and mail over SMTP."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import Message
from ipaddress import ip_network

import pytest

from lastgood.errors import ConfigError, DeliveryError
from lastgood.notify.apprise import Services, check_url, shown_url
from lastgood.notify.reach import Reach
from lastgood.notify.threads import Threads
from tests.notify.receiver import DROP, HANG, receiving

HERE = (ip_network("127.0.0.1"),)


def services(seconds: float = 10.0, allowed: tuple = HERE) -> Services:  # type: ignore[type-arg]
    threads = Threads(8)
    return Services(Reach(threads, allowed), threads, seconds)


@asynccontextmanager
async def mailing() -> AsyncIterator[tuple[int, list[Message]]]:
    """A mail server that takes everything; gives its port and what it took."""
    took: list[Message] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line.split(b" ")[0].strip().upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                body = await reader.readuntil(b"\r\n.\r\n")
                took.append(message_from_bytes(body))
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            await writer.drain()
            if word == b"QUIT":
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], took
    finally:
        server.close()


async def test_ntfy_takes_a_notice() -> None:
    async with receiving() as receiver:
        url = f"ntfy://127.0.0.1:{receiver.port}/backups"
        receipt = await services().send(url, "lastgood: critical alert open", "home on web-1 failed <b>&amp;")
        (asked,) = receiver.took
    assert receipt == "taken by ntfy"
    said = json.loads(asked.body)
    assert (said["topic"], said["title"]) == ("backups", "lastgood: critical alert open")
    assert said["message"] == "home on web-1 failed <b>&amp;"


async def test_a_mail_server_takes_a_notice() -> None:
    async with mailing() as (port, took):
        url = f"mailto://127.0.0.1:{port}?from=hub@example.org&to=ann@example.org&mode=insecure&smtp=127.0.0.1"
        await services().send(url, "lastgood: critical alert open", "home on web-1 failed")
    (mail,) = took
    assert "critical alert open" in str(mail["Subject"])
    assert "ann@example.org" in str(mail["To"])
    assert "home on web-1 failed" in str(mail)


@pytest.mark.parametrize(("status", "permanent"), [(401, True), (404, True), (429, False), (503, False)])
async def test_what_a_service_answers_decides_whether_it_is_asked_again(status: int, permanent: bool) -> None:
    async with receiving(status) as receiver:
        with pytest.raises(DeliveryError, match=f"ntfy answered {status}") as caught:
            await services().send(f"ntfy://127.0.0.1:{receiver.port}/backups", "t", "x")
    assert (caught.value.permanent, caught.value.status) == (permanent, str(status))


async def test_a_service_that_drops_or_hangs_is_asked_again_later() -> None:
    async with receiving(DROP) as receiver:
        with pytest.raises(DeliveryError, match="could not be reached") as caught:
            await services().send(f"ntfy://127.0.0.1:{receiver.port}/backups", "t", "x")
        assert not caught.value.permanent
    async with receiving(HANG) as receiver:
        with pytest.raises(DeliveryError, match=r"within 0\.3 seconds") as caught:
            await services(0.3).send(f"ntfy://127.0.0.1:{receiver.port}/backups?rto=1", "t", "x")
        assert not caught.value.permanent


async def test_a_redirect_is_not_followed_though_the_address_asks_for_it() -> None:
    async with receiving() as inner, receiving((307, f"Location: {inner.url}")) as receiver:
        with pytest.raises(DeliveryError):
            await services().send(f"json://127.0.0.1:{receiver.port}/x?redirect=yes", "t", "x")
        assert len(receiver.asked) == 1
        assert inner.asked == []


@pytest.mark.parametrize("url", ["ntfy://127.0.0.1:{port}/backups", "mailto://u:p@example.org?smtp=127.0.0.1:{port}"])
async def test_without_the_setting_no_service_of_this_machine_is_reached(url: str) -> None:
    async with receiving() as receiver:
        with pytest.raises(DeliveryError, match="this machine itself"):
            await services(allowed=()).send(url.format(port=receiver.port), "t", "x")
        assert receiver.asked == []


class Lines(logging.Handler):
    """What would stand in the hub's log."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


@pytest.fixture
def our_log() -> Iterator[Lines]:
    """The log of a hub that logs as much as it can."""
    root, lines = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(level)
    root.removeHandler(lines)


async def test_nothing_that_the_library_says_reaches_our_log(our_log: Lines) -> None:
    logging.getLogger("lastgood").debug("what we say ourselves")
    with pytest.raises(ConfigError):
        check_url("nonsense://zanzibar")
    async with receiving(500) as receiver:
        with pytest.raises(DeliveryError) as caught:
            await services().send(f"json://zanzibar:mombasa@127.0.0.1:{receiver.port}/x", "t", "x")
    assert "what we say ourselves" in our_log.text
    for secret in ("zanzibar", "mombasa", "/x"):
        assert secret not in our_log.text + str(caught.value)


def test_an_address_is_shown_as_its_service_alone() -> None:
    assert shown_url("mailtos://zanzibar:mombasa@gmail.com") == "E-Mail (mailtos://…)"


@pytest.mark.parametrize(
    "url", ["syslog://", "msteams://a/b/c/?template=/etc/passwd", "file:///etc/passwd", "x" * 9000]
)
def test_an_address_that_stays_on_this_machine_or_reads_its_files_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_url(url)


@pytest.mark.parametrize(
    "words",
    [
        "?%20template=/etc/passwd",
        "?template%20=/etc/passwd",
        "?a=b;template=/etc/passwd",
        "?a=b#&template=/etc/passwd",
        "#?template=/etc/passwd",
    ],
)
def test_a_file_of_this_machine_cannot_be_named_where_only_apprise_looks_for_parameters(words: str) -> None:
    with pytest.raises(ConfigError, match="read a file of this machine"):
        check_url(f"discord://{'1' * 18}/{'a' * 68}{words}")


async def test_threads_that_do_not_come_back_are_counted_and_bounded() -> None:
    threads, go = Threads(2), threading.Event()
    hanging = [asyncio.ensure_future(threads.run(go.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DeliveryError, match="still hang"):
        await threads.run(int)
    go.set()
    assert await asyncio.gather(*hanging) == [True, True]
