"""The test's side of the fake ``kopia``: writes a scenario and an executable, tells what was called and what is true.

``with FakeKopia(tmp_path, size="M", version="0.15.0") as kopia:`` gives ``kopia.path`` for wherever a Kopia binary is
asked for. Leaving the block fails the test if any call would have written to the repository.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from .scenario import Scenario
from .truth import truth

ROOM = Path(__file__).resolve().parent.parent  # the folder in which the package lies
PROGRAM = """#!{python} -IS
import sys
sys.path.insert(0, {room!r})
from kopia_fake.program import main
sys.exit(main({state!r}))
"""


class FakeKopia:
    """A ``kopia`` in a folder of its own, with the scenario it plays."""

    def __init__(self, folder: Path, **scenario: Any) -> None:
        self.state = folder / "fake-kopia"
        self.state.mkdir(parents=True, exist_ok=True)
        self.path = self.state / "kopia"
        self.scenario = Scenario(**scenario)
        self.scenario.write(self.state)
        self.install()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.end_hanging()
        if kind is None:
            assert self.written() == [], "a command that writes to the repository was called"

    def install(self) -> None:
        """Put the program in its place, executable."""
        python = Path(sys.executable)
        self.path.write_text(PROGRAM.format(python=python, room=str(ROOM), state=str(self.state)))
        self.path.chmod(0o755)

    def missing(self) -> None:
        self.path.unlink()

    def not_executable(self) -> None:
        self.path.chmod(0o644)

    def change(self, **scenario: Any) -> None:
        """From the next call on it is like this."""
        for name, value in scenario.items():
            if not hasattr(self.scenario, name):
                raise ValueError(f"a scenario has no {name!r}")
            setattr(self.scenario, name, value)
        self.scenario.__post_init__()
        for counted in self.state.glob("struck.*"):
            counted.unlink()
        self.scenario.write(self.state)

    def faults(self, *faults: dict[str, Any]) -> None:
        """These instead of those there are; none: all is well."""
        self.change(faults=list(faults))

    def calls(self, command: str | None = None) -> list[dict[str, Any]]:
        """Every call so far in order, or those of one command."""
        try:
            found = [json.loads(line) for line in (self.state / "calls.jsonl").read_text().splitlines()]
        except FileNotFoundError:
            return []
        return [call for call in found if command in (None, call["command"])]

    def written(self) -> list[list[str]]:
        """The arguments of calls that would have changed the repository."""
        return [call["argv"] for call in self.calls() if call["writes"]]

    def connect(self, config: Path | None = None, *, readonly: bool = True) -> Path:
        """The config file of a connection, as ``repository connect`` would leave it."""
        config = config or self.state / "repository.config"
        config.parent.mkdir(parents=True, exist_ok=True)
        options = {"hostname": "monitor", "username": "lastgood"} | ({"readonly": True} if readonly else {})
        config.write_text(json.dumps({"storage": {"type": self.scenario.storage}, "clientOptions": options}))
        return config

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """One call as a careful caller makes it; an empty value takes a variable away."""
        config = self.state / "repository.config"
        if not config.exists():
            self.connect(config)
        given = {"PATH": "/usr/bin:/bin", "HOME": str(self.state), "KOPIA_CONFIG_PATH": str(config)}
        given |= {"KOPIA_PASSWORD": self.scenario.password} | environment
        return subprocess.run(
            [self.path, *arguments],
            env={name: value for name, value in given.items() if value},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def truth(self) -> dict[str, Any]:
        """What a good collector says about this scenario; told from the plan, not from what is printed."""
        return truth(self.scenario)

    def hanging(self) -> list[int]:
        """Processes of hanging calls that still live."""
        try:
            pids = [int(line) for line in (self.state / "hanging").read_text().split()]
        except FileNotFoundError:
            return []
        return [pid for pid in pids if _lives(pid)]

    def end_hanging(self) -> None:
        for pid in self.hanging():
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    """A process that is over and only waits for its parent does not live."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
