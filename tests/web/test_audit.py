"""The audit log as it is read: filtered, paged, downloaded whole, and never changed by that."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from lastgood.auth.chain import Head, chain_keys, head_is_signed, row_hash
from lastgood.auth.proof import prove
from lastgood.model.audit import ActorKind, Ending, Entry, Target, Who
from lastgood.store import audit as rows
from tests.builders import NOW
from tests.web.site import HUB_KEYS, Home

ODD = '<b>=cmd|"x"</b>'
KEYS = chain_keys(b"s" * 32)


async def write(home: Home, count: int = 1, **changes: Any) -> None:
    def append(connection: Connection) -> None:
        for number in range(count):
            values: dict[str, Any] = {
                "action": "host.write",
                "who": Who(kind=ActorKind.PERSON, id="01ANN", name="ann"),
                "target": Target(kind="host", id=f"01HOST{number}", name="web-1"),
                **changes,
            }
            rows.append(connection, Entry(**values), home.moment, KEYS)

    await home.database.write(append)
    await home.audit.round()


async def test_programs_read_it_a_page_at_a_time(home: Home) -> None:
    await write(home, 7)
    await write(home, 2, action="source.archive", outcome=Ending.REFUSED, details={"status": 403})
    client = home.program()
    seen, cursor = [], None
    while True:
        answer = (
            await client.get("/api/v1/audit", params={"limit": 4, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [one["seq"] for one in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(9, 0, -1))
    (refused, _) = (await client.get("/api/v1/audit", params={"outcome": "refused"})).json()["items"]
    assert refused["action"] == "source.archive"
    assert refused["actor"] == {"kind": "person", "id": "01ANN", "name": "ann"}
    assert refused["details"] == {"status": 403}
    assert len((await client.get("/api/v1/audit", params={"action": "host"})).json()["items"]) == 7
    assert len((await client.get("/api/v1/audit", params={"target": "01HOST1"})).json()["items"]) == 2
    tomorrow = (NOW + timedelta(days=1)).date().isoformat()
    assert (await client.get("/api/v1/audit", params={"since": tomorrow})).json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "outcome=fine",
        "since=yesterday",
        "since=2026-01-01T00:00",
        "since=0001-01-01T00:00%2B14:00",
        "until=9999-12-31T23:59-01:00",
        "cursor=-1",
        "cursor=x",
        "actor=" + "x" * 400,
    ],
)
async def test_a_filter_that_cannot_be_meant_is_refused(home: Home, query: str) -> None:
    answer = await home.program().get(f"/api/v1/audit?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == query.partition("=")[0]


async def test_the_last_day_of_the_calendar_is_a_day_like_others(home: Home) -> None:
    browser = await home.signed_in()
    assert (await browser.get("/audit?until=9999-12-31")).status_code == 200


async def test_people_see_who_did_what_and_nothing_of_it_is_markup(home: Home) -> None:
    await write(home, 1, who=Who(kind=ActorKind.TOKEN, id="1", name=ODD), details={"given": {"name": ODD}})
    await write(home, 120)
    client = await home.signed_in()
    page = await client.get("/audit")
    assert page.status_code == 200
    assert "Older" in page.text
    older = await client.get("/audit?cursor=22")
    assert "&lt;b&gt;=cmd" in older.text
    assert ODD not in older.text
    nothing = await client.get("/audit?action=stack.deploy&actor=nobody&since=2026-01-01&until=2026-01-02")
    assert "Nothing fits." in nothing.text


async def test_a_download_holds_every_row_as_it_is_chained(home: Home) -> None:
    await write(home, 2_300)
    answer = await home.program().get("/api/v1/audit/export?format=jsonl")
    assert answer.headers["content-disposition"].startswith('attachment; filename="lastgood-audit-')
    held = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["seq"] for row in held] == list(range(1, 2_301))
    assert held[1]["prev_hash"] == held[0]["row_hash"]
    proof = prove(rows.stored_rows(home.database.path), keys=KEYS)
    assert proof.is_whole
    assert proof.last_hash.hex() == held[-1]["row_hash"]


async def test_a_spreadsheet_takes_no_cell_for_a_formula(home: Home) -> None:
    await write(home, 1, who=Who(kind=ActorKind.PERSON, name="=HYPERLINK(1)"), target=Target(kind="host", name="+1"))
    answer = await home.program().get("/api/v1/audit/export?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["actor_name"], row["target_name"], row["action"]) == ("'=HYPERLINK(1)", "'+1", "host.write")
    assert (await home.program().get("/api/v1/audit/export?format=xls")).status_code == 422


async def test_the_head_is_signed_by_the_hub_and_fits_the_newest_row(home: Home) -> None:
    client = home.program()
    assert (await client.get("/api/v1/audit/head")).json() == {"head": None}
    await write(home, 3)
    said = (await client.get("/api/v1/audit/head")).json()["head"]
    head = Head(**{**said, "at": home.moment})
    assert head_is_signed(head, HUB_KEYS.public_key)
    assert not head_is_signed(Head(**{**said, "at": home.moment, "seq": 4}), HUB_KEYS.public_key)
    assert base64.b64decode(head.key) == HUB_KEYS.public_key
    *_, newest = rows.stored_rows(home.database.path)
    assert (head.seq, head.hash) == (3, row_hash(newest[:15]).hex())
