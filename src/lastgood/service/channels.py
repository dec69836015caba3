"""Channels as people change them: added, set, tested and removed.

Comes in: what somebody wrote. Goes out: rows with sealed addresses, and for a webhook the secret that signs its
notices, told this once. The one rule: an address is never told again, not even to whoever wrote it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from lastgood.auth.secrets import Sealer, mint_token, subkey
from lastgood.clock import Clock
from lastgood.config.settings import Settings
from lastgood.errors import LastgoodError
from lastgood.ids import ulid
from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, ChannelKind, Notice
from lastgood.notify import apprise, webhook
from lastgood.secret import Secret
from lastgood.service.desk import Counts
from lastgood.service.notices import Notices
from lastgood.service.ways import PURPOSE, Address, Ways, seal, unseal
from lastgood.store import channels, notices
from lastgood.store.database import Database
from lastgood.store.lease import Lease


class NameTaken(LastgoodError):
    """Another channel has this name, or there are as many as there may be."""


class NoChannel(LastgoodError):
    """No channel has this id."""


class Channels:
    """``sealer`` is that of ``service/ways.py``."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, outbox: Notices) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self.outbox = outbox

    @classmethod
    def of(cls, database: Database, clock: Clock, settings: Settings, secret_key: bytes, lease: Lease) -> Channels:
        """With an outbox of their own, whose ``run`` is a round of the hub."""
        sealer = Sealer(subkey(secret_key, PURPOSE))
        ways = Ways(database, sealer, settings.notices)
        outbox = Notices(database, clock, settings.notices, settings.retention.notices_days, ways, lease)
        return cls(database, sealer, clock, outbox)

    async def every(self) -> list[Channel]:
        return await self._database.read(channels.list_channels)

    def counts(self, channel: Channel) -> Counts:
        return self.outbox.counts.get(channel.name, Counts())

    async def add(
        self, name: str, kind: ChannelKind, url: str, severity: Severity, by: str
    ) -> tuple[Channel, Secret | None]:
        """The channel, and a webhook's secret. Raises ConfigError for an address that is none, and NameTaken."""
        now = self._clock()
        address, shown, secret = await self._address(kind, url)
        channel = Channel(
            id=ulid(now), name=name, kind=kind, severity=severity, shown=shown, created_at=now, created_by=by
        )
        sealed = seal(self._sealer, channel.id, address)
        if not await self._database.write(partial(channels.add, channel=channel, sealed=sealed)):
            raise NameTaken(
                f"There is a channel called {name} already, or there are {channels.MOST}; choose another name, or "
                "remove one that is not needed."
            )
        self.outbox.wake()
        return channel, secret

    async def change(
        self,
        channel_id: str,
        *,
        name: str | None = None,
        severity: Severity | None = None,
        enabled: bool | None = None,
        pause: tuple[datetime | None] | None = None,
        url: str | None = None,
        new_secret: bool = False,
    ) -> tuple[Channel, Secret | None]:
        """The channel as it is now, and a webhook's new secret; ``pause`` holds its end, or None to end one.

        Raises ConfigError, NameTaken and NoChannel.
        """
        before, kept = await self._find(channel_id)
        sealed, secret, shown = None, None, before.shown
        if url is not None or (new_secret and before.kind is ChannelKind.WEBHOOK):
            address, shown, minted = await self._address(before.kind, kept.url if url is None else url)
            if new_secret:
                secret = minted
            else:
                address = Address(url=address.url, secret=kept.secret)
            sealed = seal(self._sealer, channel_id, address)

        def alter(held: Channel) -> Channel:
            return replace(
                held,
                name=held.name if name is None else name,
                severity=held.severity if severity is None else severity,
                enabled=held.enabled if enabled is None else enabled,
                paused_until=held.paused_until if pause is None else pause[0],
                shown=held.shown if sealed is None else shown,
            )

        change = partial(channels.change, channel_id=channel_id, alter=alter, now=self._clock(), sealed=sealed)
        after = await self._database.write(change)
        if after is None:
            raise NameTaken(
                f"There is a channel called {name} already, or this one is gone; list them and try again."
            )
        self.outbox.wake()
        return after, secret

    async def remove(self, channel_id: str) -> None:
        """Forget it with all that waits for it. Raises NoChannel."""
        if not await self._database.write(partial(channels.remove, channel_id=channel_id)):
            raise NoChannel("No channel has this id; it may have been removed.")
        self.outbox.wake()

    async def test(self, channel_id: str, by: str) -> Notice:
        """Send a test now; the notice says how it went. Raises NoChannel."""
        notice = await self.outbox.test(channel_id, by)
        if notice is None:
            raise NoChannel("No channel has this id; it may have been removed.")
        return notice

    async def notices(
        self,
        *,
        channel_id: str | None = None,
        undelivered_since: datetime | None = None,
        before: int | None = None,
        limit: int = notices.PAGE,
    ) -> tuple[list[Notice], int | None]:
        """The outbox, newest first, and where the next page begins."""
        return await self._database.read(
            partial(
                notices.list_notices,
                channel_id=channel_id,
                undelivered_since=undelivered_since,
                before=before,
                limit=limit,
            )
        )

    async def _find(self, channel_id: str) -> tuple[Channel, Address]:
        def find(connection: Connection) -> tuple[Channel | None, bytes | None]:
            return channels.find(connection, channel_id), channels.sealed_of(connection, channel_id)

        channel, sealed = await self._database.read(find)
        if channel is None or sealed is None:
            raise NoChannel("No channel has this id; it may have been removed.")
        return channel, unseal(self._sealer, channel_id, sealed)

    async def _address(self, kind: ChannelKind, text: str) -> tuple[Address, str, Secret | None]:
        if kind is ChannelKind.WEBHOOK:
            url, secret = webhook.check_url(text), mint_token("hook")
            return Address(url=url, secret=secret.reveal()), webhook.shown_url(url), secret
        url = await asyncio.to_thread(apprise.check_url, text)
        return Address(url=url), await asyncio.to_thread(apprise.shown_url, url), None
