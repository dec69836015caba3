"""People, their sessions and their links; what may happen once happens once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from lastgood.store import accounts
from lastgood.store.accounts import Session, SignInLink, User
from lastgood.store.database import Database
from tests.builders import NOW

ADA = User(id="u1", name="Ada", role="admin", created_at=NOW, password_hash="hash")
HOURS = timedelta(hours=1)


def a_session(digest: str = "d", user: User = ADA, until: timedelta = HOURS) -> Session:
    return Session(
        digest=digest,
        user_id=user.id,
        created_at=NOW,
        seen_at=NOW,
        expires_at=NOW + until,
        address="192.0.2.7",
        agent="Firefox",
    )


async def test_a_name_is_taken_in_whatever_case(database: Database) -> None:
    assert await database.write(partial(accounts.add_user, user=ADA))
    assert not await database.write(partial(accounts.add_user, user=replace(ADA, id="u2", name="ADA")))
    assert await database.read(partial(accounts.find_user, name="aDa")) == ADA
    assert await database.read(partial(accounts.get_user, user_id="u1")) == ADA
    assert await database.read(partial(accounts.find_user, name="Bob")) is None
    assert await database.read(accounts.count_users) == 1


async def test_users_are_listed_by_name(database: Database) -> None:
    names = ["zoe", "Ada", "bob"]
    for name in names:
        await database.write(partial(accounts.add_user, user=replace(ADA, id=name, name=name)))
    assert [user.name for user in await database.read(accounts.list_users)] == ["Ada", "bob", "zoe"]


async def test_a_session_holds_until_its_end(database: Database) -> None:
    await database.write(partial(accounts.add_user, user=ADA))
    await database.write(partial(accounts.add_session, session=a_session()))
    assert await database.read(partial(accounts.find_session, digest="d", now=NOW)) == (a_session(), ADA)
    assert await database.read(partial(accounts.find_session, digest="d", now=NOW + HOURS)) is None
    later = partial(accounts.touch_session, digest="d", seen_at=NOW + HOURS / 2, expires_at=NOW + 2 * HOURS)
    assert await database.write(later)
    found = await database.read(partial(accounts.find_session, digest="d", now=NOW + HOURS))
    assert found is not None
    assert found[0].seen_at == NOW + HOURS / 2


async def test_signing_out_ends_one_session_a_new_password_all(database: Database) -> None:
    await database.write(partial(accounts.add_user, user=ADA))
    for digest in ("a", "b", "c"):
        await database.write(partial(accounts.add_session, session=a_session(digest)))
    assert await database.write(partial(accounts.end_session, digest="a"))
    assert not await database.write(partial(accounts.end_session, digest="a"))
    assert await database.write(partial(accounts.set_password, user_id="u1", password_hash="new"))
    assert await database.read(partial(accounts.find_session, digest="b", now=NOW)) is None
    found = await database.read(partial(accounts.get_user, user_id="u1"))
    assert found == replace(ADA, password_hash="new")
    assert not await database.write(partial(accounts.set_password, user_id="nobody", password_hash="new"))


async def test_whoever_is_shut_out_is_out_at_once(database: Database) -> None:
    await database.write(partial(accounts.add_user, user=ADA))
    await database.write(partial(accounts.add_session, session=a_session()))
    assert await database.write(partial(accounts.set_disabled, user_id="u1", disabled=True))
    await database.write(partial(accounts.add_session, session=a_session("later")))
    for digest in ("d", "later"):
        assert await database.read(partial(accounts.find_session, digest=digest, now=NOW)) is None
    assert await database.write(partial(accounts.set_disabled, user_id="u1", disabled=False))
    assert await database.read(partial(accounts.find_session, digest="later", now=NOW)) is not None


async def test_a_link_works_once_however_many_press_it(database: Database) -> None:
    link = SignInLink(digest="l", purpose="first admin", user_name=None, expires_at=NOW + HOURS)
    await database.write(partial(accounts.add_link, link=link))
    assert await database.read(partial(accounts.find_link, digest="l", now=NOW)) == link
    use = partial(accounts.use_link, digest="l", now=NOW)
    answers = await asyncio.gather(*(database.write(use) for _ in range(5)))
    assert answers.count(link) == 1
    assert answers.count(None) == 4
    assert await database.read(partial(accounts.find_link, digest="l", now=NOW)) is None


async def test_a_link_that_is_too_old_or_unknown_is_none(database: Database) -> None:
    link = SignInLink(digest="l", purpose="reset", user_name="Ada", expires_at=NOW + HOURS)
    await database.write(partial(accounts.add_link, link=link))
    assert await database.write(partial(accounts.use_link, digest="l", now=NOW + HOURS)) is None
    assert await database.write(partial(accounts.use_link, digest="x", now=NOW)) is None
    assert await database.write(partial(accounts.use_link, digest="l", now=NOW)) == link


async def test_what_is_over_is_cleared_away(database: Database) -> None:
    await database.write(partial(accounts.add_user, user=ADA))
    await database.write(partial(accounts.add_session, session=a_session("old")))
    await database.write(partial(accounts.add_session, session=a_session("young", until=3 * HOURS)))
    link = SignInLink(digest="l", purpose="reset", user_name="Ada", expires_at=NOW + HOURS)
    await database.write(partial(accounts.add_link, link=link))
    assert await database.write(partial(accounts.trim_accounts, now=NOW + 2 * HOURS)) == 2
    assert await database.read(partial(accounts.find_session, digest="young", now=NOW + 2 * HOURS)) is not None


async def test_the_last_admin_who_can_sign_in_is_neither_removed_nor_given_a_lesser_role(database: Database) -> None:
    others = (
        replace(ADA, id="u2", name="Invited", password_hash=None),
        replace(ADA, id="u3", name="Shut out", disabled=True),
        replace(ADA, id="u4", name="Vera", role="viewer"),
    )
    for user in (ADA, *others):
        assert await database.write(partial(accounts.add_user, user=user))
    assert not await database.write(partial(accounts.set_role, user_id="u1", role="operator"))
    assert not await database.write(partial(accounts.remove_user, user_id="u1"))
    assert await database.write(partial(accounts.set_role, user_id="u1", role="admin"))
    assert await database.write(partial(accounts.set_role, user_id="u4", role="admin"))
    assert await database.write(partial(accounts.set_role, user_id="u1", role="operator"))
    assert not await database.write(partial(accounts.remove_user, user_id="u4"))
    assert await database.write(partial(accounts.remove_user, user_id="u1"))


async def test_a_removed_user_leaves_neither_sessions_nor_links_behind(database: Database) -> None:
    bob = replace(ADA, id="u2", name="Bob", role="viewer")
    link = SignInLink(digest="l", purpose="welcome", user_name="Bob", expires_at=NOW + HOURS)
    for user in (ADA, bob):
        await database.write(partial(accounts.add_user, user=user))
    await database.write(partial(accounts.add_session, session=a_session("s", bob)))
    await database.write(partial(accounts.add_link, link=link))
    assert await database.write(partial(accounts.remove_user, user_id="u2"))
    assert await database.read(partial(accounts.find_session, digest="s", now=NOW)) is None
    assert await database.read(partial(accounts.find_link, digest="l", now=NOW)) is None
    assert not await database.write(partial(accounts.remove_user, user_id="u2"))


async def test_links_that_were_made_before_end_with_a_new_role_and_with_a_new_password(database: Database) -> None:
    bob = replace(ADA, id="u2", name="Bob", role="viewer")
    for user in (ADA, bob):
        await database.write(partial(accounts.add_user, user=user))
    changes = (
        partial(accounts.set_role, user_id="u2", role="admin"),
        partial(accounts.set_password, user_id="u2", password_hash="new"),
    )
    for number, change in enumerate(changes):
        for name in ("Ada", "Bob"):
            link = SignInLink(digest=f"{name} {number}", purpose="reset", user_name=name, expires_at=NOW + HOURS)
            await database.write(partial(accounts.add_link, link=link))
        assert await database.write(change)
        assert await database.write(partial(accounts.use_link, digest=f"Bob {number}", now=NOW)) is None
        assert await database.read(partial(accounts.find_link, digest=f"Ada {number}", now=NOW)) is not None
