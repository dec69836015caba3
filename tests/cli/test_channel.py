"""``lastgood channel`` and ``lastgood alert`` at a real hub's socket, as a person types them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from lastgood.cli.app import app
from lastgood.clock import now
from lastgood.errors import DeliveryError
from lastgood.model.fact import AlertOpened, HostEnrolled, RepositoryConfigured, SourceConfigured
from tests.builders import NOW, a_host, a_repository, a_source, an_alert
from tests.cli.test_ask import hub_in
from tests.notify.receiver import receiving
from tests.web.site import Home


async def typed(folder: Path, words: str | Sequence[str], stdin: str = "") -> Result:
    """What a command did, started in another thread while the hub answers in this one."""
    arguments = [*(words.split() if isinstance(words, str) else words), "--data-dir", str(folder)]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments, stdin)


async def said(folder: Path, words: str | Sequence[str], stdin: str = "") -> str:
    result = await typed(folder, words, stdin)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


async def test_a_channel_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home, receiving(200, 410) as receiver:
        assert "lastgood channel add" in await said(tmp_path, "channel list")
        added = await said(tmp_path, "channel add ops --kind webhook --url-file -", receiver.url + "\n")
        assert "lg_hook_" in added
        assert "The test reached ops: 200 OK" in await said(tmp_path, "channel test OPS")
        failed = await typed(tmp_path, "channel test ops")
        assert isinstance(failed.exception, DeliveryError)
        assert "The receiver answered 410 Gone" in str(failed.exception)
        (undelivered,) = json.loads(await said(tmp_path, "channel list --undelivered --json"))
        assert undelivered["receipt"] == "410 Gone"
        home.moment = now()
        await said(tmp_path, "channel set ops --pause 2d --severity critical")
        (row,) = json.loads(await said(tmp_path, "channel list --json"))
        assert row["severity"] == "critical"
        assert row["status"].startswith("paused until")
        assert "key=hidden" not in json.dumps(row)
        await said(tmp_path, "channel set ops --pause end --off --name operations")
        assert "off" in await said(tmp_path, "channel list")
        assert "lg_hook_" in await said(tmp_path, "channel set operations --new-secret")
        assert (await typed(tmp_path, "channel remove operations", "n\n")).exit_code == 1
        await said(tmp_path, "channel remove operations --yes")
        assert json.loads(await said(tmp_path, "channel list --json")) == []


async def test_an_address_is_read_from_a_file_and_never_asked_for_on_the_command_line(tmp_path: Path) -> None:
    async with hub_in(tmp_path):
        (tmp_path / "address").write_text("gotify://gotify.example/token\n")
        await said(tmp_path, ["channel", "add", "chat", "--kind", "apprise", "--url-file", str(tmp_path / "address")])
        missing = await typed(tmp_path, ["channel", "add", "x", "--kind", "webhook", "--url-file", "/nowhere"])
        assert "cannot be read" in str(missing.exception)
        assert (await typed(tmp_path, "channel add x --kind pigeon", "https://x.example\n")).exit_code == 2
        assert (await typed(tmp_path, "channel set chat")).exit_code == 2
        help_ = (await typed(tmp_path, "channel add --help")).output
        assert "--url " not in help_


async def an_open_alert(home: Home) -> str:
    host, repository = a_host("laptop"), a_repository()
    source = a_source("home", host, repository)
    alert = an_alert(source=source)
    at = {"at": NOW, "origin": "test"}
    await home.take(
        [
            HostEnrolled(**at, host=host),
            RepositoryConfigured(**at, repository=repository),
            SourceConfigured(**at, source=source),
            AlertOpened(**at, alert=alert),
        ],
        "beginning",
    )
    return alert.id


async def test_alerts_are_listed_acknowledged_and_snoozed_one_by_one_or_by_host(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        assert "Nothing is open." in await said(tmp_path, "alert list")
        alert_id = await an_open_alert(home)
        home.moment = now()
        assert alert_id in await said(tmp_path, "alert list --host laptop")
        await said(tmp_path, f"alert ack {alert_id}")
        assert "acknowledged by local" in await said(tmp_path, "alert list")
        await said(tmp_path, "alert ack --host laptop")
        await said(tmp_path, f"alert snooze {alert_id} --for 1d")
        assert "snoozed until" in await said(tmp_path, "alert list")
        await said(tmp_path, f"alert snooze {alert_id} --end")
        assert json.loads(await said(tmp_path, "alert list --json"))[0]["snoozed_until"] is None
        await said(tmp_path, "alert snooze --host LAPTOP --for 3d")
        (host,) = home.fleet.hosts.values()
        assert host.snoozed_until is not None
        assert timedelta(days=3) - (host.snoozed_until - home.moment) < timedelta(minutes=1)
        await said(tmp_path, "alert snooze --host LAPTOP --end")
        for words in (
            "alert ack",
            f"alert snooze {alert_id}",
            "alert snooze --for 1d",
            f"alert ack {alert_id} --host x",
        ):
            assert (await typed(tmp_path, words)).exit_code == 2, words
        assert "No open alert" in str((await typed(tmp_path, "alert ack none")).exception)
