"""Argument lists of upkeep and restore, and the wishes that never reach restic."""

from __future__ import annotations

import pytest

from lastgood.errors import ConfigError
from lastgood.model.retention import Retention
from lastgood.tools.restic import orders
from lastgood.tools.restic.orders import ForgetOrder, RestoreOrder

OLD, NEW = (0, 14, 0), (0, 19, 1)
WEEK = Retention(daily=7)


def test_forget_names_tag_host_and_policy_and_nothing_it_was_not_asked_for() -> None:
    order = ForgetOrder(host="web-1", tag="lg:x", keep=Retention(last=3, daily=7, within="14d"))
    arguments = orders.forget(order, OLD, dry_run=False)
    assert arguments == [
        "forget",
        "--json",
        "--tag=lg:x",
        "--host=web-1",
        "--group-by=host",
        "--keep-last=3",
        "--keep-daily=7",
        "--keep-within=14d",
    ]
    assert orders.forget(order, NEW, dry_run=True) == [*arguments, "--dry-run", "--no-lock"]
    assert orders.forget(order, NEW, dry_run=False) == [*arguments, "--retry-lock=600s"]


@pytest.mark.parametrize(
    "keep", [Retention(), Retention(daily=-1), Retention(within="a week"), Retention(within="0d")]
)
def test_a_policy_that_keeps_nothing_or_cannot_be_read_is_refused(keep: Retention) -> None:
    with pytest.raises(ConfigError):
        ForgetOrder(host="web-1", tag="lg:x", keep=keep)


@pytest.mark.parametrize(("host", "tag"), [("", "lg:x"), ("web-1", ""), ("web-1", "lg:x,lg:y")])
def test_forget_without_one_host_and_one_tag_is_refused(host: str, tag: str) -> None:
    with pytest.raises(ConfigError):
        ForgetOrder(host=host, tag=tag, keep=WEEK)


@pytest.mark.parametrize("subset", ["1/5", "5/5", "256/256", "10%", "0.5%", "100%", "5G", "1"])
def test_a_part_of_the_data_is_taken_as_restic_writes_it(subset: str) -> None:
    assert orders.check(subset, OLD) == ["check", "--json", f"--read-data-subset={subset}"]


@pytest.mark.parametrize("subset", ["", "0/5", "6/5", "1/257", "0%", "101%", "-1%", "five", "1/5 --read-data", "0G"])
def test_a_part_of_the_data_that_is_none_is_refused(subset: str) -> None:
    with pytest.raises(ConfigError):
        orders.check(subset, OLD)


def test_locks_are_waited_for_where_restic_can() -> None:
    assert orders.check(None, OLD) == ["check", "--json"]
    assert orders.prune(OLD) == ["prune"]
    assert orders.prune(NEW) == ["prune", "--retry-lock=600s"]


def test_a_restore_verifies_what_it_wrote() -> None:
    order = RestoreOrder(snapshot_id="ab" * 32, target="/srv/restore/x", include=["/home/ann", "*.md"])
    assert orders.restore(order, OLD) == [
        "restore",
        "--json",
        "--target=/srv/restore/x",
        "--verify",
        "--include=/home/ann",
        "--include=*.md",
        "ab" * 32,
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot_id": "latest"},
        {"snapshot_id": "-h"},
        {"target": "restore"},
        {"include": ["a\0b"]},
        {"include": [""]},
    ],
)
def test_a_restore_of_no_snapshot_or_to_no_folder_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RestoreOrder(**({"snapshot_id": "ab" * 32, "target": "/srv/restore/x"} | changes))  # type: ignore[arg-type]
