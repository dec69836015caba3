"""API tokens as the hub holds them: recognised in memory, ended at once, and worth nothing to a database's thief."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from lastgood.auth.roles import ADMIN, BUILT_IN, PERMISSIONS, SCRAPER, VIEWER
from lastgood.auth.tokens import mint
from lastgood.errors import AccessError, StoreError
from lastgood.service.roles import Roles
from lastgood.service.tokens import Tokens
from lastgood.store.database import Database, open_database
from lastgood.store.tokens import list_tokens
from tests.builders import NOW, an_id

ALL = BUILT_IN[ADMIN]
KEY = b"k" * 32
DAY = timedelta(days=1)


class Desk:
    """Roles and tokens over one database and a clock that is turned."""

    def __init__(self, database: Database, key: bytes = KEY) -> None:
        self.database = database
        self.moment = NOW
        self.roles = Roles(database, lambda: self.moment)
        self.tokens = Tokens(database, self.roles, key, lambda: self.moment)

    async def again(self, key: bytes = KEY) -> Desk:
        """The same database after a restart."""
        desk = Desk(self.database, key)
        await desk.roles.load()
        await desk.tokens.load()
        return desk

    async def create(self, name: str = "prometheus", role: str = SCRAPER, **more: object) -> tuple[str, str]:
        made = await self.tokens.create(name, role, "ann", ALL, **more)  # type: ignore[arg-type]
        return made.token.id, made.text.reveal()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database = open_database(tmp_path)
    yield Desk(database)
    await database.close()


async def test_a_token_is_recognised_by_all_of_its_text_and_after_a_restart(desk: Desk) -> None:
    token_id, text = await desk.create()
    for held in (desk, await desk.again()):
        found = held.tokens.find(text)
        assert found is not None
        assert (found.token.id, found.permissions, found.expired) == (token_id, {"metrics.read"}, False)
        assert held.tokens.find(mint().reveal()) is None
        assert held.tokens.find(text[:-1]) is None
        assert held.tokens.find("") is None


async def test_the_right_lookup_part_with_another_secret_is_nobodys(desk: Desk) -> None:
    token_id, text = await desk.create()
    others = (mint().reveal() for _ in range(2000))
    # Lookup parts are no secret: a token whose first eight letters are the same is made for it by hand.
    forged = _with_lookup(text[3:11], next(others))
    assert forged[3:11] == text[3:11]
    assert desk.tokens.find(forged) is None
    assert desk.tokens.get(token_id).used_at is None


def _with_lookup(lookup: str, text: str) -> str:
    from lastgood.auth import tokens

    body = tokens.PREFIX + lookup + text[11:43]
    return body + tokens._check(body)


async def test_a_stolen_database_lets_nobody_in_since_the_key_lies_elsewhere(desk: Desk) -> None:
    _, text = await desk.create()
    await desk.tokens.note()
    await desk.database.write(lambda _rows: None)
    rows = await desk.database.read(list_tokens)
    kept = [str(value) for row in rows for value in (row.lookup, row.digest, row.name)]
    assert not any(text[11:] in value or text[11:43] in value for value in kept)
    folder = desk.database.path.parent
    held = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert text.encode() not in held
    assert text[11:43].encode() not in held
    assert KEY not in held
    # Whatever is in the database presented as a token is none, and with another key not even the true one is.
    assert all(desk.tokens.find(value) is None for value in kept)
    assert (await desk.again(b"x" * 32)).tokens.find(text) is None


async def test_a_revoked_token_is_nobodys_before_the_answer_comes_back(desk: Desk) -> None:
    token_id, text = await desk.create()
    revoking = asyncio.create_task(desk.tokens.revoke(token_id, "ann"))
    await asyncio.sleep(0)  # it has begun, and waits for the disk
    assert desk.tokens.find(text) is None
    await revoking
    assert desk.tokens.find(text) is None
    assert (await desk.again()).tokens.find(text) is None
    with pytest.raises(AccessError, match="No API token in use"):
        await desk.tokens.revoke(token_id, "ann")


async def test_a_token_is_shut_out_even_if_its_end_cannot_be_written(desk: Desk) -> None:
    token_id, text = await desk.create()
    await desk.database.close()
    with pytest.raises(StoreError):
        await desk.tokens.revoke(token_id, "ann")
    assert desk.tokens.find(text) is None


async def test_a_rotation_that_a_revocation_overtakes_revives_nothing(desk: Desk) -> None:
    token_id, text = await desk.create()
    rotating = asyncio.create_task(desk.tokens.rotate(token_id, "ann", ALL, overlap=DAY, expires=None))
    await asyncio.sleep(0)
    await desk.tokens.revoke(token_id, "ann")
    made = (await asyncio.gather(rotating, return_exceptions=True))[0]
    texts = [text] if isinstance(made, BaseException) else [text, made.text.reveal()]
    for held in (desk, await desk.again()):
        assert [held.tokens.find(one) for one in texts] == [None] * len(texts)


async def test_the_old_text_lives_on_after_a_rotation_and_then_ends(desk: Desk) -> None:
    token_id, old = await desk.create()
    made = await desk.tokens.rotate(token_id, "ann", ALL, overlap=timedelta(hours=2), expires=None)
    new = made.text.reveal()
    desk.moment += timedelta(hours=2) - timedelta(seconds=1)
    later = await desk.again()
    later.moment = desk.moment
    for held in (desk, later):
        assert [held.tokens.find(text) is not None for text in (old, new)] == [True, True]
        held.moment += timedelta(seconds=1)
        assert [held.tokens.find(text) is not None for text in (old, new)] == [False, True]


async def test_of_two_rotations_only_the_last_old_text_lives_on(desk: Desk) -> None:
    token_id, first = await desk.create()
    second = (await desk.tokens.rotate(token_id, "ann", ALL, overlap=DAY, expires=None)).text.reveal()
    third = (await desk.tokens.rotate(token_id, "ann", ALL, overlap=DAY, expires=None)).text.reveal()
    assert [desk.tokens.find(text) is not None for text in (first, second, third)] == [False, True, True]


async def test_an_expired_token_is_known_and_lets_nobody_in_and_its_old_text_does_not_come_back(desk: Desk) -> None:
    token_id, text = await desk.create(expires_at=NOW + DAY)
    desk.moment += DAY
    found = desk.tokens.find(text)
    assert found is not None
    assert found.expired
    view = desk.tokens.view(text)
    assert view is not None
    assert not view.live
    with pytest.raises(AccessError, match="has expired"):
        await desk.tokens.rotate(token_id, "ann", ALL, overlap=DAY, expires=None)
    made = await desk.tokens.rotate(token_id, "ann", ALL, overlap=DAY, expires=(desk.moment + DAY,))
    assert desk.tokens.find(text) is None
    renewed = desk.tokens.find(made.text.reveal())
    assert renewed is not None
    assert not renewed.expired


@pytest.mark.parametrize("days", [-1, 0, 4000])
async def test_an_end_is_to_come_and_not_too_far(desk: Desk, days: int) -> None:
    with pytest.raises(AccessError, match="can expire"):
        await desk.create(expires_at=NOW + timedelta(days=days))


async def test_two_tokens_in_use_are_not_called_the_same_but_a_name_is_free_after_the_end(desk: Desk) -> None:
    token_id, _ = await desk.create("Prometheus")
    with pytest.raises(AccessError, match="already"):
        await desk.create("prometheus")
    await desk.tokens.revoke(token_id, "ann")
    await desk.create("prometheus")
    assert {token.name: token.revoked_at is None for token in desk.tokens.every()} == {
        "Prometheus": False,
        "prometheus": True,
    }


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\u202eb"])
async def test_a_token_has_a_name_that_can_be_seen(desk: Desk, name: str) -> None:
    with pytest.raises(AccessError):
        await desk.create(name)


async def test_uses_are_seen_at_once_and_written_together(desk: Desk) -> None:
    token_id, _ = await desk.create()
    commits = desk.database.commits
    for minute in range(100):
        desk.moment = NOW + timedelta(minutes=minute)
        desk.tokens.used(token_id, "192.0.2.7")
    assert desk.database.commits == commits
    assert desk.tokens.get(token_id).used_at == desk.moment
    await desk.tokens.note()
    await desk.tokens.note()
    assert desk.database.commits == commits + 1
    held = (await desk.again()).tokens.get(token_id)
    assert (held.used_at, held.used_from) == (desk.moment, "192.0.2.7")


async def test_revoked_tokens_are_forgotten_in_the_end(desk: Desk) -> None:
    token_id, _ = await desk.create()
    await desk.tokens.revoke(token_id, "ann")
    desk.moment += timedelta(days=91)
    await desk.tokens.note()
    assert desk.tokens.every() == []
    assert await desk.database.read(list_tokens) == []


async def test_nobody_gives_a_token_more_than_they_have(desk: Desk) -> None:
    keeper = frozenset({"user.manage", "metrics.read"})
    with pytest.raises(AccessError, match="goes beyond") as fault:
        await desk.tokens.create("mine", ADMIN, "kay", keeper)
    assert fault.value.status == 403
    await desk.tokens.create("mine", SCRAPER, "kay", keeper)
    token_id, _ = await desk.create("theirs", ADMIN)
    with pytest.raises(AccessError, match="goes beyond"):
        await desk.tokens.rotate(token_id, "kay", keeper, overlap=DAY, expires=None)


async def test_a_token_for_hosts_names_some_and_is_none_that_only_scrapes(desk: Desk) -> None:
    _, text = await desk.create("one", VIEWER, hosts=[an_id("h"), an_id("h")])
    found = desk.tokens.find(text)
    assert found is not None
    assert found.token.hosts == (an_id("h"),)
    with pytest.raises(AccessError, match="whole fleet"):
        await desk.create("two", SCRAPER, hosts=[an_id("h")])
    for hosts in ([], [an_id(str(number)) for number in range(101)]):
        with pytest.raises(AccessError, match="1 to 100"):
            await desk.create("three", VIEWER, hosts=hosts)


async def test_the_metrics_page_stands_while_a_token_to_scrape_with_is_in_use_though_expired(desk: Desk) -> None:
    assert not desk.tokens.scrapers_exist()
    for role in (ADMIN, VIEWER):
        await desk.create(role, role)
    await desk.create("of a host", VIEWER, hosts=[an_id("h")])
    assert not desk.tokens.scrapers_exist()
    scraper, _ = await desk.create(expires_at=NOW + DAY)
    desk.moment += 2 * DAY
    assert desk.tokens.scrapers_exist()
    await desk.tokens.revoke(scraper, "ann")
    assert not desk.tokens.scrapers_exist()
    await desk.roles.put("federation", ["metrics.read", "fleet.read"], "ann", ALL)
    await desk.create("custom", "federation")
    assert desk.tokens.scrapers_exist()
    await desk.roles.put("federation", ["fleet.read"], "ann", ALL)
    assert not desk.tokens.scrapers_exist()


async def test_a_custom_role_holds_at_once_and_stays_while_somebody_has_it(desk: Desk) -> None:
    await desk.roles.put("night-shift", ["fleet.read"], "ann", ALL)
    token_id, text = await desk.create("night", "night-shift")
    await desk.roles.put("night-shift", ["fleet.read", "backup.run"], "ann", ALL)
    found = desk.tokens.find(text)
    assert found is not None
    assert found.permissions == {"fleet.read", "backup.run"}
    with pytest.raises(AccessError, match="still given"):
        await desk.roles.remove("night-shift", "ann")
    await desk.tokens.revoke(token_id, "ann")
    await desk.roles.remove("night-shift", "ann")
    with pytest.raises(AccessError, match="no such role"):
        await desk.roles.remove("night-shift", "ann")
    with pytest.raises(AccessError, match="There is no role"):
        await desk.create("night", "night-shift")


async def test_nobody_makes_a_role_that_may_more_than_they_may(desk: Desk) -> None:
    keeper = frozenset({"user.manage", "fleet.read"})
    with pytest.raises(AccessError, match=r"backup\.run"):
        await desk.roles.put("mine", ["fleet.read", "backup.run"], "kay", keeper)
    await desk.roles.put("mine", ["fleet.read"], "kay", keeper)
    for name in BUILT_IN:
        with pytest.raises(AccessError, match="built in"):
            await desk.roles.put(name, ["fleet.read"], "ann", ALL)
        with pytest.raises(AccessError, match="built in"):
            await desk.roles.remove(name, "ann")
    assert desk.roles.permissions("nobody made it") == frozenset()
    assert set(PERMISSIONS) == desk.roles.permissions(ADMIN)


def test_the_comparison_is_the_one_whose_time_tells_nothing() -> None:
    """By construction: whatever is presented, one digest is made and one comparison of equal lengths."""
    from inspect import getsource

    from lastgood.auth import tokens

    assert "hmac.compare_digest" in getsource(tokens.same_digest)
    find = getsource(Tokens.find)
    assert find.count("digest_of(") == find.count("same_digest(") == 1
