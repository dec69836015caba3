"""How an agent reaches a repository: by its own files or by what the hub holds, never by what starts a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastgood.agent.files import load_assignment, save_assignment
from lastgood.agent.jobs import place_of
from lastgood.agent.places import read_environment
from lastgood.errors import ConfigError
from lastgood.wire.frames import Assignment, Held, RepositoryAccess

HELD = Held(password="canary-one", environment={"AWS_SECRET_ACCESS_KEY": "canary-two"})
ADMIN = Held(password="canary-three")


def an_access(**changes: object) -> RepositoryAccess:
    return RepositoryAccess(**{"id": "r", "name": "vault", "url": "/srv/vault", **changes})  # type: ignore[arg-type]


def private(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_local_files_are_read_anew_for_each_run(tmp_path: Path) -> None:
    environment = private(tmp_path / "env", "B2_ACCOUNT_ID=one\n")
    access = an_access(password_file="/etc/vault.pass", environment_file=environment)
    place = place_of(access)
    assert (place.password_file, place.password) == (Path("/etc/vault.pass"), None)
    assert place.environment == {"B2_ACCOUNT_ID": "one"}
    private(tmp_path / "env", "B2_ACCOUNT_ID=two\n")
    assert place_of(access).environment == {"B2_ACCOUNT_ID": "two"}


def test_what_the_hub_holds_goes_before_local_files() -> None:
    place = place_of(an_access(password_file="/etc/vault.pass", held=HELD))
    assert (place.password_file, place.password) == (None, "canary-one")
    assert place.environment == HELD.environment
    assert "canary" not in repr(place)
    assert "canary" not in repr(an_access(held=HELD, admin=ADMIN))


def test_the_admin_slot_is_used_where_it_is_asked_for_and_there() -> None:
    assert place_of(an_access(held=HELD, admin=ADMIN), admin=True).password == "canary-three"
    assert place_of(an_access(held=HELD, admin=ADMIN)).password == "canary-one"
    assert place_of(an_access(held=HELD), admin=True).password == "canary-one"
    assert place_of(an_access(password_file="/p", admin=ADMIN), admin=True).password == "canary-three"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "has no password here"),
        ({"url": "sftp:-oProxyCommand=x:/srv", "held": HELD}, "begins with a dash"),
        ({"held": Held(password="")}, "is empty"),
        ({"held": Held(password="x", environment={"LD_PRELOAD": "/evil.so"})}, "LD_PRELOAD"),
        ({"held": Held(password="x", environment={"RCLONE_CONFIG": "/evil"})}, "RCLONE_CONFIG"),
    ],
)
def test_what_a_hub_sends_is_checked_again(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        place_of(an_access(**changes))


def test_an_environment_file_that_others_could_read_is_refused_with_the_mend(tmp_path: Path) -> None:
    path = private(tmp_path / "env", "B2_ACCOUNT_KEY=canary\n", 0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}") as fault:
        read_environment(Path(path))
    assert "canary" not in str(fault.value)


@pytest.mark.parametrize(
    ("data", "told"), [(None, "cannot be read"), (b"\xff\xfe", "no UTF-8"), (b"#" * 40_000, "larger than")]
)
def test_an_environment_file_that_is_none_is_refused(data: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "env"
    if data is not None:
        path.write_bytes(data)
        path.chmod(0o600)
    with pytest.raises(ConfigError, match=told):
        read_environment(path)


def test_held_credentials_are_kept_for_a_start_without_the_hub(tmp_path: Path) -> None:
    path = tmp_path / "assignment.json"
    given = Assignment(version="v", repositories=(an_access(held=HELD, admin=ADMIN),), orders=())
    save_assignment(path, given)
    assert path.stat().st_mode & 0o777 == 0o600
    assert place_of(load_assignment(path).repositories[0]).password == "canary-one"
