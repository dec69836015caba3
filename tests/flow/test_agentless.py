"""Who has cron and restic gets an answer from one command, over a real hub, and sets in order what was found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastgood.clock import now
from tests.flow.hub import Client, Up, lastgood, until, up

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")
PASSWORD = "correct-horse-battery"


class Cron:
    """A machine with plain restic, a password file, and a repository that was filled for some nights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.password_file = folder / "password"
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.password_file.write_text(PASSWORD)
        self.password_file.chmod(0o600)
        (self.data / "file").write_text("words\n")
        self.restic("init")

    def restic(self, *arguments: str) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "RESTIC_PASSWORD_FILE": str(self.password_file),
            "RESTIC_CACHE_DIR": str(self.folder / "cache"),
            "TZ": "UTC",
        }
        argv = ["restic", "-q", "-r", str(self.repository), *arguments]
        subprocess.run(argv, env=env, check=True, capture_output=True)

    def backed_up(self, host: str, ago: timedelta, *tags: str) -> None:
        at = (now() - ago).strftime("%Y-%m-%d %H:%M:%S")
        words = [word for tag in tags for word in ("--tag", tag)]
        self.restic("backup", "--host", host, "--time", at, *words, str(self.data))


@pytest.fixture(scope="module")
def cron(tmp_path_factory: pytest.TempPathFactory) -> Cron:
    made = Cron(tmp_path_factory.mktemp("cron"))
    for night in range(3, -1, -1):
        made.backed_up("nas", timedelta(days=night, hours=5))
    for night in range(8, 5, -1):
        made.backed_up("web-1", timedelta(days=night, hours=5))
    made.backed_up("laptop", timedelta(minutes=3))
    made.backed_up("attic", timedelta(days=300))
    return made


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, Client]]:
    folder = tmp_path_factory.mktemp("hub")
    with up(folder / "data") as running, Client(running.url) as client:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        yield running, client


def asked(running: Up, *words: str) -> Any:
    answer = lastgood(*words, "--data-dir", str(running.data_dir))
    assert answer.returncode == 0, answer.stderr
    return answer


def _found_in(client: Client, repository: str) -> list[Any]:
    (one,) = [one for one in client.get("repositories")["items"] if one["name"] == repository]
    return [one for one in client.get("sources", repository_id=one["id"])["items"] if one["found"]]


def test_one_command_shows_every_series_with_its_last_good_its_rhythm_and_its_state(
    hub: tuple[Up, Client], cron: Cron
) -> None:
    running, client = hub
    began = time.monotonic()
    answer = asked(
        running,
        "repository",
        "add",
        "nas",
        str(cron.repository),
        "--password-file",
        str(cron.password_file),
        "--watch",
    )
    assert time.monotonic() - began < 120
    lines = {line.split("/")[0]: line for line in answer.stdout.splitlines()[2:] if "/" in line}
    assert answer.stdout.startswith("9 snapshots in 4 series:")
    assert "5 h ago" in lines["nas"]
    assert "about every 24 h" in lines["nas"].replace("\u202f", " ")
    assert " good " in lines["nas"]
    assert " missed " in lines["web-1"]
    assert "No rhythm yet" in lines["laptop"]
    assert " archived " in lines["attic"]
    assert "silent when found" in lines["attic"]

    page = client.http.get("/").text
    assert "web-1" in page
    found = {one["host"]: one["id"] for one in _found_in(client, "nas")}

    def alerts() -> list[Any]:
        return [one for one in client.get("alerts")["items"] if one["entity_id"] in found.values()]

    until(alerts, "the miss is alerted")
    assert [(one["rule"], one["host_id"], one["entity_id"]) for one in alerts()] == [
        ("backup_missed", None, found["web-1"])
    ]
    samples = client.metrics(running.data_dir)
    states = {
        (labels["host"], labels["state"])
        for name, labels, _ in samples
        if name == "backup_source_state" and labels["repository"] == "nas"
    }
    assert states == {("nas", "good"), ("web-1", "missed"), ("laptop", "unknown"), ("attic", "archived")}

    listed = asked(running, "source", "list", "--state", "good").stdout.replace("\u202f", " ")
    (line,) = [one for one in listed.splitlines() if one.startswith("nas/")]
    assert "about every 24 h" in line
    assert "agent away" not in line
    asked(running, "source", "mute", found["web-1"])
    until(lambda: not alerts(), "a muted source has no alert")
    (muted,) = [one for one in _found_in(client, "nas") if one["host"] == "web-1"]
    assert (muted["state"], muted["archived_by"]) == ("archived", "local")


@pytest.mark.slow
def test_a_new_snapshot_is_seen_by_the_next_look_and_the_adopted_history_counts(
    hub: tuple[Up, Client], cron: Cron
) -> None:
    running, client = hub
    copy = cron.folder / "copy"
    shutil.copytree(cron.repository, copy)
    words = ("repository", "add", "copy", str(copy), "--password-file", str(cron.password_file))
    told = json.loads(asked(running, *words, "--watch", "--json").stdout)
    assert told["surveyed_at"] is not None
    by_host = {one["host"]: one for one in told["found"]}
    machine = client.get("hosts")["items"][0]
    data = cron.folder / "more"
    data.mkdir()
    (data / "file").write_text("more words\n")
    source = client.source(
        host_id=machine["id"], repository_id=told["id"], name="adopter", paths=[str(data)], target_seconds=93600
    )
    asked(running, "source", "adopt", by_host["nas"]["id"], "adopter")
    adopter = client.get(f"sources/{source}")
    assert (adopter["state"], adopter["snapshots"]) == ("good", 4)
    assert client.back_up(source)["outcome"] == "success"
    client.post(f"repositories/{told['id']}/look")
    until(lambda: client.get(f"sources/{source}")["snapshots"] == 5, "its own and the adopted ones are counted")
    hosts = {one["host"] for one in client.get("sources", repository_id=told["id"])["items"]}
    assert hosts == {machine["name"], "web-1", "laptop", "attic"}


@pytest.mark.slow
def test_an_agent_may_be_the_one_that_looks(hub: tuple[Up, Client], cron: Cron) -> None:
    running, client = hub
    machine = client.get("hosts")["items"][0]
    far = cron.folder / "far"
    far.symlink_to(cron.repository)
    words = ("repository", "add", "far", str(far), "--password-file", str(cron.password_file))
    told = json.loads(asked(running, *words, "--watch-from", machine["name"], "--json").stdout)
    assert told["watched_by"] == machine["id"]
    assert {one["host"] for one in told["found"]} == {"nas", "web-1", "laptop", "attic"}
    asked(running, "repository", "set", "far", "--no-watch")
    assert _found_in(client, "far") == []


def test_a_password_that_does_not_open_it_is_told_in_one_sentence(hub: tuple[Up, Client], cron: Cron) -> None:
    running, _ = hub
    wrong = cron.folder / "wrong"
    wrong.write_text("nonsense")
    wrong.chmod(0o600)
    twin = cron.folder / "twin"
    twin.symlink_to(cron.repository)
    answer = lastgood(
        *("repository", "add", "shut", str(twin), "--password-file", str(wrong), "--watch"),
        *("--data-dir", str(running.data_dir)),
    )
    assert answer.returncode == 1
    assert "It cannot be read" in answer.stderr
    assert "password" in answer.stderr
