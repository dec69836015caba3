"""Every release, small and medium, every event and every fault: in the end all is as the server knows it.

One server and one collector go through all of it, one thing after the other, so that what one leaves behind would
spoil the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import Watch, readable, watching
from tests.collect.pbs.test_events import LOOKS, content, key_of
from tests.pbs_simulator import KNOWN, MONITOR, SIZES, Setting, Simulator, Version
from tests.pbs_simulator.asking import until_up
from tests.pbs_simulator.events import EVENTS
from tests.pbs_simulator.faults import CORRUPTIONS, KINDS

ALL = (*LOOKS, "rare", *LOOKS)
HTML = "<html><h1>502 Bad Gateway</h1></html>"
CASES = [
    pytest.param(version, size, marks=[] if (version, size) == (KNOWN[2], "small") else [pytest.mark.slow])
    for size in ("small", "medium")
    for version in KNOWN
]

FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 401, "body": "authentication failed"},
    {"status": 403, "body": "permission check failed"},
    {"status": 400, "body": "ENOENT: No such file or directory"},
    {"status": 500, "body": "internal error"},
    {"status": 502, "body": HTML},
    {"status": 200, "body": HTML},
    {"hang": 0.05},
    {"hang": 0.05, "where": "body"},
    {"drip": 100_000},
    {"truncate": 0.5},
    {"truncate": 0.5, "chunked": True},
    {"reset": 0},
    {"reset": 200},
    *({"corrupt": how} for how in CORRUPTIONS),
    {"corrupt": "null", "key": "size"},
    {"corrupt": "type", "key": "verification"},
    {"oversize": 70},
    {"delay": 50},
    {"close_idle": True},
)
PATHS = (
    "admin/datastore/offsite/snapshots",
    "admin/datastore/offsite/groups",
    "admin/datastore/offsite/namespace",
    "nodes/localhost/tasks",
    "status/datastore-usage",
    "version",
    "nodes/localhost/status",
    "nodes/localhost/subscription",
    "admin/datastore",
    "admin/gc",
    "admin/verify",
    "admin/prune",
    "admin/sync",
    "tape/drive",
    "access/permissions",
)
OF_ONE = PATHS[:3]
"""What these answer concerns one datastore, and no other may suffer."""


@pytest.mark.parametrize(("version", "size"), CASES)
async def test_after_every_event_all_is_as_the_server_knows_it(version: str, size: str) -> None:
    happened = set[str]()
    with Simulator(Setting(size=SIZES[size], version=Version.parse(version))) as pbs:
        async with watching(pbs, fingerprint=None, verify_tls=False) as watch:
            await watch.all()
            misdated = _misdated(pbs)
            for kind, told in _events(pbs):
                happened.add(kind)
                watch.clock.turn(minutes=2)
                pbs.happen(kind, **told)
                if kind in ("edit-comment", "protect"):  # nothing but the sweep of six hours shows it
                    watch.clock.turn(hours=6)
                if kind == "clock-jump":
                    watch.clock.now += timedelta(seconds=told["seconds"])
                if kind == "upgrade":
                    await asyncio.to_thread(until_up, pbs)
                await (watch.run(*LOOKS) if kind not in ("acl", "upgrade") else _calm(watch))
                assert _wrong(watch, misdated) == [], f"after {kind} {told}"
            groups = watch.picture.groups
            pbs.happen("revoke-token", token=MONITOR)
            watch.clock.turn(minutes=2)
            assert {error.cause for error in await watch.tried(*LOOKS)} == {"unauthorised"}
            assert watch.picture.groups is groups
    assert happened | {"revoke-token"} == EVENTS.keys()


def _events(pbs: Simulator) -> Iterator[tuple[str, dict[str, Any]]]:
    now = pbs.truth()["now"]
    groups = [group for group in readable(pbs) if group["finished"] > 3 and group["last_complete"] <= now]
    alone = [key_of(group) for group in groups if not group["shared_id"] and group["unfinished"] is None]
    jobs = {job["kind"]: job["id"] for job in pbs.truth()["jobs"] if not job["running"]}
    for kind, told in content(pbs, alone[0], alone[1]):
        yield kind, told | ({"id": jobs[told["job"]]} if "job" in told else {})
    one = alone[0]
    yield "protect", one | {"protected": True}
    yield "edit-comment", one | {"comment": "kept - für die Prüfer"}
    for mode in ("offline", "read-only", "delete", "unmount", "s3-refresh", None):
        yield "maintenance", {"store": "offsite", "mode": mode}
    yield "unmount", {"store": "offsite"}
    yield "mount", {"store": "offsite"}
    for remove in (False, True):
        for who in ("monitor@pbs", MONITOR):
            yield "acl", {"path": "/datastore/offsite", "who": who, "role": "NoAccess", "remove": remove}
    yield "remove-store", {"store": "fresh"}
    yield "clock-jump", {"seconds": 5400}
    yield "upgrade", {"version": KNOWN[-1], "down_s": 0.05}


async def _calm(watch: Watch) -> None:
    """Rounds until none fails: where rights or the release changed, the first ones find out."""
    async with asyncio.timeout(60):
        while await watch.tried(*ALL):
            watch.clock.turn(minutes=20)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "size"), CASES)
async def test_after_every_fault_all_is_as_the_server_knows_it_and_nothing_was_good_meanwhile_that_is_not(
    version: str, size: str
) -> None:
    assert {next(iter(fault)) for fault in FAULTS} == KINDS.keys()
    with Simulator(Setting(size=SIZES[size], version=Version.parse(version))) as pbs:
        async with watching(pbs, timeout_seconds=20) as watch:
            await watch.all()
            misdated = _misdated(pbs)
            here, there = _one_in(pbs, "main"), _one_in(pbs, "offsite")
            for path, fault in _faults():
                before = _goods(watch)
                watch.clock.turn(minutes=2)
                pbs.happen("add-snapshot", **here)
                pbs.happen("add-snapshot", **there)
                pbs.faults({"match": {"path": f"/api2/json/{path}"}, "when": {"times": 2}, "do": fault})
                await watch.tried(*LOOKS)
                _hold(watch, before, f"{fault} at {path}")
                if path in OF_ONE and fault.get("status") != 401:
                    assert _goods(watch)[tuple(here.values())] == watch.clock.now.timestamp(), f"{fault} at {path}"
                pbs.faults()
                # A list that says of all snapshots that they have no end is believed until the next sweep.
                watch.clock.turn(minutes=360 if fault.get("key") == "size" else 20)
                await _calm(watch)
                assert _wrong(watch, misdated) == [], f"after {fault} at {path}"


def _faults() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each fault where it could make something look good, and at each other place some of them."""
    for path in PATHS[:2]:
        for fault in FAULTS:
            yield path, fault
    for number, path in enumerate(PATHS[2:]):
        for turn in range(3):
            yield path, FAULTS[(number * 3 + turn * 7) % len(FAULTS)]


def _hold(watch: Watch, before: dict[tuple[Any, ...], float | None], what: str) -> None:
    """What counts as good is good by what the server knows, or was before, or is older than that."""
    told = {(g["store"], g["ns"], g["type"], g["id"]): g["last_good"] for g in readable(watch.pbs)}
    for key, good in _goods(watch).items():
        if good is not None and good != before.get(key):
            assert told[key] is not None, f"{what}: {key}"
            assert good <= told[key], f"{what}: {key}"


def _misdated(pbs: Simulator) -> list[str]:
    """Groups with a snapshot of the future: once seen so it never counts, not even when its time has come."""
    told = pbs.truth()
    late = [group for group in told["groups"] if (group["last_complete"] or 0) > told["now"]]
    return [str((group["store"], group["ns"], group["type"], group["id"])) for group in late]


def _wrong(watch: Watch, misdated: list[str]) -> list[str]:
    found = differences(watch.picture, watch.pbs.truth())
    return [line for line in found if not line.startswith(tuple(misdated))][:5]


def _goods(watch: Watch) -> dict[tuple[Any, ...], float | None]:
    return {
        (group.store, group.namespace, group.type, group.backup_id): (
            group.last_good.backup_at.timestamp() if group.last_good else None
        )
        for group in watch.picture.groups.values()
    }


def _one_in(pbs: Simulator, store: str) -> dict[str, Any]:
    now = pbs.truth()["now"]
    group = next(
        group
        for group in readable(pbs)
        if group["store"] == store and group["finished"] and group["last_complete"] <= now and not group["shared_id"]
    )
    return {name: group[name] for name in ("store", "ns", "type", "id")}
