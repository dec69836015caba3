"""``lastgood up`` as a stranger meets it: the first good backup, and each way in which it can go wrong."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lastgood.cli.upscreen import size_of
from tests.flow.hub import Client, close_to_plain, free_port, lastgood, until, up


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def once(folder: Path, *more: str, **options: Any) -> Any:
    return lastgood(
        "up", "--once", "--data-dir", str(folder), "--listen", f"127.0.0.1:{free_port()}", *more, **options
    )


def refused(answer: Any, *words: str, code: int = 78) -> None:
    """One sentence with the mend, the right exit code, and no traceback."""
    assert answer.returncode == code, answer.stderr + answer.stdout
    said = [line for line in answer.stderr.splitlines() if line.startswith("lastgood: ")]
    assert len(said) == 1, answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout
    for word in words:
        assert word in said[0], said[0]


def test_once_backs_up_for_real_and_sees_it_in_its_own_metrics(folder: Path) -> None:
    answer = once(folder)
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"Good backup of 3 files, .* snapshot [0-9a-f]{8}", answer.stdout)
    assert re.search(r"^rm_host_last_backup_success\{.*\} 1$", answer.stdout, re.M)
    listed = subprocess.run(
        ["restic", "-r", folder / "repository", "--password-file", folder / "repository.password", "snapshots"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 snapshots" in listed.stdout


def test_a_warning_about_the_settings_is_said_once(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "lastgood.toml"
    file.write_text("[metrics]\nauth = false\n")
    answer = once(folder, "--config", str(file))
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("lastgood: warning: /metrics is public") == 1, answer.stderr


def test_secrets_are_files_of_their_owner_alone(folder: Path) -> None:
    assert once(folder).returncode == 0
    for name in ("repository.password", "metrics.token", "metrics.header", "secret.key", "agent/agent.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_it_prints_works_when_pasted(folder: Path) -> None:
    with up(folder) as running:
        link = running.said(r"Sign in\s+(http\S+)")[1]
        curl = running.said(r"(curl -H .*)")[1]
        running.said(r"Ctrl-C ends")
        pasted = subprocess.run(
            ["sh", "-c", f"{curl} --silent --show-error"], capture_output=True, text=True, check=True
        )
        assert "rm_hosts_total 1" in pasted.stdout
        token = (folder / "metrics.token").read_text().strip()
        assert token not in curl and token not in "".join(running.lines)
        with Client(running.url) as client:
            client.welcome(link)
            page = client.http.get("/").text
        assert "has a good backup" in page
        code, seconds = running.stop()
    assert code == 0
    assert seconds < 5


def test_the_one_time_link_works_once(folder: Path) -> None:
    with up(folder) as running:
        link = running.said(r"Sign in\s+(http\S+)")[1]
        with Client(running.url) as first, Client(running.url) as second:
            first.welcome(link)
            assert second.http.get(link).status_code == 404


def test_a_second_start_goes_on_and_another_source_is_added(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "one.jpg").write_bytes(b"x" * 1000)
    assert once(folder).returncode == 0
    with up(folder, "--source", str(mine), "--every", "30 4 * * *") as running, Client(running.url) as client:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        sources = {source["name"]: source for source in client.get("sources")["items"]}
        assert set(sources) == {str(folder / "sample"), str(mine)}
        assert sources[str(mine)]["schedule"]["cron"] == "30 4 * * *"
        assert {source["state"] for source in sources.values()} == {"good"}


def test_a_lost_password_is_mended_while_the_hub_runs(folder: Path) -> None:
    with up(folder) as running, Client(running.url) as client, Client(running.url) as again:
        client.welcome(running.said(r"Sign in\s+(http\S+)")[1])
        running.said("Ctrl-C ends")
        answer = lastgood("user", "reset", "--data-dir", str(folder))
        assert answer.returncode == 0, answer.stderr
        again.welcome(answer.stdout.strip())
        assert client.http.get("/api/v1/me").status_code == 401, "the old session goes on"
        assert again.get("me")["name"] == "anna"


def test_a_busy_port_is_one_sentence(folder: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        answer = lastgood("up", "--once", "--data-dir", str(folder), "--listen", f"127.0.0.1:{port}")
        refused(answer, str(port), "--listen")
    assert once(folder).returncode == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    close_to_plain(closed)
    refused(once(closed / "data", plain=True), "data folder", "--data-dir")


def test_a_folder_in_use_is_one_sentence(folder: Path) -> None:
    with up(folder) as running:
        running.said("Ctrl-C ends")
        refused(once(folder), "Another lastgood", str(running.process.pid))


def test_a_missing_restic_is_one_sentence_and_the_next_try_works(folder: Path, tmp_path: Path) -> None:
    refused(once(folder, env={"PATH": str(tmp_path)}), "restic", "install")
    assert once(folder).returncode == 0


def test_an_old_restic_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    # A release this old cannot be had from packages; all that is asked of it is its version.
    old = tmp_path / "bin"
    old.mkdir()
    (old / "restic").write_text("#!/bin/sh\necho 'restic 0.12.1 compiled with go1.16.8 on linux/amd64'\n")
    (old / "restic").chmod(0o755)
    refused(once(folder, env={"PATH": f"{old}:{os.environ['PATH']}"}), "0.12.1", "0.14")


def test_a_wrong_password_is_one_sentence_and_the_right_one_mends_it(folder: Path) -> None:
    assert once(folder).returncode == 0
    password = folder / "repository.password"
    right = password.read_text()
    password.write_text("not the one\n")
    refused(once(folder), "password")
    password.write_text(right)
    assert once(folder).returncode == 0


def test_a_repository_that_is_gone_is_never_made_anew(folder: Path) -> None:
    assert once(folder).returncode == 0
    repository, aside = folder / "repository", folder / "aside"
    repository.rename(aside)
    refused(once(folder), "repository", "gone")
    assert not repository.exists()
    aside.rename(repository)
    assert once(folder).returncode == 0


def test_a_broken_repository_is_one_sentence(folder: Path) -> None:
    assert once(folder).returncode == 0
    shutil.rmtree(folder / "agent" / "cache")
    config = folder / "repository" / "config"
    config.chmod(0o600)
    config.write_bytes(b"not what restic wrote")
    refused(once(folder), "repository")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--every", "every night"), ("schedule", "five fields")),
        (("--every", "0 2 31 2 *"), ("schedule",)),
        (("--source", "/there/is/nothing"), ("/there/is/nothing", "--source")),
        (("--listen", "nonsense"), ("server.listen",)),
        (("--listen", "192.0.2.1:80"), ("192.0.2.1",)),
    ],
)
def test_wrong_options_are_one_sentence(folder: Path, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(lastgood("up", "--once", "--data-dir", str(folder), *options), *words)
    assert not folder.exists(), "a refused option left something behind"


def test_an_incomplete_first_backup_is_not_called_good(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "open").write_text("readable")
    (mine / "closed").write_text("not for everybody")
    close_to_plain(mine / "closed")
    answer = once(folder, "--source", str(mine), plain=True)
    refused(answer, "not good", code=1)
    assert "incomplete" in answer.stdout


def test_a_start_that_was_killed_is_finished_by_the_next(folder: Path) -> None:
    """A kill at any moment of the first start once left a repository without a password file, or the reverse."""
    for seen in ("Backing up", "Good backup"):
        with up(folder, "--once") as running:
            running.said(seen)
            running.process.kill()
            running.process.wait()
        until(lambda: not agents_of(folder), "the end of the orphaned agent")
    assert once(folder).returncode == 0


def test_ctrl_c_during_a_backup_ends_restic_and_leaves_no_lock(folder: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    with (large / "noise").open("wb") as file:
        for _ in range(400):
            file.write(os.urandom(1_000_000))
    with up(folder, "--source", str(large)) as running:
        running.said("Backing up")
        until(lambda: list((folder / "repository" / "locks").glob("*")), "restic's lock")
        until(lambda: list((folder / "repository" / "data").glob("*/*")), "data of the backup")
        code, seconds = running.stop(signal.SIGINT)
    assert code == 0
    assert seconds < 5
    assert list((folder / "repository" / "locks").glob("*")) == []
    assert agents_of(folder) == []


def test_the_program_says_what_it_is() -> None:
    assert re.fullmatch(r"lastgood \d+\.\d+\.\d+\n", lastgood("version").stdout)
    assert "--once" in lastgood("up", "--help").stdout
    assert lastgood("nonsense").returncode == 2
    assert lastgood("healthz", f"http://127.0.0.1:{free_port()}").returncode == 1


def test_sizes_read_as_people_write_them() -> None:
    assert [size_of(n) for n in (0, 999, 1000, 1_500_000, 2e15)] == ["0 B", "999 B", "1.0 kB", "1.5 MB", "2000.0 TB"]


def agents_of(folder: Path) -> list[str]:
    """Command lines of agents that still run for this data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        line = shlex.join(word.decode(errors="replace") for word in words)
        if "agent" in line and str(folder) in line:
            found.append(line)
    return found
