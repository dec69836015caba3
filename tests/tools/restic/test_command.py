"""What is started, for which release, in which environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastgood.errors import ConfigError
from lastgood.tools.restic import command
from lastgood.tools.restic.command import BackupOrder, Place

CACHE = Path("/var/cache/lastgood/restic")
ORDER = BackupOrder(
    host="web-1",
    paths=["/srv/data", "/-odd"],
    tags=["lg:01ARZ3NDEKTSV4RRFFQ69G5FAV", "nightly"],
    excludes=["*.tmp", "--help"],
    limit_upload_kib=512,
    skip_if_unchanged=True,
)


def test_a_release_is_given_only_the_flags_that_it_knows() -> None:
    plain = [
        "backup",
        "--json",
        "--host=web-1",
        "--tag=lg:01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "--tag=nightly",
        "--exclude=*.tmp",
        "--exclude=--help",
        "--limit-upload=512",
    ]
    sources = ["--", "/srv/data", "/-odd"]
    assert command.backup(ORDER, (0, 14, 0)) == [*plain, *sources]
    assert command.backup(ORDER, (0, 15, 2)) == [*plain, *sources]
    assert command.backup(ORDER, (0, 16, 0)) == [*plain, "--retry-lock=600s", *sources]
    assert command.backup(ORDER, (0, 18, 1)) == [*plain, "--retry-lock=600s", *sources]
    assert command.backup(ORDER, (0, 19, 0)) == [*plain, "--skip-if-unchanged", "--retry-lock=600s", *sources]


def test_wishes_that_were_not_made_leave_no_flag() -> None:
    order = BackupOrder(host="h", paths=["/a"], retry_lock_for=0)
    assert command.backup(order, (0, 19, 1)) == ["backup", "--json", "--host=h", "--", "/a"]
    order = BackupOrder(host="h", paths=["/a"], dry_run=True, one_file_system=True)
    assert {"--dry-run", "--one-file-system"} < set(command.backup(order, (0, 14, 0)))


def test_every_query_takes_no_lock() -> None:
    for arguments in (
        command.probe(),
        command.snapshots(),
        command.raw_stats(),
        command.list_locks(),
        command.cat_lock("a" * 64),
    ):
        assert "--no-lock" in arguments


def test_unlock_never_removes_live_locks_and_nothing_updates_the_binary() -> None:
    assert command.unlock() == ["unlock"]
    package = Path(command.__file__).parent
    for file in package.glob("*.py"):
        assert "self-update" not in file.read_text()
        assert "remove-all" not in file.read_text()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"host": ""}, "host"),
        ({"host": "-x"}, "host"),
        ({"paths": []}, "at least one path"),
        ({"paths": ["relative"]}, "not absolute"),
        ({"paths": [""]}, "not absolute"),
        ({"paths": ["/a\0b"]}, "zero byte"),
        ({"tags": ["a,b"]}, "comma"),
        ({"tags": [""]}, "tag"),
        ({"excludes": [""]}, "exclude"),
        ({"limit_upload_kib": 0}, "upload limit"),
    ],
)
def test_an_order_that_restic_would_misread_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        BackupOrder(**({"host": "h", "paths": ["/a"]} | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"password": ""},
        {"password": "a", "password_file": Path("/x")},
        {"password": "a", "password_command": "b"},
    ],
)
def test_a_place_needs_exactly_one_password_source(sources: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="exactly one password source"):
        Place(url="/srv/r", **sources)  # type: ignore[arg-type]


def test_a_place_needs_an_address() -> None:
    with pytest.raises(ConfigError, match="address"):
        Place(url="", password="p")


def test_the_environment_is_clean_but_for_what_is_named() -> None:
    inherited = {
        "PATH": "/bin",
        "HOME": "/root",
        "TMPDIR": "/scratch",
        "RESTIC_HOST": "other",
        "RESTIC_PASSWORD": "stray",
        "RESTIC_REPOSITORY": "/stray",
        "RESTIC_REPOSITORY_FILE": "/stray",
        "RESTIC_PROGRESS_FPS": "60",
        "AWS_SECRET_ACCESS_KEY": "stray",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "de_DE.UTF-8",
        "TZ": "Europe/Berlin",
    }
    place = Place(url="/srv/r", password_file=Path("/etc/pw"), environment={"AWS_ACCESS_KEY_ID": "mine"})
    assert command.environment(place, CACHE, inherited, (0, 19, 1)) == {
        "PATH": "/bin",
        "HOME": "/root",
        "TMPDIR": "/scratch",
        "AWS_ACCESS_KEY_ID": "mine",
        "RESTIC_REPOSITORY": "/srv/r",
        "RESTIC_PASSWORD_FILE": "/etc/pw",
        "RESTIC_CACHE_DIR": str(CACHE),
        "RESTIC_PROGRESS_FPS": "1",
        "TZ": "UTC",
        "LC_ALL": "C",
    }


def test_without_home_and_path_restic_still_has_a_path_and_no_home() -> None:
    env = command.environment(Place(url="/r", password="p"), CACHE, {}, (0, 14, 0))
    assert "/usr/bin" in env["PATH"]
    assert "HOME" not in env


def test_exactly_one_password_source_reaches_restic() -> None:
    stray = {"RESTIC_PASSWORD": "s", "RESTIC_PASSWORD_FILE": "/s", "RESTIC_PASSWORD_COMMAND": "s", "RESTIC_HOST": "s"}
    for place, expected in (
        (Place(url="/r", password="p", environment=stray), {"RESTIC_PASSWORD": "p"}),
        (Place(url="/r", password_file=Path("/f"), environment=stray), {"RESTIC_PASSWORD_FILE": "/f"}),
        (Place(url="/r", password_command="c", environment=stray), {"RESTIC_PASSWORD_COMMAND": "c"}),
    ):
        env = command.environment(place, CACHE, {}, (0, 14, 0))
        assert {name: value for name, value in env.items() if name in stray} == expected


@pytest.mark.parametrize(
    ("url", "version", "expected"),
    [
        ("rest:http://h:8000/a/", (0, 14, 0), "rest:http://al%40ice:p%2Fw@h:8000/a/"),
        ("rest:https://h/", (0, 16, 0), "rest:https://al%40ice:p%2Fw@h/"),
        ("rest:http://h:8000/a/", (0, 16, 1), "rest:http://h:8000/a/"),
        ("rest:http://x:y@h/", (0, 14, 0), "rest:http://x:y@h/"),
        ("s3:https://h/b", (0, 14, 0), "s3:https://h/b"),
        ("/srv/r", (0, 14, 0), "/srv/r"),
    ],
)
def test_old_releases_find_the_user_of_a_rest_server_in_the_address(
    url: str, version: tuple[int, int, int], expected: str
) -> None:
    credentials = {"RESTIC_REST_USERNAME": "al@ice", "RESTIC_REST_PASSWORD": "p/w"}
    place = Place(url=url, password="p", environment=credentials)
    assert command.environment(place, CACHE, {}, version)["RESTIC_REPOSITORY"] == expected


def test_no_argument_list_holds_an_address_or_a_password() -> None:
    for arguments in (command.backup(ORDER, (0, 19, 1)), command.probe(), command.init(), command.raw_stats()):
        assert not any("repo" in argument or "password" in argument for argument in arguments)
