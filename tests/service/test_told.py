"""From a silent host to a receiver's door, through the whole hub; no notice without its change, nor the reverse."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import text

from lastgood.config.settings import NoticeSettings, ServerSettings, Settings
from lastgood.config.values import Url
from lastgood.errors import StoreError
from lastgood.model.alert import AlertKey, Severity
from lastgood.model.channel import ChannelKind
from lastgood.model.fact import AlertOpened, HostEnrolled, HostRemoved
from lastgood.service.service import Service
from lastgood.store import history
from tests.builders import ENROLLED, NOW, a_host, an_alert
from tests.notify.receiver import receiving
from tests.waiting import until


def settings(folder: Path) -> Settings:
    server = ServerSettings(data_dir=folder, base_url=Url("https://backup.example.org"))
    return Settings(server=server, notices=NoticeSettings(allowed_networks=(ip_network("127.0.0.1"),)))


async def test_a_host_that_is_silent_is_told_and_told_to_be_over_when_it_is_removed(tmp_path: Path) -> None:
    async with receiving() as receiver:
        service = await Service.open(settings(tmp_path), lambda: NOW)
        await service.start()
        await service.channels.add("ops", ChannelKind.WEBHOOK, receiver.url, Severity.INFO, "ann")
        host = a_host("laptop", enrolled_at=ENROLLED)
        await service.take([HostEnrolled(at=NOW, origin="test", host=host)])

        async def told() -> bool:
            return len(receiver.took) == 1

        await until(told, "the notice of the silent host")
        said = receiver.took[0].json
        assert said["alert"]["rule"] == "host_offline"
        assert said["alert"]["url"] == f"https://backup.example.org/hosts/{host.id}"
        await service.take([HostRemoved(at=NOW, origin="test", host_id=host.id)])

        async def over() -> bool:
            return [event for event, _ in receiver.told()] == ["opened", "resolved"]

        await until(over, "that it is over")

        async def noted() -> bool:
            return service.channels.outbox.counts["ops"].delivered == 2

        await until(noted, "both deliveries noted")
        counts = service.channels.outbox.counts["ops"]
        assert (counts.failures, counts.given_up, counts.undelivered) == (0, 0, 0)
        await service.stop()


async def test_a_change_and_its_notice_are_kept_together_or_not_at_all(tmp_path: Path) -> None:
    async with receiving(500) as receiver:
        service = await Service.open(settings(tmp_path), lambda: NOW)
        await service.start()
        await service.channels.add("ops", ChannelKind.WEBHOOK, receiver.url, Severity.INFO, "ann")
        host = a_host(enrolled_at=NOW)
        await service.take([HostEnrolled(at=NOW, origin="test", host=host)])
        broken = "CREATE TRIGGER broken BEFORE INSERT ON notices BEGIN SELECT RAISE(ABORT, 'no room'); END"
        await service.database.write(lambda connection: connection.execute(text(broken)))
        alert = an_alert(key=AlertKey("host_asleep", "host", host.id), host_id=host.id, opened_at=NOW)
        with pytest.raises(StoreError):
            await service.take([AlertOpened(at=NOW, origin="test", alert=alert)])
        assert service.fleet.alerts == {}
        assert (await service.database.read(history.list_alerts)).alerts == ()
        await service.database.write(lambda connection: connection.execute(text("DROP TRIGGER broken")))
        await service.take([AlertOpened(at=NOW + timedelta(seconds=1), origin="test", alert=alert)])
        rows, _ = await service.channels.notices()
        assert [row.alert_id for row in rows] == [alert.id]
        await service.stop()


async def test_a_stop_in_the_middle_of_a_delivery_loses_nothing(tmp_path: Path) -> None:
    async with receiving("hang", 200) as receiver:
        service = await Service.open(settings(tmp_path), lambda: NOW)
        await service.start()
        await service.channels.add("ops", ChannelKind.WEBHOOK, receiver.url, Severity.INFO, "ann")
        await service.take([HostEnrolled(at=NOW, origin="test", host=a_host("laptop", enrolled_at=ENROLLED))])

        async def asked() -> bool:
            return bool(receiver.asked)

        await until(asked, "the first attempt")
        await service.stop()
        service = await Service.open(settings(tmp_path), lambda: NOW)
        await service.start()

        async def took() -> bool:
            return bool(receiver.took)

        await until(took, "the second attempt")
        assert len({one.headers["x-lastgood-id"] for one in receiver.asked}) == 1
        await service.stop()
