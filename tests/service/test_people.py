"""Users as admins manage them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from lastgood.auth.roles import ADMIN, BUILT_IN
from lastgood.errors import AccessError
from lastgood.service.people import LAST_ADMIN, People
from lastgood.service.roles import Roles
from lastgood.store import accounts
from lastgood.store.accounts import User
from lastgood.store.database import Database, open_database
from tests.builders import NOW, an_id

ALL = BUILT_IN[ADMIN]
ANN = User(id=an_id("ann"), name="Ann", role=ADMIN, created_at=NOW, password_hash="hash")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(tmp_path)
    await opened.write(partial(accounts.add_user, user=ANN))
    yield opened
    await opened.close()


@pytest.fixture
def people(database: Database) -> People:
    return People(database, Roles(database, lambda: NOW), lambda: NOW)


async def test_somebody_new_has_a_role_and_no_password(people: People) -> None:
    bob = await people.create(" Bob ", "operator", "ann", ALL)
    assert (bob.name, bob.role, bob.password_hash) == ("Bob", "operator", None)
    assert [user.name for user in await people.every()] == ["Ann", "Bob"]
    with pytest.raises(AccessError, match="already"):
        await people.create("BOB", "viewer", "ann", ALL)


@pytest.mark.parametrize(
    ("name", "role"), [("", "viewer"), ("x" * 65, "viewer"), ("a\u200bb", "viewer"), ("bob", "x")]
)
async def test_a_user_has_a_visible_name_and_a_role_that_exists(people: People, name: str, role: str) -> None:
    with pytest.raises(AccessError) as fault:
        await people.create(name, role, "ann", ALL)
    assert fault.value.status == 422


async def test_the_last_admin_stays_one(people: People) -> None:
    for change in (people.set_role(ANN.id, "viewer", "ann", ALL), people.remove(ANN.id, "ann", ALL)):
        with pytest.raises(AccessError) as fault:
            await change
        assert (str(fault.value), fault.value.status) == (LAST_ADMIN, 409)
    bob = await people.create("Bob", ADMIN, "ann", ALL)
    with pytest.raises(AccessError, match="last admin"):  # Bob cannot sign in yet
        await people.remove(ANN.id, "ann", ALL)
    assert (await people.set_role(bob.id, "viewer", "ann", ALL)).role == "viewer"


async def test_nobody_changes_somebody_who_may_more_than_they_may(people: People) -> None:
    keeper = frozenset({"user.manage", "fleet.read", "metrics.read"})
    bob = await people.create("Bob", "viewer", "kay", keeper)
    for change in (
        people.set_role(ANN.id, "viewer", "kay", keeper),
        people.remove(ANN.id, "kay", keeper),
        people.changeable(ANN.id, keeper),
        people.create("Eve", ADMIN, "kay", keeper),
        people.set_role(bob.id, "operator", "kay", keeper),
    ):
        with pytest.raises(AccessError, match="goes beyond") as fault:
            await change
        assert fault.value.status == 403
    await people.remove(bob.id, "kay", keeper)
    with pytest.raises(AccessError, match="No user has this id"):
        await people.remove(bob.id, "kay", keeper)
