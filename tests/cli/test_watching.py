"""The first look that ``repository add --watch`` waits for: told series by series, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import typer

from lastgood.cli.ask import Hub
from lastgood.cli.watching import first_look, sources_of, tell
from lastgood.errors import Unreachable
from lastgood.model.fact import RepositoryConfigured, RepositoryProbed, SnapshotsListed
from lastgood.model.repository import HUB, Probe
from lastgood.tools.restic import survey
from lastgood.wire.translate import translate
from tests.builders import NOW, a_repository
from tests.cli.test_ask import hub_in, told
from tests.fleet.vault import DAY, a_snapshot
from tests.web.site import Home

REPOSITORY = a_repository("nas", watched_by=HUB)


async def watched(home: Home) -> None:
    await home.take([RepositoryConfigured(at=NOW, origin="test", repository=REPOSITORY)], "watched")


def look(pause: Callable[[float], None] = lambda _seconds: None) -> Callable[[Hub], object]:
    return lambda hub: first_look(hub, REPOSITORY.id, seconds=0.0, pause=pause)


async def test_a_look_that_never_comes_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        await watched(home)
        with pytest.raises(Unreachable, match="nas was added, but nobody has looked into it"):
            await told(tmp_path, look())


async def test_a_repository_that_cannot_be_read_is_told_with_its_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with hub_in(tmp_path) as home:
        await watched(home)
        probed = RepositoryProbed(
            at=NOW,
            origin="hub:lookout",
            repository_id=REPOSITORY.id,
            probe=Probe.WRONG_PASSWORD,
            probed_at=NOW,
            message="The password is wrong.",
        )
        await home.take([probed], "probed")
        repository = await told(tmp_path, look())
    with pytest.raises(typer.Exit) as ended:
        tell(repository, [], NOW)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert said.startswith("It cannot be read: The password is wrong.\n")
    assert "lastgood repository set nas" in said


async def test_each_series_is_a_line_and_each_finding_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = [a_snapshot(NOW - (night + 0.5) * DAY, "nas") for night in range(5)]
    listed.append(a_snapshot(NOW + 30 * DAY, "box\x1b[2J"))
    async with hub_in(tmp_path) as home:
        await watched(home)
        said = translate(survey.snapshots(REPOSITORY.id, listed, NOW, watched=True), "", NOW)
        assert isinstance(said, SnapshotsListed)
        await home.take([replace(said, origin="hub:lookout")], "looked")
        repository = await told(tmp_path, look())
        sources = await told(tmp_path, lambda hub: sources_of(hub, REPOSITORY.id))
    tell(repository, sources, NOW + timedelta(hours=1))
    first, _, row, finding = capsys.readouterr().out.splitlines()
    assert first == "6 snapshots in 1 series:"
    words = row.replace("\u202f", " ").split("  ")
    assert [word.strip() for word in words if word.strip()][:4] == [
        "nas//data",
        "13 h ago",
        "about every 24 h",
        "good",
    ]
    assert finding.startswith("Finding: Snapshot ")
    assert "\x1b" not in finding
