"""An outbox on a turned clock: a real store in a folder, real deliveries to servers of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lastgood.auth.secrets import Sealer, subkey
from lastgood.config.settings import NoticeSettings
from lastgood.model.alert import Alert, Severity
from lastgood.model.channel import Channel, ChannelKind, Notice
from lastgood.model.fact import AlertOpened, AlertResolved, Fact
from lastgood.service.channels import Channels
from lastgood.service.notices import Notices
from lastgood.service.ways import PURPOSE, Ways
from lastgood.store.database import DATABASE_NAME, Database, open_database
from lastgood.store.lease import AlwaysHeld
from lastgood.store.telling import Told
from tests.builders import NOW, an_alert, an_id
from tests.notify.receiver import Receiver

SETTINGS = NoticeSettings(allowed_networks=(ip_network("127.0.0.1"),), give_up_hours=24)


class Outbox:
    """``tell`` keeps facts as the log does; ``turn`` moves the clock and sends what is due then."""

    def __init__(self, database: Database, settings: NoticeSettings = SETTINGS, seconds: float = 10.0) -> None:
        self.now = NOW
        self.database = database
        sealer = Sealer(subkey(b"k" * 32, PURPOSE))
        self.ways = Ways(database, sealer, settings, seconds)
        self.notices = Notices(database, lambda: self.now, settings, 90, self.ways, AlwaysHeld())
        self.channels = Channels(database, sealer, lambda: self.now, self.notices)

    async def hook(self, receiver: Receiver, name: str = "ops", severity: Severity = Severity.INFO) -> Channel:
        channel, _ = await self.channels.add(name, ChannelKind.WEBHOOK, receiver.url, severity, "ann")
        return channel

    async def tell(self, facts: Sequence[Fact]) -> None:
        told = Told()
        for number, fact in enumerate(facts):
            told.add(number + 1, fact, "")
        await self.database.write(told.save)

    async def open(self, *names: str, **changes: Any) -> list[Alert]:
        alerts = [alert_of(name, self.now, **changes) for name in names]
        await self.tell([AlertOpened(at=self.now, origin="test", alert=alert) for alert in alerts])
        return alerts

    async def resolve(self, *alerts: Alert, told: bool = True) -> None:
        await self.tell(
            [
                AlertResolved(at=self.now, origin="test", alert_id=one.id, key=one.key, reason="over", told=told)
                for one in alerts
            ]
        )

    async def turn(self, by: timedelta | float = 0.0) -> None:
        """Move the clock and send everything that is due by then."""
        self.now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        await self.notices.look()
        await self.notices.settled()

    async def rows(self, **query: Any) -> list[Notice]:
        """Oldest first."""
        return (await self.channels.notices(limit=500, **query))[0][::-1]


@cache
def _fresh() -> bytes:
    """A database in which nothing was written yet; migrated once for all tests."""
    with TemporaryDirectory() as folder:
        made = open_database(Path(folder))
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, made.close()).result()
        return made.path.read_bytes()


def alert_of(name: str, at: datetime, **changes: Any) -> Alert:
    made = an_alert(id=an_id("alert", name, at), message=f"{name} is wrong.", opened_at=at)
    return Alert(**{**{slot: getattr(made, slot) for slot in made.__slots__}, **changes})


@asynccontextmanager
async def outbox(folder: Path, settings: NoticeSettings = SETTINGS, seconds: float = 10.0) -> AsyncIterator[Outbox]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DATABASE_NAME).write_bytes(_fresh())
    database = open_database(folder)
    made = Outbox(database, settings, seconds)
    try:
        yield made
    finally:
        await made.ways.close()
        await database.close()
