"""Failures that no recording holds are put down to their cause."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.tools.restic.causes import Cause, diagnose, sentence

TAIL = "\nIs there a repository at the following location?\n/srv/repo\n"


@pytest.mark.parametrize(
    ("exit_code", "cause"),
    [
        (0, Cause.OK),
        (3, Cause.UNREADABLE_SOURCE),
        (10, Cause.NO_REPOSITORY),
        (11, Cause.LOCKED),
        (12, Cause.WRONG_PASSWORD),
        (1, Cause.OTHER),
        (2, Cause.OTHER),
        (42, Cause.OTHER),
        (130, Cause.CRASHED),
        (137, Cause.CRASHED),
        (143, Cause.CRASHED),
    ],
)
def test_an_exit_code_speaks_before_any_text(exit_code: int, cause: Cause) -> None:
    assert diagnose(exit_code, "", "x").cause is cause
    if cause not in (Cause.OTHER, Cause.OK):
        assert diagnose(exit_code, "Fatal: no space left on device", "x").cause is cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "Fatal: unable to open config file: stat /srv/repo/config: no such file or directory" + TAIL,
            Cause.NO_REPOSITORY,
        ),
        ("Fatal: unable to open config file: Lstat: file does not exist" + TAIL, Cause.NO_REPOSITORY),
        ("Fatal: unable to open config file: Stat: The specified key does not exist." + TAIL, Cause.NO_REPOSITORY),
        ("Fatal: unable to open config file: something new" + TAIL, Cause.OTHER),
        ("Fatal: unable to open config file: Stat: The specified bucket does not exist" + TAIL, Cause.OTHER),
        ("Fatal: unable to open config file: stat /srv/repo/config: input/output error" + TAIL, Cause.OTHER),
        ("Fatal: unable to open config file: stat /srv/repo/config: stale NFS file handle" + TAIL, Cause.UNREACHABLE),
        ("Fatal: unable to open config file: stat /srv/repo/config: host is down" + TAIL, Cause.UNREACHABLE),
        ("Is there a repository at the following location?\n/srv/repo\n", Cause.OTHER),
        ("subprocess ssh: ssh: connect to host x port 22: Connection refused", Cause.UNREACHABLE),
        ("subprocess ssh: ssh: Could not resolve hostname x: Name or service not known", Cause.UNREACHABLE),
        ('Fatal: Head "https://x/config": x509: certificate signed by unknown authority', Cause.UNREACHABLE),
        ("dial tcp 10.0.0.1:443: i/o timeout", Cause.UNREACHABLE),
        ("subprocess ssh: backup@x: Permission denied (publickey,password).", Cause.STORE_CREDENTIALS),
        ("Fatal: unable to open config file: Stat: Access Denied." + TAIL, Cause.STORE_CREDENTIALS),
        ("Fatal: unexpected HTTP response (403): 403 Forbidden", Cause.STORE_CREDENTIALS),
        ("Fatal: Resolving password failed: Fatal: /nonexistent does not exist", Cause.PASSWORD_SOURCE),
        ("Fatal: an empty password is not allowed by default. Pass the flag", Cause.PASSWORD_SOURCE),
        ("Fatal: mkdir /srv/repo/data/00: read-only file system", Cause.PERMISSION_DENIED),
        ("Save(<data/12>) failed: write /srv/repo/x: no space left on device", Cause.NO_SPACE),
        ("unable to create lock in backend: permission denied", Cause.PERMISSION_DENIED),
        ("panic: runtime error: index out of range\n\ngoroutine 1 [running]:\n", Cause.CRASHED),
        ("fatal error: runtime: out of memory", Cause.CRASHED),
        ("signal interrupt received, cleaning up\ncontext canceled", Cause.CRASHED),
        ("", Cause.OTHER),
    ],
)
def test_a_text_speaks_where_the_exit_code_says_nothing(text: str, cause: Cause) -> None:
    assert diagnose(1, text, "x").cause is cause


def test_go_s_own_crash_code_is_a_crash() -> None:
    assert diagnose(2, "panic: boom\n\ngoroutine 1 [running]:\n", "x").cause is Cause.CRASHED


def test_the_json_ending_speaks_before_the_retry_notices() -> None:
    text = "Load(<x>) returned error, retrying after 1s: connection refused\n" + json.dumps(
        {"message_type": "exit_error", "code": 1, "message": "Fatal: no space left on device"}
    )
    assert diagnose(1, text, "x").cause is Cause.NO_SPACE


def test_trouble_that_restic_got_over_is_not_the_cause() -> None:
    text = "Load(<x>) returned error, retrying after 1s: connection refused\nFatal: wrong password or no key found"
    assert diagnose(1, text, "x").cause is Cause.WRONG_PASSWORD


def test_a_deadline_is_a_timeout_unless_the_text_tells_of_the_connection() -> None:
    assert diagnose(130, "", "x", deadline_hit=True).cause is Cause.TIMEOUT
    assert diagnose(130, "repository is already locked", "x", deadline_hit=True).cause is Cause.TIMEOUT
    assert diagnose(130, "connection refused", "x", deadline_hit=True).cause is Cause.UNREACHABLE


def test_our_own_signal_speaks_before_everything() -> None:
    for exit_code in (0, 1, 10, 130, 137, 143):
        assert (
            diagnose(exit_code, "connection refused", "x", cancelled=True, deadline_hit=True).cause is Cause.CANCELLED
        )


def test_a_stack_trace_is_cut_from_the_message() -> None:
    ending = {"message_type": "exit_error", "code": 1, "message": "mkdir /proc/nope: no\ngithub.com/x\n\tx.go:5"}
    found = diagnose(1, json.dumps(ending), "x")
    assert found.message == "mkdir /proc/nope: no"


def test_a_message_is_bounded() -> None:
    assert len(diagnose(1, "Fatal: " + "x" * 100_000, "y").sentence) < 500


def test_a_missing_repository_is_told_with_place_and_mend() -> None:
    found = diagnose(
        10, '{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist"}', "/srv/r"
    )
    assert found.sentence == (
        "There is no restic repository at /srv/r; check the address and that its disk is mounted, or initialise it"
        " (restic: repository does not exist)."
    )


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.OK])
def test_every_cause_has_one_sentence(cause: Cause) -> None:
    told = sentence(cause, "/srv/r", "message")
    assert "/srv/r" in told
    assert told.endswith("(restic: message).")
    assert "\n" not in told


@given(st.integers(0, 255), st.text())
def test_any_ending_has_a_cause(exit_code: int, stderr: str) -> None:
    assert (diagnose(exit_code, stderr, "x").cause is Cause.OK) == (exit_code == 0)


@given(st.text())
def test_no_text_without_a_clean_word_means_a_missing_repository(text: str) -> None:
    assert diagnose(1, f"{text}{TAIL}", "x").cause is not Cause.NO_REPOSITORY


def test_json_that_is_no_ending_is_passed_over_and_broken_json_is_text() -> None:
    lines = '{"message_type":"error","item":"/x","error":{"message":"connection refused"}}\n{broken\n'
    found = diagnose(1, lines, "x")
    assert (found.cause, found.message) == (Cause.OTHER, "{broken")
