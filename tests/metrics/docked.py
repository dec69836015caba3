"""Engines, stacks and deploys for the page of twelve hosts, and what a page must say of them, by plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.fleet.learn import learn
from lastgood.metrics.own_facts import OwnFacts
from lastgood.model import fact
from lastgood.model.docker import ContainerState, EngineState, Health
from lastgood.model.host import Host, RoundTrips
from lastgood.model.job import Outcome
from lastgood.model.source import last_good
from lastgood.model.stack import Deploy, StackAction
from tests.builders import NOW, an_id
from tests.dock import a_container, an_inventory, put_inventory

Put = Callable[..., None]

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
DEPLOY_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TRIP_EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)

WELL = "host-12-bare"
AWAY = "host-11-silent"
HUNG = "host-02-unchanged"
BROKEN = "host-03-partial"

STACKS = {
    WELL: {"error": 2, "partial": 1, "running": 1, "stopped": 1},
    AWAY: {"unknown": 1},
    HUNG: {"unknown": 1},
    BROKEN: {"unknown": 1},
}
"""What ``put_docker`` makes: the last of these only failed to deploy, where no engine is known."""

DEGRADED = {HUNG}
DEPLOYS = {("shop", "ok"): (0.01, 45.0, 601.0), ("shop", "error"): (2.5,), ("lost", "error"): (7.0,)}
TRIPS = {WELL: (0.004, 0.01, 0.02, 11.0), AWAY: (2.0,)}


def put_docker(fleet: Fleet) -> None:
    """Four of the twelve hosts have something of Docker: well, away, with an engine that hangs, and a lost deploy."""
    hosts = {host.name: host for host in fleet.hosts.values()}
    put_inventory(fleet, hosts[WELL], _everything())
    put_inventory(fleet, hosts[AWAY], an_inventory(a_container("web", state=ContainerState.DEAD)))
    put_inventory(fleet, hosts[HUNG], an_inventory(a_container("web")), state=EngineState.SILENT)
    fleet.judging.tell_degraded(hosts[HUNG].id, True)
    _deployed(fleet, hosts[WELL], "shop", 0.01)
    _deployed(fleet, hosts[WELL], "shop", 45.0)
    _deployed(fleet, hosts[AWAY], "shop", 2.5, Outcome.FAILED)
    _deployed(fleet, hosts[AWAY], "shop", 601.0)
    _deployed(fleet, hosts[BROKEN], "lost", 7.0, Outcome.FAILED)
    for name, seconds in TRIPS.items():
        trips = RoundTrips()
        for one in seconds:
            trips = trips.with_one(one)
        presence = fleet.judging.presence[hosts[name].id]
        fleet.judging.presence[hosts[name].id] = replace(presence, round_trips=trips)


def _everything() -> Any:
    state = ContainerState
    return an_inventory(
        a_container("web"),
        a_container("db"),
        a_container("a", project="looping", state=state.RESTARTING),
        a_container("b", project="sick", health=Health.UNHEALTHY),
        a_container("c", project="half"),
        a_container("d", project="half", state=state.CREATED),
        a_container("e", project="over", state=state.EXITED, exit_code=137, restart_policy="always"),
        a_container("alone", project=None, state=state.PAUSED),
    )


def _deployed(fleet: Fleet, host: Host, project: str, seconds: float, outcome: Outcome = Outcome.SUCCESS) -> None:
    ended_at = NOW - timedelta(hours=1) + timedelta(minutes=len(fleet.deploys))
    deploy = Deploy(
        id=an_id("deploy", host.id, project, seconds),
        action=StackAction.DEPLOY,
        outcome=outcome,
        host_id=host.id,
        project=project,
        started_at=ended_at - timedelta(seconds=seconds),
        ended_at=ended_at,
        duration_seconds=seconds,
        touched=True,
    )
    learn(fleet, fact.DeployFinished(at=NOW, origin="test", deploy=deploy))


# --- what must be told ----------------------------------------------------------------------------------------------


def told_of_docker(put: Put, view: FleetView, facts: OwnFacts) -> None:
    """All of ``dockmesh_*`` but what the audit log and heartbeats tell."""
    online = sum(view.online.values())
    degraded = len([host for host in view.hosts.values() if view.docker and host.name in DEGRADED])
    put("dockmesh_hosts_total", degraded, status="degraded")
    put("dockmesh_hosts_total", online - degraded, status="online")
    put("dockmesh_hosts_total", len(view.hosts) - online, status="offline")
    for host_id, held in view.docker.items():
        name = view.hosts[host_id].name
        for state in STATES:
            count = len([one for one in held.inventory.containers if one.state == state])
            put("dockmesh_containers_total", count, host=name, state=state)
        put("backup_uncovered_sources", 0, host=name)  # nothing here has mounts
    if view.docker:
        for name, states in STACKS.items():
            for state, count in states.items():
                put("dockmesh_stacks_total", count, host=name, state=state)
        for (stack, result), seconds in DEPLOYS.items():
            _histogram(put, "dockmesh_deploy_duration_seconds", seconds, DEPLOY_EDGES, stack=stack, result=result)
        for name, seconds in TRIPS.items():
            _histogram(put, "dockmesh_agent_rtt_seconds", seconds, TRIP_EDGES, host=name)
    _jobs(put, view)
    for key, count in (facts.requests or {}).items():
        method, status, path = key.split(" ")
        put("dockmesh_api_requests_total", count, method=method, path=path, status=status)
    for key, count in (facts.alerts_fired or {}).items():
        severity, rule = key.split("/")
        put("dockmesh_alerts_fired_total", count, severity=severity, rule=rule)


def _jobs(put: Put, view: FleetView) -> None:
    for source in view.sources.values():
        job = f"{view.hosts[source.host_id or ''].name}/{source.name}"
        good = last_good(source, view.evidence[source.id])
        put("dockmesh_backup_last_run_timestamp", math.floor(good.ended_at.timestamp()) if good else 0, job=job)
        put("dockmesh_backup_last_duration_seconds", good and good.duration_seconds, job=job)


def _histogram(put: Put, name: str, seconds: tuple[float, ...], edges: tuple[float, ...], **labels: str) -> None:
    for edge in edges:
        put(f"{name}_bucket", len([one for one in seconds if one <= edge]), **labels, le=f"{edge:g}")
    put(f"{name}_bucket", len(seconds), **labels, le="+Inf")
    put(f"{name}_count", len(seconds), **labels)
    put(f"{name}_sum", sum(seconds), **labels)
