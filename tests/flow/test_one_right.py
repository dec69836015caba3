"""An agent with the one right of its unit makes whole backups of what root alone may read; one without does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flow.hub import NOBODY, Client, Up, command, environment, lastgood, until, up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, and setpriv"),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="lastgood-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def owned(path: Path) -> Path:
    """A folder of the agent's user."""
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    return path


def with_rights(rights: str, words: list[str]) -> list[str]:
    """A command as the unit runs it: another user, no way back, these rights of root's alone."""
    sets = [f"--{name}=-all{rights}" for name in ("inh-caps", "ambient-caps", "bounding-set")]
    who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", *who, *sets, *words]


@contextmanager
def agent(hub: Up, place: Path, name: str, rights: str) -> Iterator[str]:
    """An enrolled agent that runs with these rights; gives its host's name."""
    etc = owned(place / name)
    config = etc / "agent.toml"
    made = lastgood("enrol-code", "create", "--name", name, "--data-dir", str(hub.data_dir))
    words = made.stdout.split()[1:]
    ended = lastgood(*words, "--config", str(config), "--data-dir", str(etc / "var"))
    assert ended.returncode == 0, ended.stderr
    for path in (config, config.with_suffix(".key"), etc / "var"):
        os.chown(path, NOBODY, NOBODY)
    running = command("agent", "run", "--config", str(config))
    env = environment({"HOME": str(etc / "var")})
    process = subprocess.Popen(with_rights(rights, running), stderr=subprocess.DEVNULL, env=env)
    try:
        yield name
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.parametrize(("rights", "outcome"), [(",+dac_read_search", "success"), ("", "partial")])
def test_what_only_root_may_read_is_in_the_backup_of_an_agent_with_its_right(
    place: Path, tmp_path: Path, rights: str, outcome: str
) -> None:
    secret = place / "data" / "secret"
    secret.parent.mkdir()
    (secret.parent / "open").write_text("for all to read")
    secret.write_text("for root to read")
    secret.chmod(0o600)
    password = place / "password"
    password.write_text("a password\n")
    password.chmod(0o600)
    os.chown(password, NOBODY, NOBODY)
    with up(tmp_path / "hub") as hub, Client(hub.url) as client:
        client.welcome(hub.said(r"/welcome/\S+")[0])
        repository = {"name": "theirs", "url": str(owned(place / "repository")), "password_file": str(password)}
        repository_id = client.post("repositories", repository)["id"]
        with agent(hub, place, "agent", rights):
            host = until(
                lambda: next(
                    (h for h in client.get("hosts")["items"] if h["name"] == "agent" and h["connected"]), None
                ),
                "the agent connected",
            )
            source = client.source(
                host_id=host["id"], repository_id=repository_id, name="data", paths=[str(secret.parent)]
            )
            run = client.back_up(source)
    assert run["outcome"] == outcome, run
