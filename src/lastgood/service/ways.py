"""From a channel's kind to the way out: opens its sealed address and hands the notice over.

Comes in: a notice. Goes out: a receipt, or ``DeliveryError``. The one rule: an address is opened right before it is
used and kept nowhere.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from functools import partial

import msgspec
from sqlalchemy import Connection

from lastgood.auth.secrets import Sealer
from lastgood.config.settings import NoticeSettings
from lastgood.errors import ConfigError, DeliveryError
from lastgood.model.channel import Channel, ChannelKind, Notice
from lastgood.notices.body import read
from lastgood.notify.apprise import Services
from lastgood.notify.reach import Reach
from lastgood.notify.threads import Threads
from lastgood.notify.webhook import Webhook
from lastgood.store import channels
from lastgood.store.database import Database

DEADLINE_SECONDS = 20.0
PURPOSE = "channels"
"""Names the key under which addresses are sealed."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a channel; ``secret`` signs what a webhook gets."""

    url: str
    secret: str = ""

    def __repr__(self) -> str:
        return "Address()"


def seal(sealer: Sealer, channel_id: str, address: Address) -> bytes:
    return sealer.seal(channel_id, msgspec.json.encode(address))


def unseal(sealer: Sealer, channel_id: str, sealed: bytes) -> Address:
    """Raises ConfigError if the secret key does not fit."""
    return msgspec.json.decode(sealer.open(channel_id, sealed), type=Address)


class Ways:
    """Every way out there is. Made on the event loop; ``close`` it at the end."""

    def __init__(
        self, database: Database, sealer: Sealer, settings: NoticeSettings, seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._seconds = seconds
        self._threads = Threads(2 * channels.MOST)
        self._reach = Reach(self._threads, settings.allowed_networks, settings.private_networks)
        self._services = Services(self._reach, self._threads, seconds)
        self._webhook: Webhook | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        if self._webhook is not None:
            await self._webhook.close()

    async def send(self, notice: Notice, now: datetime) -> str:
        """The receipt of whoever took it. Raises DeliveryError, and StoreError if the channel cannot be read."""
        channel, sealed = await self._database.read(partial(_find, channel_id=notice.channel_id))
        if channel is None or sealed is None or notice.body is None:
            raise DeliveryError("The channel is gone.", permanent=True)
        try:
            address = unseal(self._sealer, channel.id, sealed)
        except ConfigError as error:
            raise DeliveryError(str(error)) from error
        if channel.kind is ChannelKind.APPRISE:
            words = read(notice.body)
            return await self._services.send(address.url, words.title, words.text)
        webhook = await self._open_webhook()
        return await webhook.send(address.url, address.secret, notice.id, notice.body, now)

    async def _open_webhook(self) -> Webhook:
        """Made when it is first used: reading the certificates that are trusted takes a moment."""
        async with self._opening:
            if self._webhook is None:
                trusted = await self._threads.run(_trusted)
                self._webhook = Webhook(self._reach, self._seconds, trusted)
        return self._webhook


def _trusted() -> ssl.SSLContext:
    """The authorities of this machine, where an own one may stand, and those that browsers trust."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _find(connection: Connection, channel_id: str) -> tuple[Channel | None, bytes | None]:
    return channels.find(connection, channel_id), channels.sealed_of(connection, channel_id)
