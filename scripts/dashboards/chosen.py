"""The series that the variables choose, and pieces of queries that several panels share."""

from __future__ import annotations

from scripts.dashboards.parts import STATE_COLOURS

SOURCES = 'tool=~"$tool", host=~"$host", repository=~"$repository"'
REPOSITORIES = 'tool=~"$tool", repository=~"$repository"'
"""A repository belongs to no host."""

BY_SOURCE = "max by (source, host, name, tool, repository)"
BY_REPOSITORY = "max by (repository, repository_id, tool)"
NAMED = "{{host}} {{name}}"

BAD = [state for state in STATE_COLOURS if state not in ("new", "good", "paused", "archived")]


def of_source(family: str, *more: str) -> str:
    """A family of sources as the variables narrow it."""
    return f"{family}{{{', '.join((SOURCES, *more))}}}"


def of_repository(family: str) -> str:
    return f"{family}{{{REPOSITORIES}}}"


def in_state(state: str) -> str:
    return of_source("backup_source_state", f'state="{state}"')


def minded(expr: str) -> str:
    """Without sources that somebody paused or archived; ``expr`` must keep all labels of a source."""
    unminded = of_source("backup_source_state", 'state=~"paused|archived"')
    return f"({expr} unless ignoring (state) {unminded})"


def or_zero(expr: str, known: str) -> str:
    """Zero instead of nothing, but only where there is something of which nothing was found."""
    return f"{expr} or 0 * {known}"


def past_target() -> str:
    """How much of its target each source's last good backup has used up."""
    age = f"(time() - {of_source('backup_last_good_timestamp_seconds')})"
    return minded(f"{age} / {of_source('backup_target_seconds')}")
