"""The table of permissions and the roles that every hub has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lastgood.auth import roles
from lastgood.auth.roles import ADMIN, BUILT_IN, OF_RUNS, PERMISSIONS, SCRAPER, VIEWER
from lastgood.errors import AccessError
from lastgood.model.job import RunKind

SEPARATE = (
    "metrics.read",
    "fleet.read",
    "backup.run",
    "backup.restore",
    "host.enrol",
    "stack.deploy",
    "source.write",
    "alert.write",
    "audit.read",
    "user.manage",
)


def test_what_has_to_be_granted_apart_is_a_permission_of_its_own() -> None:
    assert set(SEPARATE) <= PERMISSIONS.keys()


def test_a_scraper_may_scrape_and_nothing_else() -> None:
    assert BUILT_IN[SCRAPER] == {"metrics.read"}


def test_roles_hold_only_permissions_that_exist_and_the_admin_has_them_all() -> None:
    assert BUILT_IN[ADMIN] == PERMISSIONS.keys()
    assert all(held <= PERMISSIONS.keys() for held in BUILT_IN.values())


def test_a_viewer_changes_nothing() -> None:
    assert all(name.endswith(".read") for name in BUILT_IN[VIEWER])


def test_every_kind_of_run_takes_a_permission_and_restoring_one_of_its_own() -> None:
    assert OF_RUNS.keys() == set(RunKind)
    assert set(OF_RUNS.values()) <= PERMISSIONS.keys()
    assert [kind for kind, needed in OF_RUNS.items() if needed == "backup.restore"] == [RunKind.RESTORE]


@pytest.mark.parametrize("name", ["", "Night", "a b", "a/b", "-a", "a" * 41, "n\u00e4chtlich", "a\n"])
def test_a_role_has_a_plain_name(name: str) -> None:
    with pytest.raises(AccessError, match="no name for a role"):
        roles.checked_role(name)


def test_the_built_in_roles_stay_as_they_are() -> None:
    with pytest.raises(AccessError, match="built in") as fault:
        roles.checked_role("admin")
    assert fault.value.status == 409


def test_a_role_holds_known_permissions_and_at_least_one() -> None:
    assert roles.checked_permissions(["backup.run", "fleet.read", "backup.run"]) == {"backup.run", "fleet.read"}
    with pytest.raises(AccessError, match=r"no permission 'backup\.fly'.*metrics\.read"):
        roles.checked_permissions(["backup.run", "backup.fly"])
    with pytest.raises(AccessError, match="needs a permission"):
        roles.checked_permissions([])


def test_the_page_about_access_tells_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs/access.md").read_text()
    told = re.findall(r"^\| `([a-z.]+)` \| (.+?) \| (x?) ?\| (x?) ?\| (x?) ?\|$", page, re.M)
    columns = ("operator", "viewer", "scraper")
    assert told == [
        (name, meaning, *("x" if name in BUILT_IN[role] else "" for role in columns))
        for name, meaning in PERMISSIONS.items()
    ]
