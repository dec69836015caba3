"""What goes wrong on the way is said in one sentence, in bounded time and bytes, and harms nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lastgood.errors import BadPayload, CollectError, Refused, Unreachable
from lastgood.tools.pbs.api import Api
from tests.pbs_simulator import Simulator
from tests.tools.pbs.connected import api_of

GROUPS = "/api2/json/admin/datastore/*/groups"
VERSION_PATH = "/api2/json/version"


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as pbs:
        yield pbs


@pytest.fixture
def pbs(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture
async def api(pbs: Simulator) -> AsyncIterator[Api]:
    async with api_of(pbs, timeout_seconds=1) as api:
        await api.namespaces("main")
        yield api


def spoil(pbs: Simulator, do: dict[str, Any], path: str = GROUPS, **when: Any) -> None:
    pbs.faults({"match": {"path": path}, "when": when, "do": do})


@pytest.mark.parametrize(
    ("do", "kind", "cause"),
    [
        ({"status": 401, "body": "authentication failed"}, Refused, "unauthorised"),
        ({"status": 403, "body": "permission check failed"}, Refused, "forbidden"),
        ({"status": 500, "body": "oh"}, Refused, "server_error"),
        ({"status": 502, "body": "<html>Bad Gateway</html>"}, Refused, "html"),
        ({"status": 301, "body": ""}, Refused, "redirect"),
        ({"status": 200, "body": "<html>Sign in</html>"}, BadPayload, "html"),
        ({"status": 200, "body": ""}, BadPayload, "bad_payload"),
        ({"truncate": 0.5}, Unreachable, "cut_off"),
        ({"truncate": 0.5, "chunked": True}, Unreachable, "cut_off"),
        ({"reset": 0}, Unreachable, "cut_off"),
        ({"reset": 150}, Unreachable, "cut_off"),
        ({"corrupt": "json"}, BadPayload, "bad_payload"),
    ],
)
async def test_one_spoilt_list_is_named_and_the_next_question_is_answered(
    pbs: Simulator, api: Api, do: dict[str, Any], kind: type[CollectError], cause: str
) -> None:
    spoil(pbs, do, times=2)  # a connection kept open may be tried again
    began = time.monotonic()
    with pytest.raises(kind) as error:
        await api.groups("main", "prod")
    assert error.value.cause == cause, error.value
    assert str(error.value).startswith("pbs-a: admin/datastore/main/groups ns=prod ")
    assert time.monotonic() - began < 10
    assert str(error.value).isprintable()
    pbs.faults()
    assert len(await api.groups("main", "prod")) > 0


@pytest.mark.parametrize(
    "do", [{"hang": 30}, {"hang": 30, "where": "body"}, {"drip": 10}], ids=["hang", "hang-in-body", "drip"]
)
async def test_a_small_answer_that_does_not_come_is_not_waited_for(
    pbs: Simulator, api: Api, do: dict[str, Any]
) -> None:
    spoil(pbs, do, path=VERSION_PATH)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="not answered in time") as error:
        await api.version()
    assert error.value.cause == "timeout"
    assert time.monotonic() - began < 8
    assert len(await api.groups("main", "")) > 0


async def test_a_list_may_take_longer_than_a_small_answer(pbs: Simulator, api: Api) -> None:
    spoil(pbs, {"delay": 1200})
    assert len(await api.groups("main", "")) > 0
    spoil(pbs, {"delay": 1200}, path="/api2/json/admin/datastore/*/snapshots")
    assert len(await api.snapshots("main", "")) > 0


async def test_a_bomb_costs_no_more_than_the_bound_of_its_call(pbs: Simulator) -> None:
    spoil(pbs, {"oversize": 150}, path="/api2/json/nodes/localhost/status")
    async with api_of(pbs) as api:
        with pytest.raises(BadPayload, match="more than 4,000,000 bytes") as error:
            await api.node_status()
        assert (error.value.cause, error.value.retry) == ("too_large", False)
        assert api.traffic.received_bytes < 1_000_000


@pytest.mark.parametrize(
    "do",
    [
        {"corrupt": "type", "key": "last-backup"},
        {"corrupt": "type", "key": "backup-type"},
        {"corrupt": "null", "key": "backup-id"},
        {"corrupt": "huge", "key": "backup-count"},
    ],
)
async def test_rows_that_are_all_wrong_are_no_empty_server(pbs: Simulator, api: Api, do: dict[str, Any]) -> None:
    right = await api.groups("main", "")
    spoil(pbs, do)
    rows = await api.groups("main", "")
    assert (len(rows), rows.unreadable) == (0, len(right))
    assert not rows.is_whole
    assert rows.complaint is not None


async def test_rows_that_come_twice_count_once(pbs: Simulator, api: Api) -> None:
    right = await api.snapshots("main", "")
    spoil(pbs, {"corrupt": "duplicate"}, path="/api2/json/admin/datastore/*/snapshots")
    rows = await api.snapshots("main", "")
    assert (rows.rows, rows.repeated) == (right.rows, len(right))


async def test_a_huge_number_where_it_is_optional_costs_its_row_only(pbs: Simulator, api: Api) -> None:
    spoil(pbs, {"corrupt": "huge", "key": "size"}, path="/api2/json/admin/datastore/*/snapshots")
    rows = await api.snapshots("main", "")
    assert rows.unreadable > 0
    assert all(not row.is_finished for row in rows)


async def test_a_name_that_a_server_made_up_is_printable_in_the_sentence(pbs: Simulator, api: Api) -> None:
    with pytest.raises(Refused) as error:
        await api.groups("main", "a\x1b[31m\n\u202eb")
    assert str(error.value).startswith("pbs-a: admin/datastore/main/groups ns=a [31m b was answered 400")
    assert str(error.value).isprintable()


async def test_an_object_that_is_wrong_is_a_bad_payload(pbs: Simulator, api: Api) -> None:
    for do in ({"corrupt": "type"}, {"corrupt": "null"}, {"corrupt": "duplicate"}):
        spoil(pbs, do, path=VERSION_PATH)
        with pytest.raises(BadPayload, match=r"^pbs-a: version was answered with what cannot be read"):
            await api.version()
    assert api.traffic.errors == {"bad_payload": 3}


async def test_connections_that_the_server_drops_when_idle_cost_nothing(pbs: Simulator, api: Api) -> None:
    spoil(pbs, {"close_idle": True}, path="**")
    for _ in range(10):
        await api.version()
    assert api.traffic.errors == {}


async def test_one_question_that_hangs_holds_none_of_the_others(pbs: Simulator, api: Api) -> None:
    spoil(pbs, {"hang": 30}, path="/api2/json/nodes/localhost/status")
    hanging = asyncio.create_task(api.node_status())
    for _ in range(5):
        await api.version()
    with pytest.raises(Unreachable):
        await hanging
