"""Every outcome of a real restic run, told through the API of a running hub, and what each face says of it.

One hub for the module; each test makes a source of its own (and a repository where it breaks one), so order does not
matter. The hub runs without root's right to read everything, so that a file can be closed to it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.flow.hub import Client, close_to_plain, environment, until, up, value

pytestmark = pytest.mark.xdist_group("outcomes")


@dataclass
class Stage:
    """The running hub, its client, and folders to play in."""

    client: Client
    data_dir: Path
    room: Path
    numbers: Iterator[int]

    @property
    def host(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("hosts")["items"][0]
        return found

    @property
    def local(self) -> str:
        return next(str(r["id"]) for r in self.client.get("repositories")["items"] if r["name"] == "local")

    def files(self, **contents: str) -> Path:
        folder = self.room / f"files-{next(self.numbers)}"
        folder.mkdir()
        for name, text in contents.items():
            (folder / name).write_text(text)
        return folder

    def source(self, *paths: Path, repository: str | None = None, **more: Any) -> str:
        fields = {
            "host_id": self.host["id"],
            "repository_id": repository or self.local,
            "name": f"source {next(self.numbers)}",
            "paths": [str(path) for path in paths],
            "schedule": {"cron": "0 2 * * *", "zone": "UTC"},
        }
        return self.client.source(**{**fields, **more})

    def repository(self) -> tuple[str, Path, Path]:
        """A repository of the test's own: id, folder, password file. The agent makes it when it is first used."""
        number = next(self.numbers)
        folder, password = self.room / f"repository-{number}", self.room / f"password-{number}"
        password.write_text(f"password {number}\n")
        password.chmod(0o600)
        body = {"name": f"repository {number}", "url": str(folder), "password_file": str(password)}
        return str(self.client.post("repositories", body)["id"]), folder, password

    def told(self, source_id: str) -> dict[str, Any]:
        """What all faces say of a source; they must agree."""
        while True:
            api = self.reading(source_id)
            samples = self.client.metrics(self.data_dir)
            page = self.client.http.get(f"/sources/{source_id}").text
            if api == self.reading(source_id):  # else a survey has ended meanwhile, and they speak of two moments
                break
        states = [
            labels["state"]
            for name, labels, _ in samples
            if name == "backup_source_state" and labels["source"] == source_id
        ]
        assert states == [api["state"]]
        assert re.search(rf'class="[^"]*\b{api["state"]}\b', page), "the page shows another state"
        good_at = value(samples, "backup_last_good_timestamp_seconds", source=source_id)
        assert (good_at is None) == (api["last_good_at"] is None)
        return {
            **api,
            "attempt_success": value(samples, "backup_last_attempt_success", source=source_id),
            "rules": sorted(
                alert["rule"] for alert in self.client.get("alerts")["items"] if alert["entity_id"] == source_id
            ),
        }

    def reading(self, source_id: str) -> dict[str, Any]:
        """The API's answer without the one moment that goes with the clock."""
        answer: dict[str, Any] = self.client.get(f"sources/{source_id}")
        return {**answer, "observed_at": None}

    def rules(self, source_id: str, *rules: str) -> None:
        """Wait until just these alerts are open; the rules have their round once a second at most."""

        def ask() -> bool:
            return self.told(source_id)["rules"] == sorted(rules)

        until(ask, f"open alerts {rules}, not {self.told(source_id)['rules']}")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    room = tmp_path_factory.mktemp("outcomes")
    data_dir = room / "data"
    with up(data_dir, plain=True) as running, Client(running.url) as client:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        running.said("Ctrl-C ends")
        yield Stage(client, data_dir, room, count(1))
        code, seconds = running.stop()
        assert code == 0
        assert seconds < 5


def test_a_good_backup(stage: Stage) -> None:
    source = stage.source(stage.files(one="1", two="22"))
    run = stage.client.back_up(source)
    assert (run["outcome"], run["files"], run["size_bytes"]) == ("success", 2, 3)
    told = stage.told(source)
    assert (told["state"], told["attempt_success"]) == ("good", 1)
    assert told["last_good_at"] == run["ended_at"]
    until(lambda: stage.told(source)["snapshots"] == 1, "the survey behind the backup")
    stage.rules(source)


def test_a_backup_of_what_did_not_change_is_good_again(stage: Stage) -> None:
    source = stage.source(stage.files(one="1"))
    first = stage.client.back_up(source)
    second = stage.client.back_up(source)
    assert first["outcome"] == "success", first
    assert second["outcome"] in ("success", "unchanged"), second  # restic up to 0.18 makes a snapshot all the same
    told = stage.told(source)
    assert (told["state"], told["last_good_at"]) == ("good", second["ended_at"])
    assert first["ended_at"] < second["ended_at"]


