"""Bodies with mistakes in them: an error or a smaller list, and never a backup that is not there."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lastgood.errors import BadPayload
from lastgood.tools.pbs.groups import Line, line, read
from lastgood.tools.pbs.reading import ListReader
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import SnapshotRow
from tests.tools.pbs.rows_of import a_group

BODY = (Path(__file__).parents[2] / "recordings" / "pbs" / "snapshots.json").read_bytes()
NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)
PIECES = [
    b"null",
    b"{}",
    b"[]",
    b'"x"',
    b"1e30",
    b"-1",
    b"0",
    b"true",
    b'"ok"',
    b'"failed"',
    b'"size"',
    b"},{",
    b"\xff",
    b"]}",
]


def mutated(draw: random.Random) -> bytes:
    body = bytearray(BODY)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(body))
        kind = draw.randrange(5)
        if kind == 0:
            body[at] = draw.randrange(256)
        elif kind == 1:
            del body[at : at + draw.randrange(1, 40)]
        elif kind == 2:
            body[at:at] = draw.choice(PIECES)
        elif kind == 3:
            to = draw.randrange(len(body))
            body[at:at] = body[to : to + draw.randrange(1, 60)]
        else:
            _field(body, draw)
    return bytes(body)


def _field(body: bytearray, draw: random.Random) -> None:
    """Another value for a field, so that the whole often stays JSON."""
    name = draw.choice([b'"size":', b'"state":', b'"backup-time":', b'"verification":', b'"files":', b'"protected":'])
    at = body.find(name, draw.randrange(len(body)))
    if at >= 0:
        end = min((to for to in (body.find(b",", at), body.find(b"}", at)) if to >= 0), default=len(body))
        body[at + len(name) : end] = draw.choice(PIECES)


def listed(body: bytes) -> Rows[Line]:
    reader: ListReader[SnapshotRow, Line] = ListReader(
        SnapshotRow, "pbs-a", into=line, key=lambda row: (row.backup_type, row.backup_id, row.backup_time)
    )
    for at in range(0, len(body), 997):
        reader.feed(body[at : at + 997])
    return reader.end()


def good_ones(body: bytes) -> set[tuple[str, str, int]] | None:
    """What may count as good, read without our shapes; None if it is no JSON."""
    try:
        rows = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return None
    return {
        (row["backup-type"], row["backup-id"], row["backup-time"])
        for row in rows
        if isinstance(row, dict) and _is_good(row)
    }


def _is_good(row: dict[str, Any]) -> bool:
    names = (row.get("backup-type"), row.get("backup-id"))
    if not all(isinstance(name, str) for name in names) or not isinstance(row.get("backup-time"), int):
        return False
    verification = row.get("verification")
    failed = isinstance(verification, dict) and verification.get("state") == "failed"
    return isinstance(row.get("size"), int) and not failed


def tried(seed: int, times: int) -> tuple[int, int]:
    """How many were read, and how many groups had a good backup in them."""
    draw, read_at_all, found = random.Random(seed), 0, 0
    for _ in range(times):
        body = mutated(draw)
        try:
            rows = listed(body)
        except BadPayload:
            continue
        read_at_all += 1
        right = good_ones(body)
        groups: dict[tuple[str, str], list[Line]] = {}
        for each in rows:
            groups.setdefault((each.type, each.id), []).append(each)
        for name, lines in groups.items():
            good = read(a_group(kind=name[0], backup_id=name[1]), lines, NOW).group.last_good
            if good is not None:
                found += 1
                assert good.backup_at <= NOW
                assert right is None or (*name, int(good.backup_at.timestamp())) in right, body
    return read_at_all, found


def test_a_list_with_mistakes_in_it_never_shows_a_backup_that_is_not_there() -> None:
    read_at_all, found = tried(5, 3000)
    assert read_at_all > 500
    assert found > 500


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_lists_with_mistakes_never_show_a_backup_that_is_not_there(seed: int) -> None:
    read_at_all, _ = tried(100 + seed, 10_000)
    assert read_at_all > 1500
