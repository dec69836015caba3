"""A host with composes that do as a test says: programs in a folder that stands first on PATH.

``docker`` and ``docker-compose`` here are scripts that note how they were called, with what they saw, and then follow
the lines of ``says``: what to print, how long to hang, how to end. The one rule: whatever is not asked for by a test
ends well and says nothing.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastgood.model.stack import StackAction
from lastgood.wire.frames import DeployNow
from tests.agent.working import Place
from tests.builders import an_id
from tests.hub.rig import HOST, Rig
from tests.waiting import until

TEXT = "services:\n  web:\n    image: lg-test/web:1\n    environment:\n      DB_PASSWORD: hunter-two-of-web\n"
ENV = "DB_PASSWORD=correct horse battery\nPORT=8443\n"

_SCRIPT = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path({folder!r})
argv = sys.argv[1:]
name = os.path.basename(sys.argv[0])
seen = {{"name": name, "argv": argv, "env": dict(os.environ)}}
if "-f" in argv:
    file = pathlib.Path(argv[argv.index("-f") + 1])
    seen["text"] = file.read_text()
    seen["env_file"] = (file.parent / ".env").read_text() if (file.parent / ".env").exists() else None
    seen["modes"] = [file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777]
with (here / "calls").open("a") as log:
    log.write(json.dumps(seen) + "\\n")
says = json.loads((here / "says.json").read_text())
words = [name] + argv
for rule in says:
    if all(word in words for word in rule["when"]):
        for line in rule.get("out", []):
            print(line, flush=True)
        for line in rule.get("err", []):
            print(line, file=sys.stderr, flush=True)
        for number in range(rule.get("flood", 0)):
            print("line", number, "of a flood that nobody reads")
        if "hang" in rule:
            (here / "hangs").write_text(str(os.getpid()))
            time.sleep(rule["hang"])
        sys.exit(rule.get("exit", 0))
"""

PLUGIN: dict[str, Any] = {"when": ["docker", "compose", "version"], "out": ["2.26.1"]}
STANDALONE: dict[str, Any] = {"when": ["docker-compose", "version"], "out": ["v2.20.3"]}
LEGACY: dict[str, Any] = {"when": ["docker-compose", "version"], "out": ["1.29.2"]}
NO_PLUGIN: dict[str, Any] = {"when": ["docker", "compose"], "err": ["docker: 'compose' is no command"], "exit": 1}


@dataclass
class Engine:
    """The host's programs; ``folder`` is to stand first on PATH."""

    folder: Path

    def has(self, *names: str) -> None:
        """These programs, and no others of theirs."""
        self.folder.mkdir(exist_ok=True)
        for name in ("docker", "docker-compose"):
            (self.folder / name).unlink(missing_ok=True)
        for name in names:
            program = self.folder / name
            program.write_text(_SCRIPT.format(python=sys.executable, folder=str(self.folder)))
            program.chmod(0o755)

    def says(self, *rules: dict[str, Any]) -> None:
        """The first rule whose words are all in a call says what happens."""
        draft = self.folder / "says.new"
        draft.write_text(json.dumps(rules))
        draft.replace(self.folder / "says.json")

    @property
    def calls(self) -> list[dict[str, Any]]:
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def argvs(self, word: str) -> list[list[str]]:
        """The calls in which this word stands."""
        return [call["argv"] for call in self.calls if word in call["argv"]]

    @property
    def hanging(self) -> int | None:
        """The process that hangs."""
        path = self.folder / "hangs"
        return int(path.read_text()) if path.exists() and path.read_text() else None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\tZ" not in Path(f"/proc/{pid}/status").read_text().partition("State:")[2][:4]


def allow(place: Place, words: str = "true") -> None:
    path = place.folder / "agent-policy.toml"
    path.write_text(f"allow_deploy = {words}\n")
    path.chmod(0o644)


async def deploy_now(rig: Rig, name: str = "deploy", **wish: Any) -> str:
    """Have the agent deploy; answers the deploy's id."""
    fields = {"action": StackAction.DEPLOY, "project": "shop", "text": TEXT, "seconds": 20.0} | wish
    frame = DeployNow(id=an_id("deploy", name), **fields)

    async def reach() -> bool:
        return await rig.roster.send(HOST.id, frame)

    await until(reach, "the agent is connected")
    return frame.id


def words_of(rig: Rig, deploy_id: str) -> list[str]:
    return rig.roster.words.since(deploy_id)[0]
