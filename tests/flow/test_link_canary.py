"""A secret that is pushed through every way in comes out of none: one canary for each, looked for everywhere.

Ways in: password and environment files, credentials for the hub to hold, addresses with a password, channels, the
sign-in, tokens, broken bodies, settings and commands, and what restic says of an address that needs a password. Ways
out: logs of hub and agents at their most talkative, every page and API route that can be read, metrics, the command
lines of all processes, and every file that is not the secret's own.
"""

from __future__ import annotations

import re
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lastgood.agent.files import write_private
from lastgood.config.private import reachable_socket
from lastgood.web.app import ROUTES
from tests.flow.field import Field, Machine, a_field, minutes_ago
from tests.flow.hub import command, environment, until
from tests.flow.test_kill_hub import quiet_port
from tests.flow.test_outcomes import command_lines
from tests.tools.restic.store import Store

MARK = "canary-"
METRICS_TOKEN = f"{MARK}metrics-token"


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    machine = Machine("web-1", tmp_path / "web-1", minutes_ago(60))
    write_private(machine.folder / "password", f"{MARK}of-the-password-file\n".encode())
    write_private(machine.folder / "environment", f"RESTIC_REST_PASSWORD={MARK}of-the-environment-file\n".encode())
    token = tmp_path / "metrics.token"
    write_private(token, METRICS_TOKEN.encode())
    extra = {
        "LASTGOOD_LOG__LEVEL": "debug",
        "LASTGOOD_METRICS__TOKEN_FILE": str(token),
        "LASTGOOD_METRICS__AUTH": "true",
    }
    with a_field(tmp_path, f"127.0.0.1:{quiet_port()}", [machine], **extra) as made:
        made.start_hub()
        made.await_hub()
        machine.options = ("--log-level", "debug")
        machine.start()
        made.all_connected()
        yield made


@contextmanager
def client(field: Field) -> Iterator[httpx.Client]:
    """Whoever owns this hub, by its local socket."""
    with reachable_socket(field.folder / "hub.sock") as address:
        transport = httpx.HTTPTransport(uds=address, verify=False)
        with httpx.Client(base_url="http://localhost", transport=transport, timeout=60, trust_env=False) as http:
            yield http


