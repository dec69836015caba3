"""Equal parts of values held once: a large fleet says the same words hundreds of thousands of times.

Called by ``learn`` for what it will keep, since each fact arrives with texts of its own. The one rule: what goes out
equals what came in; only who else holds the same object differs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from lastgood.model.host import AgentInfo, Host
from lastgood.model.job import Run
from lastgood.model.repository import Repository
from lastgood.model.source import Source

_T = TypeVar("_T")


@lru_cache(maxsize=4096)
def _first(value: _T) -> _T:
    """The first of all equal values of late."""
    return value


def shared_source(source: Source, host: Host | None, repository: Repository) -> Source:
    """The source with what it has in common with its host, its repository, and other sources."""
    return replace(
        source,
        host_id=None if host is None else host.id,
        repository_id=repository.id,
        restic_host=host.name if host is not None and source.restic_host == host.name else source.restic_host,
        name=_first(source.name),
        paths=_first(source.paths),
        excludes=_first(source.excludes),
        schedule=_first(source.schedule),
        revised_at=source.created_at if source.revised_at == source.created_at else source.revised_at,
    )


def shared_run(run: Run, source: Source) -> Run:
    """The run with the ids of its source, and one moment where it began when it was due."""
    return replace(
        run,
        host_id=source.host_id or "",
        source_id=source.id,
        repository_id=source.repository_id if run.repository_id == source.repository_id else run.repository_id,
        due_at=run.started_at if run.due_at == run.started_at else run.due_at,
    )


def shared_info(info: AgentInfo) -> AgentInfo:
    return replace(
        info,
        agent_version=_first(info.agent_version),
        restic_version=_first(info.restic_version),
        os=_first(info.os),
        arch=_first(info.arch),
    )
