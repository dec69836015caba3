"""A spool that is deleted or set back, and a hub whose database is: nothing vanishes in silence, a look heals.

Real hub, agent and restic. What cannot be told any more is named in a log, on the side that knows of it, and the next
look into the repository shows the snapshots that no run speaks of.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.field import Field, Machine, a_field, all_told, minutes_ago, parse
from tests.flow.hub import until
from tests.flow.test_kill_hub import quiet_port

pytestmark = pytest.mark.slow


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    """A hub and one agent with one good backup behind it."""
    machines = [Machine("web-1", tmp_path / "web-1", minutes_ago(60))]
    with a_field(tmp_path, f"127.0.0.1:{quiet_port()}", machines) as made:
        made.start_hub()
        made.await_hub()
        machines[0].start()
        made.all_connected()
        back_up(made)
        yield made


def back_up(field: Field) -> str:
    """A good backup, told to the hub; answers the run's id."""
    [machine] = field.machines
    run_id = until(lambda: field.back_up(machine), "the agent takes the wish")
    until(lambda: outcome(field, run_id), "the run has ended")
    assert outcome(field, run_id) == "success"
    return run_id


def outcome(field: Field, run_id: str) -> str | None:
    return next((run["outcome"] for run in field.runs() if run["id"] == run_id), None)


def surveyed(field: Field, snapshots: int) -> None:
    """The hub has seen so many snapshots in the repository."""
    [machine] = field.machines
    until(
        lambda: field.get(f"/repositories/{machine.repository.id}")["snapshots"] == snapshots,
        f"{snapshots} snapshots are seen",
    )


def agent_log(field: Field) -> str:
    return (field.machines[0].folder / "agent.log").read_text()


def test_a_deleted_spool_is_named_and_what_follows_is_told_once(field: Field) -> None:
    [machine] = field.machines
    machine.end()
    for part in (machine.folder / "data").glob("spool.db*"):
        part.unlink()
    machine.start()
    back_up(field)
    surveyed(field, 2)
    assert all_told(field) == {"success": 2}
    assert "comes with a new spool" in field.log()


def test_a_spool_that_was_set_back_is_noticed_and_no_number_is_taken_for_another(field: Field) -> None:
    [machine] = field.machines
    machine.end()
    shutil.copytree(machine.folder / "data", machine.folder / "older")
    machine.start()
    back_up(field)
    back_up(field)
    machine.end()
    shutil.rmtree(machine.folder / "data")
    (machine.folder / "older").rename(machine.folder / "data")
    machine.start()
    back_up(field)
    surveyed(field, 4)
    assert all_told(field) == {"success": 4}
    assert "rolled back" in agent_log(field)
    assert "comes with a new spool" in field.log()


def test_a_hub_with_an_older_database_sees_what_it_has_forgotten_and_is_told_again(field: Field) -> None:
    [machine] = field.machines
    [before] = field.runs()
    assert field.end_hub() == 0
    shutil.copytree(field.folder, field.folder.with_name("older"), ignore=shutil.ignore_patterns("*.sock"))
    field.start_hub()
    field.await_hub()
    field.all_connected()
    forgotten = {back_up(field), back_up(field)}
    assert field.end_hub() == 0
    shutil.rmtree(field.folder)
    field.folder.with_name("older").rename(field.folder)

    field.start_hub()
    field.await_hub()
    field.all_connected()
    surveyed(field, 3)
    source = field.get(f"/sources/{machine.source.id}")
    newest = max(parse(snapshot["time"]) for snapshot in machine.restic_says("snapshots"))
    assert parse(source["last_good_at"]) >= newest > parse(before["ended_at"]), "what was seen counts"
    last = back_up(field)
    until(lambda: {run["id"] for run in field.runs()} == {before["id"], last} | forgotten, "all is told again")
    assert all_told(field) == {"success": 4}
    assert "the hub lost reports that it had acknowledged" in agent_log(field)
