"""Promise 4: no notice is dropped; each is delivered, or shown as undelivered, whatever its receiver does."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import text

from lastgood.config.settings import NoticeSettings
from lastgood.model.alert import Severity
from lastgood.model.channel import ChannelKind, Event
from lastgood.model.fact import AlertSnoozed, HostRemoved
from lastgood.notices.change import STORM
from lastgood.service.channels import NameTaken, NoChannel
from lastgood.store.channels import MOST
from tests.notify.receiver import DROP, HANG, receiving
from tests.service.outbox import outbox
from tests.waiting import until


async def test_an_alert_is_told_when_it_opens_and_when_it_is_over(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        (alert,) = await box.open("home")
        await box.turn()
        await box.resolve(alert)
        await box.turn()
        assert receiver.told() == [("opened", alert.id), ("resolved", alert.id)]
        opened, resolved = (one.json for one in receiver.took)
        assert (opened["version"], opened["alert"]["message"]) == (1, "home is wrong.")
        assert (opened["alert"]["resolved_at"], resolved["alert"]["reason"]) == (None, "over")
        rows = await box.rows()
        assert [row.id for row in rows] == [opened["id"], resolved["id"]]
        assert [(row.receipt, row.next_at, row.attempts) for row in rows] == [("200 OK", None, 1)] * 2


async def test_the_signature_is_of_timestamp_and_body_with_the_secret_that_was_told_once(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        _, secret = await box.channels.add("ops", ChannelKind.WEBHOOK, receiver.url, Severity.INFO, "ann")
        assert secret is not None
        await box.open("home")
        await box.turn()
        (one,) = receiver.took
        signed = one.headers["x-lastgood-timestamp"].encode() + b"." + one.body
        proof = hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest()
        assert one.headers["x-lastgood-signature"] == f"sha256={proof}"
        assert int(one.headers["x-lastgood-timestamp"]) == int(box.now.timestamp())
        assert one.headers["x-lastgood-id"] == one.json["id"]
        assert one.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_a_receiver_that_fails_gets_the_same_notice_again_later_and_later(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(500, DROP, 503, 200) as receiver:
        await box.hook(receiver)
        await box.open("home")
        waits = []
        for _ in range(3):
            await box.turn()
            (row,) = await box.rows()
            assert row.next_at is not None
            assert row.error is not None
            waits.append((row.next_at - box.now).total_seconds())
            assert (await box.rows(undelivered_since=box.now))[0].id == row.id
            assert box.notices.counts["ops"].undelivered <= 1
            await box.turn(row.next_at - box.now - timedelta(seconds=1))
            assert len(receiver.asked) == row.attempts  # not a moment too early
            await box.turn(1)
        assert 2.5 <= waits[0] <= 5 < waits[1] <= 10 < waits[2] <= 20
        assert {one.headers["x-lastgood-id"] for one in receiver.asked} == {row.id}
        assert {one.body for one in receiver.asked} == {receiver.took[0].body}
        (row,) = await box.rows()
        assert (row.attempts, row.receipt, row.error) == (4, "200 OK", None)
        assert await box.rows(undelivered_since=box.now) == []


async def test_a_receiver_that_says_when_is_not_asked_before(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving((429, "3600"), 200) as receiver:
        await box.hook(receiver)
        await box.open("home")
        await box.turn()
        await box.open("etc")
        await box.turn(3599)
        assert len(receiver.asked) == 1
        await box.turn(2)
        assert receiver.events == ["opened", "opened"]


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_refusal_for_good_is_given_up_at_once_and_stays_listed(tmp_path: Path, status: int) -> None:
    async with outbox(tmp_path) as box, receiving(status, 200) as receiver:
        await box.hook(receiver)
        await box.open("home", "etc")
        await box.turn()
        first, second = await box.rows()
        assert (first.next_at, first.given_up_at, first.attempts) == (None, box.now, 1)
        assert str(status) in (first.error or "")
        assert second.delivered_at == box.now
        assert [row.id for row in await box.rows(undelivered_since=box.now)] == [first.id]
        await box.notices.look()
        counts = box.notices.counts["ops"]
        assert (counts.undelivered, counts.given_up, counts.delivered) == (1, 1, 1)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as inner, receiving((302, f"Location: {inner.url}")) as receiver:
        await box.hook(receiver)
        await box.open("home")
        await box.turn()
        assert len(receiver.asked) == 1
        assert inner.asked == []
        assert (await box.rows())[0].given_up_at == box.now


async def test_after_a_day_without_luck_a_notice_is_given_up(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(500) as receiver:
        await box.hook(receiver)
        await box.open("home")
        began = box.now
        for _ in range(200):
            await box.turn()
            (row,) = await box.rows()
            if row.next_at is None:
                break
            box.now = row.next_at
        assert row.given_up_at is not None
        assert timedelta(hours=24) <= row.given_up_at - began <= timedelta(hours=24, minutes=15)
        assert row.attempts == len(receiver.asked) < 200


async def test_what_tells_of_one_alert_goes_in_order_and_others_go_on(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(500, 200) as receiver:
        await box.hook(receiver)
        (home,) = await box.open("home")
        await box.resolve(home)
        (etc,) = await box.open("etc")
        await box.turn()
        assert receiver.took == []
        await box.turn(120)
        assert receiver.told() == [("opened", home.id), ("resolved", home.id), ("opened", etc.id)]


async def test_a_channel_that_hangs_delays_no_other(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(HANG) as slow, receiving() as quick:
        await box.hook(slow, "slow")
        await box.hook(quick, "quick")
        await box.open("home")
        await box.notices.look()

        async def told() -> bool:
            return bool(quick.took) and slow.hanging == 1

        await until(told, "the quick channel's notice while the other hangs")
        await box.open("etc")
        await box.notices.look()

        async def told_again() -> bool:
            return len(quick.took) == 2 and slow.hanging == 1

        await until(told_again, "the next one as well")


async def test_an_answer_that_does_not_come_is_a_failure_once_the_deadline_is_past(tmp_path: Path) -> None:
    async with outbox(tmp_path, seconds=0.3) as box, receiving(HANG, 200) as receiver:
        await box.hook(receiver)
        await box.open("home")
        await box.turn()
        (row,) = await box.rows()
        assert row.error == "There was no answer within 0.3 seconds."
        await box.turn(60)
        assert receiver.events == ["opened"]


async def test_a_new_channel_gets_one_digest_of_what_is_open(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.open(*(f"source-{number}" for number in range(7)))
        (warning,) = await box.open("late", severity=Severity.WARNING)
        (over,) = await box.open("over")
        await box.resolve(over)
        await box.hook(receiver)
        await box.turn()
        (one,) = receiver.took
        digest = one.json["digest"]
        assert (one.json["event"], digest["reason"], digest["open"]) == ("digest", "new_channel", 8)
        assert digest["severities"] == {"critical": 7, "warning": 1, "info": 0}
        assert digest["alerts"][-1]["id"] == warning.id  # the worst come first
        assert len(digest["alerts"]) == 8


async def test_a_new_channel_hears_nothing_while_nothing_is_open(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        await box.turn()
        assert receiver.asked == []
        assert await box.rows() == []


async def test_a_flood_becomes_one_digest_that_tells_all_of_it(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        await box.open(*(f"first-{number}" for number in range(15)))
        await box.turn()
        flood = await box.open(*(f"then-{number}" for number in range(150)))
        await box.resolve(*flood[:30])
        await box.turn()
        assert receiver.events == ["opened"] * 15  # it gathers for a minute
        await box.turn(61)
        assert receiver.events == ["opened"] * 15 + ["digest"]
        digest = receiver.took[-1].json["digest"]
        assert (digest["reason"], digest["opened"], digest["resolved"]) == ("storm", 150, 30)
        assert (digest["open"], len(digest["alerts"]), digest["omitted"]) == (135, 100, 35)
        await box.open("afterwards")
        await box.turn(1)
        assert receiver.events[-1] == "opened"


async def test_a_flood_slower_than_a_batch_is_folded_as_well(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        for number in range(STORM + 5):
            await box.open(f"source-{number}")
            await box.turn(1)
        await box.turn(61)
        assert receiver.events == ["opened"] * STORM + ["digest"]
        assert receiver.took[-1].json["digest"]["opened"] == 5


async def test_a_channel_hears_only_what_is_as_bad_as_it_wants(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as all_of_it, receiving() as worst:
        await box.hook(all_of_it, "all")
        channel = await box.hook(worst, "worst", Severity.CRITICAL)
        (warning,) = await box.open("late", severity=Severity.WARNING)
        (critical,) = await box.open("home")
        await box.turn()
        assert all_of_it.told() == [("opened", warning.id), ("opened", critical.id)]
        assert worst.told() == [("opened", critical.id)]
        await box.channels.change(channel.id, severity=Severity.WARNING)
        await box.turn()
        assert worst.took[-1].json["digest"]["reason"] == "changed_channel"
        assert worst.took[-1].json["digest"]["open"] == 2


async def test_a_paused_channel_hears_nothing_and_then_one_digest(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        channel = await box.hook(receiver)
        await box.channels.change(channel.id, pause=(box.now + timedelta(hours=1),))
        (home, etc) = await box.open("home", "etc")
        await box.resolve(etc)
        await box.turn(3599)
        assert receiver.asked == []
        await box.turn(2)
        await box.turn()
        (one,) = receiver.took
        assert one.json["digest"]["reason"] == "resumed"
        assert [alert["id"] for alert in one.json["digest"]["alerts"]] == [home.id]
        await box.channels.change(channel.id, enabled=False)
        await box.open("srv")
        await box.turn()
        assert len(receiver.took) == 1


async def test_a_snoozed_alert_is_told_to_nobody_until_its_snooze_is_over(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        later = box.now + timedelta(days=3)
        asleep, gone = await box.open("laptop", "gone", snoozed_until=later, snoozed_by="ann", told=False)
        await box.turn()
        await box.resolve(gone, told=False)
        await box.turn()
        assert receiver.asked == []
        box.now = later
        wake = AlertSnoozed(at=later, origin="test", alert_id=asleep.id, key=asleep.key, until=None, by="hub:rules")
        await box.tell([wake])
        await box.tell([wake])  # the same again tells nothing again
        await box.turn()
        assert receiver.told() == [("opened", asleep.id)]
        await box.resolve(asleep)
        await box.turn()
        assert receiver.told()[1:] == [("resolved", asleep.id)]


async def test_a_digest_is_silent_about_what_is_snoozed(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.open("asleep", snoozed_until=box.now + timedelta(days=3), told=False)
        (awake,) = await box.open("awake")
        await box.hook(receiver)
        await box.turn()
        assert [alert["id"] for alert in receiver.took[0].json["digest"]["alerts"]] == [awake.id]


async def test_alerts_of_a_host_that_is_removed_are_told_as_over(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        (home,) = await box.open("home")
        await box.open("asleep", told=False)
        await box.tell([HostRemoved(at=box.now, origin="test", host_id=home.host_id or "")])
        await box.turn()
        assert receiver.told() == [("opened", home.id), ("resolved", home.id)]


async def test_facts_told_twice_tell_nobody_twice(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        (home,) = await box.open("home")
        await box.open("home")
        await box.resolve(home)
        await box.resolve(home)
        await box.turn()
        assert receiver.told() == [("opened", home.id), ("resolved", home.id)]


async def test_a_test_is_sent_at_once_and_shows_its_receipt(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(200, 404, 503) as receiver:
        channel = await box.hook(receiver)
        await box.channels.change(channel.id, enabled=False)
        good = await box.channels.test(channel.id, "ann")
        assert (good.receipt, good.event) == ("200 OK", Event.TEST)
        assert "a test of the channel ops, asked for by ann" in receiver.took[0].json["text"]
        for status in ("404 Not Found", "503 Service Unavailable"):
            bad = await box.channels.test(channel.id, "ann")
            assert (bad.receipt, bad.next_at, bad.given_up_at) == (status, None, box.now)
        await box.turn()
        assert box.notices.counts["ops"].undelivered == 0  # tests alarm nobody


async def test_there_are_only_so_many_channels_and_no_two_of_a_name(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        made = [await box.hook(receiver, f"channel-{number}") for number in range(MOST)]
        with pytest.raises(NameTaken, match="or there are 40"):
            await box.hook(receiver, "one more")
        with pytest.raises(NameTaken):
            await box.channels.change(made[0].id, name="CHANNEL-1")
        await box.channels.remove(made[0].id)
        with pytest.raises(NoChannel):
            await box.channels.test(made[0].id, "ann")
        await box.hook(receiver, "one more")


async def test_a_removed_channel_takes_what_waits_for_it_along(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(500) as receiver:
        channel = await box.hook(receiver)
        await box.open("home")
        await box.turn()
        await box.channels.remove(channel.id)
        await box.turn(3600)
        assert await box.rows() == []
        assert len(receiver.asked) == 1
        assert box.notices.counts == {}


async def test_without_the_setting_no_notice_goes_to_this_machine(tmp_path: Path) -> None:
    async with outbox(tmp_path, NoticeSettings()) as box, receiving() as receiver:
        channel = await box.hook(receiver)
        refused = await box.channels.test(channel.id, "ann")
        assert receiver.asked == []
        assert "this machine itself" in (refused.error or "")
        assert "notices.allowed_networks" in (refused.error or "")


async def test_a_name_is_checked_by_what_it_leads_to(tmp_path: Path) -> None:
    allowed = NoticeSettings(allowed_networks=(ip_network("127.0.0.1"), ip_network("::1")))
    for settings, came in ((NoticeSettings(), 0), (allowed, 1)):
        async with outbox(tmp_path / str(came), settings) as box, receiving() as receiver:
            url = f"http://localhost:{receiver.port}/hook"
            channel, _ = await box.channels.add("ops", ChannelKind.WEBHOOK, url, Severity.INFO, "ann")
            await box.channels.test(channel.id, "ann")
            assert len(receiver.asked) == came
            assert [one.headers["host"] for one in receiver.asked] == [f"localhost:{receiver.port}"] * came


async def test_addresses_and_secrets_lie_sealed_in_the_database(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        channel, secret = await box.channels.add("ops", ChannelKind.WEBHOOK, receiver.url, Severity.INFO, "ann")
        assert secret is not None
        await box.open("home")
        await box.turn()
        assert channel.shown == f"http://127.0.0.1:{receiver.port}/…"
        path = box.database.path
    held = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert b"hidden" not in held
    assert secret.reveal().encode() not in held


async def test_what_was_taken_and_could_not_be_noted_is_not_sent_again(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        await box.hook(receiver)
        await box.open("home")
        full = "CREATE TRIGGER full BEFORE UPDATE ON notices BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        await box.database.write(lambda connection: connection.execute(text(full)))
        await box.turn()
        assert len(receiver.took) == 1
        assert (await box.rows())[0].delivered_at is None
        await box.database.write(lambda connection: connection.execute(text("DROP TRIGGER full")))
        await box.turn(61)
        assert len(receiver.took) == 1
        assert (await box.rows())[0].receipt == "200 OK"


async def test_a_clock_that_is_put_back_makes_nothing_wait(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(500, 200) as receiver:
        await box.hook(receiver)
        await box.turn()
        await box.open("home")
        await box.turn()
        await box.turn(timedelta(days=-2))
        assert receiver.events == ["opened"]


async def test_old_notices_are_trimmed_but_for_those_that_wait(tmp_path: Path) -> None:
    async with outbox(tmp_path) as box, receiving(200, 500) as receiver:
        await box.hook(receiver)
        await box.open("home")
        await box.turn()
        box.now += timedelta(days=90)
        await box.open("etc")
        await box.turn()
        assert len(await box.rows()) == 2
        await box.turn(3600)
        (row,) = await box.rows()
        assert row.delivered_at is None
