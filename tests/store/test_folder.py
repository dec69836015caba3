"""One data folder, one hub; and one sentence for each folder that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lastgood.errors import ConfigError
from lastgood.store.database import DATABASE_NAME, open_database
from lastgood.store.folder import LOCK_NAME, FolderLock


@contextmanager
def as_nobody() -> Iterator[None]:
    """With the rights of a user who owns nothing; root could write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_second_hub_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    with pytest.raises(ConfigError, match=rf"process {os.getpid()}\) uses the data folder {tmp_path}"):
        FolderLock(tmp_path)
    first.release()
    second = FolderLock(tmp_path)
    second.release()


def test_a_lock_left_by_a_dead_process_holds_nobody_up(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; from lastgood.store.folder import FolderLock"
    code += "; FolderLock(pathlib.Path(sys.argv[1])); os._exit(9)"
    gone = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert gone.returncode == 9
    assert (tmp_path / LOCK_NAME).read_text().strip().isdecimal()
    FolderLock(tmp_path).release()


def test_a_folder_that_is_not_ours_to_write_is_refused_in_one_sentence() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(ConfigError) as caught:
            open_database(folder)
        assert str(caught.value).startswith(f"The data folder {folder} cannot be used (Permission denied)")
        assert "--data-dir" in str(caught.value)
        assert list(folder.iterdir()) == []


def test_a_database_that_is_not_ours_to_write_is_refused_in_one_sentence() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        (folder / DATABASE_NAME).touch(mode=0o444)
        with as_nobody(), pytest.raises(ConfigError, match="cannot be opened for writing"):
            open_database(folder)


def test_a_folder_below_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        FolderLock(tmp_path / "file" / "data")
