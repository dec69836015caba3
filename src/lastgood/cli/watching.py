"""The first look into a repository that is watched: waited for, and told series by series.

Comes in: a hub and a repository that was just made known. Goes out: a table, or the reason why nobody can look. The
one rule: it says what the hub says; nothing is judged here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import typer

from lastgood.cli.ask import Hub
from lastgood.errors import Unreachable

SECONDS = 120.0
EVERY_SECONDS = 0.5

COLUMNS = (
    ("Series", "full_name"),
    ("Last good", "last_good"),
    ("Rhythm", "rhythm"),
    ("State", "state"),
    ("Why", "reason"),
)


def first_look(
    hub: Hub, repository_id: str, *, seconds: float = SECONDS, pause: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The repository once it was looked into, or once a look was answered with no. Raises Unreachable for neither."""
    deadline = time.monotonic() + seconds
    while True:
        repository: dict[str, Any] = hub.get(f"/repositories/{repository_id}")
        refused = repository["observed_at"] is not None and repository["probe"] != "ready"
        if repository["surveyed_at"] is not None or refused:
            return repository
        if time.monotonic() >= deadline:
            raise Unreachable(
                f"{repository['name']} was added, but nobody has looked into it within {seconds:g} s; its page shows "
                "the first look when it comes."
            )
        pause(EVERY_SECONDS)


def sources_of(hub: Hub, repository_id: str) -> list[dict[str, Any]]:
    """What is known to be in the repository."""
    return list(hub.every("/sources", repository_id=repository_id))


def tell(repository: dict[str, Any], sources: list[dict[str, Any]], now: datetime) -> None:
    """Print what the first look showed. Exit code 1 if the repository could not be read."""
    from lastgood.cli.naming import full_name
    from lastgood.cli.tables import show, text
    from lastgood.web.words import ago

    if repository["surveyed_at"] is None:
        typer.echo(f"It cannot be read: {text(repository['reason'] or repository['probe'])}", err=True)
        name = text(repository["name"])
        typer.echo(
            f"{name} stays known and is looked into again; change it with lastgood repository set {name}, or take it "
            f"out with lastgood repository remove {name}.",
            err=True,
        )
        raise typer.Exit(1)
    plural = "" if repository["snapshots"] == 1 else "s"
    typer.echo(f"{repository['snapshots']:,} snapshot{plural} in {len(sources):,} series:")
    for row in sources:
        row["full_name"] = full_name(row)
        row["last_good"] = ago(_moment(row["last_good_at"]), now)
        row["rhythm"] = rhythm_of(row)
    show(sources, COLUMNS, as_json=False, nothing="Nothing was backed up into it yet.")
    for one in repository["findings"]:
        typer.echo(f"Finding: {text(one['sentence'])}")


def rhythm_of(source: dict[str, Any]) -> str | None:
    """How often its snapshots come; None for a source that an agent makes, and while nobody knows."""
    from lastgood.web.words import span

    seconds = source["rhythm_seconds"]
    return None if seconds is None else f"about every {span(seconds)}"


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
