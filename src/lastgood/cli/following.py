"""Following a run to its end: a bar on a terminal, lines elsewhere.

Comes in: a hub and a run's id. Goes out: the run as it ended. The one rule: only what the hub says of the end counts;
a hub that is away for a moment is waited for, a run that nobody knows any more is told as such.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from lastgood.cli.ask import Hub, NoSuch
from lastgood.cli.tables import text
from lastgood.errors import LastgoodError, Unreachable

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
"""How long a hub that does not answer is waited for, as while it is restarted."""

WELL = frozenset({"success", "unchanged"})


def follow(hub: Hub, run_id: str) -> dict[str, Any]:
    """The run as it ended. Raises NoSuch if it never came to be."""
    with _screen() as screen:
        while True:
            run: dict[str, Any] = _asked(hub, run_id)["run"]
            screen.show(run)
            if run["outcome"] is not None:
                return run
            time.sleep(EVERY_SECONDS)


def ended_well(run: dict[str, Any]) -> bool:
    return run["outcome"] in WELL


def told(run: dict[str, Any]) -> str:
    """One sentence on how a run ended."""
    what = run.get("source") or run.get("repository")
    of = f" of {what}" if what else ""
    reason = f": {run['reason']}" if run.get("reason") else "."
    return text(f"{run['kind'].capitalize()}{of} on {run['host']} ended as {run['outcome']}{reason}")


def _asked(hub: Hub, run_id: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer: dict[str, Any] = hub.get(f"/runs/{run_id}")
        except Unreachable:
            if time.monotonic() >= until:
                raise
            time.sleep(EVERY_SECONDS)
        except NoSuch as error:
            raise LastgoodError(
                f"Nobody knows of run {run_id} any more: its host was removed, or the hub was restarted before the "
                "agent heard of it; ask again."
            ) from error
        else:
            return answer


class _Lines:
    """A line for each thing that is new; for logs and pipes."""

    def __init__(self) -> None:
        self._said = ""
        self._tenth = -1

    def show(self, run: dict[str, Any]) -> None:
        if run["outcome"] is not None:
            return
        if run["status"] != self._said:
            self._said = run["status"]
            typer.echo(f"run {run['id']} is {self._said} on {text(run['host'])}", err=True)
        progress = run["progress"]
        if progress is not None and int(progress["fraction"] * 10) > self._tenth:
            self._tenth = int(progress["fraction"] * 10)
            typer.echo(
                f"run {run['id']}: {progress['fraction']:.0%}, {progress['files_done']} of "
                f"{progress['files_total']} files",
                err=True,
            )


class _Bar:
    """One line that moves."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("asked for", total=None)

    def show(self, run: dict[str, Any]) -> None:
        told = run["progress"]
        what = f"{run['kind']} on {text(run['host'])}: {run['status']}"
        if told is not None and told["fraction"] > 0:
            self._progress.update(self._task, description=what, total=1.0, completed=told["fraction"])
        else:
            self._progress.update(self._task, description=what)


@contextmanager
def _screen() -> Iterator[_Lines | _Bar]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)
