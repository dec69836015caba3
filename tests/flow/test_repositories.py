"""A repository whose credentials the hub holds, from its making to its removal, over a real hub, agent and restic.

The canaries of this test are secrets; they are looked for wherever something goes out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lastgood.cli.app import app
from lastgood.errors import LastgoodError
from tests.flow.hub import Client, Up, until, up

PASSWORD = "canary-password-one"
CANARIES = (PASSWORD, "canary-secret-key", "canary-rest-password", "canary-admin-password")
RECORDING = """#!/bin/sh
tr '\\0' ' ' < /proc/$$/cmdline >> {record}
echo >> {record}
exec {restic} "$@"
"""


class Hub:
    """A running hub with the commands of its own machine."""

    def __init__(self, running: Up, client: Client) -> None:
        self.running = running
        self.client = client

    def ask(self, *words: str, typed: str | None = None, code: int = 0) -> str:
        """What a command says; its exit code is as expected."""
        done = CliRunner().invoke(app, [*words, "--data-dir", str(self.running.data_dir)], input=typed)
        fault = done.exception if isinstance(done.exception, LastgoodError) else ""
        assert done.exit_code == code, (words, done.output, done.exception)
        assert not any(canary in f"{done.output}{fault}" for canary in CANARIES)
        return f"{done.stdout}{fault}"

    def asked(self, *words: str) -> Any:
        return json.loads(self.ask(*words, "--json"))


def recording_restic(folder: Path) -> Path:
    """A folder with a ``restic`` that writes down how it was started and then is restic."""
    restic = shutil.which("restic")
    assert restic is not None
    folder.mkdir()
    program = folder / "restic"
    program.write_text(RECORDING.format(record=folder / "record", restic=restic))
    program.chmod(0o755)
    return folder


def test_credentials_that_the_hub_holds_open_a_repository_and_are_seen_nowhere(tmp_path: Path) -> None:
    tools = recording_restic(tmp_path / "tools")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("worth keeping")
    path = f"{tools}:{os.environ['PATH']}"
    with up(tmp_path / "hub", "--source", str(tmp_path / "data"), env={"PATH": path}) as running:
        link = running.said(r"(http://\S+/welcome/\S+)")[1]
        with Client(running.url) as client:
            client.welcome(link)
            hub = Hub(running, client)
            (host,) = client.get("hosts")["items"]
            repository_id = _held(hub, host, tmp_path)
            source_id = _backed_up(hub, host["name"], tmp_path / "data")
            _changed(hub, repository_id, tmp_path / "variables")
            _seen_nowhere(hub, tools / "record", repository_id)
            _removed(hub, repository_id, source_id)
            _by_pages_alone(client, host["id"], tmp_path)
        _, _ = running.stop()
        said = "".join(running.lines) + (running.process.stdout.read() if running.process.stdout else "")
    assert not any(canary in said for canary in CANARIES)


def _held(hub: Hub, host: dict[str, Any], folder: Path) -> str:
    variables = folder / "variables"
    variables.write_text(
        f"# for the store\nAWS_SECRET_ACCESS_KEY={CANARIES[1]}\nRESTIC_REST_PASSWORD={CANARIES[2]}\n"
    )
    url = str(folder / "vault")
    words = (
        "repository",
        "add",
        "vault",
        url,
        "--hold",
        "--password-file",
        "-",
        "--environment-file",
        str(variables),
    )
    assert "was added" in hub.ask(*words, typed=f"{PASSWORD}\n")
    (made,) = (one for one in hub.asked("repository", "list") if one["name"] == "vault")
    assert (made["held"], made["password_file"]) == (["everyday"], None)
    # No source goes there yet, and it is not there yet: a trial says so, and nothing turns red.
    told = hub.ask("repository", "test", "vault", "--host", host["name"], code=1)
    assert "no restic repository" in told
    assert "The first backup into it makes it" in told
    assert hub.client.get(f"repositories/{made['id']}")["state"] == "unknown"
    assert "No agent that uses this repository" in hub.ask("repository", "test", "vault", code=1)
    return str(made["id"])


def _backed_up(hub: Hub, host: str, data: Path) -> str:
    words = ("source", "add", host, str(data), "-r", "vault", "--name", "safe", "--every", "0 2 * * *")
    hub.ask(*words, "--zone", "Europe/Berlin", "--keep-daily", "7", "--target", "26h")
    (source,) = (one for one in hub.asked("source", "list") if one["name"] == "safe")
    assert source["keep"]["daily"] == 7
    assert source["target_seconds"] == 26 * 3600
    until(lambda: hub.client.get(f"sources/{source['id']}")["orders_taken"], "the agent takes its orders")
    assert [one["orders_taken"] for one in hub.client.get("hosts")["items"]] == [True]
    run = hub.client.back_up(source["id"])
    assert run["outcome"] == "success", run
    assert "It opens; 1 snapshot, no locks." in hub.ask("repository", "test", "vault")
    return str(source["id"])


def _changed(hub: Hub, repository_id: str, variables: Path) -> None:
    # The admin slot reaches this host, since its source has old snapshots forgotten.
    hub.ask("repository", "set", "vault", "--hold", "--slot", "admin", "--password-file", "-", typed=CANARIES[3])
    orders = hub.running.data_dir / "agent" / "assignment.json"
    until(lambda: CANARIES[3] in orders.read_text(), "the agent keeps the admin credentials")
    assert PASSWORD in orders.read_text()
    assert stat.S_IMODE(orders.stat().st_mode) == 0o600
    # Another password for every day is used from the next look on.
    hub.ask("repository", "set", "vault", "--hold", "--password-file", "-", typed="wrong")
    assert "does not open" in hub.ask("repository", "test", "vault", code=1)
    words = ("repository", "set", "vault", "--hold", "--password-file", "-", "--environment-file", str(variables))
    hub.ask(*words, typed=PASSWORD)
    hub.ask("repository", "test", "vault")
    hub.ask("repository", "set", "vault", "--forget-held", "admin")
    until(lambda: CANARIES[3] not in orders.read_text(), "the agent forgets the admin credentials")
    assert hub.client.get(f"repositories/{repository_id}")["held"] == ["everyday"]


def _seen_nowhere(hub: Hub, record: Path, repository_id: str) -> None:
    started = record.read_text()
    assert "backup --json" in started
    texts = {"restic's arguments": started}
    for path in (
        "/api/v1/repositories",
        f"/api/v1/repositories/{repository_id}",
        f"/api/v1/repositories/{repository_id}/credentials",
        "/api/v1/runs",
        "/api/v1/hosts",
        f"/repositories/{repository_id}",
        f"/repositories/{repository_id}/edit",
    ):
        texts[path] = hub.client.http.get(path).text
    token = (hub.running.data_dir / "metrics.token").read_text().strip()
    texts["/metrics"] = hub.client.http.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
    for run in hub.client.get("runs")["items"]:
        texts[f"run {run['id']}"] = hub.client.http.get(f"/api/v1/runs/{run['id']}").text
    for file in hub.running.data_dir.glob("lastgood.db*"):
        texts[file.name] = file.read_bytes().decode("latin-1")
    for where, text in texts.items():
        assert not any(canary in text for canary in CANARIES), where
    assert "AWS_SECRET_ACCESS_KEY" in texts[f"/api/v1/repositories/{repository_id}/credentials"]


def _removed(hub: Hub, repository_id: str, source_id: str) -> None:
    refused = hub.ask("repository", "remove", "vault", code=1)
    assert "/safe" in refused
    assert "archive them first" in refused
    assert "is paused until" in hub.ask("source", "pause", "safe", "--until", "2d")
    assert "goes on" in hub.ask("source", "pause", "safe", "--resume")
    assert "is archived" in hub.ask("source", "archive", "safe")
    orders = hub.running.data_dir / "agent" / "assignment.json"
    until(lambda: PASSWORD not in orders.read_text(), "the agent forgets what it needs no more")
    before = {name for name, labels, _ in hub.client.metrics(hub.running.data_dir) if "vault" in labels.values()}
    assert "backup_repository_up" in before
    assert "was not touched" in hub.ask("repository", "remove", "vault")
    assert hub.client.send("GET", f"repositories/{repository_id}").status_code == 404
    assert hub.client.send("GET", f"sources/{source_id}").status_code == 404
    left = [name for name, labels, _ in hub.client.metrics(hub.running.data_dir) if "vault" in labels.values()]
    assert left == []


def _by_pages_alone(client: Client, host_id: str, folder: Path) -> None:
    """Everything that a browser without scripts would do, up to a backup that is good."""
    attic = {"name": "attic", "url": str(folder / "attic"), "where": "hub", "password": PASSWORD}
    repository = _sent(client, "/repositories/new", **attic)
    source = {"paths": str(folder / "data"), "cron": "0 2 * * *", "zone": "Europe/Berlin", "keep_weekly": "4"}
    page = _sent(client, f"/hosts/{host_id}/sources/new", repository_id=repository.rpartition("/")[2], **source)
    until(lambda: "taken by the agent" in client.http.get(page).text, "the agent takes its orders")
    _sent(client, f"{page}/run", of=page)
    until(lambda: client.get(f"sources/{page.rpartition('/')[2]}")["state"] == "good", "a good backup")
    tried = client.http.post(f"{repository}/test", data={"csrf": _token(client, repository)}, headers=_origin(client))
    assert "it opens, and there is 1 snapshot and 0 locks" in tried.text


def _sent(client: Client, path: str, of: str | None = None, **said: str) -> str:
    """Send the form of a page; answers where the browser is led."""
    answer = client.http.post(path, data={"csrf": _token(client, of or path), **said}, headers=_origin(client))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def _token(client: Client, path: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.http.get(path).text)
    assert found is not None
    return found[1]


def _origin(client: Client) -> dict[str, str]:
    return {"Origin": str(client.http.base_url).rstrip("/")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("repository", "add", "a", "/srv/a", "--hold"), "--password-file FILE"),
        (("source", "pause", "a"), "--until"),
        (("source", "pause", "a", "--until", "yesterday"), "neither a length of time nor a date"),
        (("source", "set", "a"), "Say what to change"),
        (("source", "set", "a", "--target", "26"), "no length of time"),
        (("repository", "set", "a"), "Say what to change"),
    ],
)
def test_a_command_that_is_not_understood_says_how_to_write_it(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, [*words, "--data-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
