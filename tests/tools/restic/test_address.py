"""Every form of address that restic takes is taken, and each typical mistake is answered with its mend."""

from __future__ import annotations

import pytest

from lastgood.errors import ConfigError
from lastgood.tools.restic.address import LONGEST, check_address, is_local


@pytest.mark.parametrize(
    "address",
    [
        "/srv/restic",
        "/srv/with blank/ünïcode",
        "local:/srv/restic",
        "sftp:user@host:/srv/restic",
        "sftp:host:backup",
        "sftp://user@[::1]:2222//srv/restic",
        "sftp://host/backup",
        "rest:http://127.0.0.1:8000/",
        "rest:https://host.example/user/repo/",
        "rest:https://user@host.example/",
        "rest:http+unix:///run/rest.sock:/repo/",
        "s3:s3.amazonaws.com/bucket",
        "s3:https://host:9000/bucket/prefix",
        "b2:bucket",
        "b2:bucket:prefix/deep",
        "azure:container:/",
        "azure:container:/prefix",
        "gs:bucket:/prefix",
        "swift:container:/path",
        "rclone:remote:path/deep",
        "rclone:my remote-2:",
    ],
)
def test_what_restic_takes_is_taken_as_it_is(address: str) -> None:
    assert check_address(address) == address
    assert check_address(f"  {address} ") == address


@pytest.mark.parametrize(
    ("address", "mend"),
    [
        ("", "one of these"),
        ("   ", "one of these"),
        ("backup/restic", "relative path"),
        ("./restic", "relative path"),
        ("~/restic", "whole path"),
        ("local:restic", "relative path"),
        ("/srv/restic\n", "line break"),
        ("/srv/re\x00stic", "control character"),
        ("/srv/\ud800", "control character"),
        ("/" + "x" * LONGEST, "shorten"),
        ("https://host/bucket", "rest:https://host/bucket"),
        ("http://host:8000/", "s3:http://host:8000/"),
        ("ssh://user@host/srv", "sftp://user@host/srv"),
        ("file:///srv/restic", "path alone"),
        ("C:\\backup", "Windows"),
        ("user@host:/srv/restic", "sftp:user@host:/srv/restic"),
        ("host.example:/srv/restic", "sftp:host.example:/srv/restic"),
        ("SFTP:user@host:/srv", "small ones"),
        ("ftp:host:/srv", "no ftp:"),
        ("sftp:host", "sftp:user@host:/path"),
        ("sftp:user@:/srv", "host and a folder"),
        ("sftp:user@host:", "host and a folder"),
        ("sftp://host:port/srv", "cannot be read"),
        ("rest:host:8000", "rest:https://host:8000/path/"),
        ("rest:https:///path", "names no host"),
        ("rest:http+unix://run/rest.sock", "http+unix:///run"),
        ("s3://bucket", "no slashes"),
        ("s3:bucket", "host and a bucket"),
        ("s3:https://host", "host and a bucket"),
        ("b2://bucket/prefix", "no slashes"),
        ("b2:bucket/prefix", "b2:bucket:path"),
        ("azure:container/prefix", "azure:container:/path"),
        ("gs:bucket", "gs:bucket:/path"),
        ("swift:/path", "swift:container:/path"),
        ("rclone:remote", "rclone:remote:path"),
    ],
)
def test_a_typical_mistake_is_answered_with_its_mend(address: str, mend: str) -> None:
    with pytest.raises(ConfigError) as told:
        check_address(address)
    assert mend in str(told.value)
    assert str(told.value).endswith(".")


@pytest.mark.parametrize(
    "address",
    [
        "rest:https://user:canary@host/",
        "rest:https://user:can/ary@host/",
        "sftp://user:canary@host/srv",
        "sftp:user:canary@host:/srv",
        "s3:https://key:canary@host/bucket",
        "rclone:remote,pass=canary:path",
        "azure:container:/path?sig=canary",
    ],
)
def test_an_address_with_a_password_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ConfigError, match="holds a password") as told:
        check_address(address)
    assert "canary" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "sftp:-oProxyCommand=touch /tmp/x:/srv",
        "sftp:-oProxyCommand@host:/srv",
        "sftp:user@-oProxyCommand:/srv",
        "sftp:user@host -oProxyCommand=x:/srv",
        "sftp://-oProxyCommand/srv",
        "rclone::sftp,ssh=touch:path",
        "rclone:remote,ssh=touch:path",
        "rclone:-remote:path",
    ],
)
def test_no_address_makes_restic_start_a_program(address: str) -> None:
    with pytest.raises(ConfigError):
        check_address(address)


def test_only_folders_of_the_machine_are_local() -> None:
    assert [is_local(one) for one in ("/srv", "local:/srv", "sftp:host:/srv")] == [True, True, False]
