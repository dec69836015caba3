"""Agent reports -> facts. Pure; the moment of receipt and the authenticated host are passed in.

The one rule: a report speaks only for the host that sent it, whatever it says. Instants of the agent's clock are
never let into the future of the hub's: a finish "tomorrow" would hide missing backups until tomorrow.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lastgood.model import fact
from lastgood.model.docker import MOST_CONTAINERS, MOST_VOLUMES, Inventory
from lastgood.model.job import Run
from lastgood.model.stack import Deploy
from lastgood.wire import frames

LONGEST_WORDS = 2_000
MOST_AHEAD_SECONDS = 86_400.0
"""No clock is believed to be ahead by more: its word about the future would hide missing backups until then."""


def translate(said: frames.Said, host_id: str, at: datetime, ahead_seconds: float = 0.0) -> fact.Fact:
    """The fact that a report states; ``at`` is when the hub received it, and ``ahead_seconds`` how far it found the
    agent's clock to be ahead of its own."""
    origin = fact.agent_origin(host_id)
    match said:
        case frames.Started(run=run):
            start = replace(run, host_id=host_id, started_at=min(run.started_at, at))
            return fact.RunStarted(at=at, origin=origin, run=start)
        case frames.Finished(run=run):
            return fact.RunFinished(at=at, origin=origin, run=_bound(run, host_id, at, ahead_seconds))
        case frames.DeployBegun(deploy=deploy):
            begun = replace(deploy, host_id=host_id, started_at=min(deploy.started_at, at))
            return fact.DeployStarted(at=at, origin=origin, deploy=begun)
        case frames.DeployEnded(deploy=ended):
            return fact.DeployFinished(at=at, origin=origin, deploy=_bound_deploy(ended, host_id, at))
        case frames.Probed():
            return fact.RepositoryProbed(
                at=at,
                origin=origin,
                repository_id=said.repository_id,
                probe=said.probe,
                probed_at=min(said.probed_at, at),
                identity=said.identity,
                message=said.message,
            )
        case frames.Sized():
            return fact.RepositorySized(
                at=at,
                origin=origin,
                repository_id=said.repository_id,
                sized_at=min(said.sized_at, at),
                size_bytes=said.size_bytes,
                uncompressed_bytes=said.uncompressed_bytes,
                snapshots=said.snapshots,
            )
        case frames.Locks():
            return fact.LocksListed(
                at=at,
                origin=origin,
                repository_id=said.repository_id,
                listed_at=min(said.listed_at, at),
                locks=said.locks,
            )
        case frames.Snapshots():
            return fact.SnapshotsListed(
                at=at,
                origin=origin,
                repository_id=said.repository_id,
                listed_at=min(said.listed_at, at),
                total=said.total,
                series=said.series,
                truncated=said.truncated,
                duplicates=said.duplicates,
            )
        case frames.Docker():
            if said.inventory is None:
                return fact.EngineReported(
                    at=at, origin=origin, host_id=host_id, seen_at=min(said.listed_at, at), engine=said.engine
                )
            return fact.InventoryListed(
                at=at,
                origin=origin,
                host_id=host_id,
                listed_at=min(said.listed_at, at),
                engine=said.engine,
                inventory=_bound_inventory(said.inventory),
            )


def _bound_inventory(told: Inventory) -> Inventory:
    """As many as an agent tells one by one; what is beyond that is counted, as it counts it."""
    containers, volumes = told.containers[:MOST_CONTAINERS], told.volumes[:MOST_VOLUMES]
    return replace(
        told,
        containers=containers,
        volumes=volumes,
        more_containers=told.more_containers + len(told.containers) - len(containers),
        more_volumes=told.more_volumes + len(told.volumes) - len(volumes),
    )


def _bound_deploy(deploy: Deploy, host_id: str, at: datetime) -> Deploy:
    ended_at = min(deploy.ended_at, at)
    return replace(
        deploy,
        host_id=host_id,
        started_at=min(deploy.started_at, ended_at),
        ended_at=ended_at,
        duration_seconds=max(deploy.duration_seconds, 0.0),
        compose_version=_cut(deploy.compose_version),
        cause=_cut(deploy.cause),
        reason=_cut(deploy.reason),
    )


def _cut(text: str | None) -> str | None:
    """Words that are kept in memory for as long as the stack is."""
    return None if text is None else text[:LONGEST_WORDS]


def _bound(run: Run, host_id: str, at: datetime, ahead_seconds: float) -> Run:
    ended_at = min(run.ended_at, at)
    return replace(
        run,
        host_id=host_id,
        started_at=min(run.started_at, ended_at),
        ended_at=ended_at,
        duration_seconds=max(run.duration_seconds, 0.0),
        clock_ahead_seconds=min(max(ahead_seconds, 0.0), MOST_AHEAD_SECONDS),
    )
