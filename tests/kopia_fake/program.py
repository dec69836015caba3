"""The fake ``kopia``: one call from its arguments to its exit code.

Comes in: arguments, the environment, the state folder with its scenario. Goes out: what Kopia would print, and a line
in ``calls.jsonl``. A command that would write is refused and remembered. Must start fast: nothing heavy is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from .commands import COMMANDS, Call
from .flags import COMMANDS as KNOWN
from .flags import Unknown, parsed
from .messages import MESSAGES
from .outlet import PROMPT, Ended, Outlet
from .scenario import Scenario

BUILD = "5a2f2f3c1bd24b1e4f8e6d0c7a1b9e3d5f7a9c2e"
REMEMBERED = ("TZ", "LC_ALL", "LANG", "HOME", "PATH", "HTTP_PROXY", "HTTPS_PROXY", "RCLONE_CONFIG")
TOO_MANY = 1000
PLAIN_ERRORS = (23, 0)  # seen in 0.23.1: lines on stderr have no level before them


def main(state: str) -> int:
    folder = Path(os.environ.get("FAKE_KOPIA_STATE") or state)
    scenario = Scenario.read(folder)
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        _remember(folder, "--version", writes=False)
        sys.stdout.write(f"{scenario.version} build: {BUILD} from: kopia/kopia\n")
        return 0
    try:
        command, flags, words = parsed(arguments, scenario.release)
    except Unknown as unknown:
        _remember(folder, " ".join(arguments[:2]), writes=False)
        sys.stderr.write(f"kopia: error: {unknown}, try --help\n")
        return 1
    writes = command not in COMMANDS or (command == "repository connect" and "readonly" not in flags)
    if command == "repository connect" and words[:1] == ["server"]:
        writes = False  # what an account may do is the server's affair
    _remember(folder, command, writes=writes)
    out = Outlet(folder, _faults(folder, scenario, command), "" if scenario.release >= PLAIN_ERRORS else "ERROR")
    config = _config(flags)
    try:
        if writes:
            out.fail(f"the fake does not write, and {command!r} would")
        out.begin()
        _open(scenario, out, command, config)
        COMMANDS[command](Call(scenario, out, flags, words, config))
        out.flush()
    except Ended as ended:
        return ended.code
    except BrokenPipeError:
        os._exit(1)
    return 0


def _open(scenario: Scenario, out: Outlet, command: str, config: Path) -> None:
    """What opening the repository may say before the command begins."""
    if command not in ("repository connect", "repository disconnect") and not config.exists():
        out.fail(MESSAGES["not_connected"])
    if command == "repository disconnect":
        return
    password = os.environ.get("KOPIA_PASSWORD")
    if password is None:
        out.write(PROMPT)
        out.fail(MESSAGES["prompt"])
    if password != scenario.password:
        out.fail(MESSAGES["password" if scenario.route == "direct" else "access_denied"])
    if KNOWN[command].direct and scenario.route != "direct":
        out.fail(MESSAGES["direct_only"])
    if scenario.index_blobs > TOO_MANY and scenario.route == "direct":
        out.complain(
            f"Found too many index blobs ({scenario.index_blobs}), this may result in degraded performance.\n\n"
            "Please ensure periodic repository maintenance is enabled or run 'kopia maintenance'."
        )
    if out.fault("ansi"):
        out.complain("unable to read cache entry: checksum mismatch")


def _config(flags: dict[str, list[str]]) -> Path:
    given = (flags.get("config-file") or [os.environ.get("KOPIA_CONFIG_PATH", "")])[-1] or "repository.config"
    if "/" in given:
        return Path(given)
    return Path(os.environ.get("HOME", "/"), ".config", "kopia", given)


def _faults(folder: Path, scenario: Scenario, command: str) -> list[dict[str, Any]]:
    """Those that strike this call; one that strikes so many times is counted in the folder."""
    found = []
    for number, fault in enumerate(scenario.faults):
        if fault.get("command", "*") not in ("*", command):
            continue
        struck = folder / f"struck.{number}"
        if "times" in fault:
            with struck.open("ab") as file:
                file.write(b".")
                if file.tell() > fault["times"]:
                    continue
        found.append(fault)
    return found


def _remember(folder: Path, command: str, *, writes: bool) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name.startswith("KOPIA_") or name in REMEMBERED
    }
    try:
        stdin = str(Path("/proc/self/fd/0").readlink())
    except OSError:
        stdin = ""
    told = {
        "argv": sys.argv[1:],
        "command": command,
        "writes": writes,
        "environment": environment,
        "stdin": stdin,
        "stdin_is_a_tty": os.isatty(0) if stdin else False,
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "started": time.time_ns(),
    }
    with (folder / "calls.jsonl").open("ab") as file:  # one write: calls may come at once
        file.write(json.dumps(told).encode() + b"\n")
