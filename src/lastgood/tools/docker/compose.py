"""The compose of a host: found, asked for its version, and given its orders as argument lists.

A stack's folder and what to do come in; compose's lines go to a sink while it works, its ending comes out. The one
rule: nothing of a stack's text reaches an argument list or the environment, and of the agent's own environment only
what says where the engine is, so that a text cannot read the agent's secrets. Compose 1.29 and 2.x to 5.x.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lastgood.errors import CollectError, ConfigError
from lastgood.model.stack import Compose
from lastgood.tools.restic.lines import LineSplitter
from lastgood.tools.restic.process import Ended, run

FILE, ENV = "compose.yaml", ".env"
ASK_SECONDS = 20.0
_LINE_BYTES = 64 * 1024
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?\S*")
_WORDS = (
    "PATH HOME USER LANG LC_ALL TZ XDG_RUNTIME_DIR XDG_CONFIG_HOME SSH_AUTH_SOCK "
    "DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy"
)
_PASSED = frozenset(_WORDS.split())

Sink = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A compose that answers. ``argv`` is how it is called."""

    argv: tuple[str, ...]
    kind: Compose
    version: str

    @property
    def number(self) -> tuple[int, int, int]:
        found = _VERSION.match(self.version)
        return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)

    @property
    def is_legacy(self) -> bool:
        return self.kind is Compose.LEGACY

    def waiting(self, seconds: int) -> list[str]:
        """The options by which it waits itself until all is healthy; none if it cannot."""
        if self.is_legacy or self.number < (2, 1, 1):
            return []
        return ["--wait", "--wait-timeout", str(seconds)] if self.number >= (2, 17, 0) else ["--wait"]


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What compose is given of our environment."""
    passed = {name: own[name] for name in own if name in _PASSED}
    # Colours and moving lines are for terminals; the answer is read by people far away.
    return {**passed, "COMPOSE_ANSI": "never", "COMPOSE_PROGRESS": "plain", "NO_COLOR": "1"}


async def find(env: Mapping[str, str]) -> Program:
    """The host's compose: the plugin of ``docker``, else ``docker-compose`` of any version. Raises ConfigError."""
    path = env.get("PATH", os.defpath)
    docker, alone = shutil.which("docker", path=path), shutil.which("docker-compose", path=path)
    if docker is not None and (version := await _version([docker, "compose"], env)) is not None:
        return Program((docker, "compose"), Compose.PLUGIN, version)
    if alone is not None and (version := await _version([alone], env)) is not None:
        kind = Compose.LEGACY if version.startswith(("1.", "v1.")) else Compose.STANDALONE
        return Program((alone,), kind, version)
    raise ConfigError(
        "This host has no docker compose; install the compose plugin of Docker, or docker-compose 1.29 or newer."
    )


def of_stack(program: Program, project: str, folder: Path | None) -> list[str]:
    """The beginning of each order: the program and the stack; without a folder, as the engine knows the project."""
    where = [] if folder is None else ["--project-directory", str(folder), "-f", str(folder / FILE)]
    return [*program.argv, *where, "-p", project]


async def order(
    argv: Sequence[str],
    env: Mapping[str, str],
    sink: Sink,
    *,
    seconds: float,
    cancel: asyncio.Event | None = None,
    grace_seconds: float = 10.0,
) -> Ended:
    """Give an order and see it to its end, its whole process group included. Raises ConfigError, CollectError."""
    streams = LineSplitter(_LINE_BYTES), LineSplitter(_LINE_BYTES)

    def into(splitter: LineSplitter) -> Callable[[bytes], None]:
        def feed(data: bytes) -> None:
            for line in splitter.feed(data):
                if line.strip():
                    sink(line.rstrip())

        return feed

    try:
        ended = await run(
            argv,
            env,
            on_stdout=into(streams[0]),
            on_stderr=into(streams[1]),
            deadline_after=seconds,
            cancel=cancel,
            grace_seconds=grace_seconds,
        )
    except (ConfigError, CollectError) as error:
        raise CollectError(f"{argv[0]} cannot be started; see that it is whole and may be run.") from error
    for line in (rest for one in streams for rest in one.close()):
        if line.strip():
            sink(line.rstrip())
    return ended


async def ask(argv: Sequence[str], env: Mapping[str, str], seconds: float = ASK_SECONDS) -> list[str] | None:
    """What it answers, line by line, at most 1,000 of them; None if it does not answer well or in time."""
    lines: list[str] = []

    def keep(line: str) -> None:
        if len(lines) < 1_000:
            lines.append(line)

    try:
        ended = await order(argv, env, keep, seconds=seconds, grace_seconds=1.0)
    except CollectError:
        return None
    return lines if ended.exit_code == 0 and ended.stopped is None else None


async def _version(argv: Sequence[str], env: Mapping[str, str]) -> str | None:
    for line in await ask([*argv, "version", "--short"], env) or ():
        if _VERSION.match(line.strip()):
            return line.strip()[:50]
    return None
