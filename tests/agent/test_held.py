"""An agent with credentials that the hub holds: it goes on by them without the hub, and restic alone sees them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from lastgood.agent.files import load_assignment, save_assignment
from lastgood.agent.kept import Fired
from lastgood.agent.spool import Spool
from lastgood.agent.tester import tried
from lastgood.clock import now
from lastgood.model.repository import Probe
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import Assignment, Held, Probed, RepositoryAccess
from tests.agent.working import NIGHTLY, SOURCE, Place, said, working
from tests.hub.rig import Rig
from tests.tools.restic.store import Store
from tests.waiting import until


def held_by_the_hub(orders: Assignment, password: str) -> Assignment:
    (access,) = orders.repositories
    access = msgspec.structs.replace(access, password_file=None, held=Held(password=password))
    return msgspec.structs.replace(orders, repositories=(access,))


async def test_a_schedule_runs_by_held_credentials_while_the_hub_is_away(place: Place) -> None:
    moment = datetime(2026, 3, 14, 12, tzinfo=UTC)
    data = place.folder / "data"
    data.mkdir()
    orders = held_by_the_hub(place.assignment(schedule=NIGHTLY), "correct-horse")
    save_assignment(data / "assignment.json", orders)
    spool = await Spool.open(data / "spool.db", now)
    await spool.follow(SOURCE, Fired(moment - timedelta(days=1), NIGHTLY))
    await spool.close()
    snapshots = place.folder / "repository" / "snapshots"
    with capture_logs() as lines:
        async with working(place, "ws://127.0.0.1:9/ws/agent", lambda: moment):

            async def saved() -> bool:
                return any(line["event"] == "run finished" for line in lines)

            await until(saved, "the run's end")
    assert len(list(snapshots.iterdir())) == 1
    assert "correct-horse" not in repr(lines)
    for file in data.glob("spool.db*"):
        assert b"correct-horse" not in file.read_bytes()


async def test_changed_credentials_are_used_by_the_next_run_and_kept_on_disk(place: Place) -> None:
    wrong = held_by_the_hub(place.assignment(), "not-the-one")
    rig = Rig(orders=wrong)
    async with rig.serving(), working(place, rig.url):
        looked = await said(rig, Probed)
        assert looked.probe is Probe.WRONG_PASSWORD
        right = msgspec.structs.replace(held_by_the_hub(place.assignment(), "correct-horse"), version="2")
        connection = rig.roster.connection(next(iter(rig.hosts)))
        assert connection is not None
        await rig.roster.assign(connection.host_id, right)

        async def taken() -> bool:
            return connection.applied == "2"

        await until(taken, "the agent takes its new orders")
        kept = load_assignment(place.folder / "data" / "assignment.json")
        assert kept.repositories[0].held == Held(password="correct-horse")


@pytest.fixture
def store() -> Iterator[Store]:
    listening = Store()
    yield listening
    listening.close()


async def test_user_and_password_of_a_rest_server_reach_it_from_what_is_held(tmp_path: Path, store: Store) -> None:
    store.answer = 403
    variables = {"RESTIC_REST_USERNAME": "web-1", "RESTIC_REST_PASSWORD": "canary"}
    access = RepositoryAccess(
        id="r",
        name="vault",
        url=f"rest:http://127.0.0.1:{store.port}/",
        held=Held(password="correct-horse", environment=variables),
    )
    seen = await tried(Restic(cache_dir=tmp_path / "cache", clock=now), access, "q", now)
    assert seen.probe is Probe.REFUSED
    assert "canary" not in (seen.message or "")
    assert "Basic " + base64.b64encode(b"web-1:canary").decode() in store.seen
