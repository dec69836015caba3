"""Sends what lies in the outbox: channel by channel in order, the channels side by side.

Comes in: rows that were written with the changes they tell of. Goes out: deliveries, and what became of each. The one
rule: at least once. A notice is noted as delivered after it was taken, so a crash in between sends it again, with the
same id; and whatever one channel does, another never waits for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from lastgood.clock import Clock
from lastgood.config.settings import NoticeSettings
from lastgood.errors import DeliveryError, StoreError
from lastgood.model.channel import Channel, Event, Notice
from lastgood.notices.order import first_due, next_turn
from lastgood.notices.patience import next_attempt
from lastgood.service.desk import Counts, Desk, Tried
from lastgood.service.ways import Ways
from lastgood.store import channels, notices
from lastgood.store.database import Database
from lastgood.store.lease import Lease

LOOK_SECONDS = 30.0
BREATH_SECONDS = 0.2
"""Between one look and the next, however much happens."""

REST = timedelta(seconds=60)
"""How long at most a channel rests after a failure, before another of its notices is tried."""

TRIM_EVERY = timedelta(hours=1)
UNDELIVERED_FOR = timedelta(hours=24)
"""How long one that was given up counts as undelivered; it stays listed as long as notices are kept."""

PUT_BACK = timedelta(minutes=1)

_log = structlog.get_logger("lastgood.notices")


class Notices:
    """``run`` is a round of the hub; ``wake`` says that something was written or changed."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: NoticeSettings,
        keep_days: int,
        ways: Ways,
        lease: Lease,
    ) -> None:
        self._database = database
        self._clock = clock
        self._give_up_after = timedelta(hours=settings.give_up_hours)
        self._keep_for = timedelta(days=keep_days)
        self._ways = ways
        self._lease = lease
        self._desks: dict[str, Desk] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._trim_at: datetime | None = None
        self._latest: datetime | None = None
        self.undelivered = 0
        """Of all channels, at the last look."""

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Channel name -> what is told of it."""
        return {desk.name: desk.counts for desk in self._desks.values() if desk.name}

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled: look what is due, send it, look again."""
        try:
            while True:
                self._woken.clear()
                try:
                    wait = await self.look()
                except StoreError as error:
                    _log.error("the outbox could not be read; it is tried again", error=str(error))
                    wait = LOOK_SECONDS
                try:
                    async with asyncio.timeout(wait):
                        await self._woken.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(BREATH_SECONDS)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            await self._ways.close()

    async def look(self) -> float:
        """Begin what can be sent; answers after how many seconds to look again."""
        now = self._clock()
        if not self._lease.held("notices"):
            return LOOK_SECONDS
        await self._mind_the_clock(now)
        held = await self._database.read(channels.list_channels)
        if any(channel.paused_until is not None and channel.paused_until <= now for channel in held):
            await self._database.write(partial(channels.end_pauses, now=now))
            held = await self._database.read(channels.list_channels)
        self._keep_desks(held)
        soonest = LOOK_SECONDS
        for channel in held:
            if channel.is_silent or channel.id in self._busy:
                continue  # whoever is busy wakes us at the end
            up_at = next_turn(await self._database.read(partial(notices.waiting, channel_id=channel.id)))
            rests_until = self._desks[channel.id].rests_until
            if up_at is not None and rests_until is not None:
                up_at = max(up_at, rests_until)
            if up_at is None:
                continue
            if up_at <= now:
                self._begin(channel.id)
            else:
                soonest = min(soonest, (up_at - now).total_seconds())
        await self._count(now)
        await self._trim(now)
        return max(soonest, BREATH_SECONDS)

    async def settled(self) -> None:
        """Return when nobody is busy; what waits for later stays waiting."""
        while self._busy:
            await asyncio.wait(list(self._busy.values()))

    async def test(self, channel_id: str, by: str) -> Notice | None:
        """Send a test at once, whatever else waits and whether or not the channel is on; None if it is gone."""
        now = self._clock()

        def add(connection: Connection) -> Notice | None:
            channel = channels.find(connection, channel_id)
            return None if channel is None else notices.add_test(connection, channel, now, by)

        notice = await self._database.write(add)
        if notice is None:
            return None
        tried = await self._send(notice)
        await self._note(notice, tried, self._desk(channel_id))
        self.wake()
        return await self._database.read(partial(notices.get, notice_id=notice.id))

    # --- one channel ------------------------------------------------------------------------------------------

    def _begin(self, channel_id: str) -> None:
        task = asyncio.create_task(self._work(channel_id), name=f"notices of {channel_id}")
        self._busy[channel_id] = task
        task.add_done_callback(partial(self._done, channel_id))

    def _done(self, channel_id: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(channel_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the notices of a channel stopped", channel=channel_id, exc_info=error)
            self._rest(self._desk(channel_id), self._clock() + REST)
        self.wake()

    async def _work(self, channel_id: str) -> None:
        """Send what is due in this channel, until nothing is or it fails."""
        desk = self._desk(channel_id)
        while True:
            try:
                notice = await self._next(channel_id)
                if notice is None:
                    return
                if notice.body is None:  # a digest that had nothing to tell
                    continue
                tried = desk.taken.pop(notice.id, None) or await self._send(notice)
                await self._keep(notice, tried, desk)
            except StoreError as error:
                _log.error("a delivery could not be noted; it is tried again", channel=desk.name, error=str(error))
                self._rest(desk, self._clock() + REST)
                return
            if tried.error is not None and not tried.error.permanent:
                return  # others of this channel have their turn after a rest

    async def _next(self, channel_id: str) -> Notice | None:
        """The notice whose turn it is; a digest that gathered so long is composed now."""
        now = self._clock()

        def find(connection: Connection) -> tuple[Channel | None, Notice | None]:
            channel = channels.find(connection, channel_id)
            if channel is None or channel.is_silent:
                return None, None
            turn = first_due(notices.waiting(connection, channel_id), now)
            return channel, None if turn is None else notices.get(connection, turn)

        channel, notice = await self._database.read(find)
        if channel is None or notice is None or notice.body is not None:
            return notice
        composed = await self._database.write(
            partial(notices.compose, notice=notice, channel=channel, now=now), weight=100
        )
        return composed or notice

    async def _send(self, notice: Notice) -> Tried:
        now = self._clock()
        try:
            receipt = await self._ways.send(notice, now)
        except DeliveryError as error:
            return Tried(self._clock(), error.status, error)
        except StoreError as error:
            return Tried(self._clock(), None, DeliveryError(str(error)))
        except Exception as error:  # noqa: BLE001 - one delivery that breaks must not end the others
            _log.exception("a delivery broke", channel=notice.channel_id, notice=notice.id)
            words = f"lastgood itself broke over it ({type(error).__name__}); its log says more."
            return Tried(self._clock(), None, DeliveryError(words))
        return Tried(self._clock(), receipt)

    async def _keep(self, notice: Notice, tried: Tried, desk: Desk) -> None:
        """Note how it went; what was taken and cannot be noted is remembered, so that it is not sent again."""
        if tried.error is None:
            desk.taken[notice.id] = tried
        await self._note(notice, tried, desk)
        desk.taken.pop(notice.id, None)

    async def _note(self, notice: Notice, tried: Tried, desk: Desk) -> None:
        error, test = tried.error, notice.event is Event.TEST
        if error is None:
            done = partial(notices.delivered, notice_id=notice.id, at=tried.at, receipt=tried.receipt or "taken")
            await self._database.write(partial(done, back=desk.failing or test))
            desk.counts.delivered += 1
            desk.failing, desk.rests_until = False, None
            return
        next_at = None
        if not (error.permanent or test):
            next_at = next_attempt(
                notice.attempts + 1,
                notice.created_at,
                tried.at,
                self._give_up_after,
                random.random(),
                error.retry_after,
            )
        desk.counts.failures += 1
        desk.counts.given_up += next_at is None and not test
        _log.warning(
            "a notice was not taken",
            channel=desk.name,
            notice=notice.id,
            error=str(error),
            next_at=None if next_at is None else next_at.isoformat(),
        )
        failed = partial(notices.failed, notice_id=notice.id, at=tried.at, error=str(error), receipt=tried.receipt)
        await self._database.write(partial(failed, next_at=next_at))
        if test or next_at is None:
            return
        desk.failing = True
        self._rest(desk, next_at if error.retry_after is not None else min(next_at, tried.at + REST))

    # --- chores -----------------------------------------------------------------------------------------------

    def _desk(self, channel_id: str) -> Desk:
        return self._desks.setdefault(channel_id, Desk())

    def _rest(self, desk: Desk, until: datetime) -> None:
        desk.rests_until = until

    def _keep_desks(self, held: list[Channel]) -> None:
        for channel in held:
            self._desk(channel.id).name = channel.name
        for gone in self._desks.keys() - {channel.id for channel in held} - self._busy.keys():
            del self._desks[gone]

    async def _mind_the_clock(self, now: datetime) -> None:
        """If the clock was put back, nothing waits for the hours that come a second time."""
        if self._latest is not None and now < self._latest - PUT_BACK:
            await self._database.write(partial(notices.hurry, now=now))
            for desk in self._desks.values():
                desk.rests_until = None
        self._latest = now

    async def _count(self, now: datetime) -> None:
        found = await self._database.read(partial(notices.count_undelivered, since=now - UNDELIVERED_FOR))
        for channel_id, desk in self._desks.items():
            desk.counts.undelivered = found.get(channel_id, 0)
        self.undelivered = sum(found.values())

    async def _trim(self, now: datetime) -> None:
        if self._trim_at is not None and self._trim_at - TRIM_EVERY <= now < self._trim_at:
            return
        self._trim_at = now + TRIM_EVERY
        while await self._database.write(partial(notices.trim, before=now - self._keep_for)):
            continue
