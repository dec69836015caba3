"""Whatever stands in the answers, nothing is taken for a good backup that they do not say is one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest

from lastgood.config.servers import PbsServer
from lastgood.errors import BadPayload
from lastgood.model.job import Outcome
from lastgood.model.pbs import Group, Verification
from lastgood.secret import Secret
from lastgood.tools.pbs.groups import Line, line
from lastgood.tools.pbs.job_shapes import TaskRow
from lastgood.tools.pbs.known import Groups
from lastgood.tools.pbs.reading import ListReader, any_row
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import GroupRow, SnapshotRow, moment
from lastgood.tools.pbs.tasks import Counted
from tests.pbs_simulator import KNOWN, SIZES, Setting, Simulator, Version
from tests.pbs_simulator.asking import ask, store_path
from tests.tools.pbs.spoilt import Claims, Spoiler, claims
from tests.tools.pbs.test_reading import recorded

PLACE = ("main", "")
SERVER = PbsServer(name="", endpoint="https://pbs.example:8007", token_id="a@pbs!b", token_secret=Secret("x"))
SLACK = 120
"""Seconds that a moment may lie in the future."""


@dataclass(frozen=True)
class Namespace:
    """The answers that one namespace of a few groups gives."""

    now: int
    groups: dict[str, Any]
    snapshots: dict[str, Any]
    tasks: dict[str, Any]


@cache
def namespaces() -> tuple[Namespace, ...]:
    """From simulated servers old and new, and the recordings."""
    found = [_recorded()]
    for version in (KNOWN[0], KNOWN[-1]):
        with Simulator(Setting(size=SIZES["states"], version=Version.parse(version))) as pbs:
            now, tasks = pbs.truth()["now"], ask(pbs, "nodes/localhost/tasks?limit=0").data
            for row in ask(pbs, store_path("main", "namespace")).data:
                groups = ask(pbs, store_path("main", "groups", ns=row["ns"])).data
                snapshots = ask(pbs, store_path("main", "snapshots", ns=row["ns"])).data
                found += _few(now, groups, snapshots, tasks)
    return tuple(found)


def _recorded() -> Namespace:
    told = {name: json.loads(recorded(f"{name}.json")) for name in ("groups", "snapshots", "tasks")}
    counts: dict[tuple[str, str], int] = {}
    for row in told["snapshots"]["data"]:
        counts[row["backup-type"], row["backup-id"]] = counts.get((row["backup-type"], row["backup-id"]), 0) + 1
    groups = [
        row | {"backup-count": counts.get((row["backup-type"], row["backup-id"]), 0)}
        for row in told["groups"]["data"]
    ]
    return Namespace(1763625600, {"data": groups}, told["snapshots"], told["tasks"])


def _few(now: int, groups: list[Any], snapshots: list[Any], tasks: list[Any]) -> Iterable[Namespace]:
    for start in range(0, len(groups), 3):
        some = groups[start : start + 3]
        rows, counted = [], []
        for group in some:
            own = [row for row in snapshots if _named(row) == _named(group)]
            own = sorted(own, key=lambda row: -int(row["backup-time"]))[:4]
            rows += own
            counted.append(group | {"backup-count": len(own)})
        names = {"main:{}/{}".format(*_named(group)) for group in some}
        ours = [task for task in tasks if task["worker_id"] in names][:5]
        yield Namespace(now, {"data": counted}, {"data": rows}, {"data": ours, "total": len(ours)})


@cache
def wide() -> Namespace:
    """One whose snapshots come in several pieces, each read before the next is there."""
    space = namespaces()[1]
    groups, rows = list[Any](), list[Any]()
    for number in range(30):
        long = {"comment": "so long that it takes its time " * 12}
        groups += [row | {"backup-id": f"{row['backup-id']}{number:04}"} for row in space.groups["data"]]
        rows += [row | long | {"backup-id": f"{row['backup-id']}{number:04}"} for row in space.snapshots["data"]]
    return Namespace(space.now, {"data": groups}, {"data": rows}, space.tasks)


def _named(row: dict[str, Any]) -> tuple[str, str]:
    return row["backup-type"], row["backup-id"]


def in_pieces(reader: ListReader[Any, Any], body: bytes, rng: random.Random) -> Rows[Any]:
    step = rng.choice((100, 4096, 1 << 16))
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    return reader.end()


class Reader:
    """What the collector makes of answers, without the asking."""

    def __init__(self, now: int, rng: random.Random) -> None:
        at = moment(now)
        assert at is not None
        self.now: datetime = at
        self.rng = rng
        self.groups = Groups(SERVER, Counted(), {})

    def listed(self, body: bytes) -> bool:
        """Whether the list of groups could be read."""
        reader = ListReader(GroupRow, "x", into=any_row, key=lambda row: (row.backup_type, row.backup_id))
        try:
            self.groups.take_groups(PLACE, in_pieces(reader, body, self.rng), self.now)
        except BadPayload:
            return False
        return True

    def swept(self, body: bytes) -> Rows[Line] | None:
        self.groups.asking(PLACE, None)
        reader = ListReader(
            SnapshotRow, "x", into=line, key=lambda row: (row.backup_type, row.backup_id, row.backup_time)
        )
        try:
            rows: Rows[Line] = in_pieces(reader, body, self.rng)
        except BadPayload:
            self.groups.failed()
            return None
        self.groups.take_snapshots(PLACE, None, rows, self.now)
        return rows

    def told(self, body: bytes) -> bool:
        reader = ListReader(TaskRow, "x", into=any_row, key=lambda row: row.upid)
        try:
            rows: Rows[TaskRow] = in_pieces(reader, body, self.rng)
        except BadPayload:
            return False
        self.groups.take_tasks(rows, rows, self.now)
        return True

    def shown(self) -> dict[tuple[str, str], Group]:
        return {(group.type, group.backup_id): group for group in self.groups.shown.values()}


def epoch(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def check(reader: Reader, before: dict[tuple[str, str], Group], body: bytes, rows: Rows[Line] | None) -> int:
    """How many groups were held against the oracle exactly, and not only if they are good."""
    said = claims(body) or Claims({}, is_clear=False)
    until, exactly = int(reader.now.timestamp()) + SLACK, 0
    for (kind, name), group in reader.shown().items():
        good, known = epoch(group.last_good.backup_at if group.last_good else None), before.get((kind, name))
        if rows is None:
            assert good == epoch(known.last_good.backup_at if known and known.last_good else None)
            continue
        if good is not None and (known is None or group.last_good != known.last_good):
            assert good <= until
            assert said.finished.get((kind, name, good), "failed") != "failed", (kind, name, good)
        if said.is_clear and rows.is_whole and any((row.type, row.id) == (kind, name) for row in rows):
            exactly += 1
            assert good == said.good(kind, name, until), (kind, name)
        newest = group.last_verified
        if newest is not None and (known is None or newest != known.last_verified):
            assert said.finished.get((kind, name, epoch(newest.backup_at) or 0)) == "ok"
    return exactly


def check_reports(reader: Reader) -> None:
    """What is told of a group says the same as the group."""
    groups = {group.id: group for group in reader.groups.shown.values()}
    for source in reader.groups.told("main", ("",), reader.now, whole=True).sources:
        group = groups[source.id]
        good, newest = group.last_good, source.newest
        assert (source.good is None) == (good is None)
        if source.good is not None and good is not None:
            assert (
                source.good.started_at
                == good.backup_at
                <= source.good.ended_at
                <= reader.now + timedelta(days=400000)
            )
            assert source.good.outcome is Outcome.SUCCESS
            assert good.size_bytes is not None
            assert good.verification is not Verification.FAILED
        if group.last_complete is not None and group.last_complete.verification is Verification.FAILED:
            assert newest is not None
            assert newest.started_at > group.last_complete.backup_at or newest.outcome is Outcome.FAILED
        if group.failed_attempts and newest is not None:
            assert newest.outcome is Outcome.FAILED


def fuzz(seed: int, bodies: int) -> dict[str, int]:
    """So many spoilt bodies, in rounds of a list of groups, one of snapshots, and one of tasks."""
    spoiler, counts = Spoiler(seed), {"read": 0, "refused": 0, "exactly": 0, "good": 0}
    rng, spaces = spoiler.rng, namespaces()
    for _ in range(0, bodies, 3):
        space = wide() if rng.random() < 1 / 100 else rng.choice(spaces)
        reader = Reader(space.now, rng)
        if rng.random() < 0.5:
            assert reader.listed(json.dumps(space.groups).encode())
            assert reader.swept(json.dumps(space.snapshots).encode()) is not None
            assert reader.told(json.dumps(space.tasks).encode())
        groups = spoiler.body(space.groups) if rng.random() < 0.5 else json.dumps(space.groups).encode()
        is_listed = reader.listed(groups)
        before = reader.shown()
        body = spoiler.body(space.snapshots)
        rows = reader.swept(body)
        counts["exactly"] += check(reader, before, body, rows)
        is_told = reader.told(spoiler.body(space.tasks))
        counts["exactly"] += check(reader, before, body, rows)
        check_reports(reader)
        for well in (is_listed, rows is not None, is_told):
            counts["read" if well else "refused"] += 1
        counts["good"] += sum(group.last_good is not None for group in reader.shown().values())
    return counts


def test_nothing_is_good_that_spoilt_answers_do_not_say() -> None:
    counts = fuzz(seed=5, bodies=3000)
    assert min(counts.values()) > 300, counts


@pytest.mark.slow
def test_nothing_is_good_that_a_hundred_thousand_spoilt_answers_do_not_say() -> None:
    counts = fuzz(seed=23, bodies=100_000)
    assert min(counts.values()) > 10_000, counts
