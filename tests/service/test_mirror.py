"""Whoever mirrors what a channel was told holds what is open, whatever happened to alerts, channel and receiver."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from lastgood.model.alert import Alert, Severity
from lastgood.model.channel import Channel
from lastgood.model.fact import AlertSnoozed
from tests.notify.receiver import DROP, Receiver, receiving
from tests.service.outbox import Outbox, outbox

STEPS = 60
SEVERITIES = (Severity.WARNING, Severity.CRITICAL)


def mirrored(receiver: Receiver) -> set[str]:
    """What a receiver that follows the documentation holds for open."""
    held: set[str] = set()
    seen: set[str] = set()
    for one in receiver.took:
        said = one.json
        if said["id"] in seen:
            continue
        seen.add(said["id"])
        if said["event"] == "digest":
            assert said["digest"]["omitted"] == 0
            held = {alert["id"] for alert in said["digest"]["alerts"]}
        elif said["event"] == "opened":
            held.add(said["alert"]["id"])
        else:
            held.discard(said["alert"]["id"])
    return held


class Story:
    """One run of chance over alerts that open, end, are snoozed and wake, and a channel that comes and goes."""

    def __init__(self, box: Outbox, receiver: Receiver, channel: Channel, seed: int) -> None:
        self.box, self.receiver, self.channel = box, receiver, channel
        self.chance = random.Random(seed)
        self.open: dict[str, Alert] = {}
        self.asleep: dict[str, Alert] = {}
        self.told: set[str] = set()
        self.numbers = 0

    async def step(self) -> None:
        chance, box = self.chance, self.box
        what = chance.choices(
            ["open", "flood", "silent", "end", "snooze", "wake", "channel", "turn"], [8, 1, 2, 6, 2, 2, 2, 8]
        )[0]
        self.receiver.answers[:] = [chance.choice([200, 200, 500, DROP]) for _ in range(3)] + [200]
        if what in ("open", "flood", "silent"):
            await self.opened(22 if what == "flood" else chance.randint(1, 4), silent=what == "silent")
        elif what == "end" and self.open:
            for alert in chance.sample(list(self.open.values()), min(len(self.open), chance.randint(1, 15))):
                await box.resolve(alert, told=alert.id in self.told)
                del self.open[alert.id]
                self.asleep.pop(alert.id, None)
        elif what == "snooze" and self.open:
            alert = chance.choice(list(self.open.values()))
            await self.snooze(alert, box.now + timedelta(hours=chance.randint(1, 9)))
        elif what == "wake" and self.asleep:
            await self.snooze(chance.choice(list(self.asleep.values())), None)
        elif what == "channel":
            enabled, severity = chance.choice([True, True, False]), chance.choice(SEVERITIES)
            self.channel, _ = await box.channels.change(self.channel.id, enabled=enabled, severity=severity)
        await box.turn(chance.choice([0, 1, 7, 61, 400]))

    async def opened(self, count: int, *, silent: bool) -> None:
        count = min(count, 95 - len(self.open))  # a digest lists a hundred
        names = [f"source-{self.numbers + number}" for number in range(count)]
        self.numbers += count
        until = self.box.now + timedelta(hours=5) if silent else None
        severity = self.chance.choice(SEVERITIES)
        made = await self.box.open(*names, snoozed_until=until, told=not silent, severity=severity)
        for alert in made:
            self.open[alert.id] = alert
            if silent:
                self.asleep[alert.id] = alert
            else:
                self.told.add(alert.id)

    async def snooze(self, alert: Alert, until: object) -> None:
        fact = AlertSnoozed(
            at=self.box.now,
            origin="test",
            alert_id=alert.id,
            key=alert.key,
            until=until,  # type: ignore[arg-type]
            by="ann",
        )
        await self.box.tell([fact])
        if until is None:
            self.asleep.pop(alert.id)
            self.told.add(alert.id)
        else:
            self.asleep[alert.id] = alert

    async def end(self) -> None:
        """Everybody is awake, the channel is on and its receiver well: deliver what is left."""
        for alert in list(self.asleep.values()):
            await self.snooze(alert, None)
        self.channel, _ = await self.box.channels.change(self.channel.id, enabled=True)
        self.receiver.answers[:] = [200]
        for _ in range(30):
            await self.box.turn(61)
        assert [row for row in await self.box.rows() if row.next_at is not None] == []


@pytest.mark.parametrize("seed", range(4))
async def test_a_mirror_holds_what_is_open(tmp_path: Path, seed: int) -> None:
    async with outbox(tmp_path) as box, receiving() as receiver:
        story = Story(box, receiver, await box.hook(receiver), seed)
        for _ in range(STEPS):
            await story.step()
        await story.end()
        assert mirrored(receiver) == {one.id for one in story.open.values() if story.channel.hears(one.severity)}
        rows = await box.rows()
        assert all(row.delivered_at is not None and row.given_up_at is None for row in rows)
        assert {row.id for row in rows} == {one.headers["x-lastgood-id"] for one in receiver.took}
        assert len(receiver.asked) > len(rows)  # some were tried in vain before
