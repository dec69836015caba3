"""Stacks as their user deploys them: commands of a running hub, the real agent, a compose that does as it is told."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.composing import ENV, PLUGIN, TEXT, Engine
from tests.flow.hub import Client, Up, lastgood, until, up

pytestmark = [
    pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"),
    pytest.mark.xdist_group("stacks"),
    pytest.mark.slow,
]


class Desk:
    """A hub and its agent at work, a host's programs, and a shell beside them."""

    def __init__(self, running: Up, client: Client, engine: Engine, papers: Path) -> None:
        self.running = running
        self.client = client
        self.engine = engine
        (host,) = client.get("hosts")["items"]
        self.host_id, self.host = host["id"], host["name"]
        self.file, self.env = papers / "compose.yaml", papers / "env"
        self.file.write_text(TEXT)
        self.env.write_text(ENV)

    def say(self, *words: str, code: int = 0) -> str:
        answer = lastgood("stack", *words, "--host", self.host, "--data-dir", str(self.running.data_dir))
        assert "Traceback" not in answer.stderr, answer.stderr
        assert answer.returncode == code, answer.stdout + answer.stderr
        return str(answer.stdout + answer.stderr)

    def read(self, *words: str) -> Any:
        answer = lastgood("stack", *words, "--host", self.host, "--json", "--data-dir", str(self.running.data_dir))
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("stacks")
    engine = Engine(folder / "bin")
    engine.has("docker")
    engine.says(PLUGIN)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    with up(folder / "data", env={"PATH": path}) as running, Client(running.url) as client:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        running.said("Ctrl-C ends")
        yield Desk(running, client, engine, folder)


def policy(desk: Desk, words: str) -> None:
    path = desk.running.data_dir / "agent" / "agent-policy.toml"
    path.write_text(words)
    path.chmod(0o644)


def test_a_stack_is_deployed_followed_failed_and_deployed_again_from_an_earlier_text(desk: Desk) -> None:
    policy(desk, "allow_restore = []\n")
    refused = desk.say("deploy", "shop", "--file", str(desk.file), "--follow", code=1)
    assert "allow_deploy" in refused

    policy(desk, "allow_deploy = true\n")
    desk.engine.says(PLUGIN, {"when": ["up"], "out": ["Network shop  Created", "with correct horse battery"]})
    told = desk.say("deploy", "shop", "--file", str(desk.file), "--env-file", str(desk.env), "--follow")
    assert told.splitlines()[0] == "Network shop  Created"
    assert told.splitlines()[1] == "with ***"
    assert "Deploy of shop" in told
    assert "ended as success" in told

    desk.engine.says(PLUGIN, {"when": ["up"], "err": ["Error: no space left on device"], "exit": 1})
    desk.file.write_text(TEXT + "# second\n")
    failed = desk.say("deploy", "shop", "--file", str(desk.file), "--follow", code=1)
    assert "no space left on device" in failed

    desk.engine.says(PLUGIN)
    history = desk.read("history", "shop")
    assert [one["outcome"] for one in history] == ["failed", "success", "failed"]
    number = history[1]["text_number"]
    assert "ended as success" in desk.say("redeploy", "shop", "--text", str(number), "--follow")
    newest = desk.engine.calls[-1]
    assert (newest["text"], newest["env_file"]) == (TEXT, ENV)
    assert desk.say("text", "shop", "--text", str(number), "--env") == ENV
    shown = desk.read("show", "shop")
    assert [one["number"] for one in shown["texts"]] == sorted({one["text_number"] for one in history}, reverse=True)
    assert (shown["deployed"], shown["last_outcome"]) == (True, "success")
    assert "shop" in desk.say("list")


def test_a_stack_is_stopped_restarted_and_forgotten(desk: Desk) -> None:
    policy(desk, "allow_deploy = true\n")
    desk.engine.says(PLUGIN)
    desk.say("deploy", "blog", "--file", str(desk.file), "--follow")
    assert "The stack was stopped." in desk.say("stop", "blog", "--follow")
    assert "The stack was restarted." in desk.say("restart", "blog", "--follow")
    desk.say("forget", "blog")
    assert [one for one in desk.read("list") if one["project"] == "blog"] == []
    assert desk.read("history", "blog") == []


def test_a_deploy_that_hangs_is_shown_live_and_cancelled(desk: Desk) -> None:
    policy(desk, 'allow_deploy = ["wiki*"]\n')
    desk.engine.says(PLUGIN, {"when": ["up"], "out": ["Pulling wiki"], "hang": 600})
    deploy_id = desk.say("deploy", "wiki", "--file", str(desk.file)).strip()
    path = f"hosts/{desk.host_id}/stacks/wiki/deploys/{deploy_id}"
    live = until(lambda: desk.client.get(path)["lines"], "live lines")
    assert live == ["Pulling wiki"]
    assert desk.client.get(path, since=1)["lines"] == []
    page = desk.client.http.get(f"/hosts/{desk.host_id}/stacks/wiki/deploys/{deploy_id}")
    assert "Pulling wiki" in page.text
    desk.say("cancel", "wiki", deploy_id)
    ended = until(lambda: desk.client.get(path)["deploy"]["outcome"], "the end")
    assert ended == "cancelled"
    assert "Pulling wiki" in desk.say("log", "wiki")


def test_no_text_and_no_secret_stands_readable_in_the_database_or_the_log(desk: Desk) -> None:
    policy(desk, "allow_deploy = true\n")
    desk.engine.says(PLUGIN)
    desk.say("deploy", "vault", "--file", str(desk.file), "--env-file", str(desk.env), "--follow")
    found = [path for path in desk.running.data_dir.glob("lastgood.db*") if path.is_file()]
    assert found
    for secret in (b"correct horse battery", b"hunter-two-of-web"):
        assert not [path for path in found if secret in path.read_bytes()]
    with sqlite3.connect(f"file:{desk.running.data_dir / 'lastgood.db'}?mode=ro", uri=True) as database:
        rows = [str(row) for row in database.execute("SELECT * FROM audit_rows WHERE action = 'stack.deploy'")]
    assert rows
    assert not [row for row in rows if "services" in row or "horse" in row]