def test_an_unreadable_file_makes_the_backup_partial(stage: Stage) -> None:
    folder = stage.files(open="1", closed="2")
    close_to_plain(folder / "closed")
    source = stage.source(folder)
    run = stage.client.back_up(source)
    assert (run["outcome"], run["error_count"]) == ("partial", 1), run
    log = stage.client.get(f"runs/{run['id']}")["log"]
    assert "closed" in run["reason"] + log
    told = stage.told(source)
    # Nothing good so far, and the first one is not due yet: the table says new before partial.
    assert (told["state"], told["last_good_at"], told["attempt_success"]) == ("new", None, 0)


def test_a_partial_backup_after_a_good_one_is_partial_and_alerted(stage: Stage) -> None:
    folder = stage.files(open="1")
    source = stage.source(folder)
    good = stage.client.back_up(source)
    (folder / "closed").write_text("2")
    close_to_plain(folder / "closed")
    stage.client.back_up(source)
    told = stage.told(source)
    assert (told["state"], told["last_good_at"]) == ("partial", good["ended_at"])
    stage.rules(source, "backup_partial")
    answer = stage.client.send("PATCH", f"sources/{source}", {"accept_partial": True})
    assert answer.status_code == 200, answer.text
    assert stage.told(source)["state"] == "good"
    stage.rules(source)


def test_a_wrong_password_fails_without_touching_what_was_good(stage: Stage) -> None:
    repository, _, password = stage.repository()
    source = stage.source(stage.files(one="1"), repository=repository)
    good = stage.client.back_up(source)
    assert good["outcome"] == "success"
    password.write_text("another\n")
    run = stage.client.back_up(source)
    assert (run["outcome"], run["cause"]) == ("failed", "wrong_password")
    told = stage.told(source)
    assert (told["state"], told["attempt_success"], told["last_good_at"]) == ("failed", 0, good["ended_at"])
    stage.rules(source, "backup_failed")
    assert "another" not in stage.client.get(f"runs/{run['id']}")["log"]
    # Sizes of the good run may be told after the probe that failed; the look behind the run has the last word.
    until(lambda: stage.client.get(f"repositories/{repository}")["state"] == "down", "the repository is down")


def test_a_failed_backup_is_mended_by_the_next_good_one(stage: Stage) -> None:
    repository, folder, _ = stage.repository()
    source = stage.source(stage.files(one="1"), repository=repository)
    stage.client.back_up(source)
    aside = folder.with_name(folder.name + "-aside")
    folder.rename(aside)
    run = stage.client.back_up(source)
    assert run["outcome"] == "failed", run
    assert not folder.exists(), "a repository that is gone was made anew"
    assert stage.told(source)["state"] == "failed"
    stage.rules(source, "backup_failed")
    aside.rename(folder)
    assert stage.client.back_up(source)["outcome"] == "success"
    assert stage.told(source)["state"] == "good"
    stage.rules(source)


def test_a_snapshot_that_is_gone_takes_the_last_good_back_by_name(stage: Stage) -> None:
    repository, folder, password = stage.repository()
    source = stage.source(stage.files(one="1"), repository=repository)
    first = stage.client.back_up(source)
    second = stage.client.back_up(source)
    until(lambda: stage.told(source)["snapshots"] == 2, "the survey behind the second backup")
    restic = ["restic", "-r", str(folder), "--password-file", str(password), "forget", second["snapshot_id"]]
    subprocess.run(restic, check=True, capture_output=True, env=environment())
    stage.client.post(f"repositories/{repository}/look")
    until(lambda: stage.told(source)["snapshots"] == 1, "the look into the repository")
    told = stage.told(source)
    assert told["last_good_at"] < second["started_at"]
    assert first["started_at"] <= told["last_good_at"]
    assert "gone" in told["reason"]


