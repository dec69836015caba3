"""Somebody else is given the audit log's signed head once a day, and can prove with it what was cut off later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from lastgood.auth.chain import Head, head_is_signed, sign_head
from lastgood.auth.identity import mint_key_pair
from lastgood.config.load import load
from lastgood.errors import ConfigError
from lastgood.secret import Secret
from lastgood.service.witnesses import Witnesses
from lastgood.web.asgi import say
from tests.builders import NOW
from tests.serving import serving

HUB = mint_key_pair(b"h" * 32)
TOKEN = "s3cret-of-the-notary"


class Notary:
    """The far side: keeps what it is given, and answers as it is told."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.status = 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        assert scope["method"] == "POST"
        self.given.append(body)
        await say(scope, send, self.status, "noted")


@asynccontextmanager
async def a_notary(now: list[datetime], seq: list[int]) -> AsyncIterator[tuple[Notary, Witnesses, httpx.AsyncClient]]:
    notary = Notary()

    def head() -> Head | None:
        return sign_head(HUB, seq[0], b"x" * 32, now[0]) if seq[0] else None

    async with serving(notary) as address, httpx.AsyncClient(trust_env=False) as client:
        url = Secret(f"http://{address}/heads/{TOKEN}")
        yield notary, Witnesses(url, head, lambda: now[0]), client


async def test_a_head_is_sent_once_a_day_and_is_signed() -> None:
    now, seq = [NOW], [0]
    async with a_notary(now, seq) as (notary, witnesses, client):
        assert not await witnesses.send(client), "before the first row there is nothing to tell"
        seq[0] = 7
        for _ in range(3 * 24):
            await witnesses.send(client)
            now[0] += timedelta(hours=1)
            seq[0] += 1
        heads = [msgspec.json.decode(body, type=Head) for body in notary.given]
    assert [head.seq for head in heads] == [7, 31, 55]
    assert all(head_is_signed(head, HUB.public_key) for head in heads)
    assert witnesses.sent_at == NOW + timedelta(days=2)


async def test_one_that_was_not_taken_is_sent_again_and_the_address_is_told_to_nobody() -> None:
    now, seq = [NOW], [7]
    async with a_notary(now, seq) as (notary, witnesses, client):
        notary.status = 500
        with capture_logs() as lines:
            for _ in range(31):
                assert not await witnesses.send(client)
                now[0] += timedelta(minutes=1)
            assert len(notary.given) == 3
            notary.status = 200
            now[0] += timedelta(minutes=15)
            assert await witnesses.send(client)
        assert [line["log_level"] for line in lines] == ["warning", "info"]
        assert (witnesses.failures, witnesses.sent_at) == (3, now[0])
        now[0] -= timedelta(days=30)
        assert await witnesses.send(client), "a clock that was set back delays nothing"
    now[0] += timedelta(days=60)
    with capture_logs() as lines:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert not await witnesses.send(client)
    assert "no answer" in lines[0]["reason"]
    assert TOKEN not in repr(lines)


@pytest.mark.parametrize("url", ["notary.example.org/x", "ftp://notary.example.org/x", "https://notary example.org"])
def test_an_address_that_is_none_is_refused_at_the_start_without_telling_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"audit\.head_url .* is not an http or https address") as refused:
        load({"LASTGOOD_AUDIT__HEAD_URL": url})
    assert "notary" not in str(refused.value)
