"""One deploy, stop or restart of a stack, from the policy to compose's last word.

A wish comes in with what this host allows; how it went goes out, and lines go to ``say`` while compose works. The one
rule: until this host's policy, our own look and compose's own have found the text good, nothing of the stack is
changed. Compose 1.29 and 2.x to 5.x.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lastgood.agent.ending import Cannot
from lastgood.agent.policy import Policy
from lastgood.agent.stack_folder import StackFolder
from lastgood.agent.stack_words import StackWords
from lastgood.model.job import Outcome
from lastgood.model.stack import Compose, StackAction
from lastgood.tools.docker import compose, text
from lastgood.tools.docker.compose import Program
from lastgood.tools.restic.process import Ended
from lastgood.wire.frames import DeployNow

LOOK_SECONDS = 1.0
CONFIG_SECONDS = 60.0
_EXITED = re.compile(r"Exited \((\d+)\)")
_WORKING_DIR = "com.docker.compose.project.working_dir"


@dataclass(slots=True)
class Done:
    """How it went; filled while it goes, so that whatever breaks it off leaves what was known by then."""

    outcome: Outcome = Outcome.FAILED
    exit_code: int | None = None
    touched: bool = False
    compose: Compose | None = None
    compose_version: str | None = None
    cause: str | None = None
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Deploying:
    """One wish at work. ``env`` is what compose is given of our environment."""

    wish: DeployNow
    policy: Callable[[], Policy]
    root: Path
    words: StackWords
    env: Mapping[str, str]
    cancel: asyncio.Event
    done: Done = field(default_factory=Done)
    ends_at: float = 0.0

    async def perform(self) -> Done:
        """Do it. Raises Cannot, ConfigError or CollectError for what cannot be done; ``done`` tells the rest."""
        wish = self.wish
        self.ends_at = time.monotonic() + wish.seconds
        text.check_project(wish.project)
        self.policy().check_deploy(wish.project)
        folder = StackFolder(self.root, wish.project)
        await self._mask(folder)
        program = await compose.find(self.env)
        self.done.compose, self.done.compose_version = program.kind, program.version
        if wish.action is StackAction.DEPLOY:
            await self._deploy(program, folder)
        else:
            await self._turn(program, folder)
        return self.done

    async def _mask(self, folder: StackFolder) -> None:
        wish = self.wish
        held = await asyncio.to_thread(folder.held)
        if wish.action is StackAction.DEPLOY:
            if wish.text is None:
                raise Cannot("The wish for a deploy brings no text; ask again.", "bad_wish")
            await asyncio.to_thread(text.check_text, wish.text, wish.env)
            await asyncio.to_thread(lambda: self.words.mask(text.secrets_of(wish.text or "", wish.env)))
        await asyncio.to_thread(lambda: self.words.mask(text.secrets_of(*held)))

    async def _deploy(self, program: Program, folder: StackFolder) -> None:
        wish = self.wish
        if not wish.take_over:
            await self._check_origin(folder)
        await asyncio.to_thread(folder.put, wish.text or "", wish.env)
        beginning = compose.of_stack(program, wish.project, folder.path)
        kept = False
        try:
            seen = await self._order([*beginning, "config", "-q"], CONFIG_SECONDS)
            if seen.exit_code != 0 or seen.stopped is not None:
                self.done.exit_code = seen.exit_code
                self._fail(seen, "refused_text", "Compose does not take this text, and nothing was changed")
                return
            kept = True
        finally:
            await asyncio.to_thread(folder.keep if kept else folder.mend)
        self.done.touched = True
        waits = program.waiting(max(int(self._left()), 1)) if wish.wait else []
        ended = await self._order([*beginning, "up", "-d", "--remove-orphans", *waits])
        self.done.exit_code = ended.exit_code
        if ended.exit_code != 0 or ended.stopped is not None:
            self._fail(ended, "compose_failed", "Compose did not bring the stack up")
        elif wish.wait and not waits and (sick := await self._until_healthy()):
            self.done.cause, self.done.reason = "unhealthy", f"The stack was brought up, but {sick}."
        else:
            self._well("The stack is up" + (" and healthy." if wish.wait else "."))

    async def _turn(self, program: Program, folder: StackFolder) -> None:
        """Stop or restart it, by our text or, where it is another's stack, by what the engine knows of it."""
        ours = await asyncio.to_thread(lambda: folder.is_ours)
        if not ours and program.is_legacy:
            raise Cannot(
                f"{self.wish.project} was not deployed from here, and docker-compose {program.version} needs its "
                "text for that; deploy it first, or install the compose plugin.",
                "no_text",
            )
        beginning = compose.of_stack(program, self.wish.project, folder.path if ours else None)
        self.done.touched = True
        ended = await self._order([*beginning, self.wish.action.value])
        self.done.exit_code = ended.exit_code
        if ended.exit_code != 0 or ended.stopped is not None:
            self._fail(ended, "compose_failed", f"Compose did not {self.wish.action.value} the stack")
        else:
            self._well(
                "The stack was stopped." if self.wish.action is StackAction.STOP else "The stack was restarted."
            )

    async def _check_origin(self, folder: StackFolder) -> None:
        """Paths such as ``./data`` mean another place in another folder: its data would seem to be gone."""
        for line in await self._listed(f'{{{{.Label "{_WORKING_DIR}"}}}}') or ():
            if line.strip() and Path(line.strip()) != folder.path:
                raise Cannot(
                    f"{self.wish.project} runs from {line.strip()[:200]} already, and its relative paths would mean "
                    "other folders from here; ask with take_over if that is meant.",
                    "runs_from_elsewhere",
                )

    async def _until_healthy(self) -> str | None:
        """What is not well with the stack, once nothing is starting any more; None if all is, or nobody can tell."""
        while True:
            lines = await self._listed("{{.Names}}\t{{.Status}}")
            if lines is None:
                self.words.add("lastgood: without the docker command nobody can see whether the stack is healthy")
                return None
            told = [line.partition("\t")[::2] for line in lines]
            for name, status in told:
                exited = _EXITED.match(status)
                if "(unhealthy)" in status or status.startswith("Dead") or (exited and exited[1] != "0"):
                    return f"{name} is {status}"
            starting = [
                one for one in told if not one[1].startswith(("Up", "Exited")) or "health: starting" in one[1]
            ]
            if not starting:
                return None
            if self._left() <= LOOK_SECONDS or self.cancel.is_set():
                return f"{starting[0][0]} is still {starting[0][1]}"
            await asyncio.sleep(LOOK_SECONDS)

    async def _listed(self, form: str) -> list[str] | None:
        """A line for each container of the stack; None if there is no docker command that answers."""
        labels = (f"com.docker.compose.project={self.wish.project}", "com.docker.compose.oneoff=False")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        return await compose.ask(["docker", "ps", "--all", *filters, "--format", form], self.env)

    async def _order(self, argv: list[str], most_seconds: float | None = None) -> Ended:
        left = self._left()
        if left <= 0:
            return Ended(exit_code=1, stopped="deadline", forced=False, seconds=0.0)
        seconds = left if most_seconds is None else min(left, most_seconds)
        return await compose.order(argv, self.env, self.words.add, seconds=seconds, cancel=self.cancel)

    def _left(self) -> float:
        return self.ends_at - time.monotonic()

    def _well(self, reason: str) -> None:
        self.done.outcome, self.done.reason = Outcome.SUCCESS, reason

    def _fail(self, ended: Ended, cause: str, what: str) -> None:
        done = self.done
        if ended.stopped == "cancelled":
            done.outcome, done.cause, done.reason = Outcome.CANCELLED, "cancelled", "It was cancelled while it ran."
        elif ended.stopped == "deadline":
            done.cause, done.reason = "timeout", f"{what} within {self.wish.seconds:g} s."
        else:
            last = self.words.last()
            done.cause, done.reason = cause, f"{what}: {last}" if last else f"{what} (exit code {ended.exit_code})."
