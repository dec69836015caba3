"""The whole of lastgood over each release of restic that Debian has, and over a REST server that only appends.

The installed restic and those that ``LASTGOOD_TEST_RESTIC_RELEASES`` names; ``LASTGOOD_TEST_REST_SERVER`` is restic's
server. An append-only server refuses to delete: releases say so in three ways, one of them by calling it a success.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flow.field import Field, Machine, a_field, all_told, minutes_ago
from tests.flow.hub import Client, until, up, value
from tests.flow.test_kill_hub import quiet_port
from tests.tools.restic.conftest import RELEASES

REST_SERVER = "LASTGOOD_TEST_REST_SERVER"
INSTALLED = shutil.which("restic")
BINARIES = [*([INSTALLED] if INSTALLED else []), *filter(None, os.environ.get(RELEASES, "").split(":"))]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARIES, reason="restic is not installed: apt-get install restic"),
]
each_release = pytest.mark.parametrize("binary", BINARIES, ids=lambda path: Path(path).parents[2].name or "installed")


def version(binary: str) -> str:
    return subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout.split()[1]


@each_release
def test_the_quick_start_backs_up_forgets_checks_and_tells_it_with_each_release(binary: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "restic").symlink_to(binary)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    with up(tmp_path / "data", env=env) as running, Client(running.url) as client:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        running.said("Ctrl-C ends")
        [host], [repository] = client.get("hosts")["items"], client.get("repositories")["items"]
        assert host["restic_version"] == version(binary)
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "letter").write_text("dear reader\n")
        fields = {"host_id": host["id"], "repository_id": repository["id"], "name": "files"}
        source = client.source(**fields, paths=[str(tmp_path / "files")], keep={"last": 1})
        assert [client.back_up(source)["outcome"] for _ in range(2)] == ["success", "success"]
        for kind in ("forget", "check", "prune"):
            run = client.ended(client.post("runs", {"kind": kind, "source_id": source})["run_id"])
            assert run["outcome"] == "success", run
        half = client.source(**{**fields, "name": "half"}, paths=[str(tmp_path / "files"), str(tmp_path / "absent")])
        assert client.back_up(half)["outcome"] == "partial"
        gone = client.source(**{**fields, "name": "gone"}, paths=[str(tmp_path / "absent")])
        assert client.back_up(gone)["outcome"] == "failed"
        until(lambda: client.get(f"sources/{source}")["snapshots"] == 1, "what is left is seen")
        samples = client.metrics(running.data_dir)
        assert value(samples, "backup_last_attempt_success", source=source) == 1
        assert value(samples, "backup_last_attempt_success", source=half) == 0
        assert value(samples, "backup_last_attempt_success", source=gone) == 0


@contextmanager
def append_only(folder: Path) -> Iterator[str]:
    """A REST server that takes and never deletes; gives its address."""
    server, port = os.environ[REST_SERVER], quiet_port()
    words = [server, "--append-only", "--no-auth", "--path", str(folder), "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/"), "the REST server answers")
            yield f"rest:http://127.0.0.1:{port}/"
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False, verify=False)
    except httpx.TransportError:
        return False
    return True


def ended(field: Field, body: dict[str, Any]) -> dict[str, Any]:
    run_id = field.post("/runs", body)["run_id"]

    def ask() -> dict[str, Any] | None:
        return next((r for r in field.get("/runs")["items"] if r["id"] == run_id and r["outcome"] is not None), None)

    return until(ask, f"the end of {body}", 180)


@each_release
@pytest.mark.skipif(REST_SERVER not in os.environ, reason=f"{REST_SERVER} names no REST server of restic")
def test_a_forget_that_an_append_only_server_refuses_is_a_failed_job(binary: str, tmp_path: Path) -> None:
    with append_only(tmp_path / "store") as address:
        machine = Machine("web-1", tmp_path / "web-1", minutes_ago(60), url=f"{address}web-1/", restic=binary)
        with a_field(tmp_path, f"127.0.0.1:{quiet_port()}", [machine]) as field:
            field.start_hub()
            field.await_hub()
            machine.start()
            field.all_connected()
            backup = {"source_id": machine.source.id}
            assert [ended(field, backup)["outcome"] for _ in range(2)] == ["success", "success"]
            field.patch(f"/sources/{machine.source.id}", {"keep": {"last": 1}})
            until(lambda: ended(field, backup)["outcome"] == "success", "another backup")
            forgotten = ended(field, {**backup, "kind": "forget"})
            assert forgotten["outcome"] == "failed", forgotten
            assert forgotten["reason"]
            assert ended(field, backup)["outcome"] == "success", "and backups go on"
            assert len(machine.restic_says("snapshots")) == 4
            assert all_told(field) == {"success": 4}
            assert field.get(f"/sources/{machine.source.id}")["state"] in ("good", "unknown")
