"""The audit log in its database: chained, listed, trimmed behind checkpoints, and found out if anybody changed it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lastgood.auth.chain import COLUMNS, chain_keys, row_hash, seal, sign_checkpoint, sign_head
from lastgood.auth.identity import mint_key_pair
from lastgood.auth.proof import Proof, prove
from lastgood.model.audit import THE_HUB, ActorKind, Ending, Entry, Target, Who
from lastgood.store import audit
from lastgood.store.audit import Wanted
from lastgood.store.database import Database

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEYS = chain_keys(b"s" * 32)
HUB = mint_key_pair(b"h" * 32)
ANN = Who(kind=ActorKind.PERSON, id="01ANN", name="ann")
SIGN = partial(sign_checkpoint, HUB)


def entry(number: int, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "action": "source.write" if number % 3 else "host.write",
        "who": ANN if number % 2 else Who(kind=ActorKind.TOKEN, id="01TOK", name="näme \N{SNOWMAN}"),
        "target": Target(kind="source", id=f"01SRC{number}", name="" if number % 5 else "etc | var"),
        "address": "192.0.2.7",
        "request_id": f"01REQ{number}",
        "details": {"status": 200, "number": number},
        **changes,
    }
    return Entry(**values)


async def written(database: Database, count: int, at: datetime = NOW, step: timedelta = timedelta(minutes=1)) -> None:
    def write(connection: Any) -> None:
        for number in range(count):
            audit.append(connection, entry(number), at + number * step, KEYS)

    await database.write(write)


async def stored(database: Database) -> list[tuple[Any, ...]]:
    return list(audit.stored_rows(database.path))


def proof_of(rows: list[tuple[Any, ...]], **options: Any) -> Proof:
    return prove(rows, keys=options.pop("keys", KEYS), hub_key=HUB.public_key, **options)


# --- a log that nobody touched ------------------------------------------------------------------------------------


async def test_what_was_written_proves_whole_up_to_its_signed_head(database: Database) -> None:
    await written(database, 200)
    rows = await stored(database)
    head = sign_head(HUB, rows[-1][0], rows[-1][15], NOW)
    proof = proof_of(rows, heads=[head])
    assert (proof.is_whole, proof.rows, proof.first, proof.last) == (True, 200, 1, 200)
    assert proof.findings == []
    assert len(proof.unproved) == 1
    assert "proved up to row 200" in proof.unproved[0]


async def test_an_action_is_one_line_with_its_beginning_and_its_end(database: Database) -> None:
    def write(connection: Any) -> None:
        begun = audit.append(connection, entry(1, outcome=Ending.BEGUN, details={"given": {"name": "x"}}), NOW, KEYS)
        audit.append(connection, entry(2), NOW, KEYS)
        end = entry(1, outcome=Ending.FAILED, begun=begun.seq, details={"status": 500})
        audit.append(connection, end, NOW + timedelta(seconds=2), KEYS)
        audit.append(connection, entry(3, outcome=Ending.BEGUN), NOW, KEYS)

    await database.write(write)
    found, more = await database.read(audit.recorded)
    assert more is None
    assert [(one.seq, one.outcome) for one in found] == [(4, Ending.BEGUN), (2, Ending.DONE), (1, Ending.FAILED)]
    assert found[2].ended_at == NOW + timedelta(seconds=2)
    assert found[2].details == {"given": {"name": "x"}, "status": 500}
    proof = proof_of(await stored(database))
    assert proof.is_whole
    assert "1 actions began and their end was not written (the first in row 4)" in proof.notes[0]


async def test_lists_are_paged_and_filtered(database: Database) -> None:
    await written(database, 250)
    read = database.read
    seen, before = [], None
    while True:
        found, before = await read(partial(audit.recorded, before=before, limit=100))
        seen += [one.seq for one in found]
        if before is None:
            break
    assert seen == list(range(250, 0, -1))

    async def count(**wanted: Any) -> int:
        return len((await read(partial(audit.recorded, wanted=Wanted(**wanted), limit=1000)))[0])

    assert await count(action="host.write") == 84
    assert await count(action="host") == 84
    assert await count(action="hos") == 0
    assert await count(actor="ann") == 125
    assert await count(actor="01TOK") == 125
    assert await count(target="01SRC7") == 1
    assert await count(outcome=Ending.DONE) == 250
    assert await count(outcome=Ending.REFUSED) == 0
    assert await count(since=NOW + timedelta(minutes=200)) == 50
    assert await count(until=NOW + timedelta(minutes=10)) == 10


async def test_totals_count_an_action_once_and_outlive_its_rows(database: Database) -> None:
    def write(connection: Any) -> None:
        begun = audit.append(connection, entry(1, outcome=Ending.BEGUN), NOW, KEYS)
        audit.append(connection, entry(1, begun=begun.seq), NOW, KEYS)

    await database.write(write)
    await written(database, 3, NOW)
    later = NOW + timedelta(days=500)
    await database.write(partial(audit.trim, before=later, at=later, keys=KEYS, sign=SIGN))
    assert await database.read(audit.totals) == {"source.write": 3, "host.write": 1, "audit.trim": 1}


async def test_details_and_names_without_end_are_cut_and_odd_letters_kept_apart(database: Database) -> None:
    long = entry(
        1, details={"said": "x" * 100_000}, target=Target(kind="source", id="1", name="y" * 5_000), address="\udce9"
    )
    await database.write(lambda connection: audit.append(connection, long, NOW, KEYS))
    rows = await stored(database)
    assert proof_of(rows).is_whole
    assert len(str(rows[0])) < 2_000


async def test_no_detail_pushes_another_out(database: Database) -> None:
    given = {"restore.include": ["/" + "x" * 200] * 20, "restore.target": "/srv/back", "text": "y" * 50_000}
    also = ["z" * 64] * 60
    for details in ({"given": given, "also": also}, {"given": given}, {"status": 200}):
        long = entry(1, details=details)
        await database.write(lambda connection, long=long: audit.append(connection, long, NOW, KEYS))
    (plain, second, first), _ = await database.read(audit.recorded)
    assert plain.details == {"status": 200}
    for one in (first, second):
        assert one.details["given"]["restore.target"] == "/srv/back"
        assert one.details["given"]["restore.include"][-1] == "…"


async def test_an_action_that_is_not_in_the_list_is_never_written(database: Database) -> None:
    with pytest.raises(ValueError, match="is no action"):
        await database.write(
            lambda connection: audit.append(connection, entry(1, action="source.conjure"), NOW, KEYS)
        )
    assert await database.read(audit.last) is None


# --- retention ----------------------------------------------------------------------------------------------------


async def test_old_rows_go_behind_a_checkpoint_again_and_again_and_the_rest_proves_whole(database: Database) -> None:
    await written(database, 100, NOW, timedelta(days=1))
    for day in (30, 30, 60, 90):
        at = NOW + timedelta(days=100 + day)
        await database.write(partial(audit.trim, before=NOW + timedelta(days=day), at=at, keys=KEYS, sign=SIGN))
        proof = proof_of(await stored(database))
        assert proof.findings == []
        assert proof.first == day + 1
    rows = await stored(database)
    assert [row[2] for row in rows].count("audit.trim") == 3, "nothing to remove leaves no checkpoint"
    later = NOW + timedelta(days=900)
    await database.write(partial(audit.trim, before=later, at=later, keys=KEYS, sign=SIGN))
    rows = await stored(database)
    assert [row[2] for row in rows] == ["audit.trim"], "even the old checkpoints go"
    assert proof_of(rows).is_whole
    assert not proof_of(rows, keys=chain_keys(b"x" * 32)).is_whole


async def test_a_checkpoint_that_the_hub_did_not_sign_hides_nothing(database: Database) -> None:
    await written(database, 50)
    rows = await stored(database)
    stranger = mint_key_pair(b"t" * 32)
    forged = partial(sign_checkpoint, stranger)
    await database.write(partial(audit.trim, before=NOW + timedelta(minutes=20), at=NOW, keys=KEYS, sign=forged))
    proof = proof_of(await stored(database))
    assert proof.findings == ["Row 51 is a checkpoint that this hub did not sign."]
    assert len(rows) == 50


# --- a log that somebody touched ----------------------------------------------------------------------------------

Rows = list[tuple[Any, ...]]


def rehashed(row: tuple[Any, ...], **changes: Any) -> tuple[Any, ...]:
    """A row of somebody who knows the format and has not the secret key."""
    values = [changes.get(name, value) for name, value in zip(COLUMNS, row, strict=True)]
    hash_ = row_hash(tuple(values[:15]))
    return (*values[:15], hash_, seal(b"guessed" * 4, hash_))


def flip(rows: Rows, dice: random.Random) -> Rows:
    """One bit of one field."""
    at, column = dice.randrange(len(rows)), dice.randrange(len(COLUMNS))
    row = list(rows[at])
    value = row[column]
    if isinstance(value, int):
        row[column] = value ^ (1 << dice.randrange(40))
    elif isinstance(value, bytes):
        place = dice.randrange(len(value))
        row[column] = value[:place] + bytes([value[place] ^ (1 << dice.randrange(8))]) + value[place + 1 :]
    elif isinstance(value, str) and value:
        raw = bytearray(value.encode())
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        try:
            row[column] = raw.decode()
        except UnicodeDecodeError:
            row[column] = bytes(raw)
    else:
        row[column] = dice.choice(["x", 0, b""]) if value is None else dice.choice(["x", None, b""])
    return [*rows[:at], tuple(row), *rows[at + 1 :]]


def delete(rows: Rows, dice: random.Random) -> Rows:
    """Some rows, not all of the end: that is ``truncate``."""
    at = dice.randrange(len(rows) - 1)
    return [*rows[:at], *rows[at + dice.randint(1, min(9, len(rows) - 1 - at)) :]]


def renumber(rows: Rows, dice: random.Random) -> Rows:
    """A row gone, and all behind it hashed anew by somebody without the key."""
    at = dice.randrange(len(rows) - 1)
    return rechained(rows[:at], rows[at + 1 :])


def rechained(kept: Rows, rest: Rows) -> Rows:
    made = list(kept)
    for row in rest:
        before = made[-1] if made else None
        seq = before[0] + 1 if before else 1
        made.append(rehashed(row, seq=seq, prev_hash=before[15] if before else KEYS.genesis))
    return made


def reorder(rows: Rows, dice: random.Random) -> Rows:
    """Two rows change places, with their numbers or without."""
    one, other = dice.sample(range(len(rows)), 2)
    made = list(rows)
    made[one], made[other] = made[other], made[one]
    if dice.random() < 0.5:
        made[one] = (rows[one][0], *made[one][1:])
        made[other] = (rows[other][0], *made[other][1:])
    return made


def put_in(rows: Rows, dice: random.Random) -> Rows:
    """A row that never was, anywhere, well chained; what follows as it was, or chained anew."""
    at = dice.randint(0, len(rows))
    made = rehashed(rows[dice.randrange(len(rows))], actor_name="mallory")
    return rechained(rows[:at], [made, *rows[at:]]) if dice.random() < 0.5 else [*rows[:at], made, *rows[at:]]


def truncate(rows: Rows, dice: random.Random) -> Rows:
    return rows[: dice.randrange(len(rows))]


def rewrite(rows: Rows, dice: random.Random) -> Rows:
    """A row changed, and it and all behind it hashed anew."""
    at = dice.randrange(len(rows))
    changed = rehashed(rows[at], actor_name="mallory")
    return rechained(rows[:at], [changed, *rows[at + 1 :]])


MUTATIONS: tuple[Callable[[Rows, random.Random], Rows], ...] = (
    flip,
    flip,
    flip,
    delete,
    renumber,
    reorder,
    put_in,
    truncate,
    rewrite,
)


@pytest.fixture(scope="module")
def log_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Rows]:
    """Rows as the database holds them, the first 20 removed behind a checkpoint."""
    import asyncio

    from lastgood.store.database import open_database

    async def make(count: int) -> Rows:
        database = open_database(tmp_path_factory.mktemp("audit"))
        try:
            await written(database, count)
            await database.write(
                partial(audit.trim, before=NOW + timedelta(minutes=20), at=NOW, keys=KEYS, sign=SIGN)
            )
            return await stored(database)
        finally:
            await database.close()

    return lambda count: asyncio.run(make(count))


def missed_of(rows: Rows, times: int, seed: int, **options: Any) -> list[Rows]:
    """The changed logs that were not found out."""
    head = sign_head(HUB, rows[-1][0], rows[-1][15], NOW)
    assert proof_of(rows, heads=[head], **options).is_whole
    missed = []
    for number in range(times):
        dice = random.Random(f"{seed} {number}")
        mutate = dice.choice(MUTATIONS)
        changed = mutate(rows, dice)
        if changed != rows and proof_of(changed, heads=[head], **options).is_whole:
            missed.append(changed)
    return missed


def test_ten_thousand_mutations_are_all_found(log_of: Callable[[int], Rows]) -> None:
    assert missed_of(log_of(36), 10_000, seed=1) == []


def test_mutations_of_a_longer_log_are_all_found(log_of: Callable[[int], Rows]) -> None:
    assert missed_of(log_of(220), 200, seed=2) == []


def test_without_the_secret_key_a_signed_head_finds_all_that_was_changed_before_it(
    log_of: Callable[[int], Rows],
) -> None:
    """What nobody can see then: a seal that was altered, and rows put behind the head."""
    rows = log_of(45)
    for changed in missed_of(rows, 1_000, seed=3, keys=None):
        assert [row[:16] for row in changed[: len(rows)]] == [row[:16] for row in rows]


async def test_whoever_can_write_to_the_database_cannot_append_a_row_that_was_never_made(database: Database) -> None:
    await written(database, 10)
    rows = await stored(database)
    forged = rechained(rows, [rehashed(rows[3], actor_name="mallory")])
    assert proof_of(forged).findings == ["Row 11 was not written by this hub: its seal does not fit."]


async def test_what_was_cut_off_is_told_by_a_head_and_not_without_one(database: Database) -> None:
    await written(database, 30)
    rows = await stored(database)
    head = sign_head(HUB, 30, rows[-1][15], NOW)
    assert "rows were cut off" in proof_of(rows[:25], heads=[head]).findings[0]
    assert "rows were cut off" in proof_of([], heads=[head]).findings[0]
    alone = proof_of(rows[:25])
    assert alone.is_whole
    assert any("cut off" in said for said in alone.unproved), "and it says that it cannot know"


async def test_a_head_of_another_hub_or_an_altered_one_is_named(database: Database) -> None:
    await written(database, 5)
    rows = await stored(database)
    other = sign_head(mint_key_pair(b"o" * 32), 5, rows[-1][15], NOW)
    assert proof_of(rows, heads=[other]).findings == [
        f"The head of {NOW:%Y-%m-%d %H:%M:%S} UTC was not signed by this hub."
    ]


# --- the file -----------------------------------------------------------------------------------------------------


async def test_changes_in_the_file_itself_are_found_whatever_they_leave_there(
    database: Database, tmp_path: Path
) -> None:
    await written(database, 20)
    await database.close()
    for number, change in enumerate(
        (
            "UPDATE audit_rows SET actor_name = 'mallory' WHERE seq = 7",
            "UPDATE audit_rows SET details = CAST(x'ff00' AS TEXT) WHERE seq = 7",
            "UPDATE audit_rows SET action = CAST(action AS BLOB) WHERE seq = 7",
            "UPDATE audit_rows SET at = CAST(at AS TEXT) || 'x' WHERE seq = 7",
            "UPDATE audit_rows SET seq = 'seven' WHERE seq = 7",
            "UPDATE audit_rows SET begun = 3 WHERE seq = 7",
            "UPDATE audit_rows SET action = 'audit.trim', details = REPLACE(HEX(ZEROBLOB(50000)), '0', '[')"
            " WHERE seq = 7",
            "UPDATE audit_rows SET action = 'audit.set_back', details = REPLACE(HEX(ZEROBLOB(50000)), '0', '[')"
            " WHERE seq = 7",
            "DELETE FROM audit_rows WHERE seq = 7",
            "DELETE FROM audit_rows WHERE seq < 7",
        )
    ):
        copy = tmp_path / f"copy-{number}.db"
        shutil.copy(database.path, copy)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute(change)
            connection.commit()
        try:
            proof = proof_of(list(audit.stored_rows(copy)))
        except audit.NotText:
            proof = proof_of(list(audit.damaged_rows(copy)))
        assert not proof.is_whole, change


async def test_the_log_is_read_beside_a_hub_that_writes(database: Database) -> None:
    await written(database, 3)
    assert proof_of(await stored(database)).is_whole
    await database.write(
        lambda connection: audit.append(connection, Entry(action="hub.stop", who=THE_HUB), NOW, KEYS)
    )
    assert proof_of(await stored(database)).rows == 4
