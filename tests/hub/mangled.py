"""Frames that nobody should ever send: mutations of every valid frame, and garbage; the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from lastgood.clock import now
from lastgood.model.repository import Lock, Probe, SnapshotPoint, SnapshotSeries
from lastgood.wire import frames
from lastgood.wire.frames import Frame, Report, Said
from tests.builders import NOW, a_repository, a_run, a_run_start, a_source, an_id
from tests.hub.rig import INFO, SPOOL

_POINT = SnapshotPoint(id="a" * 64, started_at=NOW, ended_at=NOW + timedelta(minutes=5), size_bytes=77)
_SERIES = SnapshotSeries(hostname="web-1", tags=(a_source().tag,), paths=("/home",), count=1, newest=(_POINT,))
_REPOSITORY = a_repository().id

REPORTS: tuple[Said, ...] = (
    frames.Started(run=a_run_start()),
    frames.Finished(run=a_run(), log="what restic wrote\n" * 3),
    frames.Probed(repository_id=_REPOSITORY, probe=Probe.READY, probed_at=NOW, identity="e" * 64, message="fine"),
    frames.Sized(repository_id=_REPOSITORY, sized_at=NOW, size_bytes=5, uncompressed_bytes=7, snapshots=1),
    frames.Locks(
        repository_id=_REPOSITORY,
        listed_at=NOW,
        locks=(Lock(id="b" * 64, created_at=NOW, exclusive=True, hostname="web-1", pid=7),),
    ),
    frames.Snapshots(repository_id=_REPOSITORY, listed_at=NOW, total=1, series=(_SERIES,)),
)
TO_HUB: tuple[Frame, ...] = (
    frames.Hello(
        protocol=1,
        host_id=an_id("host", "web-1"),
        key="a2V5",
        nonce="bm9uY2U=",
        signature="c2ln",
        info=INFO,
        hostname="web-1",
        spool_id=SPOOL,
        last_sequence=3,
        sent_at=now(),
        assignment_version="1",
        running=(an_id("run"),),
    ),
    frames.Heartbeat(sent_at=NOW, last_sequence=3),
    frames.Pong(nonce="abc"),
    frames.Progress(
        run_id=an_id("run"),
        source_id=an_id("source"),
        fraction=0.5,
        files_done=1,
        files_total=2,
        bytes_done=3,
        bytes_total=4,
        seconds_remaining=5.0,
        current="/home/letter",
    ),
    frames.Applied(version="1", refused=("no such thing",)),
    *(Report(sequence=number, said=said) for number, said in enumerate(REPORTS, 1)),
)
_EVIL: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    -(2**63) - 1,
    2**200,
    0.5,
    -1e308,
    1e-320,
    "",
    "\x00",
    "\ud800",
    "a\u202eb\nc",
    "x" * 5000,
    [],
    {},
    [[[[{}]]]],
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "9999-12-31T23:59:59.999999999Z",
    "2026-03-14T12:00:00",
    "2026-02-30T12:00:00Z",
    "2026-03-14T24:00:60Z",
    "1e999",
    "report",
    "hello",
    "finished",
    "survey",
    "../../etc/passwd",
    "' OR 1=1 --",
)
_BYTES = (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"\\", b"{", b"]", b"1e999", b"-", b"NaN", b"\\ud800", b",,")


def mangled(seed: int, valid: tuple[bytes, ...]) -> Iterator[bytes]:
    """Without end; most can be read as JSON and fail, or do not, at one place."""
    dice = random.Random(seed)
    trees = [json.loads(frame) for frame in valid]
    while True:
        way = dice.random()
        if way < 0.6:
            yield replaced(dice, dice.choice(trees))
        elif way < 0.95:
            yield _damaged(dice, dice.choice(valid))
        elif way < 0.995:
            yield dice.randbytes(dice.randint(0, 200))
        else:
            yield dice.choice((b"[", b'{"a":', b'{"type":"pong","nonce":"1","more":' + b"[")) * dice.choice(
                (50, 3000)
            )


def replaced(dice: random.Random, tree: Any) -> bytes:
    """One to three values put in the place of others, left out or named otherwise."""
    made = json.loads(json.dumps(tree))
    for _ in range(dice.randint(1, 3)):
        places = list(_places(made))
        if not places:
            break
        holder, key = dice.choice(places)
        way = dice.random()
        if way < 0.7:
            holder[key] = deepcopy(dice.choice(_EVIL))
        elif way < 0.85:
            del holder[key]
        elif isinstance(holder, dict):
            holder[f"{key}{dice.choice(('', ' ', 's'))}"] = holder.pop(key)
        else:
            holder.extend([deepcopy(holder[key])] * dice.choice((1, 50)))
    return json.dumps(made, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(inner):
        yield tree, key
        yield from _places(value)


def _damaged(dice: random.Random, frame: bytes) -> bytes:
    data = bytearray(frame)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data) + 1)
        way = dice.random()
        if way < 0.35 and place < len(data):
            data[place] ^= 1 << dice.randrange(8)
        elif way < 0.6:
            del data[place : place + dice.randint(1, 20)]
        elif way < 0.8:
            data[place:place] = dice.choice(_BYTES)
        elif way < 0.9:
            data[place:place] = data[place : place + dice.randint(1, 40)]
        else:
            del data[place:]
    return bytes(data)
