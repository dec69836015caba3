"""Where a wish for a run goes: which host does it, on which repository. Pure.

A wish and what is known come in, an aim or ``Refused`` with one sentence goes out. The one rule: what an agent could
only fail at, for want of an order, a retention or access, is refused here, before anybody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lastgood.errors import ConfigError, Refused
from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.hub.wishes import Wish
from lastgood.model.job import RunKind
from lastgood.model.source import Source
from lastgood.tools.restic.orders import check_keep

_OF_A_SOURCE = frozenset({RunKind.BACKUP, RunKind.FORGET})
_DONE = frozenset(
    {
        *_OF_A_SOURCE,
        RunKind.INIT,
        RunKind.CHECK,
        RunKind.UNLOCK,
        RunKind.PRUNE,
        RunKind.RESTORE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The host that is to do it, and the repository that it is about."""

    host_id: str
    repository_id: str


def aim(known: Fleet | FleetView, wish: Wish, is_connected: Callable[[str], bool]) -> Aim:
    """Where the wish goes. Raises Refused."""
    if wish.kind not in _DONE:
        raise Refused(f"No agent does a {wish.kind.value} yet.", retry=False)
    if (wish.restore is not None) is not (wish.kind is RunKind.RESTORE):
        raise Refused("A restore, and only that, says what to restore.", retry=False)
    if wish.check_subset is not None and wish.kind is not RunKind.CHECK:
        raise Refused("Only a check reads a part of the data.", retry=False)
    if wish.source_id is not None:
        return _of_source(known, wish, is_connected)
    if wish.kind in _OF_A_SOURCE:
        raise Refused(f"A {wish.kind.value} is of one source; name it.", retry=False)
    if wish.repository_id is None:
        raise Refused(f"Name the repository to {wish.kind.value}, or one of its sources.", retry=False)
    return _of_repository(known, wish, wish.repository_id, is_connected)


def _of_source(known: Fleet | FleetView, wish: Wish, is_connected: Callable[[str], bool]) -> Aim:
    source = known.sources.get(wish.source_id or "")
    if source is None:
        raise Refused(f"There is no source {wish.source_id}; list them to find the right id.", retry=False)
    if wish.repository_id not in (None, source.repository_id):
        raise Refused(f"{source.name} is backed up into another repository; name the source alone.", retry=False)
    if source.archived_by is not None:
        raise Refused(f"{source.name} is archived; take it out of the archive first.", retry=False)
    if source.collected is not None:
        raise Refused(
            f"{source.name} is backed up by {source.tool}, which lastgood only asks; start it there.", retry=False
        )
    if source.host_id is None:
        raise Refused(
            f"{source.name} was found in its repository and no agent of ours makes it; start it where it runs, "
            "or adopt it into a source of an agent.",
            retry=False,
        )
    if wish.kind is RunKind.FORGET:
        _check_retention(source)
    if wish.host_id in (None, source.host_id):
        return Aim(host_id=source.host_id, repository_id=source.repository_id)
    if wish.kind in _OF_A_SOURCE:
        raise Refused(f"{source.name} belongs to another host, which alone does that.", retry=False)
    if wish.restore is not None and wish.restore.snapshot == "latest":
        raise Refused("Another host knows no latest snapshot of this source; name the snapshot.", retry=False)
    return _of_repository(known, wish, source.repository_id, is_connected)


def _of_repository(
    known: Fleet | FleetView, wish: Wish, repository_id: str, is_connected: Callable[[str], bool]
) -> Aim:
    repository = known.repositories.get(repository_id)
    if repository is None:
        raise Refused(f"There is no repository {repository_id}; list them to find the right id.", retry=False)
    if wish.restore is not None and wish.source_id is None and wish.restore.snapshot == "latest":
        raise Refused(
            "The latest snapshot of a whole repository may be anybody's; name one, or a source.", retry=False
        )
    if repository.collector is not None:
        raise Refused(f"{repository.name} is looked after by its own server; do it there.", retry=False)
    hosts = _users(known, repository_id)
    if wish.host_id is not None:
        if wish.host_id not in known.hosts:
            raise Refused(f"There is no host {wish.host_id}; list them to find the right id.", retry=False)
        if wish.host_id not in hosts:
            name = known.hosts[wish.host_id].name
            raise Refused(f"{name} has no access to {repository.name}: none of its sources goes there.", retry=False)
        return Aim(host_id=wish.host_id, repository_id=repository_id)
    if not hosts:
        raise Refused(f"No agent has access to {repository.name}; give one a source that goes there.", retry=False)
    return Aim(host_id=next((one for one in hosts if is_connected(one)), hosts[0]), repository_id=repository_id)


def _users(known: Fleet | FleetView, repository_id: str) -> list[str]:
    """The hosts with a live source in the repository, each once, that of the oldest source first; then its watcher.

    Those whose sources have a retention come before the others: they alone are given what may delete.
    """
    sources = [known.sources[i] for i in known.sources_of_repository.get(repository_id, ())]
    live = [source for source in sources if source.archived_by is None and source.host_id is not None]
    live.sort(key=lambda source: source.keep is None)
    watcher = known.repositories[repository_id].watched_by
    hosts = [*(source.host_id for source in live), watcher if watcher in known.hosts else None]
    return list(dict.fromkeys(host_id for host_id in hosts if host_id is not None))


def _check_retention(source: Source) -> None:
    if source.keep is None:
        raise Refused(
            f"{source.name} has no retention, so nothing says what may be forgotten; set what to keep first.",
            retry=False,
        )
    try:
        check_keep(source.keep)
    except ConfigError as error:
        raise Refused(f"The retention of {source.name} cannot be used: {error}.", retry=False) from error
