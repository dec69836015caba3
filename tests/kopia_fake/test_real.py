"""A real Kopia prints what the doubles print: the same keys in the same order, the same layout, the same refusals."""

from __future__ import annotations

import json
import re
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kopia_real import RealKopia
from tests.kopia_server.asking import ask
from tests.kopia_server.simulator import KopiaServer
from tests.kopia_server.test_webhook import ear

from .fake import FakeKopia

pytestmark = pytest.mark.real_kopia

LISTS = (
    "snapshot list --all --incomplete --json",
    "policy list --json",
    "manifest list --json --filter type:snapshot",
    "blob list --json",
    "index list --json",
)
OBJECTS = ("repository status --json", "maintenance info --json", "snapshot verify --json")
OPEN = ("data", "runs", "labels", "tags", "files", "retention", "scheduling", "actions")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealKopia:
    kopia = RealKopia(tmp_path_factory.mktemp("real"))
    place = kopia.source("Büro & <more>", one="1")
    kopia.write("policy", "set", str(place), "--snapshot-interval=1h")
    kopia.write("snapshot", "create", str(place), "--tags=reason:first")
    kopia.source("Büro & <more>", two="2")
    kopia.write("snapshot", "create", str(place))
    kopia.write("snapshot", "create", str(place / "one"), "--pin=keep")
    return kopia


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> FakeKopia:
    return FakeKopia(tmp_path_factory.mktemp("fake"), size="M", oddities=["file", "pinned_only"])


def orders(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each key with where it is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            if key not in OPEN:
                yield from orders(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from orders(inner, f"{path}[]")


@pytest.mark.parametrize("command", LISTS + OBJECTS)
def test_no_key_of_a_real_one_is_unknown_to_the_fake(command: str, real: RealKopia, fake: FakeKopia) -> None:
    said, told = (kopia.run(*command.split()).stdout.decode() for kopia in (real, fake))
    assert set(orders(json.loads(said))) - set(orders(json.loads(told))) == set()
    assert said[:6] == told[:6]
    assert said.endswith("\n]" if command in LISTS else "}\n")
    assert told.endswith(said[-2:])


@pytest.mark.parametrize("command", ["blob stats --raw", "content stats --raw", "notification template list --json"])
def test_texts_have_the_same_lines(command: str, real: RealKopia, fake: FakeKopia) -> None:
    said, told = (
        [re.sub(r"\d+", "0", line).split(":")[0] for line in kopia.run(*command.split()).stdout.decode().splitlines()]
        for kopia in (real, fake)
    )
    absent = [line for line in said if line not in told]
    assert said[0] == told[0]
    assert not [line for line in absent if not line.startswith((" ", "0"))]


@pytest.mark.parametrize(
    ("arguments", "environment", "part"),
    [
        ("snapshot list --nope", {}, b"kopia: error: unknown long flag '--nope', try --help\n"),
        ("frobnicate", {}, b'kopia: error: expected command but got "frobnicate", try --help\n'),
        ("repository status --json", {"KOPIA_PASSWORD": "wrong"}, b"invalid repository password\n"),
        ("repository status --json", {"KOPIA_PASSWORD": ""}, b"password prompt error: "),
        ("repository status --json", {"KOPIA_CONFIG_PATH": "/nowhere/x.config"}, b"repository is not connected. See"),
    ],
)
def test_refusals_are_the_same(
    arguments: str, environment: dict[str, str], part: bytes, real: RealKopia, fake: FakeKopia
) -> None:
    said, told = (kopia.run(*arguments.split(), **environment) for kopia in (real, fake))
    assert part in said.stderr and part in told.stderr
    assert (said.returncode, said.stdout) == (told.returncode, told.stdout)
    assert said.stderr == told.stderr


def test_a_real_notification_is_the_simulated_one(tmp_path: Path) -> None:
    kopia = RealKopia(tmp_path)
    with ear() as real, ear() as simulated:
        endpoint = ("--profile-name=lastgood", f"--endpoint={real.url}", "--http-header=X-Token:t", "--format=txt")
        kopia.write("notification", "profile", "configure", "webhook", *endpoint, "--min-severity=report")
        place = kopia.source("data", one="1")
        kopia.write("snapshot", "create", str(place), KOPIA_SEND_ERROR_NOTIFICATIONS="always")
        with pytest.raises(AssertionError, match="no such file"):
            kopia.write("snapshot", "create", str(place / "missing"), KOPIA_SEND_ERROR_NOTIFICATIONS="always")
        attempts = [{"hours_ago": 1, "size": 1, "files": 1, "dirs": 1}]
        with KopiaServer(size="none", sources=[{"source": f"root@web1:{place}", "attempts": attempts}]) as server:
            server.notify(simulated.url, f"root@web1:{place}", headers={"X-Token": "t"})
            died = {"source": f"root@web1:{place}/missing", "ended": "died", "error": "it broke"}
            server.notify(simulated.url, died, headers={"X-Token": "t"})
            server.notify(simulated.url, error="encountered 2 errors:", operation="snapshot create")

    def shape(told: tuple[str, dict[str, str], str]) -> list[str]:
        subject = told[1]["subject"].rpartition(" on ")[0]
        lines = [re.sub(r"^(  )?(\w+: +).*", r"\1\2", line) for line in told[2].splitlines()]
        lines = [line.split(" by ")[0][:12] for line in lines if not line.startswith("  Duration")]
        error = [line.startswith("encountered") for line in lines]
        if any(error):  # what the error was, and where in the program, is not compared
            lines = lines[: error.index(True)]
        return [subject, *lines]

    assert [shape(one) for one in real.heard] == [shape(one) for one in simulated.heard]
    assert all(told[1].get("x-token") == "t" for told in real.heard)


def test_a_real_server_answers_as_the_simulated_one(real: RealKopia, tmp_path: Path) -> None:
    with real.server() as address, KopiaServer(size="M", oddities=["file", "pinned_only"]) as server:
        for path in ("/api/v1/control/status", "/api/v1/control/sources"):
            request = urllib.request.Request(address + path)
            request.add_header("Authorization", "Basic " + b64encode(b"server-control:control-secret").decode())
            with urllib.request.urlopen(request, timeout=20) as answer:
                said, kind = json.loads(answer.read()), answer.headers["Content-Type"]
            told = ask(server, path)
            assert set(orders(said)) - set(orders(told.told)) <= {
                ("", "readonly"),
                (".sources[].lastSnapshot", "pins"),
            }
            assert kind == told.headers["content-type"]