class Watcher(threading.Thread):
    """Looks at the command lines of all processes, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            self.seen.update(line for line in command_lines() if MARK.encode() in line or b"restic" in line)

    def end(self) -> set[bytes]:
        self._over.set()
        self.join()
        return self.seen


def push(field: Field, http: httpx.Client, store: Store) -> list[str]:
    """Every way in; answers what was answered."""
    [machine] = field.machines
    rest = f"rest:http://127.0.0.1:{store.port}/"
    held = {"password": f"{MARK}held-password", "environment": {"AWS_SECRET_ACCESS_KEY": f"{MARK}held-key"}}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("repositories", {"name": "a", "url": f"rest:https://u:{MARK}in-address@h.test/", "password_file": "/p"}),
        ("repositories", {"name": "b", "url": f"s3:https://h.test/b?token={MARK}in-query", "password_file": "/p"}),
        ("repositories", {"name": "c", "url": rest, "held": held}),
        ("repositories", {"name": "d", "url": rest + "d", "held": held, "more": f"{MARK}unknown-field"}),
        ("repositories", {"name": "e", "url": rest + "e", "held": {"password": [f"{MARK}of-a-wrong-type"]}}),
        (
            "repositories",
            {
                "name": "f",
                "url": rest + "f",
                "password_file": str(machine.folder / "password"),
                "environment_file": str(machine.folder / "environment"),
            },
        ),
        ("channels", {"name": "hook", "kind": "webhook", "url": f"http://127.0.0.1:9/{MARK}in-the-hook"}),
        ("channels", {"name": "mail", "kind": "apprise", "url": f"mailtos://u:{MARK}in-apprise@h.test"}),
        ("channels", {"name": "bad", "kind": "apprise", "url": f"nonsense://u:{MARK}in-nonsense@"}),
    ]
    answers = [http.post(f"/api/v1/{path}", json=body) for path, body in bodies]
    taken = [answer.json() for answer in answers if answer.is_success]
    made = {one["name"]: one["id"] for one in (each.get("channel", each) for each in taken)}
    assert {"c", "f", "hook", "mail"} <= made.keys(), [answer.text for answer in answers]

    for name in ("c", "f"):
        source = {"host_id": machine.host.id, "repository_id": made[name], "name": f"into {name}", "paths": ["/etc"]}
        answer = http.post("/api/v1/sources", json=source)
        answers += [answer, http.post("/api/v1/runs", json={"source_id": answer.json()["id"]})]
        answers.append(http.post(f"/api/v1/repositories/{made[name]}/look"))
    answers += [http.post(f"/api/v1/channels/{made[name]}/test") for name in ("hook", "mail")]
    for text in (f'{{"name": "x", "password": "{MARK}cut-off', f"{MARK}raw"):
        for path in ("/api/v1/repositories", "/api/v1/channels", "/api/v1/runs", "/sign-in"):
            answers.append(http.post(path, content=text, headers={"content-type": "application/json"}))

    base = f"http://127.0.0.1:{field.port}"
    with httpx.Client(base_url=base, trust_env=False, verify=False) as stranger:
        page = stranger.get("/sign-in")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        wrong = {"csrf": csrf[1] if csrf else "", "name": "ann", "password": f"{MARK}typed-password"}
        bearer = {"authorization": f"Bearer {MARK}wrong-token"}
        answers += [
            stranger.post("/sign-in", data=wrong, headers={"origin": base}),
            stranger.get("/api/v1/fleet", headers=bearer),
            stranger.get("/metrics", headers=bearer),
            stranger.get(f"/welcome/{MARK}wrong-link"),
            stranger.get("/", headers={"cookie": f"lastgood={MARK}wrong-cookie"}),
        ]
    return [answer.text for answer in answers]


def commands(field: Field) -> list[str]:
    """Commands that are given a secret, or settings that hold one."""
    here = ("--data-dir", str(field.folder))
    secret = f"{MARK}typed-at-a-prompt\n"
    said = []
    for words, typed in (
        (("repository", "add", "g", "rest:http://127.0.0.1:9/g", "--hold", "--password-file", "-", *here), secret),
        (("check-config",), ""),
    ):
        env = environment({"LASTGOOD_METRICS__TOKEN": METRICS_TOKEN})
        done = subprocess.run(command(*words), input=typed, capture_output=True, text=True, env=env, timeout=60)
        said.append(done.stdout + done.stderr)
    return said


def read_everything(http: httpx.Client) -> dict[str, str]:
    """Every route that can be read, for each thing there is."""
    ids: dict[str, list[str]] = {}
    for noun in ("host", "source", "run", "channel", "alert"):
        ids[f"{noun}_id"] = [item["id"] for item in http.get(f"/api/v1/{noun}s").json()["items"]]
    ids["repository_id"] = [item["id"] for item in http.get("/api/v1/repositories").json()["items"]]
    found = {}
    for handler in ROUTES:
        if "GET" not in {str(method) for method in getattr(handler, "http_methods", ())}:
            continue
        for template in handler.paths:
            name = re.search(r"\{(\w+)", template)
            for value in ids.get(name[1], []) if name else [""]:
                path = re.sub(r"\{[^}]+\}", value, template)
                found[path] = http.get(path).text
    return found


def all_ended(field: Field) -> bool:
    runs = field.get("/runs")["items"]
    return len(runs) >= 3 and all(run["outcome"] is not None for run in runs)


@pytest.mark.slow
def test_no_secret_that_goes_in_comes_out_anywhere(field: Field, tmp_path: Path) -> None:
    [machine] = field.machines
    store, watcher = Store(), Watcher()
    store.answer = 401
    watcher.start()
    try:
        with client(field) as http:
            until(lambda: field.back_up(machine), "the agent takes the wish")
            answered = {f"answer {n}": text for n, text in enumerate(push(field, http, store))}
            said = {f"command {n}": text for n, text in enumerate(commands(field))}
            until(lambda: all_ended(field), "every run has ended", 120)
            pages = read_everything(http)
            metrics = http.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
            assert metrics.status_code == 200
    finally:
        lines = watcher.end()
        store.close()
    assert machine.end() == 0
    assert field.end_hub() == 0

    assert len(pages) > 25
    assert any(b"restic" in line for line in lines), "restic was seen at work"
    assert store.seen, "restic asked the store"
    out = {**answered, **said, **pages, "metrics": metrics.text}
    assert [where for where, text in out.items() if MARK in text] == []
    assert [line for line in lines if MARK.encode() in line] == []
    # What the hub holds is pushed to the agent, which goes on while the hub is away, and lies there for root alone.
    orders = machine.folder / "data" / "assignment.json"
    assert stat.S_IMODE(orders.stat().st_mode) == 0o600
    own = {machine.folder / "password", machine.folder / "environment", tmp_path / "metrics.token", orders}
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path not in own]
    assert len(files) > 10
    assert [str(path) for path in files if MARK.encode() in path.read_bytes()] == []
