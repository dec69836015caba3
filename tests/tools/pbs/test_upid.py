"""UPIDs: start, type, id without escapes, and None for what is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lastgood.tools.pbs.upid import started_at, unescaped, upid
from tests.pbs_simulator.upid import upid as written

VERIFIED = "UPID:pbs-a:000002F1:000004D2:000001A5:691EA050:verificationjob:main\\x3av\\x2ddaily:root@pam:"


def test_a_upid_tells_when_its_task_began_and_on_what() -> None:
    found = upid(VERIFIED)
    assert found is not None
    assert found.started_at == datetime(2025, 11, 20, 5, 0, tzinfo=UTC)
    assert (found.node, found.worker_type, found.worker_id, found.user) == (
        "pbs-a",
        "verificationjob",
        "main:v-daily",
        "root@pam",
    )
    assert started_at(VERIFIED) == found.started_at


@pytest.mark.parametrize(
    "worker_id",
    [
        "main:vm/100",
        "main:host/nas-01.example.lan",
        "dr-site:main:main:prod/cluster1:s-0a1b2c3d",
        "-:main:usb-rotate::s-local",
        "büro:vm/7",
        ".hidden",
        "",
    ],
)
def test_the_id_comes_back_as_it_was_before_it_was_escaped(worker_id: str) -> None:
    found = upid(written(7, 1763625600, "anything", worker_id, "pve@pbs!cluster1"))
    assert found is not None
    assert found.worker_id == worker_id
    assert found.user == "pve@pbs!cluster1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UPID",
        VERIFIED[:-1],
        VERIFIED + "x",
        VERIFIED.replace("691EA050", "691EA05G"),
        VERIFIED.replace("691EA050", "1691EA050"),
        VERIFIED.replace("verificationjob", ""),
        "UPID:" + "a" * 5000,
    ],
)
def test_what_is_no_upid_gives_nothing(text: str) -> None:
    assert upid(text) is None
    assert started_at(text) is None


def test_no_upid_has_no_start() -> None:
    assert started_at(None) is None


def test_bytes_that_are_no_text_are_replaced_and_not_raised() -> None:
    assert unescaped("a\\xff\\xfe-b") == "a��/b"