def test_a_locked_repository_fails_with_its_cause(stage: Stage, tmp_path: Path) -> None:
    repository, folder, password = stage.repository()
    source = stage.source(stage.files(one="1"), repository=repository)
    stage.client.back_up(source)
    # An exclusive lock of a live process: a check that waits for us at a full pipe.
    env = environment({"RESTIC_REPOSITORY": str(folder), "RESTIC_PASSWORD_FILE": str(password)})
    script = "restic check --read-data --no-cache & wait"
    holder = subprocess.Popen(
        ["sh", "-c", script], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(lambda: list((folder / "locks").iterdir()), "the lock")
        restic = next(int(p) for p in Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split())
        os.kill(restic, 19)  # it keeps its lock and its process while it is stopped
        run_id = stage.client.post("runs", {"source_id": source})["run_id"]
        until(lambda: stage.client.get(f"sources/{source}")["running"], "the run")
        stage.client.post(f"runs/{run_id}/cancel")
        run = stage.client.ended(run_id)
        assert run["outcome"] in ("cancelled", "failed")
        assert run["cause"] in ("locked", "cancelled", None)
    finally:
        os.killpg(holder.pid, 9)
        holder.wait()
    assert stage.told(source)["last_good_at"] is not None


def test_an_empty_source_is_said_to_be_empty(stage: Stage) -> None:
    source = stage.source(stage.files())
    run = stage.client.back_up(source)
    assert (run["outcome"], run["files"]) == ("success", 0)
    assert "empty" in stage.told(source)["reason"]


def test_one_missing_path_of_two_makes_the_backup_partial(stage: Stage) -> None:
    folder = stage.files(one="1")
    source = stage.source(folder, stage.room / "was never there")
    run = stage.client.back_up(source)
    assert run["outcome"] == "partial", run
    assert "was never there" in run["reason"]


def test_a_source_that_is_missing_altogether_fails(stage: Stage) -> None:
    source = stage.source(stage.room / "nowhere")
    run = stage.client.back_up(source)
    assert run["outcome"] == "failed", run
    assert stage.told(source)["state"] == "failed"
    stage.rules(source, "backup_failed")


def test_a_cancelled_backup_changes_nothing(stage: Stage) -> None:
    folder = stage.files(one="1")
    source = stage.source(folder)
    good = stage.client.back_up(source)
    with (folder / "noise").open("wb") as file:
        for _ in range(300):
            file.write(os.urandom(1_000_000))
    run_id = stage.client.post("runs", {"source_id": source})["run_id"]
    until(lambda: stage.client.get(f"sources/{source}")["progress"], "the first word of progress")
    stage.client.post(f"runs/{run_id}/cancel")
    assert stage.client.ended(run_id)["outcome"] == "cancelled"
    told = stage.told(source)
    assert (told["state"], told["last_good_at"]) == ("good", good["ended_at"])


def test_the_jobs_are_counted_in_the_histogram(stage: Stage) -> None:
    run = stage.client.back_up(stage.source(stage.files(one="1")))
    assert run["outcome"] == "success", run
    until(lambda: stage.client.get("fleet")["running"] == 0, "the end of every run")
    samples = stage.client.metrics(stage.data_dir)
    succeeded = [r for r in stage.client.get("runs", limit=1000)["items"] if r["status"] == "succeeded"]
    for kind in ("backup", "init"):
        counted = value(samples, "rm_job_duration_seconds_count", kind=kind, status="succeeded")
        assert counted == len([r for r in succeeded if r["kind"] == kind]) > 0
    labels = {tuple(sorted(have.items())) for name, have, _ in samples if name == "rm_job_duration_seconds_count"}
    assert len(labels) == 27


def test_the_host_speaks_of_its_newest_counted_backup(stage: Stage) -> None:
    run = stage.client.back_up(stage.source(stage.files(one="1")))
    samples = stage.client.metrics(stage.data_dir)
    host = stage.host
    at = value(samples, "rm_host_last_backup_timestamp_seconds", host_id=host["id"])
    assert value(samples, "rm_host_last_backup_success", host_id=host["id"]) == 1
    assert value(samples, "rm_host_agent_online", host=host["name"]) == 1
    assert value(samples, "rm_host_repo_status", host_id=host["id"], status="ready") in (1, None)
    severities = {labels["severity"] for name, labels, _ in samples if name == "rm_active_alerts"}
    assert severities == {"info", "warning", "critical"}
    assert at is not None and abs(at - _epoch(run["ended_at"])) <= 1


def test_both_formats_say_the_same(stage: Stage) -> None:
    stage.client.back_up(stage.source(stage.files(one="1")))

    def still(samples: Any) -> set[Any]:
        return {
            (name, tuple(sorted(labels.items())), number)
            for name, labels, number in samples
            if not name.startswith(moving) and "le" not in labels and "observed" not in name
        }

    moving = ("process_", "lastgood_", "dockmesh_api_requests", "dockmesh_agent_")  # with each scrape, or the clock
    text = still(stage.client.metrics(stage.data_dir))
    openmetrics = still(stage.client.metrics(stage.data_dir, "application/openmetrics-text;version=1.0.0"))
    families = {name for name, _, _ in text}
    wanted = {"rm_hosts_total", "rm_host_last_backup_timestamp_seconds", "backup_last_good_timestamp_seconds"}
    assert wanted <= families
    assert text == openmetrics


def test_no_secret_stands_in_any_command_line(stage: Stage) -> None:
    secrets = [(stage.data_dir / name).read_bytes().strip() for name in ("repository.password", "metrics.token")]
    folder = stage.files(one="1")
    with (folder / "noise").open("wb") as file:
        for _ in range(300):
            file.write(os.urandom(1_000_000))
    run_id = stage.client.post("runs", {"source_id": stage.source(folder)})["run_id"]

    def backing_up() -> list[bytes]:
        return [line for line in command_lines() if b"restic" in line and str(folder).encode() in line]

    until(backing_up, "restic at work")
    told = [line for line in command_lines() if any(secret in line for secret in secrets)]
    stage.client.post(f"runs/{run_id}/cancel")
    stage.client.ended(run_id)
    assert told == []


def command_lines() -> list[bytes]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def _epoch(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
