"""The folder of a stack on its host, into which a container of the stack may have put what it likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastgood.agent.stack_folder import StackFolder
from lastgood.tools.docker.text import MOST_ENV

OLD, NEW = "services: {web: {image: old}}\n", "services: {web: {image: new}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> StackFolder:
    made = StackFolder(tmp_path / "stacks", "shop")
    made.put(OLD, "A=1\n")
    made.keep()
    return made


def test_a_link_in_the_folder_shows_nobody_what_it_leads_to(folder: StackFolder, tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("of the host alone")
    for name in (".env", "compose.yaml"):
        (folder.path / name).unlink()
        (folder.path / name).symlink_to(secret)
    assert folder.held() == ("", None)
    assert not folder.is_ours
    folder.put(NEW, None)
    folder.mend()
    left = [path for path in folder.path.iterdir() if path.is_file() and "host alone" in path.read_text()]
    assert left == []
    assert secret.read_text() == "of the host alone"


def test_a_link_in_place_of_the_former_text_takes_nothing_back(folder: StackFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "compose.yaml").write_text("of the host alone")
    (folder.path / ".before").symlink_to(elsewhere)
    folder.mend()
    assert folder.held() == (OLD, "A=1\n")
    assert (elsewhere / "compose.yaml").exists()


def test_a_pipe_or_a_file_without_end_holds_nobody_up(folder: StackFolder) -> None:
    (folder.path / "compose.yaml").unlink()
    os.mkfifo(folder.path / "compose.yaml")
    with (folder.path / ".env").open("wb") as file:
        file.truncate(1 << 40)
    text, env = folder.held()
    assert text == ""
    assert env is not None
    assert len(env) == MOST_ENV
    folder.put(NEW, None)
    folder.keep()
    assert folder.held() == (NEW, None)
