"""A real hub for tests: ``lastgood up`` as its user starts it, and a browser's or program's way into it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

T = TypeVar("T")

NOBODY = 65534
PASSWORD = "a long enough password"
PATIENCE = 60.0
Sample = tuple[str, Mapping[str, str], float]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(ask: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """The first answer that is true; AssertionError once the deadline is past."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def command(*arguments: str, plain: bool = False) -> list[str]:
    """``plain`` takes from root the right to read and write everything, so that a file can be closed to it."""
    words = [sys.executable, "-m", "lastgood", *arguments]
    if plain and os.geteuid() == 0:
        return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    return words


def close_to_plain(path: Path) -> None:
    """Make a file or folder unreadable and unwritable for a ``plain`` command."""
    path.chmod(0o700 if path.is_dir() and os.geteuid() == 0 else 0)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def lastgood(*arguments: str, plain: bool = False, env: Mapping[str, str] | None = None) -> Any:
    """Run a command to its end; answers the completed process with text output."""
    return subprocess.run(
        command(*arguments, plain=plain),
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
        env=environment(env),
    )


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without settings of lastgood, so that a developer's own do not leak in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LASTGOOD_", "RM_"))}
    return {**kept, "TZ": "UTC", **(more or {})}


@dataclass
class Up:
    """A running ``lastgood up`` and a signed-in client of it."""

    process: subprocess.Popen[str]
    url: str
    data_dir: Path
    lines: list[str] = field(default_factory=list)

    def said(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str]:
        """Read what it prints until a line matches."""
        compiled = re.compile(pattern)
        deadline = time.monotonic() + seconds
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := compiled.search(line):
                return found
            assert time.monotonic() < deadline, f"not said within {seconds} s: {pattern}\n{''.join(self.lines)}"
        raise AssertionError(f"it ended without saying {pattern!r}:\n{''.join(self.lines)}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Exit code and how many seconds it took to stop."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return code, time.monotonic() - began


@contextmanager
def up(data_dir: Path, *arguments: str, plain: bool = False, env: Mapping[str, str] | None = None) -> Iterator[Up]:
    """``lastgood up`` on a free port; ended behind the block if it is not already."""
    port = free_port()
    options = ("up", "--data-dir", str(data_dir), "--listen", f"127.0.0.1:{port}", *arguments)
    process = subprocess.Popen(
        command(*options, plain=plain),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(env),
    )
    running = Up(process, f"http://127.0.0.1:{port}", data_dir)
    try:
        yield running
    finally:
        running.stop()
        if process.stdout is not None:
            process.stdout.close()


class Client:
    """A person with a browser: signs in by the one-time link, then asks pages and API."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30.0, trust_env=False)
        self.token = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def welcome(self, link: str, name: str = "anna") -> None:
        page = self.http.get(link)
        assert page.status_code == 200, page.text
        field_ = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert field_ is not None
        form = {"csrf": field_[1], "name": name, "password": PASSWORD, "again": PASSWORD}
        answer = self.http.post(link, data=form, headers={"Origin": str(self.http.base_url).rstrip("/")})
        assert answer.status_code in (302, 303), answer.text
        self.token = self.get("me")["csrf_token"]

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"X-CSRF-Token": self.token, "Origin": str(self.http.base_url).rstrip("/")}
        return self.http.request(method, f"/api/v1/{path}", json=body, headers=headers)

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.send("POST", path, body)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    def source(self, **fields: Any) -> str:
        """Make a source and answer its id."""
        return str(self.post("sources", fields)["id"])

    def back_up(self, source_id: str) -> dict[str, Any]:
        """Run a source and answer the run as it ended."""
        return self.ended(self.post("runs", {"source_id": source_id})["run_id"])

    def ended(self, run_id: str) -> dict[str, Any]:
        def ask() -> dict[str, Any] | None:
            answer = self.http.get(f"/api/v1/runs/{run_id}")
            run = answer.json()["run"] if answer.status_code == 200 else None
            return run if run is not None and run["outcome"] is not None else None

        return until(ask, f"the end of run {run_id}")

    def metrics(self, data_dir: Path, accept: str = "text/plain") -> list[Sample]:
        """Every sample of /metrics, asked with the token of the data folder."""
        token = (data_dir / "metrics.token").read_text().strip()
        answer = self.http.get("/metrics", headers={"Authorization": f"Bearer {token}", "Accept": accept})
        assert answer.status_code == 200, answer.text
        parse = parse_openmetrics if "openmetrics" in accept else parse_text
        return [(s.name, s.labels, s.value) for family in parse(answer.text) for s in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float | None:
    """The value of the one sample with this name and these labels; None if there is none."""
    found = [v for n, have, v in samples if n == name and all(have.get(k) == want for k, want in labels.items())]
    assert len(found) <= 1, f"{name} {labels} is not one sample: {found}"
    return found[0] if found else None
