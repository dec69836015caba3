"""A snooze ends by the clock, whatever was restarted meanwhile; a snoozed host's alerts open in silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lastgood.model.alert import Alert
from lastgood.model.fact import AlertOpened, AlertResolved, AlertSnoozed, HostSnoozed
from lastgood.model.job import Schedule
from tests.builders import a_run
from tests.service.turned import Heart

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
NIGHTLY = Schedule(cron="0 2 * * *")
DEADLINE = datetime(2026, 3, 15, 8, 0, tzinfo=UTC)


@pytest.fixture
async def heart() -> Heart:
    heart = Heart(NOON)
    await heart.watch.start()
    return heart


def woken(heart: Heart) -> list[AlertSnoozed]:
    return [fact for fact in heart.told if isinstance(fact, AlertSnoozed) and fact.until is None]


async def missed(heart: Heart) -> Alert:
    """The alert of a backup that never came."""
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    await heart.turn(DEADLINE)
    (alert,) = heart.fleet.alerts.values()
    return alert


async def snooze(heart: Heart, alert: Alert, until: datetime) -> None:
    await heart.take(
        [AlertSnoozed(at=heart.now, origin="test", alert_id=alert.id, key=alert.key, until=until, by="ann")]
    )


async def test_a_snooze_ends_on_time_and_once(heart: Heart) -> None:
    alert = await missed(heart)
    until = DEADLINE + timedelta(days=1)
    await snooze(heart, alert, until)
    await heart.turn(until - timedelta(seconds=1))
    assert woken(heart) == []
    for _ in range(3):
        await heart.turn(max(until, heart.now) + timedelta(seconds=1))
    (fact,) = woken(heart)
    assert fact.alert_id == alert.id
    assert heart.fleet.alerts[alert.key].snoozed_until is None


async def test_a_longer_snooze_takes_the_place_of_a_shorter_one(heart: Heart) -> None:
    alert = await missed(heart)
    await snooze(heart, alert, DEADLINE + timedelta(hours=1))
    await snooze(heart, alert, DEADLINE + timedelta(hours=9))
    await heart.turn(DEADLINE + timedelta(hours=8))
    assert woken(heart) == []
    await heart.turn(DEADLINE + timedelta(hours=9))
    assert len(woken(heart)) == 1


async def test_a_snooze_that_ended_while_the_hub_was_away_ends_at_its_start(heart: Heart) -> None:
    alert = await missed(heart)
    await snooze(heart, alert, DEADLINE + timedelta(hours=1))
    heart.now = DEADLINE + timedelta(hours=5)
    heart.restart()
    await heart.watch.start()
    await heart.turn(timedelta(0))
    assert len(woken(heart)) == 1


async def test_while_the_disk_is_full_a_snooze_waits_and_then_ends(heart: Heart) -> None:
    alert = await missed(heart)
    await snooze(heart, alert, DEADLINE + timedelta(hours=1))
    heart.broken = True
    await heart.turn(DEADLINE + timedelta(hours=1))
    assert woken(heart) == []
    heart.broken = False
    await heart.turn(timedelta(seconds=6))
    assert len(woken(heart)) == 1


async def test_an_alert_that_is_over_is_woken_by_nobody(heart: Heart) -> None:
    alert = await missed(heart)
    await snooze(heart, alert, DEADLINE + timedelta(hours=1))
    source = heart.fleet.sources[alert.key.entity_id]
    await heart.finish(a_run(source, ended_at=DEADLINE, due_at=DEADLINE - timedelta(hours=6)))
    await heart.turn(DEADLINE + timedelta(hours=2))
    assert heart.fleet.alerts == {}
    assert woken(heart) == []
    (resolved,) = (fact for fact in heart.told if isinstance(fact, AlertResolved))
    assert resolved.told  # channels heard that it was open, so they hear that it is over


async def test_what_opens_on_a_snoozed_host_is_open_and_told_when_the_snooze_is_over(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    until = DEADLINE + timedelta(hours=12)
    await heart.take([HostSnoozed(at=heart.now, origin="test", host_id=source.host_id, until=until, by="ann")])
    await heart.turn(DEADLINE)
    (alert,) = heart.fleet.alerts.values()
    assert (alert.snoozed_until, alert.snoozed_by, alert.told) == (until, "ann", False)
    await heart.turn(until)
    assert len(woken(heart)) == 1
    assert heart.fleet.alerts[alert.key].told


async def test_what_opened_and_ended_in_silence_is_told_to_nobody(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    until = DEADLINE + timedelta(days=3)
    await heart.take([HostSnoozed(at=heart.now, origin="test", host_id=source.host_id, until=until, by="ann")])
    await heart.turn(DEADLINE)
    await heart.finish(a_run(source, ended_at=DEADLINE, due_at=DEADLINE - timedelta(hours=6)))
    await heart.turn(timedelta(seconds=1))
    (resolved,) = (fact for fact in heart.told if isinstance(fact, AlertResolved))
    assert not resolved.told


async def test_a_host_whose_snooze_is_past_opens_alerts_as_ever(heart: Heart) -> None:
    source = await heart.protect(schedule=NIGHTLY)
    heart.connect(source.host_id)
    host = heart.fleet.hosts[source.host_id]
    heart.fleet.hosts[host.id] = replace(host, snoozed_until=NOON + timedelta(hours=1), snoozed_by="ann")
    await heart.turn(DEADLINE)
    (opened,) = (fact for fact in heart.told if isinstance(fact, AlertOpened))
    assert (opened.alert.snoozed_until, opened.alert.told) == (None, True)
