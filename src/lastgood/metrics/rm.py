"""The ``rm_*`` vocabulary: the fleet as restic-manager's dashboards and rules expect it.

Takes a frozen view; names, types, label sets and buckets are those of its published reference and never change.
Unknown is an absent row; ``rm_hosts_total`` and ``rm_host_snapshot_count`` keep names that promtool's lint dislikes.
"""

from __future__ import annotations

from lastgood.fleet.durations import BOUNDS
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.weigh import is_proven_good
from lastgood.metrics.entities import ENDED_RUNS, HOST, HUB, RUNS, SEVERITY, epoch
from lastgood.metrics.family import Family, Histogram, Type, Value
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.alert import Severity
from lastgood.model.job import Outcome
from lastgood.model.repository import Probe, RepositoryEvidence

HOST_LABELS = ("host_id", "host")


def _host(view: FleetView, host_id: str) -> tuple[str, ...]:
    return host_id, view.hosts[host_id].name


def _host_and_status(view: FleetView, host_id: str) -> tuple[str, ...]:
    return host_id, view.hosts[host_id].name, repo_status(view, host_id)


def repo_status(view: FleetView, host_id: str) -> str:
    """The worst word that holds for any of the host's repositories; a host without one is unknown."""
    evidences = [view.repository_evidence_of(i) for i in view.repositories_of_host(host_id)]
    if any(_init_failed(evidence) for evidence in evidences):
        return "init_failed"
    return "ready" if evidences and all(map(_was_ready, evidences)) else "unknown"


def _init_failed(evidence: RepositoryEvidence) -> bool:
    if evidence.probe is Probe.READY:
        return False
    return evidence.init_failed or evidence.probe in (Probe.MISSING, Probe.WRONG_PASSWORD)


def _was_ready(evidence: RepositoryEvidence) -> bool:
    """Unreachable now is no news about a repository that was once opened."""
    return evidence.probe is Probe.READY or evidence.identity is not None or evidence.surveyed_at is not None


def _last_backup_at(view: FleetView, host_id: str) -> Value:
    run = view.last_backups.get(host_id)
    return None if run is None else epoch(run.ended_at)


def _last_backup_success(view: FleetView, host_id: str) -> Value:
    """A partial backup counts only where its source accepts such."""
    run = view.last_backups.get(host_id)
    if run is None:
        return None
    if run.outcome is not Outcome.PARTIAL:
        return is_proven_good(run)
    source = None if run.source_id is None else view.sources.get(run.source_id)
    return source is not None and source.accept_partial


def _last_backup_made_something(view: FleetView, host_id: str) -> Value:
    """A partial backup counts as a success, as restic-manager itself has it."""
    run = view.last_backups.get(host_id)
    return None if run is None else run.outcome is Outcome.PARTIAL or is_proven_good(run)


def _repo_size(view: FleetView, host_id: str) -> Value:
    sizes = [view.repository_evidence_of(i).size_bytes for i in view.repositories_of_host(host_id)]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _snapshots(view: FleetView, host_id: str) -> Value:
    counts = [view.repository_evidence_of(i).snapshots for i in view.repositories_of_host(host_id)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _duration(view: FleetView, ended: str) -> Value:
    run = RUNS[ended]
    return Histogram(view.durations.buckets[run], view.durations.sums[run])


def _build(facts: OwnFacts, _id: str) -> tuple[str, ...]:
    return facts.build.version, facts.build.commit, "none"


def families(*, partial_is_success: bool = False) -> tuple[Family[FleetView], ...]:
    """The rows of the vocabulary; ``partial_is_success`` is the setting of that name."""
    success = _last_backup_made_something if partial_is_success else _last_backup_success
    return (
        Family(
            name="rm_hosts_total",
            help="Total number of enrolled hosts; hosts that only announced themselves are not counted.",
            entity=HUB,
            reads=("host",),
            value=lambda view, _id: len(view.hosts),
        ),
        Family(
            name="rm_hosts_online",
            help="Number of hosts whose agent is online.",
            entity=HUB,
            reads=("host", "presence"),
            value=lambda view, _id: view.hosts_online,
        ),
        Family(
            name="rm_active_alerts",
            help="Open alerts by severity.",
            entity=SEVERITY,
            reads=("alert",),
            label_names=("severity",),
            labels=lambda _view, severity: (severity,),
            value=lambda view, severity: view.open_alerts.get(Severity(severity), 0),
        ),
        Family(
            name="rm_job_duration_seconds",
            help="How long jobs ran, by kind and final status.",
            type=Type.HISTOGRAM,
            bounds=BOUNDS,
            entity=ENDED_RUNS,
            reads=("run",),
            label_names=("kind", "status"),
            labels=lambda _view, ended: RUNS[ended],
            value=_duration,
        ),
        Family(
            name="rm_host_agent_online",
            help="1 if the agent of this host is online, 0 otherwise.",
            entity=HOST,
            reads=("presence",),
            label_names=HOST_LABELS,
            labels=_host,
            value=lambda view, host_id: view.online.get(host_id, False),
        ),
        Family(
            name="rm_host_last_backup_timestamp_seconds",
            help="Unix time at which the newest backup of this host ended, whatever came of it.",
            entity=HOST,
            reads=("run",),
            label_names=HOST_LABELS,
            labels=_host,
            value=_last_backup_at,
        ),
        Family(
            name="rm_host_last_backup_success",
            help="1 if the newest backup of this host succeeded, 0 otherwise.",
            entity=HOST,
            reads=("run", "source"),
            label_names=HOST_LABELS,
            labels=_host,
            value=success,
        ),
        Family(
            name="rm_host_repo_size_bytes",
            help="Size of the repositories of this host as restic stats --mode raw-data last said it.",
            entity=HOST,
            reads=("source", "repository"),
            label_names=HOST_LABELS,
            labels=_host,
            value=_repo_size,
        ),
        Family(
            name="rm_host_snapshot_count",
            help="Number of snapshots in the repositories of this host.",
            entity=HOST,
            reads=("source", "repository"),
            label_names=HOST_LABELS,
            labels=_host,
            value=_snapshots,
        ),
        Family(
            name="rm_host_open_alerts",
            help="Number of open alerts of this host.",
            entity=HOST,
            reads=("alert",),
            label_names=HOST_LABELS,
            labels=_host,
            value=lambda view, host_id: view.open_alerts_of_host.get(host_id, 0),
        ),
        Family(
            name="rm_host_repo_status",
            help="Always 1; the status label says whether the repositories of this host are ready.",
            entity=HOST,
            reads=("source", "repository"),
            label_names=(*HOST_LABELS, "status"),
            labels=_host_and_status,
            value=lambda _view, _id: 1,
        ),
    )


BUILD_INFO: Family[OwnFacts] = Family(
    name="rm_build_info",
    help="Always 1; the labels say which build answers. go_version is none, since no Go runs here.",
    entity=HUB,
    label_names=("version", "commit", "go_version"),
    labels=_build,
    value=lambda _facts, _id: 1,
)


def vocabulary(*, partial_is_success: bool = False) -> Vocabulary:
    """The vocabulary under the setting ``metrics.partial_is_success``."""
    return Vocabulary(
        name="rm",
        purpose="Drop-in for the metrics of restic-manager: its dashboards and rules work unchanged.",
        fleet=families(partial_is_success=partial_is_success),
        fixed=(BUILD_INFO,),
    )
