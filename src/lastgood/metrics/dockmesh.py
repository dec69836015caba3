"""The ``dockmesh_*`` vocabulary: hosts, stacks, containers, deploys and backup jobs as dockmesh's rules expect them.

Takes a frozen view, and what the process counted; names, types, labels and buckets are those of its published
reference and never change. Host names are unique on a hub, so ``host`` alone tells one series from another. The one
rule: what is known by last sight alone is told as such (stacks) or stays as it was (containers), never as zero.
"""

from __future__ import annotations

from lastgood.fleet.docker import is_reachable
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.stacks import times_by_name
from lastgood.metrics.entities import (
    ACTION,
    CONTAINERS,
    DEPLOYED,
    FIRED,
    HOST,
    HOST_STATUS,
    REQUEST,
    SOURCE,
    STACKS,
    aged_value,
    epoch,
)
from lastgood.metrics.family import Aged, Family, Histogram, Instant, Type, Value
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.docker import ContainerState, StackState
from lastgood.model.host import ABSENT, NO_TRIPS, TRIP_BOUNDS
from lastgood.model.source import Source, last_good
from lastgood.model.stack import DEPLOY_BOUNDS


def _host(view: FleetView, host_id: str) -> tuple[str, ...]:
    return (view.hosts[host_id].name,)


def _silence(now: Instant, host_id: str) -> int | None:
    """Whole seconds; none below zero, since a heartbeat may come after the moment for which the page holds."""
    seen_at = now.presence.get(host_id, ABSENT).seen_at
    return None if seen_at is None else max(0, int(now.seconds - seen_at.timestamp()))


def _round_trips(now: Instant, host_id: str) -> Histogram | None:
    trips = now.presence.get(host_id, ABSENT).round_trips
    return None if trips is NO_TRIPS else Histogram(trips.buckets, trips.seconds)


SILENCE: Aged[FleetView] = Aged(lambda _view, host_id: host_id, _silence)
ROUND_TRIPS: Aged[FleetView] = Aged(lambda _view, host_id: host_id, _round_trips)
"""Every host answers every half a minute: nothing of that is worth keeping from page to page."""


def _hosts(view: FleetView, status: str) -> int:
    """A degraded host is online elsewhere; here each host counts once."""
    if status == "degraded":
        return len(view.degraded)
    return len(view.hosts) - view.hosts_online if status == "offline" else view.hosts_online - len(view.degraded)


def _host_and_state(view: FleetView, key: str) -> tuple[str, ...]:
    host_id, _, state = key.rpartition("/")
    return view.hosts[host_id].name, state


def _containers(view: FleetView, key: str) -> Value:
    host_id, _, state = key.rpartition("/")
    found = view.docker_counts[host_id].containers
    return None if found is None else found.get(ContainerState(state), 0)


def _stacks(view: FleetView, key: str) -> Value:
    """None for none: who asks for stacks in state error, as the reference does, means to be shown those alone."""
    host_id, _, state = key.rpartition("/")
    found = view.docker_counts[host_id].stacks
    if is_reachable(view, host_id):
        return found.get(StackState(state)) or None
    return sum(found.values()) or None if state == StackState.UNKNOWN else None


def _stack_and_result(_view: FleetView, key: str) -> tuple[str, ...]:
    stack, _, result = key.rpartition("/")
    return stack, result


def _deploys(view: FleetView, key: str) -> Value:
    stack, _, result = key.rpartition("/")
    ok, error = times_by_name(view, stack)
    times = ok if result == "ok" else error
    return Histogram(times.buckets, times.seconds) if times.count else None


def _is_job(source: Source) -> bool:
    """What our agents back up, and somebody still wants."""
    return source.host_id is not None and source.archived_by is None


def _job(view: FleetView, source_id: str) -> tuple[str, ...]:
    """``host/name``, as commands call it: names of sources are unique on their host alone. A host's own slash is
    written otherwise, so that no two jobs are ever called the same."""
    source = view.sources[source_id]
    if source.host_id is None:
        return (source.name,)
    host = view.hosts[source.host_id].name.replace("%", "%25").replace("/", "%2F")
    return (f"{host}/{source.name}",)


def _last_run(view: FleetView, source_id: str) -> Value:
    source = view.sources[source_id]
    if not _is_job(source):
        return None
    run = last_good(source, view.evidence_of(source_id))
    return 0 if run is None else epoch(run.ended_at)


