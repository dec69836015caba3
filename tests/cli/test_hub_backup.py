"""``backup-hub`` and ``restore-hub`` as an operator types them: what they refuse, and where they write."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lastgood.cli.app import app
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.errors import LastgoodError
from lastgood.service.service import Service
from tests.flow.hub import command, environment, lastgood


@pytest.fixture
async def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.ingest.start()
    await service.stop()
    (tmp_path / "passphrase").write_text("correct horse\n")
    return folder


async def told(*words: str) -> str:
    """What a command that went well has said."""
    ended = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert ended.exit_code == 0, ended.output
    return ended.output


async def refused(*words: str) -> str:
    """The sentence with which a command was refused, and nothing else was said."""
    ended = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert isinstance(ended.exception, LastgoodError), (words, ended.output)
    assert ended.output == ""
    return str(ended.exception)


async def test_a_hub_that_stands_still_is_backed_up_and_a_file_of_yesterday_is_replaced(
    hub: Path, tmp_path: Path
) -> None:
    to, secret = tmp_path / "hub.age", str(tmp_path / "passphrase")
    to.write_text("yesterday")
    words = ("backup-hub", str(to), "--data-dir", str(hub), "--passphrase-file", secret)
    assert "its passphrase opens it" in await told(*words)
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert to.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub", "hub.age", "passphrase"]
    restored = ("restore-hub", str(to), "--data-dir", str(tmp_path / "new"), "--passphrase-file", secret)
    assert "SHA256:" in await told(*restored)
    assert "not an empty folder" in await refused(*restored)


async def test_a_backup_goes_through_a_pipe_and_back(hub: Path, tmp_path: Path) -> None:
    secret = ("--passphrase-file", str(tmp_path / "passphrase"))
    made = await asyncio.to_thread(
        subprocess.run,
        command("backup-hub", "-", "--data-dir", str(hub), *secret),
        capture_output=True,
        check=True,
        env=environment(),
        timeout=60,
    )
    read = await asyncio.to_thread(
        subprocess.run,
        command("restore-hub", "-", "--data-dir", str(tmp_path / "new"), *secret),
        input=made.stdout,
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    assert read.returncode == 0, read.stderr
    assert (tmp_path / "new/lastgood.db").exists()


async def test_what_is_missing_or_too_much_is_said_in_a_sentence(hub: Path, tmp_path: Path) -> None:
    secret = str(tmp_path / "passphrase")
    (tmp_path / "empty").touch()
    to = str(tmp_path / "hub.age")
    where = ("--data-dir", str(hub))
    cases = {
        ("backup-hub", to, *where): "take the recovery kit first",
        ("backup-hub", to, "--data-dir", str(tmp_path / "none")): "no hub's data",
        ("backup-hub", to, *where, "--recipient", "age1x"): "no recipient",
        ("backup-hub", to, *where, "--recipient", "age1x", "--passphrase-file", secret): "not both",
        ("backup-hub", to, *where, "--passphrase-file", str(tmp_path / "empty")): "does not hold one key",
        ("backup-hub", str(tmp_path / "no/hub.age"), *where, "--passphrase-file", secret): "cannot be written",
        ("backup-hub", str(tmp_path), *where, "--passphrase-file", secret): "is a folder; name the file in it",
        ("restore-hub", to, "--data-dir", str(tmp_path / "new"), "--passphrase-file", secret): "cannot be read",
        (
            "restore-hub",
            secret,
            "--data-dir",
            str(tmp_path / "new"),
            "--passphrase-file",
            secret,
        ): "no backup of a hub",
        ("restore-hub", secret, "--data-dir", str(tmp_path / "new")): "nobody can be asked",
    }
    for words, sentence in cases.items():
        assert sentence in await refused(*words), words
    assert not Path(to).exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take its own rights away")
async def test_the_data_of_another_user_is_told_from_no_data(hub: Path, tmp_path: Path) -> None:
    hub.chmod(0o700)
    os.chown(hub, 65534, 65534)
    words = ("backup-hub", str(tmp_path / "hub.age"))
    where = {"LASTGOOD_SERVER__DATA_DIR": str(hub)}
    ended = await asyncio.to_thread(lastgood, *words, plain=True, env=where)
    assert ended.returncode == 78
    assert "belongs to another user" in ended.stderr
