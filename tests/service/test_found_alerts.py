"""Alerts about what only looks tell of: opened when it is overdue or doubtful, resolved when it is over or ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lastgood.model.fact import AlertOpened, RepositoryConfigured, SnapshotsListed, SourceAdopted
from lastgood.model.repository import HUB
from lastgood.model.source import State
from lastgood.tools.restic import survey
from lastgood.tools.restic.documents import Snapshot
from lastgood.wire.translate import translate
from tests.builders import a_repository
from tests.fleet.scene import day
from tests.fleet.vault import DAY, HOUR, a_snapshot
from tests.service.turned import Heart

REPOSITORY = a_repository("vault", watched_by=HUB)
NIGHTS = [a_snapshot(day(2, 2) + night * DAY) for night in range(11)]


async def begun(listed: list[Snapshot]) -> Heart:
    heart = Heart(day(12, 3))
    await heart.take([RepositoryConfigured(at=heart.now, origin="test", repository=REPOSITORY)])
    await look(heart, listed)
    return heart


async def look(heart: Heart, listed: list[Snapshot]) -> None:
    told = translate(survey.snapshots(REPOSITORY.id, listed, heart.now, watched=True), "", heart.now)
    assert isinstance(told, SnapshotsListed)
    await heart.take([replace(told, origin="hub:lookout")])
    await heart.turn(timedelta())


async def test_a_found_source_that_is_overdue_is_alerted_once_and_not_before_a_look() -> None:
    heart = await begun(NIGHTS)
    await heart.turn(day(13, 7.9))
    await look(heart, NIGHTS)
    await heart.turn(day(13, 8))
    assert heart.opened() == []
    heart.now = day(13, 8) + timedelta(seconds=2)
    await look(heart, NIGHTS)
    assert heart.opened() == ["backup_missed"]
    (opened,) = (fact for fact in heart.told if isinstance(fact, AlertOpened))
    assert opened.alert.host_id is None
    assert opened.alert.message.startswith("/data on nas: No snapshot came")
    heart.now = day(13, 12)
    await look(heart, [*NIGHTS, a_snapshot(day(13, 11))])
    assert heart.resolved() == ["backup_missed"]


async def test_when_nobody_can_look_any_more_that_is_alerted_in_other_words() -> None:
    heart = await begun(NIGHTS)
    await heart.turn(day(13, 8.1))
    assert heart.opened() == ["backup_unknown"]


async def test_a_snapshot_that_somebody_made_by_hand_is_no_alert() -> None:
    heart = await begun([a_snapshot(day(12, 1), "laptop")])
    await heart.turn(day(20))
    assert list(heart.fleet.states.values()) == [State.UNKNOWN]
    assert heart.opened() == []


async def test_an_alert_about_a_source_that_was_adopted_is_resolved() -> None:
    other = [a_snapshot(day(2, 2) + night * DAY, "web-1") for night in range(13)]
    heart = await begun([*NIGHTS, *other[:11]])
    heart.now = day(14, 3)
    await look(heart, [*NIGHTS, *other])
    assert heart.opened() == ["backup_missed"]
    by_host = {source.restic_host: source.id for source in heart.fleet.sources.values()}
    await heart.take(
        [SourceAdopted(at=heart.now, origin="person:ann", source_id=by_host["nas"], into_id=by_host["web-1"])]
    )
    await heart.turn(timedelta(seconds=1))
    assert heart.resolved() == ["backup_missed"]
    assert heart.open_rules() == []
    assert heart.fleet.alerts_of_entity == {}


async def test_what_the_witness_doubts_is_an_alert_of_the_repository_until_it_is_over() -> None:
    misdated = a_snapshot(day(30), "nas")
    heart = await begun([*NIGHTS, misdated])
    assert heart.opened() == ["repository_finding"]
    heart.now += HOUR
    await look(heart, NIGHTS)
    assert heart.resolved() == ["repository_finding"]
