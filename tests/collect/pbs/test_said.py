"""What a collector of a PBS says in the log: that its server answers, and which grants its token lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from structlog.testing import capture_logs

from lastgood.secret import Secret
from tests.collect.pbs.rig import watching
from tests.pbs_simulator import MONITOR, SIZES, TOKEN_ONLY, Setting, Simulator


def grants(lines: Sequence[Any]) -> list[str]:
    return [line["missing"] for line in lines if "lacks grants" in line["event"]]


async def test_that_a_server_answers_is_said_once_and_again_after_it_was_away() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with watching(pbs) as watch:
            with capture_logs() as lines:
                await watch.run("fast", "fast")
                pbs.faults({"match": {"path": "**/version"}, "when": {"times": 1}, "do": {"status": 500}})
                await watch.tried("fast")
                await watch.run("fast")
    assert [line["event"] for line in lines].count("the server answers") == 2


async def test_that_the_picture_is_whole_is_said_once_with_how_much_it_holds() -> None:
    with Simulator(Setting(size=SIZES["small"])) as pbs:
        async with watching(pbs) as watch:
            with capture_logs() as lines:
                await watch.run("slow")
                await watch.run("medium", "fast", "medium", "slow", "slow")
                groups = len(watch.picture.groups)
    assert [line["groups"] for line in lines if line["event"] == "every group was listed"] == [groups]
    assert groups > 10


async def test_a_token_without_any_right_to_a_datastore_is_told_so_and_not_shown_an_empty_server() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        secret = Secret(pbs.secret(TOKEN_ONLY))
        async with watching(pbs, token_id=TOKEN_ONLY, token_secret=secret) as watch:
            with capture_logs() as lines:
                await watch.tried()
                assert watch.picture.groups == {}
                assert "Datastore.Audit on /datastore" in (watch.picture.missing or ())
    (said,) = grants(lines)
    assert "Datastore.Audit on /datastore" in said


async def test_grants_that_are_missing_are_said_once_until_others_are_missing() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with watching(pbs) as watch:
            with capture_logs() as lines:
                await watch.all()
                await watch.run("rare", "medium", "rare")
                (first,) = set(grants(lines)[-1:])
                assert len(grants(lines)) <= 2
                for who in ("monitor@pbs", MONITOR):
                    pbs.happen("acl", path="/datastore/main", who=who, role="NoAccess")
                watch.clock.turn(minutes=2)
                await watch.tried("medium", "rare")
                assert "Datastore.Audit on /datastore/main" not in first
                assert "Datastore.Audit on /datastore/main" in grants(lines)[-1]
