"""The commands about runs, against a real API without an agent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lastgood.cli.app import app
from lastgood.cli.following import ended_well, told
from lastgood.cli.job import cut
from lastgood.errors import LastgoodError
from lastgood.hub.wishes import Wish
from lastgood.model.fact import RunFinished
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.wire.frames import RestoreWish
from tests.builders import NOW, a_fleet, a_run, a_run_start, put_running
from tests.cli.test_ask import hub_in
from tests.waiting import until
from tests.web.site import Home


async def say(folder: Path, *words: str) -> Any:
    """A command's result; what it raises is raised."""
    answer = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--data-dir", str(folder)])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


async def furnish(home: Home) -> tuple[str, str]:
    """Three hosts with a source each; the names of the first source and its repository."""
    fleet = a_fleet()
    for part in ("hosts", "repositories", "sources", "evidence", "sources_of_host", "sources_of_repository"):
        getattr(home.fleet, part).update(getattr(fleet, part))
    home.fleet.host_ids_by_name.update(fleet.host_ids_by_name)
    home.judge()
    source = next(iter(home.fleet.sources.values()))
    return f"host-00001/{source.name}", home.fleet.repositories[source.repository_id].name


def a_check(home: Home, **changes: Any) -> Run:
    source = next(iter(home.fleet.sources.values()))
    return replace(a_run(source, NOW - timedelta(hours=1)), id="01CHECK", kind=RunKind.CHECK, **changes)


async def keep(home: Home, run: Run, log: str = "") -> None:
    await home.keep([RunFinished(at=NOW, origin="test", run=run)], log)


async def test_a_wish_is_handed_on_by_names(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        source, repository = await furnish(home)
        first = next(iter(home.fleet.sources.values()))
        answer = await say(tmp_path, "job", "run", "backup", "--source", source)
        assert answer.exit_code == 0
        assert len(answer.stdout.strip()) == 26
        words = ("job", "run", "check", "--repository", repository, "--host", "host-00001", "--subset", "1/5")
        assert json.loads((await say(tmp_path, *words, "--json")).stdout)["run_id"]
        words = ("restore", source, "--to", "/srv/r", "--snapshot", "4f1c9d2e", "--include", "/etc", "--no-wait")
        assert (await say(tmp_path, *words)).exit_code == 0
        assert [wish for wish, _, _ in home.wished] == [
            Wish(kind=RunKind.BACKUP, source_id=first.id),
            Wish(
                kind=RunKind.CHECK,
                repository_id=first.repository_id,
                host_id=first.host_id,
                check_subset="1/5",
            ),
            Wish(
                kind=RunKind.RESTORE,
                source_id=first.id,
                restore=RestoreWish(snapshot="4f1c9d2e", target="/srv/r", include=("/etc",)),
            ),
        ]
        home.refusal = "The agent of host-00001 is not connected; see that it runs and ask again."
        with pytest.raises(LastgoodError, match="not connected"):
            await say(tmp_path, "job", "run", "backup", "--source", source)


async def test_waiting_follows_a_run_from_its_wish_to_its_end_and_exits_by_it(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        source, _ = await furnish(home)
        first = next(iter(home.fleet.sources.values()))
        for outcome, code in ((Outcome.SUCCESS, 0), (Outcome.PARTIAL, 1), (Outcome.FAILED, 1)):
            home.moment += timedelta(seconds=1)
            asked = len(home.wished)
            waiting = asyncio.create_task(say(tmp_path, "job", "run", "backup", "--source", source, "--wait"))
            run_id = await until(lambda asked=asked: the_wish(home, asked), "the wish")  # type: ignore[misc]
            put_running(home.fleet, replace(a_run_start(first), id=run_id))
            del home.queued[run_id]
            await keep(home, replace(a_run(first, NOW, outcome), id=run_id))
            del home.fleet.running[run_id]
            answer = await waiting
            assert answer.exit_code == code, answer.output
            assert f"ended as {outcome.value}" in answer.output


async def the_wish(home: Home, asked: int) -> str | None:
    return max(home.queued) if len(home.wished) > asked else None


async def test_runs_are_listed_shown_and_their_logs_read(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        source, repository = await furnish(home)
        log = "\n".join(f"line {number} \x1b[31mred" for number in range(9))
        await keep(
            home, a_check(home, outcome=Outcome.FAILED, cause="damaged", reason="Damage [b]was found[/b]."), log
        )
        answer = await say(tmp_path, "job", "list", "--repository", repository, "--kind", "check")
        assert "01CHECK" in answer.stdout
        assert "[b]was found[/b]" in answer.stdout, "text is never markup"
        listed = json.loads((await say(tmp_path, "job", "list", "--source", source, "--json")).stdout)
        assert [(run["id"], run["outcome"]) for run in listed] == [("01CHECK", "failed")]
        assert "told" not in listed[0]
        shown = (await say(tmp_path, "job", "show", "01CHECK")).stdout
        assert "Cause:        damaged" in shown
        assert json.loads((await say(tmp_path, "job", "show", "01CHECK", "--json")).stdout)["cause"] == "damaged"
        said = (await say(tmp_path, "job", "log", "01CHECK", "--head", "1", "--tail", "2")).stdout
        assert said.splitlines() == ["line 0 \ufffd[31mred", "…", "line 7 \ufffd[31mred", "line 8 \ufffd[31mred"]
        assert "No run fits." in (await say(tmp_path, "job", "list", "--kind", "prune")).output
        await say(tmp_path, "job", "list", "--status", "queued")
        with pytest.raises(LastgoodError, match="No run under way"):
            await say(tmp_path, "job", "cancel", "01CHECK")


def test_head_and_tail_are_cut_once_and_in_order() -> None:
    lines = [str(number) for number in range(6)]
    assert cut(lines, None, None) == lines
    assert cut(lines, 2, None) == ["0", "1"]
    assert cut(lines, None, 2) == ["4", "5"]
    assert cut(lines, 1, 1) == ["0", "…", "5"]
    assert cut(lines, 3, 3) == lines
    assert cut(lines, 9, 9) == lines


@pytest.mark.parametrize("outcome", ["success", "unchanged", "partial", "failed", "lost", "cancelled"])
def test_only_a_run_that_is_good_ended_well(outcome: str) -> None:
    run = {"outcome": outcome, "kind": "backup", "source": "home\x1b[2J", "host": "web-1", "reason": None}
    assert ended_well(run) is (outcome in ("success", "unchanged"))
    assert told(run) == f"Backup of home\ufffd[2J on web-1 ended as {outcome}."
