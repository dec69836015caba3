"""Variables for restic's stores come from files and hubs; none of them starts a program, and none is quoted."""

from __future__ import annotations

import pytest

from lastgood.errors import ConfigError
from lastgood.tools.restic.variables import (
    KNOWN,
    LONGEST_PASSWORD,
    MOST_BYTES,
    check_environment,
    check_password,
    parse_environment,
)

FILE = """
# keys of the store
AWS_ACCESS_KEY_ID=AKIA
export AWS_SECRET_ACCESS_KEY="with = and blank "
RESTIC_REST_PASSWORD='single'
AZURE_ACCOUNT_SAS=?sv=1&sig=x==
"""


def test_lines_of_names_and_values_are_read_as_a_shell_would() -> None:
    assert parse_environment(FILE, "the file") == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "with = and blank ",
        "RESTIC_REST_PASSWORD": "single",
        "AZURE_ACCOUNT_SAS": "?sv=1&sig=x==",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("AWS_ACCESS_KEY_ID canary", "Line 1 of the file is not NAME=value"),
        ("\nB2_ACCOUNT_ID=canary\nB2_ACCOUNT_ID=canary", "Line 3 of the file sets B2_ACCOUNT_ID a second time"),
        ("AWS_SECRET_KEY=canary", "did you mean AWS_SECRET_ACCESS_KEY?"),
        ("LD_PRELOAD=/canary.so", "LD_PRELOAD, which is not for restic's stores"),
        ("PATH=/canary", "PATH"),
        ("RESTIC_PASSWORD_COMMAND=canary", "not for restic's stores"),
        ("RESTIC_PASSWORD=canary", "a place of its own"),
        ("RESTIC_HOST=canary", "not for restic's stores"),
        ("B2_ACCOUNT_KEY=", "no value"),
        ("canary and more=x", "something that is no name"),
        ("B2_ACCOUNT_KEY=" + "canary" * MOST_BYTES, "more than 16 KiB"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_not_quoted(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse_environment(text, "the file")
    assert told in str(fault.value)
    assert "canary" not in str(fault.value)


def test_a_hub_may_not_name_files_of_a_host_that_start_programs() -> None:
    given = {"RCLONE_CONFIG": "/tmp/rclone.conf"}
    assert check_environment(given, "the file") == given
    with pytest.raises(ConfigError, match="RCLONE_CONFIG"):
        check_environment(given, "what the hub holds", from_hub=True)


def test_a_hub_does_not_name_the_file_in_which_an_s3_client_finds_a_program_to_ask_for_keys() -> None:
    given = {"AWS_SHARED_CREDENTIALS_FILE": "/srv/restored/credentials"}
    assert check_environment(given, "the file") == given
    with pytest.raises(ConfigError, match="AWS_SHARED_CREDENTIALS_FILE"):
        check_environment(given, "what the hub holds", from_hub=True)


def test_no_known_variable_is_one_by_which_programs_are_started() -> None:
    assert not any(name.startswith(("LD_", "RESTIC_PASSWORD", "RCLONE_CONFIG_X", "BASH", "PATH")) for name in KNOWN)


@pytest.mark.parametrize("password", ["", "two\nlines", "nul\0", "x" * (LONGEST_PASSWORD + 1)])
def test_a_password_that_restic_would_not_take_is_refused(password: str) -> None:
    with pytest.raises(ConfigError, match="The password"):
        check_password(password, "The password")