def _last_duration(view: FleetView, source_id: str) -> Value:
    source = view.sources[source_id]
    run = last_good(source, view.evidence_of(source_id)) if _is_job(source) else None
    return None if run is None else run.duration_seconds


def _fired(_facts: OwnFacts, key: str) -> tuple[str, ...]:
    severity, _, rule = key.partition("/")
    return severity, rule


def _request(_facts: OwnFacts, key: str) -> tuple[str, ...]:
    method, status, path = key.split(" ", 2)
    return method, path, status


FLEET: tuple[Family[FleetView], ...] = (
    Family(
        name="dockmesh_hosts_total",
        help="Number of hosts by status. degraded: the agent is connected, but its engine does not answer, a clock "
        "is off by more than 60 s, or the agent refuses a part of its orders.",
        entity=HOST_STATUS,
        reads=("host", "presence", "docker"),
        label_names=("status",),
        labels=lambda _view, status: (status,),
        value=_hosts,
    ),
    Family(
        name="dockmesh_stacks_total",
        help="Number of Compose stacks by host and state: error, partial, paused, running, stopped, or unknown while "
        "the engine cannot be asked. A state that no stack of the host is in has no row.",
        entity=STACKS,
        reads=("host", "presence", "docker", "stack"),
        label_names=("host", "state"),
        labels=_host_and_state,
        value=_stacks,
    ),
    Family(
        name="dockmesh_containers_total",
        help="Number of containers by host and the engine's own state, as last seen; together all of the host.",
        entity=CONTAINERS,
        reads=("host", "docker"),
        label_names=("host", "state"),
        labels=_host_and_state,
        value=_containers,
    ),
    Family(
        name="dockmesh_agent_last_seen_seconds",
        help="Time since the last heartbeat of this host's agent; absent for a host that was never heard.",
        entity=HOST,
        reads=("presence", "clock"),
        label_names=("host",),
        labels=_host,
        value=aged_value(SILENCE),
        aged=SILENCE,
    ),
    Family(
        name="dockmesh_agent_rtt_seconds",
        help="How long questions to this host's agent and their answers were under way, since lastgood started.",
        type=Type.HISTOGRAM,
        bounds=TRIP_BOUNDS,
        entity=HOST,
        reads=("presence", "clock"),
        label_names=("host",),
        labels=_host,
        value=aged_value(ROUND_TRIPS),
        aged=ROUND_TRIPS,
    ),
    Family(
        name="dockmesh_deploy_duration_seconds",
        help="How long deploys of stacks of this name took, by result: ok or error.",
        type=Type.HISTOGRAM,
        bounds=DEPLOY_BOUNDS,
        entity=DEPLOYED,
        reads=("stack",),
        label_names=("stack", "result"),
        labels=_stack_and_result,
        value=_deploys,
    ),
    Family(
        name="dockmesh_backup_last_run_timestamp",
        help="Unix time at which the last good backup of this job (host/name) ended; 0 until there is one.",
        entity=SOURCE,
        reads=("host",),
        label_names=("job",),
        labels=_job,
        value=_last_run,
    ),
    Family(
        name="dockmesh_backup_last_duration_seconds",
        help="How long the last good backup of this job (host/name) took.",
        entity=SOURCE,
        reads=("host",),
        label_names=("job",),
        labels=_job,
        value=_last_duration,
    ),
)

OWN: tuple[Family[OwnFacts], ...] = (
    Family(
        name="dockmesh_api_requests_total",
        help="Requests answered since lastgood started; path is that of the route, unmatched for paths of none.",
        type=Type.COUNTER,
        entity=REQUEST,
        label_names=("method", "path", "status"),
        labels=_request,
        value=lambda facts, key: (facts.requests or {})[key],
    ),
    Family(
        name="dockmesh_alerts_fired_total",
        help="Alerts that were opened, since this hub began.",
        type=Type.COUNTER,
        entity=FIRED,
        label_names=("severity", "rule"),
        labels=_fired,
        value=lambda facts, key: (facts.alerts_fired or {})[key],
    ),
    Family(
        name="dockmesh_audit_log_entries_total",
        help="Actions written into the audit log since it began; one that was begun and ended counts once.",
        type=Type.COUNTER,
        entity=ACTION,
        label_names=("action",),
        labels=lambda _facts, action: (action,),
        value=lambda facts, action: None if facts.audit is None else facts.audit.entries[action],
    ),
)

VOCABULARY = Vocabulary(
    name="dockmesh",
    purpose="Drop-in for the metrics of dockmesh: the queries of its reference work unchanged.",
    fleet=FLEET,
    own=OWN,
)
