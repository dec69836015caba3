"""What an exporter keeps in a folder: whole, private, and a sentence where that cannot be."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from lastgood.errors import ConfigError, StoreError
from lastgood.exporter import memory
from lastgood.exporter.memory import FileMemory, NoMemory, state_folder
from lastgood.exporter.pages import ages
from tests.metrics.pbs.pictures import NOW, ago


async def test_what_was_saved_last_is_loaded_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    kept = FileMemory(state_folder(tmp_path / "deep" / "state"), "pbs/one")
    assert await kept.load() is None
    for held in (b"first and longer", b"", b"second"):
        await kept.save(held)
        assert await FileMemory(kept.path.parent, "pbs/one").load() == held
    assert [path.name for path in kept.path.parent.iterdir()] == ["pbs-one.state"]
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_draft_that_a_crash_left_harms_nothing(tmp_path: Path) -> None:
    kept = FileMemory(tmp_path, "pbs")
    await kept.save(b"whole")
    (tmp_path / f".pbs.state.{os.getpid()}").write_bytes(b"half of something longer")
    assert await kept.load() == b"whole"
    await kept.save(b"next")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"next"]


async def test_two_servers_have_files_of_their_own(tmp_path: Path) -> None:
    one, two = FileMemory(tmp_path, "pbs"), FileMemory(tmp_path, "pbs/two")
    await one.save(b"1")
    await two.save(b"2")
    assert (await one.load(), await two.load()) == (b"1", b"2")


async def test_what_cannot_be_read_or_written_is_said_with_the_path(
    tmp_path: Path,
) -> None:
    kept = FileMemory(tmp_path, "pbs")
    kept.path.mkdir()
    with pytest.raises(StoreError, match=r"pbs\.state"):
        await kept.load()
    with pytest.raises(StoreError, match=r"pbs\.state"):
        await kept.save(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["pbs.state"], "no draft is left"


async def test_a_file_that_is_no_state_of_ours_is_not_read_whole(tmp_path: Path) -> None:
    kept = FileMemory(tmp_path, "pbs")
    with kept.path.open("wb") as file:
        file.truncate(memory.LARGEST_STATE + 1)
    with pytest.raises(StoreError, match="larger than"):
        await kept.load()


async def test_without_a_folder_nothing_is_kept() -> None:
    await NoMemory().save(b"x")
    assert await NoMemory().load() is None


def test_a_folder_in_which_nothing_can_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--state"):
        state_folder(tmp_path / "file" / "state")


@pytest.mark.parametrize(
    ("drawn_at", "words"),
    [
        ([], "No server has answered yet."),
        ([None, None], "No server has answered yet."),
        ([ago(seconds=5)], "The picture is 5 s old."),
        ([ago(seconds=5), None], "The picture is 5 s old. 1 of 2 never answered."),
        ([ago(seconds=5), ago(minutes=2)], "The newest picture is 5 s old, the oldest 120 s."),
    ],
)
def test_the_age_of_pictures_is_said_in_words(drawn_at: list[datetime | None], words: str) -> None:
    assert ages(NOW, drawn_at) == words
