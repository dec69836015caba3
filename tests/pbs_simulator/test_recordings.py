"""What the simulator serves has the keys that the recordings have, object by object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import FULL, MONITOR, SIZES, Setting, Simulator, Version
from .asking import ask, store_path

RECORDINGS = Path(__file__).parent.parent / "recordings" / "pbs"

Shape = tuple[str, frozenset[str]]

# Recording -> what serves the same, asked by whom.
SERVED = {
    "certificates": (("nodes/localhost/certificates/info",), FULL),
    "datastore-list": (("admin/datastore",), FULL),
    "datastore-status-s3": (("admin/datastore/offsite/status?verbose=1",), FULL),
    "datastore-usage": (("status/datastore-usage",), MONITOR),
    "datastore-usage-3.2": (("status/datastore-usage",), FULL),
    "gc": (("admin/gc",), FULL),
    "groups": (("admin/datastore/main/groups", "admin/datastore/offsite/groups"), FULL),
    "jobs-prune": (("admin/prune",), FULL),
    "jobs-sync": (("admin/sync?sync-direction=all",), FULL),
    "jobs-verify": (("admin/verify",), FULL),
    "metrics-pull": (("status/metrics?history=0",), FULL),
    "namespaces": (("admin/datastore/main/namespace",), FULL),
    "node-status": (("nodes/localhost/status",), FULL),
    "snapshots": (("admin/datastore/main/snapshots",), FULL),
    "subscription": (("nodes/localhost/subscription",), FULL),
    "tape-drive": (("tape/drive?query-activity=1",), FULL),
    "tape-media": (("tape/media/list?update-status=0",), FULL),
    "tasks": (("nodes/localhost/tasks?limit=0",), FULL),
    "version": (("version",), FULL),
}

# Keys that PBS documents and the recordings happen not to show.
UNRECORDED = {
    "datastore-usage-3.2": {"estimated-full-date"},
    "jobs-sync": {"verified-only"},
    "namespaces": {"comment"},
}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Simulator]]:
    with (
        Simulator(Setting(size=SIZES["medium"])) as today,
        Simulator(Setting(size=SIZES["medium"], version=Version(3, 2, 4))) as old,
    ):
        yield {"": today, "datastore-usage-3.2": old}


def shapes(value: Any, path: str = "") -> Iterator[Shape]:
    if isinstance(value, dict):
        yield path, frozenset(value)
        for key, inner in value.items():
            yield from shapes(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from shapes(inner, f"{path}[]")


@pytest.mark.parametrize("name", sorted(SERVED))
def test_every_recorded_object_has_a_served_one_with_the_same_keys(name: str, servers: dict[str, Simulator]) -> None:
    paths, token = SERVED[name]
    pbs = servers.get(name, servers[""])
    recorded = set(shapes(json.loads((RECORDINGS / f"{name}.json").read_text())))
    if name == "snapshots":
        upload = pbs.truth()["special"]["unfinished"][0]
        paths = (*paths, store_path(upload["store"], "snapshots", ns=upload["ns"], backup_id=upload["id"]))
    served = {shape for path in paths for shape in shapes(ask(pbs, path, token).told)}

    assert recorded - served == set()
    known: dict[str, set[str]] = {}
    for path, keys in recorded:
        known.setdefault(path, set()).update(keys)
    more = {(path, key) for path, keys in served for key in keys - known[path]}
    assert {key for _, key in more} <= UNRECORDED.get(name, set())


def test_every_recording_is_compared() -> None:
    assert {file.stem for file in RECORDINGS.glob("*.json")} == {*SERVED, "errors"}
