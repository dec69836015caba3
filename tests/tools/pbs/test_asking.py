"""The token: shown to one server only, refused once, and never seen anywhere else (traps 4, 17 and 18)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest

from lastgood.config.servers import PbsServer
from lastgood.errors import CollectError, ConfigError, Refused, Unreachable
from lastgood.secret import Secret
from lastgood.tools.pbs.api import Api
from tests.pbs_simulator import DISABLED, EXPIRED, MONITOR, SIZES, Latency, Setting, Simulator
from tests.tools.pbs.connected import api_of, settings_of
from tests.tools.tls_server import listening, saying

VERSION = b'{"data":{"version":"4.1","release":"8","repoid":"x"}}'


def settings(**other: Any) -> PbsServer:
    told = {
        "name": "",
        "endpoint": "https://pbs.lan:8007",
        "token_id": "monitor@pbs!lastgood",
        "token_secret": Secret("d3b1c2a0-secret"),
    }
    return PbsServer(**(told | other))


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ("0b6b4b1a-55aa-4a6e-8d3e-1c2d3e4f5a6b", "0b6b4b1a-55aa-4a6e-8d3e-1c2d3e4f5a6b"),
        ("100%sure", "100%25sure"),
        ("%41", "%2541"),
        ("a+b/c=d:e", "a+b/c=d:e"),
        ("blank and é\r\nX-Evil: 1", "blank%20and%20%C3%A9%0D%0AX-Evil:%201"),
    ],
)
async def test_the_token_travels_in_one_header_and_comes_out_as_it_was(secret: str, header: str) -> None:
    async with listening(saying(VERSION)) as server:
        api = Api(settings(endpoint=server.url, fingerprint=server.fingerprint, token_secret=Secret(secret)))
        await api.version()
        await api.close()
    head, *lines = server.text.split("\r\n")
    assert head == "GET /api2/json/version HTTP/1.1"
    carrying = [line for line in lines if "lastgood:" in line]
    assert carrying == [f"Authorization: PBSAPIToken=monitor@pbs!lastgood:{header}"]
    assert unquote(header) == secret


async def test_a_secret_that_has_to_be_escaped_is_the_one_the_server_knows() -> None:
    with Simulator() as pbs:
        odd = "100% süß & so:on"
        pbs._site.world.access.tokens[MONITOR].secret = odd
        async with api_of(pbs, token_secret=Secret(odd)) as api:
            assert (await api.version()).version == "4.1"


@pytest.mark.parametrize("token", [DISABLED, EXPIRED])
async def test_a_token_that_is_not_taken_is_shown_once_however_much_waits_behind_it(token: str) -> None:
    with Simulator() as pbs:
        async with api_of(pbs, token) as api:
            results = await asyncio.gather(
                *(api.groups("main", "") for _ in range(20)), api.version(), return_exceptions=True
            )
            assert {type(each) for each in results} == {Refused}
            assert {each.cause for each in results if isinstance(each, Refused)} == {"unauthorised"}
            assert pbs.stats()["unauthorized"] == 1
            assert api.traffic.errors == {"401": 1}
            assert "USER@REALM!NAME" in str(results[0])


async def test_a_token_that_is_revoked_amid_a_cycle_ends_the_cycle() -> None:
    with Simulator(latency=Latency(latency_ms=20)) as pbs:
        async with api_of(pbs) as api:
            await api.version()
            pbs.plan({"when": {"after_requests": 6}, "do": {"kind": "revoke-token", "token": MONITOR}})
            results = await asyncio.gather(*(api.groups("main", "") for _ in range(50)), return_exceptions=True)
            refused = [each for each in results if isinstance(each, Refused)]
            assert len(refused) > 40
            assert {each.cause for each in refused} == {"unauthorised"}
            assert 1 <= pbs.stats()["unauthorized"] <= 4
            with pytest.raises(Refused):
                await api.version()


async def test_a_token_that_is_taken_again_works_at_the_next_try() -> None:
    with Simulator() as pbs:
        tokens = pbs._site.world.access.tokens
        tokens[MONITOR].enabled = False
        async with api_of(pbs) as api:
            with pytest.raises(Refused):
                await api.version()
            tokens[MONITOR].enabled = True
            results = await asyncio.gather(*(api.groups("main", "") for _ in range(10)))
            assert all(len(each) for each in results)


async def test_a_server_that_is_not_there_is_tried_once_for_all_that_wait() -> None:
    with Simulator() as pbs:
        gone = settings_of(pbs)
    api = Api(gone)
    results = await asyncio.gather(*(api.groups("main", "") for _ in range(30)), return_exceptions=True)
    await api.close()
    assert {type(each) for each in results} == {Unreachable}
    assert api.traffic.requests == 1


async def test_a_refused_right_is_no_refused_token() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with api_of(pbs) as api:
            with pytest.raises(Refused, match=r"missing Datastore.Audit.* on /datastore/tenant-b/a\); grant it"):
                await api.groups("tenant-b", "a")
            assert len(await api.groups("main", "")) > 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": "http://pbs.lan:8007"}, "would send the token in clear text; write https://"),
        ({"endpoint": "pbs.lan"}, "is like https://pbs.example.org:8007"),
        ({"token_id": "monitor@pbs"}, "is not USER@REALM!NAME"),
        ({"token_id": "monitor!lastgood"}, "is not USER@REALM!NAME"),
        ({"token_id": "monitor@pbs!lastgood:d3b1"}, "is not USER@REALM!NAME"),
        ({"token_id": "monitor@pbs!last\r\ngood"}, "is not USER@REALM!NAME"),
        ({"token_secret": Secret("")}, "token_secret is empty"),
        ({"fingerprint": "sha1:ab"}, "is not SHA-256"),
    ],
)
@pytest.mark.parametrize(("name", "where"), [("", "[pbs]"), ("cellar", "[pbs.servers.cellar]")])
def test_settings_that_cannot_be_right_are_refused_where_they_stand(
    wrong: dict[str, Any], said: str, name: str, where: str
) -> None:
    with pytest.raises(ConfigError) as error:
        Api(settings(name=name, **wrong))
    assert str(error.value).startswith(f"{where}: ")
    assert said in str(error.value)
    assert "d3b1c2a0" not in str(error.value)


def test_a_user_may_have_a_mail_address_for_a_name() -> None:
    Api(settings(token_id="jane@example.org@ldap!lastgood_1"))


def test_a_server_that_is_not_checked_is_told_as_such_and_a_pin_checks_it() -> None:
    assert not Api(settings(name="cellar", verify_tls=False)).tls_verified
    assert all(api.tls_verified for api in (Api(settings()), Api(settings(verify_tls=False, fingerprint="ab" * 32))))


async def test_the_secret_is_in_no_sentence_and_no_picture_of_the_api() -> None:
    secret = "d3b1c2a0-secret"
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with api_of(pbs, token_secret=Secret(secret)) as api:
            with pytest.raises(CollectError) as error:
                await api.version()
            assert secret not in f"{error.value!s}{error.value!r}{error.value.__cause__!r}"
            assert secret not in f"{api!r}{vars(api)!r}{api.traffic!r}"
