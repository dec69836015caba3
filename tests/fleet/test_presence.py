"""What heartbeats say, and when somebody must be judged again for it."""

from __future__ import annotations

from datetime import timedelta

from lastgood.fleet import presence
from lastgood.fleet.fleet import Judging
from lastgood.model.host import Presence
from tests.builders import NOW

SECOND = timedelta(seconds=1)
HOST = "host"


def a_judging(**held: object) -> Judging:
    return Judging(presence={HOST: Presence(**held)})  # type: ignore[arg-type]


def test_a_host_that_connects_is_to_be_judged_and_owes_us_everything() -> None:
    judging = Judging()
    assert presence.connected(judging, HOST, NOW)
    assert judging.presence[HOST] == Presence(connected=True, seen_at=NOW)


def test_a_newer_connection_in_step_takes_over_unsynced() -> None:
    judging = a_judging(connected=True, synced=True, seen_at=NOW, observed_at=NOW)
    assert presence.connected(judging, HOST, NOW + SECOND)
    assert not judging.presence[HOST].synced
    assert judging.presence[HOST].observed_at == NOW
    assert not presence.connected(judging, HOST, NOW + SECOND), "nothing changed the second time"


def test_life_signs_move_what_was_observed_only_while_in_step() -> None:
    judging = a_judging(connected=True, seen_at=NOW)
    presence.heard(judging, HOST, NOW + SECOND)
    assert judging.presence[HOST].seen_at == NOW + SECOND
    assert judging.presence[HOST].observed_at is None
    assert presence.synced(judging, HOST, NOW + 2 * SECOND, True)
    assert not presence.synced(judging, HOST, NOW + 2 * SECOND, True)
    presence.heard(judging, HOST, NOW + 3 * SECOND)
    assert judging.presence[HOST].observed_at == NOW + 3 * SECOND
    assert presence.synced(judging, HOST, NOW + 4 * SECOND, False)
    presence.heard(judging, HOST, NOW + 5 * SECOND)
    assert judging.presence[HOST].observed_at == NOW + 3 * SECOND


def test_measures_stay_until_they_are_taken_again() -> None:
    judging = a_judging(connected=True)
    presence.heard(judging, HOST, NOW, clock_offset_seconds=-2.5)
    presence.heard(judging, HOST, NOW, round_trip_seconds=0.1)
    presence.heard(judging, HOST, NOW)
    held = judging.presence[HOST]
    assert (held.clock_offset_seconds, held.round_trip_seconds) == (-2.5, 0.1)


def test_no_instant_goes_back_with_the_clock() -> None:
    judging = a_judging(connected=True, synced=True, seen_at=NOW, observed_at=NOW)
    presence.heard(judging, HOST, NOW - timedelta(hours=1))
    assert judging.presence[HOST].seen_at == NOW
    assert judging.presence[HOST].observed_at == NOW


def test_a_host_that_goes_leaves_what_was_last_known() -> None:
    judging = a_judging(connected=True, synced=True, seen_at=NOW, observed_at=NOW)
    assert presence.disconnected(judging, HOST)
    assert judging.presence[HOST] == Presence(seen_at=NOW, observed_at=NOW)
    assert not presence.disconnected(judging, HOST)
    assert not presence.synced(judging, HOST, NOW + SECOND, True)
    presence.heard(judging, HOST, NOW + SECOND)
    assert judging.presence[HOST].seen_at == NOW, "words of a connection that is over come too late"


def test_after_a_start_of_the_hub_who_was_online_has_time_to_come_back() -> None:
    judging = Judging()
    stopped_at, at = NOW + 20 * SECOND, NOW + timedelta(hours=3)
    presence.remembered(judging, HOST, seen_at=NOW, observed_at=NOW, stopped_at=stopped_at, at=at)
    assert judging.presence[HOST] == Presence(seen_at=at, observed_at=NOW)


def test_after_a_start_of_the_hub_who_was_offline_stays_so() -> None:
    judging = Judging()
    stopped_at, at = NOW + presence.OFFLINE_AFTER, NOW + timedelta(hours=3)
    presence.remembered(judging, HOST, seen_at=NOW, observed_at=None, stopped_at=stopped_at, at=at)
    assert judging.presence[HOST] == Presence(seen_at=NOW)


def test_notes_of_a_clock_that_was_ahead_kept_a_dead_host_online() -> None:
    judging, ahead = Judging(), NOW + timedelta(days=30)
    presence.remembered(
        judging, HOST, seen_at=ahead, observed_at=ahead, stopped_at=ahead + timedelta(hours=1), at=NOW
    )
    assert judging.presence[HOST] == Presence(seen_at=NOW, observed_at=NOW)
