"""The hub as a whole: what happens to it when a part of it breaks."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from structlog.testing import capture_logs

from lastgood.config.settings import ServerSettings, Settings
from lastgood.service.service import Service
from tests.builders import NOW


class Clock:
    """A clock that can be broken, and the watch with it."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self) -> datetime:
        if self.broken and (task := asyncio.current_task()) is not None and task.get_name() == "watch":
            raise ZeroDivisionError("the clock is broken")
        return NOW


async def test_a_hub_whose_watch_had_died_called_itself_ready_and_told_its_last_states_for_ever(
    tmp_path: Path,
) -> None:
    clock = Clock()
    service = await Service.open(Settings(server=ServerSettings(data_dir=tmp_path)), clock)
    await service.start()
    assert service.ready
    with capture_logs() as lines:
        clock.broken = True
        async with asyncio.timeout(10):
            await service.broken()
    assert not service.ready
    (line,) = (line for line in lines if line["log_level"] == "error")
    assert line["part"] == "watch"
    await service.stop()


async def test_an_ordinary_stop_is_not_taken_for_a_break(tmp_path: Path) -> None:
    service = await Service.open(Settings(server=ServerSettings(data_dir=tmp_path)), Clock())
    await service.start()
    with capture_logs() as lines:
        await service.stop()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == []
