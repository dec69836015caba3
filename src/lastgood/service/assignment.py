"""What each agent is to do, made from what the fleet knows and what the hub holds for it. Pure.

The version is a digest of the content, so the same orders never look new to an agent; credentials stand in it by
their revision, so that it tells nothing of them. The one rule: the credentials that may delete go to those hosts
alone whose sources have old snapshots forgotten.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec

from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.model.repository import Repository, Slot
from lastgood.model.source import Source
from lastgood.wire import frames
from lastgood.wire.frames import Assignment, Held, Order, RepositoryAccess

FindHeld = Callable[[Repository, Slot], Held | None]

LARGEST = frames.FRAME_LIMIT - 64 * 1024
"""What the orders of one host may come to: they travel as one frame."""


def nothing_held(_repository: Repository, _slot: Slot) -> Held | None:
    """For a hub that holds no credentials."""
    return None


def assignment(fleet: Fleet | FleetView, host_id: str, held: FindHeld = nothing_held) -> Assignment:
    """The orders and repositories of one host; archived sources are not ordered any more."""
    live = _live(fleet, host_id)
    orders = tuple(_order(source) for source in live)
    accesses = []
    revisions = []
    watched = fleet.watched_by_host.get(host_id, ())
    for repository_id in sorted({*watched, *(source.repository_id for source in live)}):
        repository = fleet.repositories[repository_id]
        bare = RepositoryAccess(
            id=repository.id,
            name=repository.name,
            url=repository.url,
            password_file=repository.password_file,
            environment_file=repository.environment_file,
            initialise=_may_initialise(fleet, host_id, repository.id),
            watch=repository_id in watched,
        )
        slots = slots_for(repository, live)
        revisions.append((bare, slots, repository.held_revision if slots else None))
        given = {slot: held(repository, slot) for slot in slots}
        accesses.append(
            msgspec.structs.replace(bare, held=given.get(Slot.EVERYDAY), admin=given.get(Slot.ADMIN))
            if slots
            else bare
        )
    content = msgspec.json.encode((revisions, orders))
    version = hashlib.sha256(content).hexdigest()[:16]
    return Assignment(version=version, repositories=tuple(accesses), orders=orders)


def slots_for(repository: Repository, live: Iterable[Source]) -> tuple[Slot, ...]:
    """Which of the credentials that are held a host with these sources is given."""
    if not repository.held:
        return ()
    forgets = any(source.repository_id == repository.id and source.keep is not None for source in live)
    return tuple(slot for slot in repository.held if slot is not Slot.ADMIN or forgets)


def with_source(view: FleetView, source: Source) -> FleetView:
    """The moment as it would be with this source, for what is asked of one host; nothing large is copied."""
    host_id = source.host_id or ""
    ids = tuple(sorted({*view.sources_of_host.get(host_id, ()), source.id}))
    return replace(
        view,
        sources=ChainMap({source.id: source}, view.sources),  # type: ignore[arg-type]
        sources_of_host=ChainMap({host_id: ids}, view.sources_of_host),  # type: ignore[arg-type]
    )


def with_repository(view: FleetView, repository: Repository) -> FleetView:
    """The moment as it would be with the repository changed to this."""
    changed = ChainMap({repository.id: repository}, view.repositories)  # type: ignore[arg-type]
    return replace(view, repositories=changed)


def too_large(view: FleetView, host_id: str, held: FindHeld) -> str | None:
    """Why the orders of this host cannot be sent to its agent, in one sentence; None if they can."""
    total = size(assignment(view, host_id, held))
    if total <= LARGEST:
        return None
    return (
        f"The orders of {view.hosts[host_id].name} would come to {total // 1024} KiB, and no more than "
        f"{LARGEST // 1024} KiB reach an agent in one message; name folders instead of single files, or leave out "
        "some excludes."
    )


def size(given: Assignment) -> int:
    """How many bytes the orders come to on their way."""
    return len(frames.encode(given))


def _live(fleet: Fleet | FleetView, host_id: str) -> list[Source]:
    sources = (fleet.sources[i] for i in fleet.sources_of_host.get(host_id, ()))
    return sorted((source for source in sources if source.archived_by is None), key=lambda source: source.id)


def _order(source: Source) -> Order:
    return Order(
        source_id=source.id,
        name=source.name,
        repository_id=source.repository_id,
        restic_host=source.restic_host,
        tag=source.tag,
        paths=source.paths,
        excludes=source.excludes,
        schedule=source.schedule,
        paused_until=source.paused_until,
        keep=source.keep,
    )


def _may_initialise(fleet: Fleet | FleetView, host_id: str, repository_id: str) -> bool:
    """Whether this host makes the repository if it is missing.

    Once it was seen, one that is missing is a fault to be told, never to be papered over. Before that one host alone
    may, that of the oldest source: two that begin at the same minute would spoil it for each other.
    """
    if fleet.repository_evidence_of(repository_id).identity is not None:
        return False
    sources = (fleet.sources[i] for i in fleet.sources_of_repository.get(repository_id, ()))
    oldest = next((source for source in sources if source.archived_by is None and source.host_id is not None), None)
    return oldest is not None and oldest.host_id == host_id
