"""Jobs as their user gives them: commands of a running hub, the real agent, the real restic."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.hub import Client, Up, lastgood, until, up, value

pytestmark = [
    pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed: apt-get install restic"),
    pytest.mark.xdist_group("jobs"),
    pytest.mark.slow,
]


class Desk:
    """A hub and its agent at work, and a shell beside them."""

    def __init__(self, running: Up, client: Client) -> None:
        self.running = running
        self.client = client
        self.folder = running.data_dir
        (self.source,) = client.get("sources")["items"]
        (self.repository,) = client.get("repositories")["items"]

    def say(self, *words: str, code: int = 0) -> str:
        """A command's output; it ends with this exit code and no traceback."""
        answer = lastgood(*words, "--data-dir", str(self.folder))
        assert "Traceback" not in answer.stderr, answer.stderr
        assert answer.returncode == code, answer.stdout + answer.stderr
        return str(answer.stdout if code == 0 else answer.stdout + answer.stderr)

    def read(self, *words: str) -> Any:
        return json.loads(self.say(*words, "--json"))

    def job(self, kind: str, *words: str) -> dict[str, Any]:
        """A run that went well, as it ended."""
        of = () if "--repository" in words or "--source" in words else ("--source", self.source["name"])
        run: dict[str, Any] = self.read("job", "run", kind, *of, *words, "--wait")
        assert run["outcome"] == "success", run
        return run


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("jobs") / "data"
    with up(folder) as running, Client(running.url) as client:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        running.said("Ctrl-C ends")
        yield Desk(running, client)


def test_a_repository_is_looked_after_from_the_command_line(desk: Desk) -> None:
    (desk.folder / "sample" / "more.txt").write_text("more\n")
    backup = desk.job("backup")
    assert backup["kind"] == "backup"
    assert backup["snapshot_id"]
    kept = {"keep": {"last": 1}}
    assert desk.client.send("PATCH", f"sources/{desk.source['id']}", kept).status_code == 200
    forgotten = desk.job("forget")
    assert "1 snapshot kept" in forgotten["reason"]
    checked = desk.job("check", "--repository", desk.repository["name"], "--subset", "1/2")
    assert checked["check_subset"] == "1/2"
    assert desk.job("prune", "--repository", desk.repository["name"])["repository_id"] == desk.repository["id"]
    assert desk.job("unlock", "--repository", desk.repository["name"])["reason"] == "There was no lock."
    assert desk.job("init", "--repository", desk.repository["name"])["reason"] == "The repository was there already."

    listed = desk.read("job", "list", "--kind", "check")
    assert listed[0]["id"] == checked["id"]
    assert {run["kind"] for run in listed} == {"check"}
    assert checked["id"] in desk.say("job", "list", "--status", "succeeded")
    assert all(run["outcome"] == "failed" for run in desk.read("job", "list", "--status", "failed"))
    shown = desk.say("job", "show", checked["id"])
    assert "Data read:    1/2" in shown
    log = desk.say("job", "log", checked["id"])
    assert log.strip()
    assert desk.say("job", "log", checked["id"], "--tail", "1").strip() == log.strip().splitlines()[-1].strip()


def test_upkeep_is_told_in_the_metrics(desk: Desk) -> None:
    ended = {kind: desk.job(kind, "--repository", desk.repository["name"]) for kind in ("check", "unlock")}
    samples = desk.client.metrics(desk.folder)
    told = [
        (labels["task"], number)
        for name, labels, number in samples
        if name == "backup_repository_upkeep_timestamp_seconds"
    ]
    assert {task for task, _ in told} >= {"check", "unlock"}
    verified = value(samples, "backup_verified_timestamp_seconds", source=desk.source["id"])
    assert verified is not None
    assert verified == dict(told)["check"]
    assert ended["check"]["ended_at"] >= desk.client.get("sources")["items"][0]["last_good_at"]


def test_a_restore_is_refused_until_the_hosts_own_policy_allows_it(desk: Desk) -> None:
    target = desk.folder.parent / "restored" / "sample"
    words = ("restore", desk.source["name"], "--to", str(target))
    refused = desk.say(*words, code=1)
    assert "agent-policy.toml" in refused
    assert not target.exists()
    policy = desk.folder / "agent" / "agent-policy.toml"
    policy.write_text(f'allow_restore = ["{target.parent}"]\n')
    policy.chmod(0o600)
    said = desk.say(*words)
    assert "restored into" in said
    original = contents(desk.folder / "sample")
    assert contents(target) == original
    assert "not empty" in desk.say(*words, code=1)

    line = said.split("The same by hand: ", 1)[1].strip()
    by_hand = line.replace(str(target), str(target.parent / "by-hand"))
    env = {"PATH": "/usr/bin:/bin", "RESTIC_PASSWORD_FILE": str(desk.folder / "repository.password")}
    env["RESTIC_CACHE_DIR"] = str(desk.folder.parent / "cache")
    subprocess.run(["sh", "-c", by_hand], env=env, check=True, capture_output=True)
    assert contents(target.parent / "by-hand") == original


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, by its own name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_damage_makes_the_source_fail_until_a_check_is_clean(desk: Desk) -> None:
    (desk.folder / "sample" / "big").write_bytes(os.urandom(300_000))
    desk.job("backup")
    data = desk.folder / "repository" / "data"
    pack = max((path for path in data.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    aside = desk.folder.parent / pack.name
    shutil.move(pack, aside)
    said = desk.say("job", "run", "check", "--repository", desk.repository["name"], "--wait", code=1)
    assert "found damage" in said

    def state() -> str:
        return str(desk.client.get(f"sources/{desk.source['id']}")["state"])

    until(lambda: state() == "failed", "the source fails")
    assert "damaged" in desk.client.get(f"sources/{desk.source['id']}")["reason"]
    shutil.move(aside, pack)
    desk.job("check", "--repository", desk.repository["name"])
    until(lambda: state() == "good", "the source is good again")


def test_commands_say_what_is_wrong_and_how_to_mend_it(desk: Desk) -> None:
    assert "none of backup" in desk.say("job", "run", "dance", "--source", "x", code=2)
    assert "lastgood restore" in desk.say("job", "run", "restore", "--source", "x", code=2)
    assert "--source or --repository" in desk.say("job", "run", "backup", code=2)
    assert "There is no source 'x'" in desk.say("job", "run", "backup", "--source", "x", code=1)
    assert "lastgood repository list" in desk.say("job", "run", "check", "--repository", "x", code=1)
    assert "No run has this id" in desk.say("job", "show", "01JX", code=1)
    assert "may have ended" in desk.say("job", "cancel", "01JX", code=1)
    assert "--to" in desk.say("restore", desk.source["name"], code=2)
    words = ("restore", "--repository", desk.repository["name"], "--to", "/x")
    assert "--snapshot" in desk.say(*words, code=2)
    assert "1/5" in desk.say("job", "run", "check", "--source", desk.source["name"], "--subset", "all", code=1)
