"""Whatever comes, it is read or refused: bodies, ids, texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.errors import BadPayload
from lastgood.tools.http import shown
from lastgood.tools.pbs import job_shapes, shapes
from lastgood.tools.pbs.concerns import TYPES, concern, normal_id
from lastgood.tools.pbs.jobs import drives_of, jobs_of, media_of, stale_after
from lastgood.tools.pbs.permissions import datastore, may, missing
from lastgood.tools.pbs.properties import maintenance, properties
from lastgood.tools.pbs.refusals import refused
from lastgood.tools.pbs.status import task_status
from lastgood.tools.pbs.stores import closed, collected, is_running, told, used
from lastgood.tools.pbs.upid import upid
from lastgood.tools.pbs.versions import Build
from tests.pbs_simulator.upid import upid as written
from tests.tools.pbs.test_reading import LISTS, ONE, one, reading, recorded

WORDS = st.text(alphabet=st.sampled_from("ab0/:=,\\\"' x2d-vmctnsF\x00\u202eé"), max_size=40)
WORKERS = (
    "backup",
    "reader",
    "verify",
    "verify_group",
    "verify_snapshot",
    "prune",
    "prunejob",
    "syncjob",
    "tape-backup",
)
NAMES = st.text(alphabet="abcxyz0189._-", min_size=1, max_size=12)


@given(worker_type=st.sampled_from(WORKERS), worker_id=WORDS)
def test_no_worker_id_is_too_odd(worker_type: str, worker_id: str) -> None:
    about = concern(worker_type, worker_id)
    assert (about.type is None) == (about.id is None)
    assert about.type in (None, *TYPES)
    once = normal_id(worker_type, worker_id)
    assert worker_id.startswith(once)


@given(worker_id=WORDS, user=NAMES)
def test_an_escaped_id_comes_back(worker_id: str, user: str) -> None:
    found = upid(written(1, 1763625600, "backup", worker_id, f"{user}@pbs"))
    if "\x00" not in worker_id:
        assert found is not None
        assert found.worker_id == worker_id


@given(store=NAMES, spaces=st.lists(NAMES, max_size=7), kind=st.sampled_from(TYPES), name=NAMES)
def test_a_verified_snapshot_is_found_wherever_it_lies(store: str, spaces: list[str], kind: str, name: str) -> None:
    place = "/".join(f"ns/{space}" for space in spaces)
    about = concern("verify_snapshot", f"{store}:{place}/{kind}/{name}/691E7170")
    assert (about.store, about.namespace, about.type, about.id) == (store, "/".join(spaces), kind, name)
    assert about.backup_at is not None


@given(text=WORDS)
def test_no_text_is_too_odd(text: str) -> None:
    assert upid(text) is None or text.startswith("UPID:")
    assert task_status(text) is not None
    assert isinstance(properties(text, "type"), dict)
    assert (maintenance(text) is None) == (not text)
    assert Build.told(text, text) >= (0, 0, 0)
    assert str(refused("x", 400, text)).startswith("x was answered 400")


@given(body=st.binary(max_size=400))
def test_what_is_shown_of_a_body_is_printable(body: bytes) -> None:
    told = shown(body)
    assert told.isprintable()
    assert len(told) <= 300


@given(
    held=st.dictionaries(
        st.sampled_from(["/", "/datastore", "/datastore/a", "/datastore/a/ns", "/system", "/tape", "/remote/x"]),
        st.dictionaries(
            st.sampled_from(["Datastore.Audit", "Sys.Audit", "Tape.Audit", "Remote.Audit"]), st.booleans()
        ),
    )
)
def test_a_grant_on_its_own_path_is_decisive_and_nothing_is_missing_twice(held: dict[str, dict[str, bool]]) -> None:
    lacking = missing(held, ["a", "b"])
    assert len({str(need) for need in lacking}) == len(lacking)
    if "/datastore/a" in held:
        assert may(held, datastore("a")) is held["/datastore/a"].get("Datastore.Audit", False)


def mutated(body: bytes, rng: random.Random) -> bytes:
    """A body with some bytes changed, cut out, doubled, or numbers and words put where others were."""
    spoilt = bytearray(body)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(spoilt) + 1)
        much = rng.randint(0, 12)
        put = rng.choice(
            (
                b"",
                b'"',
                b"}",
                b"{",
                b"[",
                b"]",
                b",",
                b"null",
                b"1e999",
                b"-1",
                b"\xff",
                b"\x00",
                b"9" * 30,
                b"\\u",
                b"<",
            )
        )
        spoilt[at : at + much] = put
    return bytes(spoilt[: rng.randint(0, len(spoilt))] if rng.random() < 0.1 else spoilt)


NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)


def _capacities(rows: Any, body: bytes) -> None:
    """A datastore is as large as a row says it is, or of a size that nobody knows."""
    said = json.loads(body.decode("utf-8", "surrogateescape"), strict=False)["data"]
    sizes = {tuple(row.get(key) for key in ("store", "total", "used", "avail")) for row in said if _is_flat(row)}
    for row in rows:
        store = used(None, row, NOW)
        if store.total_bytes is not None:
            assert (store.name, store.total_bytes, store.used_bytes, store.available_bytes) in sizes


def _is_flat(row: Any) -> bool:
    names = ("store", "total", "used", "avail")
    return isinstance(row, dict) and not any(isinstance(row.get(key), list | dict) for key in names)


def _collections(rows: Any, _: bytes) -> None:
    for row in rows:
        gc = collected(None, row, None, running=is_running(row))
        assert (gc.status is None) == (gc.ended_at is None)
        assert gc.removed_bytes is None or row.upid is not None


def _states(rows: Any, _: bytes) -> None:
    for row in rows:
        store = told(None, row)
        assert closed(store.maintenance, store.mount) == store.reason


def _jobs(rows: Any, _: bytes) -> None:
    for job in jobs_of(rows, None, {}):
        assert not (job.running and job.status is not None)
        assert stale_after([job], job.store, job.namespace) > 0


def _drives(rows: Any, _: bytes) -> None:
    assert len(drives_of(rows)) == len(rows)


def _media(rows: Any, _: bytes) -> None:
    assert sum(some.tapes for some in media_of(rows)) == len(rows)


MADE: dict[Any, Callable[[Any, bytes], None]] = {
    shapes.Usage: _capacities,
    shapes.GcRow: _collections,
    shapes.DatastoreRow: _states,
    job_shapes.SyncJob: _jobs,
    job_shapes.VerifyJob: _jobs,
    job_shapes.PruneJob: _jobs,
    shapes.Drive: _drives,
    shapes.Media: _media,
}
"""What is made of lists, with what must be true of it whatever stood in them."""


def fuzz(seed: int, rounds: int) -> tuple[int, int]:
    rng = random.Random(seed)
    lists = [(LISTS[name], recorded(name)) for name in sorted(LISTS)]
    ones = [(ONE[name], recorded(name)) for name in sorted(ONE)]
    compact = [(shape, json.dumps(json.loads(body), separators=(",", ":")).encode()) for shape, body in lists]
    read = refused = 0
    for _ in range(rounds):
        try:
            if rng.random() < 0.2:
                shape, body = rng.choice(ones)
                one(shape, mutated(body, rng))
            else:
                shape, body = rng.choice(lists + compact)
                body = mutated(body, rng)
                rows = reading(shape, body, step=rng.choice((100, 1000, 1 << 16)))
                if shape in MADE:
                    MADE[shape](rows, body)
            read += 1
        except BadPayload:
            refused += 1
    return read, refused


def test_spoilt_bodies_are_read_or_refused_and_nothing_else() -> None:
    read, refused = fuzz(seed=7, rounds=4000)
    assert min(read, refused) > 200


@pytest.mark.slow
def test_a_hundred_thousand_spoilt_bodies_are_read_or_refused_and_nothing_else() -> None:
    read, refused = fuzz(seed=11, rounds=100_000)
    assert min(read, refused) > 5000
